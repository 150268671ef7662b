"""A reference as the user typed it, resolved to a checkpoint: architecture, arguments, preprocessing and the weights' digest."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.architectures import build_network, default_config, require_architecture, skeleton
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.choosing import choice_card, choice_for, most_parts
from efficient360.models.compressed_file import stored_variant
from efficient360.models.explaining import explained, unknown_architecture
from efficient360.models.fitting import classifiers, fit, head_classes, may_resample
from efficient360.models.greyscale import grey_digest, weights_for_colour
from efficient360.models.libraries.catalogue import library_of
from efficient360.models.libraries.own_file import is_own_file, located
from efficient360.models.libraries.zero_shot import CLASSES, compares_names, labels_from
from efficient360.models.own_code import resolve_own
from efficient360.models.preprocessing import assumed_values, preprocessing_of, require_input_size
from efficient360.models.program_file import program_kind
from efficient360.models.selection import shapes_of
from efficient360.models.sources import CheckpointSource, find_source, with_records, without_size
from efficient360.models.weights import Weights, checkpoint_digest, digest, weights_of
from efficient360.models.weights_file import WeightsFile, read_file


def resolve(spec: CheckpointSpec, read: Callable[[Path], WeightsFile] = read_file) -> Checkpoint:
    """Find a checkpoint, read its weights and check that they fit.

    Tried in order: name of an embedded checkpoint, local file or folder, ``hf-hub:organisation/name``, timm name or tag.
    What the user gave goes before the sidecar, the sidecar before what the trainer wrote, and that before timm's defaults. Only the number of classes
    is ever inferred from the weights.

    Args:
        spec: As for an evaluation.
        read: Reads its file, as :func:`efficient360.models.weights_file.read_file`.

    Raises:
        CheckpointError: It is not found, not readable safely, or does not fit its architecture.
    """
    source = find_source(spec)
    if source.weights is not None and not spec.architecture and (kind := program_kind(source.weights)) is not None:
        message = f"{spec.reference} is a whole program ({kind}), not weights"
        raise CheckpointError(
            "program-file", message, f"efficient360 evaluate {spec.reference} --dataset DATA takes it as it is; everything else wants weights"
        )
    file = None if spec.random_weights or source.weights is None else read(source.weights)
    source = with_records(source, None if file is None else file.content)
    architecture = spec.architecture or source.sidecar.architecture
    if is_own_file(architecture) and architecture not in (spec.architecture, spec.reference.strip()):
        raise CheckpointError(
            "architecture-is-code",
            f"the card beside {spec.reference} names a Python file as the architecture, {shown(architecture)}: files are only run that you name yourself",
            f"where you trust that file: --arch {architecture}",
        )
    if not architecture:
        raise unknown_architecture(spec.reference, None if file is None else file.content, None if file is None else file.path)
    require_architecture(architecture)
    sidecar_arguments = source.sidecar.arguments if located(architecture) == located(source.sidecar.architecture) else {}
    arguments = {**sidecar_arguments, **spec.arguments}
    if compares_names(architecture):
        arguments["num_classes"] = len(labels_from(architecture, arguments).classes)
    if is_own_file(architecture) and file is None:
        return resolve_own(spec, source, architecture, arguments, None)
    if spec.random_weights:
        return _random(spec, source, architecture, arguments)
    if file is None:
        raise CheckpointError("no-weights", f"{spec.reference} names no weights", "give a weights file, or --random-weights")
    try:
        return _own(spec, source, architecture, arguments, file) if is_own_file(architecture) else _trained(spec, source, architecture, arguments, file)
    except CheckpointError as error:
        if source.recorded and "img_size" in source.sidecar.arguments and "img_size" not in spec.arguments:
            with contextlib.suppress(CheckpointError):  # trainers also call the size of their crops so
                usual = without_size(source)
                return _trained(spec, usual, architecture, {**usual.sidecar.arguments, **spec.arguments}, file)
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
        digest=checkpoint_digest(digest(network.state_dict()), "", spec.output),
        preprocessing=preprocessing,
        num_classes=full["num_classes"],
        class_names=names if len(names) == full["num_classes"] else (),
        card={"weights": f"random, seed {spec.seed}"},
    )


def _own(spec: CheckpointSpec, source: CheckpointSource, architecture: str, arguments: Mapping[str, Any], file: WeightsFile) -> Checkpoint:
    """The checkpoint of a user's own network, whose weights are found in the file by its names and shapes."""
    choice = choice_for(spec, source, skeleton(architecture, arguments, most_parts(file)), (), file)
    checkpoint = resolve_own(spec, source, architecture, arguments, weights_of(file, choice.taken.selection))
    card = {**checkpoint.card, **choice_card(choice)}
    return replace(checkpoint, card=card, selection=choice.taken.selection, alternatives=choice.others)


def _trained(spec: CheckpointSpec, source: CheckpointSource, architecture: str, asked: Mapping[str, Any], file: WeightsFile) -> Checkpoint:
    config = default_config(architecture)
    greyscale = asked.get("in_chans") == 1
    arguments = {name: value for name, value in asked.items() if not (greyscale and name == "in_chans")}
    count = arguments.get("num_classes", _sidecar_classes(source, architecture))
    network = skeleton(architecture, arguments if count is None else {**arguments, "num_classes": count}, most_parts(file))
    choice = choice_for(spec, source, network, classifiers(config), file, greyscale=greyscale)
    weights = weights_of(file, choice.taken.selection, architecture)
    tensors = weights_for_colour(shapes_of(network.state_dict()), weights.tensors) if greyscale else weights.tensors
    if count is None:
        count = head_classes(config, tensors)
        if count is None:
            # Weights of another architecture are the likely reason that there is no head: say that rather than ask for a number.
            _fit(spec, source, network, tensors)
        network = skeleton(architecture, {**arguments, "num_classes": _require_classes(count, spec)}, most_parts(file))
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
        digest=checkpoint_digest(grey_digest(weights.digest) if greyscale else weights.digest, "", spec.output),
        preprocessing=preprocessing,
        num_classes=full["num_classes"],
        class_names=names,
        card={**_card(source, architecture, weights, resampled, preprocessing, greyscale=greyscale), **choice_card(choice)},
        assumed=assumed_values(architecture, source.sidecar, spec),
        selection=choice.taken.selection,
        alternatives=choice.others,
        greyscale=greyscale,
    )


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
