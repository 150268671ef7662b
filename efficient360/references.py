"""A reference as the user typed it, resolved to a checkpoint: architecture, arguments, preprocessing and the weights' digest."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from timm.data import resolve_data_config

from efficient360.architectures import build_network, pretrained_config, require_architecture, skeleton
from efficient360.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.embedded import zoo_names
from efficient360.errors import CheckpointError
from efficient360.fitting import fit, head_classes
from efficient360.locating import Found, locate
from efficient360.reading import may_resample, timm_weights
from efficient360.sidecar import Sidecar
from efficient360.weights import digest

__all__ = ["resolve", "zoo_names"]


def resolve(spec: CheckpointSpec) -> Checkpoint:
    """Find a checkpoint, read its weights and check that they fit.

    Tried in order: name of an embedded checkpoint, local file or folder, ``hf-hub:organisation/name``, timm name or tag.
    The sidecar's values go before timm's defaults, and what the user gave goes before both. Only the number of classes
    is ever inferred from the weights.

    Raises:
        CheckpointError: It is not found, not readable safely, or does not fit its architecture.
    """
    found = locate(spec)
    architecture = spec.architecture or found.sidecar.architecture
    if not architecture:
        raise CheckpointError(
            "architecture-unknown", f"{spec.reference} comes without a sidecar that names its architecture",
            "name it with --arch (a timm name), or write model.json beside it with \"architecture\" and \"model_args\"",
        )
    require_architecture(architecture)
    own = architecture == found.sidecar.architecture
    arguments = {**(found.sidecar.arguments if own else {}), **spec.arguments}
    config = {**pretrained_config(architecture), **found.sidecar.preprocessing}
    if spec.random_weights:
        return _random(spec, found, architecture, _with_classes(arguments, found.sidecar if own else Sidecar(), config, None, spec))
    if found.weights is None:
        raise CheckpointError("no-weights", f"{spec.reference} names no weights", "give a weights file, or --random-weights")
    weights = timm_weights(found.weights, spec.ema)
    heads = head_classes(config, weights.tensors)
    arguments = _with_classes(arguments, found.sidecar if own else Sidecar(), {}, heads, spec)
    fitted = fit(skeleton(architecture, arguments), weights.tensors, str(found.weights), may_resample(found.origin, spec))
    card = {**found.sidecar.card, **found.card, "stored_dtype": _dtypes(weights.tensors)}
    if weights.taken_from:
        card["taken_from"] = weights.taken_from
    if weights.other_weights:
        card["other_weights"] = weights.other_weights
    if fitted.resampled:
        card["adapted"] = f"{_spoken(fitted.resampled)} resampled by timm to img_size={arguments.get('img_size', 'the default')}"
    return _checkpoint(spec, found, architecture, arguments, digest(weights.tensors), card)


def _random(spec: CheckpointSpec, found: Found, architecture: str, arguments: Mapping[str, Any]) -> Checkpoint:
    network = build_network(architecture, arguments, spec.seed)
    blank = dataclasses.replace(found, name=f"{found.name}-random-{spec.seed}", origin=Origin.RANDOM, weights=None)
    return _checkpoint(spec, blank, architecture, arguments, digest(network.state_dict()), {"seed": spec.seed})


def _with_classes(
    arguments: Mapping[str, Any], sidecar: Sidecar, defaults: Mapping[str, Any], heads: int | None, spec: CheckpointSpec
) -> dict[str, Any]:
    """The arguments with ``num_classes``: given, said by the sidecar, counted in the head's weights, or the architecture's default."""
    for count in (arguments.get("num_classes"), sidecar.num_classes, heads, defaults.get("num_classes")):
        if count is None:
            continue
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise CheckpointError(
                "no-classifier", f"{spec.reference} has no classification head (num_classes is {count})", "give a checkpoint fine-tuned to classify"
            )
        return {**arguments, "num_classes": count}
    raise CheckpointError(
        "num-classes-unknown", f"the number of classes of {spec.reference} is said nowhere and can't be read off its weights", "--arch-arg num_classes=K"
    )


def _checkpoint(
    spec: CheckpointSpec, found: Found, architecture: str, arguments: Mapping[str, Any], weights: str, card: Mapping[str, Any]
) -> Checkpoint:
    preprocessing = _preprocessing(architecture, found.sidecar, spec)
    num_classes = int(arguments["num_classes"])
    names = found.sidecar.class_names
    if names and len(names) != num_classes:
        raise CheckpointError(
            "class-names-mismatch", f"{spec.reference}: the sidecar names {len(names)} classes, the architecture has {num_classes}",
            "correct class_names or num_classes"
        )
    source = "sidecar" if {"mean", "std"} <= found.sidecar.preprocessing.keys() else f"timm's defaults of {architecture}"
    return Checkpoint(
        spec=spec, name=found.name, architecture=architecture, arguments=arguments, origin=found.origin, path=found.weights, digest=weights,
        preprocessing=preprocessing, num_classes=num_classes, class_names=names, card={"preprocessing_source": source, **card},
    )


def _preprocessing(architecture: str, sidecar: Sidecar, spec: CheckpointSpec) -> Preprocessing:
    config = resolve_data_config(pretrained_cfg={**pretrained_config(architecture), **sidecar.preprocessing})
    size = spec.arguments.get("img_size", None if "input_size" in sidecar.preprocessing else sidecar.arguments.get("img_size"))
    channels, *sides = config["input_size"]
    if size is not None:
        sides = [size, size] if isinstance(size, int) else list(size)
    if channels != 3 or len(config["mean"]) != 3 or len(config["std"]) != 3:
        raise CheckpointError("not-rgb", f"{spec.reference} takes images of {channels} channels", "only RGB models are evaluated")
    return Preprocessing(
        input_size=(3, int(sides[0]), int(sides[1])), mean=tuple(config["mean"]), std=tuple(config["std"]), interpolation=config["interpolation"],
        crop_pct=float(config["crop_pct"]), crop_mode=config["crop_mode"],
    )


def _spoken(names: tuple[str, ...]) -> str:
    return "position embedding" if names == ("pos_embed",) else ", ".join(names[:3])


def _dtypes(tensors: Mapping[str, Any]) -> str:
    return ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}))
