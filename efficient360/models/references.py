"""A reference as the user typed it, resolved to a checkpoint: architecture, arguments, preprocessing and the weights' digest."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.architectures import build_network, default_config, require_architecture, skeleton
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing, Selection
from efficient360.models.compressed_file import KEY, stored_variant
from efficient360.models.explaining import explained, unknown_architecture
from efficient360.models.fitting import classifiers, fit, head_classes, may_resample, same_but_classes
from efficient360.models.greyscale import weights_for_colour
from efficient360.models.libraries.catalogue import library_of
from efficient360.models.libraries.zero_shot import CLASSES, compares_names, labels_from
from efficient360.models.preprocessing import assumed_values, preprocessing_of, require_input_size
from efficient360.models.selection import Candidate, Choice, Target, separate_heads, shapes_of
from efficient360.models.size_limits import MOST_PARTS
from efficient360.models.sources import CheckpointSource, find_source, with_records
from efficient360.models.state_dicts import Role, is_plain, state_dicts
from efficient360.models.weights import Weights, choose_weights, digest, translated, weights_of
from efficient360.models.weights_file import WeightsFile, read_file


def resolve(spec: CheckpointSpec) -> Checkpoint:
    """Find a checkpoint, read its weights and check that they fit.

    Tried in order: name of an embedded checkpoint, local file or folder, ``hf-hub:organisation/name``, timm name or tag.
    What the user gave goes before the sidecar, the sidecar before what the trainer wrote, and that before timm's defaults. Only the number of classes
    is ever inferred from the weights.

    Raises:
        CheckpointError: It is not found, not readable safely, or does not fit its architecture.
    """
    source = find_source(spec)
    file = None if spec.random_weights or source.weights is None else read_file(source.weights)
    source = with_records(source, None if file is None else file.content)
    architecture = spec.architecture or source.sidecar.architecture
    if not architecture:
        raise unknown_architecture(spec.reference, None if file is None else file.content)
    require_architecture(architecture)
    sidecar_arguments = source.sidecar.arguments if architecture == source.sidecar.architecture else {}
    arguments = {**sidecar_arguments, **spec.arguments}
    if compares_names(architecture):
        arguments["num_classes"] = len(labels_from(architecture, arguments).classes)
    if spec.random_weights:
        return _random(spec, source, architecture, arguments)
    if file is None:
        raise CheckpointError("no-weights", f"{spec.reference} names no weights", "give a weights file, or --random-weights")
    try:
        return _trained(spec, source, architecture, arguments, file)
    except CheckpointError as error:
        raise explained(error, spec, source, file.content) from error


def nameless(spec: CheckpointSpec) -> Checkpoint:
    """A stand-in for a checkpoint whose classes are not named yet: enough to read off a data set what its classes are called."""
    shape = Preprocessing((3, 32, 32), (0.0,) * 3, (1.0,) * 3)
    return Checkpoint(spec, spec.reference, spec.architecture, {}, Origin.FILE, None, "", shape, 1)


def _random(spec: CheckpointSpec, source: CheckpointSource, architecture: str, arguments: Mapping[str, Any]) -> Checkpoint:
    count = arguments.get("num_classes", _sidecar_classes(source, architecture) or default_config(architecture).get("num_classes"))
    full = {**arguments, "num_classes": _require_classes(count, spec)}
    skeleton(architecture, full)  # what is too large is refused before it takes memory
    network = build_network(architecture, full, spec.seed)
    preprocessing = preprocessing_of(architecture, source.sidecar, spec)
    require_input_size(network, preprocessing, spec)
    names = source.sidecar.class_names
    return Checkpoint(
        spec=spec,
        name=f"{source.name}-random-{spec.seed}",
        architecture=architecture,
        arguments=full,
        origin=Origin.RANDOM,
        path=None,
        digest=digest(network.state_dict()),
        preprocessing=preprocessing,
        num_classes=full["num_classes"],
        class_names=names if len(names) == full["num_classes"] else (),
        card={"weights": f"random, seed {spec.seed}"},
    )


def _trained(spec: CheckpointSpec, source: CheckpointSource, architecture: str, asked: Mapping[str, Any], file: WeightsFile) -> Checkpoint:
    config = default_config(architecture)
    greyscale = asked.get("in_chans") == 1
    arguments = {name: value for name, value in asked.items() if not (greyscale and name == "in_chans")}
    count = arguments.get("num_classes", _sidecar_classes(source, architecture))
    network = skeleton(architecture, arguments if count is None else {**arguments, "num_classes": count}, _parts(file.content))
    choice = _choice(spec, source, network, classifiers(config), file, architecture, greyscale)
    weights = weights_of(file, choice.taken.selection, architecture)
    tensors = weights_for_colour(shapes_of(network.state_dict()), weights.tensors) if greyscale else weights.tensors
    if count is None:
        count = head_classes(config, tensors)
        if count is None:
            # Weights of another architecture are the likely reason that there is no head: say that rather than ask for a number.
            _fit(spec, source, network, tensors)
        full = {**arguments, "num_classes": _require_classes(count, spec)}
        network = skeleton(architecture, full, _parts(file.content))
    full = {**arguments, "num_classes": _require_classes(count, spec)}
    resampled = _fit(spec, source, network, tensors)
    preprocessing = preprocessing_of(architecture, source.sidecar, spec)
    require_input_size(network, preprocessing, spec)
    names = tuple(arguments[CLASSES]) if compares_names(architecture) else source.sidecar.class_names
    if names and len(names) != full["num_classes"]:
        if not source.recorded:
            raise CheckpointError(
                "class-names-mismatch",
                f"{spec.reference}: {len(names)} class names are given for {full['num_classes']} classes",
                "correct class_names or num_classes in the sidecar",
            )
        names = ()
    return Checkpoint(
        spec=spec,
        name=source.name,
        architecture=architecture,
        arguments=full,
        origin=source.origin,
        path=source.weights,
        digest=weights.digest,
        preprocessing=preprocessing,
        num_classes=full["num_classes"],
        class_names=names,
        card={**_card(source, architecture, weights, resampled, preprocessing, greyscale=greyscale), **_choice_card(choice)},
        assumed=assumed_values(source.sidecar, spec),
        selection=choice.taken.selection,
        alternatives=choice.others,
        greyscale=greyscale,
    )


def _choice(
    spec: CheckpointSpec, source: CheckpointSource, network: nn.Module, classifier: tuple[str, ...], file: WeightsFile, architecture: str, greyscale: bool
) -> Choice:
    """The weights in the file that are this network's."""
    if KEY in file.metadata or (not spec.weights_key and library_of(architecture).renames and is_plain(file.content)):
        return Choice(Candidate(Selection(), "", Role.TRAINED, {}, fits=True))
    shapes, resample = shapes_of(network.state_dict()), may_resample(source.origin, spec)

    def fits(tensors: Mapping[str, Tensor]) -> bool:
        named = translated(tensors, architecture)
        return same_but_classes(network, weights_for_colour(shapes, named) if greyscale else named, classifier, resample)

    target = Target(shapes, classifier, fits)
    choice = choose_weights(file, spec.weights_key, target)
    if heads := separate_heads(choice.taken, file.content, target):
        message = f"{file.path} holds {choice.taken.label!r} without a classifier, and beside it the linear layer {heads[0].rpartition('+')[2]!r}"
        raise CheckpointError("separate-classifier", message, f"if that is its classifier: --weights-key {heads[0]}")
    return choice


def _choice_card(choice: Choice) -> dict[str, str]:
    """Which of the weights in the file were taken, and what was left."""
    others = ", ".join(label or "the plain ones" for label in choice.others)
    told = {"taken_from": choice.taken.label, "taken_because": choice.reason, "other_weights": others, "left_out": ", ".join(choice.taken.beside)}
    return {name: value for name, value in told.items() if value}


def _parts(content: Any) -> int:
    """Modules and parameters that an architecture may have whose weights these are, whatever its card says: up to four a tensor are usual."""
    return min(MOST_PARTS, 2000 + 20 * max((len(one.tensors) for one in state_dicts(content)), default=0))


def _fit(spec: CheckpointSpec, source: CheckpointSource, network: Any, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    return fit(network, tensors, str(source.weights), may_resample(source.origin, spec)).resampled


def _sidecar_classes(source: CheckpointSource, architecture: str) -> int | None:
    return source.sidecar.num_classes if architecture == source.sidecar.architecture else None


def _require_classes(count: Any, spec: CheckpointSpec) -> int:
    if count is None:
        raise CheckpointError(
            "num-classes-unknown",
            f"the number of classes of {spec.reference} is not given and can't be read off its weights",
            "--arch-arg num_classes=K",
        )
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise CheckpointError("no-classifier", f"{spec.reference} has no classification head: num_classes is {count}", "give a checkpoint that classifies")
    return count


def _card(
    source: CheckpointSource, architecture: str, weights: Weights, resampled: tuple[str, ...], preprocessing: Preprocessing, greyscale: bool
) -> dict[str, Any]:
    """What is known of the weights beside their values, and what was done to them."""
    preprocessing_source = (
        "sidecar"
        if {"mean", "std"} <= source.sidecar.preprocessing.keys()
        else f"{library_of(architecture).name.partition(' ')[0]}'s defaults of {architecture}"
    )
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.tensors.values()})
    card = {"preprocessing_source": preprocessing_source, **source.sidecar.card, **source.card, "stored_dtype": ", ".join(dtypes)}
    if weights.stored and source.weights is not None:
        card["compressed"] = stored_variant(weights.metadata, source.weights)
    if greyscale:
        card["adapted"] = "first convolution takes the luminance of three channels"
    if resampled:
        what = "position embedding" if resampled == ("pos_embed",) else ", ".join(resampled[:3])
        card["adapted"] = f"{what} resampled for {preprocessing.input_size[1]} x {preprocessing.input_size[2]} images"
    return card
