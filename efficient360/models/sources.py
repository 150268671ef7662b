"""Where a reference leads: an embedded checkpoint, a local file or folder, a hub repository, or a name of timm's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from efficient360.core.close_names import close_names
from efficient360.core.paths import exists, is_file, is_folder, user_path
from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.architectures import close_architectures, default_config
from efficient360.models.checkpoint import CheckpointSpec, Origin, zoo_file, zoo_names
from efficient360.models.composed import ALL_WEIGHTS, Composed, find_composed, head_rows
from efficient360.models.hub import PREFIXES, WEIGHTS, Repository, commit_of, fetch, fetch_first, fetch_url, parse_repository
from efficient360.models.libraries.catalogue import LIBRARIES, library_of
from efficient360.models.libraries.library import Library, Published
from efficient360.models.libraries.own_file import is_own_file
from efficient360.models.libraries.transformers_zero_shot import TOKENIZER_FILES
from efficient360.models.libraries.zero_shot import compares_names
from efficient360.models.open_clip_sidecar import open_clip_sidecar, open_clip_weights
from efficient360.models.shards import is_index, shard_names
from efficient360.models.sidecar import GENERIC_NAMES, Sidecar, find_sidecar, parse_sidecar, read_json
from efficient360.models.trainer_folder import choose_checkpoint
from efficient360.models.trainer_records import TIMM_OPTIONS, options_beside, recorded
from efficient360.models.transformers_sidecar import native_sidecar, transformers_sidecar
from efficient360.models.weights_file import SUFFIXES, plain_tensors
from efficient360.models.weights_folder import weights_in

LONGEST_NAME = 100


@final
@dataclass(frozen=True)
class CheckpointSource:
    """What a reference leads to.

    Args:
        name: Short display name.
        origin: Where the weights come from.
        sidecar: The metadata beside the weights.
        weights: The weights file; ``None`` where the reference names an architecture only.
        card: Repository and commit, for weights from the hub; which of a folder's files the weights are.
        recorded: Whether the sidecar is what a trainer wrote for its own use.
    """

    name: str
    origin: Origin
    sidecar: Sidecar
    weights: Path | None
    card: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False


def find_source(spec: CheckpointSpec) -> CheckpointSource:
    """Follow a reference: embedded name, existing path, ``hf-hub:`` repository, timm name or tag, in this order.

    Raises:
        CheckpointError: It leads nowhere; the message says what was tried and which names are close.
    """
    reference = spec.reference.strip()
    if reference in zoo_names():
        weights = zoo_file(reference)
        return CheckpointSource(reference, Origin.ZOO, _sidecar(weights.with_suffix(".json")), weights)
    path = user_path(reference)
    if reference and is_folder(path):
        return _folder(path)
    if reference and is_file(path):
        if path.suffix == ".py":
            message = f"{reference} is a Python file, not weights"
            raise CheckpointError("checkpoint-is-code", message, f"efficient360 evaluate WEIGHTS --arch {reference}:NAME, of a function or class in it")
        return _file(path)
    if reference.startswith(PREFIXES):
        return _repository(parse_repository(reference), spec)
    library = library_of(reference)
    if (published := library.published(reference)) is not None:
        return _published(reference, library, published, spec)
    raise _nowhere(reference, path)


def _file(path: Path) -> CheckpointSource:
    if (composed := find_composed(path)) is not None:
        return _composed(path.parent, composed)
    beside = find_sidecar(path)
    sidecar = Sidecar() if beside is None else _sidecar(beside)
    if beside is not None and beside.name in GENERIC_NAMES and not sidecar.architecture:
        # A config.json that belongs to something else.
        sidecar = Sidecar()
    return CheckpointSource(sidecar.name or path.stem, Origin.FILE, sidecar, path)


def _folder(folder: Path) -> CheckpointSource:
    if (composed := find_composed(folder)) is not None:
        return _composed(folder, composed)
    if (weights := open_clip_weights(folder)) is not None:
        return CheckpointSource(folder.resolve().name, Origin.FILE, open_clip_sidecar(folder), weights)
    if (chosen := choose_checkpoint(folder, ALL_WEIGHTS)) is not None:
        source = _folder(chosen.folder)
        return replace(source, name=folder.resolve().name, card={**source.card, "trainer_checkpoint": chosen.told})
    found = weights_in(folder, ALL_WEIGHTS)
    beside = find_sidecar(found.path) or find_sidecar(folder / found.path.name)
    sidecar = Sidecar() if beside is None else _sidecar(beside)
    name = sidecar.name or folder.resolve().name
    return CheckpointSource(name, Origin.FILE, sidecar, found.path, {"file": found.reason} if found.reason else {})


def with_records(source: CheckpointSource, content: Any) -> CheckpointSource:
    """The source with what a trainer wrote of its network, where no sidecar names an architecture: timm's ``args.yaml`` beside the file, or the file itself.

    Only architectures of installed libraries are taken from there, never a user's own file, which would be run.

    Args:
        source: From :func:`find_source`.
        content: What its file holds.

    Raises:
        CheckpointError: ``args.yaml`` can't be read.
    """
    if source.sidecar.architecture or source.weights is None or source.origin is not Origin.FILE:
        return source
    beside = options_beside(source.weights, default_config)
    inside = recorded(content, _is_installed, default_config, source.weights)
    if not beside.architecture:
        beside, told = inside, "the checkpoint's own options"
    else:
        told, beside = TIMM_OPTIONS, replace(beside, class_names=inside.class_names)
    if not beside.architecture and not beside.class_names:
        return source
    card = {**inside.card, **beside.card, **({"architecture_source": told} if beside.architecture else {})}
    return replace(source, sidecar=replace(beside, card=card), recorded=True)


def without_size(source: CheckpointSource) -> CheckpointSource:
    """The source with the architecture's own size of images."""
    arguments = {name: value for name, value in source.sidecar.arguments.items() if name != "img_size"}
    values = {name: value for name, value in source.sidecar.preprocessing.items() if name != "input_size"}
    return replace(source, sidecar=replace(source.sidecar, arguments=arguments, preprocessing=values))


def _is_installed(name: str) -> bool:
    bare = name.partition(".")[0]
    return len(name) < LONGEST_NAME and any(bare in library.names() for library in LIBRARIES)


def _composed(folder: Path, composed: Composed) -> CheckpointSource:
    """A base with an adapter or a head that was trained on it: always as ``transformers`` builds it, by whose names adapters go."""
    sidecar = native_sidecar(read_json(composed.config), composed.config, head_rows(composed, plain_tensors), folder)
    return CheckpointSource(folder.resolve().name, Origin.FILE, sidecar, composed.weights, {"composed": composed.told})


def _repository(repository: Repository, spec: CheckpointSpec) -> CheckpointSource:
    config = fetch(repository, "config.json")
    if config is None and not spec.architecture:
        raise CheckpointError("hub-no-config", f"the hub's repository {repository} has no config.json that names an architecture", "name it with --arch")
    # It lands beside config.json, where the sidecar is read from.
    if config is not None and _is_transformers(config) and fetch(repository, "preprocessor_config.json") is None:
        fetch(repository, "processor_config.json")
    sidecar = Sidecar() if config is None else _sidecar(config)
    if compares_names(sidecar.architecture):
        _fetch_all(repository, TOKENIZER_FILES)
    if spec.random_weights:
        return CheckpointSource(repository.name, Origin.RANDOM, sidecar, None)
    # Weights of the very commit that the configuration is from.
    pinned = repository if config is None else Repository(repository.name, commit_of(config) or repository.revision)
    return _downloaded(repository.name, pinned, ALL_WEIGHTS, sidecar)


def _fetch_all(repository: Repository, names: Sequence[str]) -> None:
    """Fetch those of several files that a repository has; none of them is missed where the hub can't be reached."""
    for name in names:
        try:
            fetch(repository, name)
        except CheckpointError as error:
            if error.code != "hub-unreachable":
                raise


def _published(reference: str, library: Library, published: Published, spec: CheckpointSpec) -> CheckpointSource:
    sidecar = parse_sidecar({key: value for key, value in published.config.items() if value is not None}, Path(reference))
    card = {**sidecar.card, "preprocessing_source": f"{library.name.partition(' ')[0]}'s configuration of {reference}"}
    arguments = published.config.get("model_args", {})
    sidecar = Sidecar(architecture=published.architecture, arguments=arguments, preprocessing=sidecar.preprocessing, num_classes=sidecar.num_classes, card=card)
    if spec.random_weights or is_own_file(reference):  # whose code may load its weights
        return CheckpointSource(published.architecture, Origin.RANDOM, sidecar, None)
    told = library.name.partition(" ")[0]
    if not published.repository and not published.url:
        raise CheckpointError(
            "no-pretrained-weights", f"{told} has no pretrained weights for {reference}", "give a weights file with --arch, or --random-weights"
        )
    if not published.repository and published.sha256:
        return CheckpointSource(reference.rpartition(":")[2], Origin.HUB, sidecar, fetch_url(published.url, published.sha256))
    if not published.repository:
        raise CheckpointError(
            "no-hub-weights", f"{told}'s weights of {reference} are not on the hub but at {published.url}", "download them and give the file with --arch"
        )
    return _downloaded(reference, parse_repository(published.repository), published.files or WEIGHTS, sidecar)


def _downloaded(name: str, repository: Repository, names: tuple[str, ...], sidecar: Sidecar) -> CheckpointSource:
    weights = fetch_first(repository, names)
    if weights is not None and is_index(weights):
        for shard in shard_names(weights):
            fetch(repository, shard)
    if weights is None:
        raise CheckpointError(
            "hub-no-weights", f"the hub's repository {repository} has none of {', '.join(names)}", "download its weights file and give the path"
        )
    return CheckpointSource(name, Origin.HUB, sidecar, weights, {"repository": repository.name, "revision": commit_of(weights)})


def _sidecar(path: Path) -> Sidecar:
    data = read_json(path)
    return transformers_sidecar(data, path) if _transformers_config(data) else parse_sidecar(data, path)


def _is_transformers(path: Path) -> bool:
    return _transformers_config(read_json(path))


def _transformers_config(data: Mapping[str, Any]) -> bool:
    return "model_type" in data and "architecture" not in data


def _names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(p.name for p in folder.iterdir())
    except OSError:
        return ()


def _nowhere(reference: str, path: Path) -> CheckpointError:
    if not reference:
        return CheckpointError(
            "checkpoint-not-found",
            "the checkpoint's reference is empty",
            "give a path, an embedded name, hf-hub:organisation/name or a timm name",
        )
    if path.suffix.lower() in SUFFIXES or reference.startswith((".", "/", "~")):
        there = is_folder(path.parent)
        near = close_names(path.name, _names(path.parent)) if there else ()
        where = f"; its folder has {' and '.join(near)}" if near else "" if there else f"; there is no folder {path.parent} either"
        message = f"{reference} is neither a file nor a folder" if exists(path) else f"there is no file {reference}{where}"
        return CheckpointError("checkpoint-not-found", message, "check the path")
    close = (*close_names(reference, zoo_names()), *close_architectures(reference.partition(".")[0]))
    hints = [f"did you mean {' or '.join(close)}?"] if close else []
    if reference.count("/") == 1:
        hints.append(f"for the hub's repository write hf-hub:{reference}")
    return CheckpointError(
        "checkpoint-not-found",
        f"{shown(reference)} is no embedded checkpoint, no file or folder, and no architecture or tag of timm",
        "; ".join(hints) or "efficient360 list checkpoints names the embedded ones; timm.list_pretrained() names timm's",
    )
