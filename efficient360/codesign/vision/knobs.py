"""The space of an image classifier: every knob with what it offers here, and why the others are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.codesign.space import Candidate, Knob, Rule, Space
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import SettingsError
from efficient360.models.model import TorchModel

USUAL: Final = ("litert", "openvino", "onnxruntime")
"""Runtimes that are searched where none are named, as far as they are installed; LiteRT first: it is what a variant is set beside."""
FUSED, SPLIT: Final = "fused", "split"
WRITES_OUT: Final = ("litert", "executorch", "ncnn")
"""Runtimes whose converters write attention out in plain operators anyway."""


@final
@dataclass(frozen=True)
class Target:
    """A runtime that variants may be converted for.

    Args:
        name: Of the runtime.
        title: As its makers write it.
        precisions: What it offers here.
    """

    name: str
    title: str
    precisions: tuple[Precision, ...]


def targets(asked: Sequence[str], device: DeviceDescription) -> tuple[tuple[Target, ...], Mapping[str, str]]:
    """The runtimes to search, and why others that are usual are not among them.

    Args:
        asked: ``runtime`` or ``runtime:precision``, the latter limiting a runtime to the precisions named and fp32; empty takes :data:`USUAL`.
        device: Where variants will run.

    Raises:
        SettingsError: No such runtime or precision (``unknown-runtime``, ``unknown-precision``); one that was named can't be used; or none is left.
    """
    chosen: dict[str, list[Precision]] = {}
    for text in asked:
        name, precision = catalogue.target(text)
        chosen.setdefault(name, [])
        chosen[name] += [precision] if ":" in text else []
    refused = {name: why for name in chosen or USUAL if (why := _unusable(name, device))}
    if named := [name for name in chosen if name in refused]:
        raise SettingsError("runtime-not-installed", refused[named[0]], catalogue.how_to_get(catalogue.runtime(named[0])))
    found = [_target(name, chosen.get(name, ())) for name in chosen or USUAL if name not in refused]
    if not found:
        raise SettingsError("runtime-not-installed", "; ".join(refused.values()), "pip install 'efficient360[onnxruntime,openvino]'")
    return tuple(found), refused


def _unusable(name: str, device: DeviceDescription) -> str:
    converter = catalogue.runtime(name)
    if absent := catalogue.missing(converter):
        return f"{converter.title} is not searched: {', '.join(absent)} not installed"
    if device.runtimes and name not in device.runtimes:
        return f"{converter.title} is not searched: it is not installed on {device.name}"
    return converter.unavailable() if device.name == "local" else ""


def _target(name: str, only: Sequence[Precision]) -> Target:
    converter = catalogue.runtime(name)
    precisions = [p for p in converter.precisions if not only or p in only or p is Precision.FP32]
    return Target(name, converter.title, tuple(sorted(precisions, key=lambda p: p is not Precision.FP32)))


def execution_knobs(found: Sequence[Target], model: TorchModel, threads: Sequence[int]) -> tuple[tuple[Knob, ...], tuple[Rule, ...], Mapping[str, str]]:
    """Runtime, precision, threads and attention, with what excludes combinations and why a knob is not offered."""
    refused: dict[str, str] = {}
    precisions = [p for p in Precision if any(p in target.precisions for target in found)]
    knobs = [
        Knob("runtime", "Runtime", tuple(target.name for target in found)),
        Knob("precision", "Precision", tuple(p.value for p in sorted(precisions, key=lambda p: p is not Precision.FP32))),
    ]
    if len(threads) > 1:
        knobs.append(Knob("threads", "Threads", tuple(threads), ordered=True))
    else:
        refused["threads"] = f"the device offers {threads[0]} core" if threads[0] == 1 else f"{threads[0]} threads were asked for"
    fusing = [target for target in found if target.name not in WRITES_OUT]
    if not fusing:
        refused["attention"] = f"{found[0].title} always computes attention in plain operators"
    elif not any(hasattr(module, "fused_attn") for module in model.network.modules()):
        refused["attention"] = f"{type(model.network).__name__} offers no choice of how it computes attention"
    else:
        knobs.append(Knob("attention", "Attention", (FUSED, SPLIT)))
    has = {target.name: target for target in found}

    def no_precision(candidate: Candidate) -> str:
        target = has[str(candidate["runtime"])]
        offered = {p.value for p in target.precisions}
        return "" if candidate["precision"] in offered else f"{target.title} has no {candidate['precision']}"

    def same_attention(candidate: Candidate) -> str:
        if candidate.settings.get("attention") != SPLIT or candidate["runtime"] not in WRITES_OUT:
            return ""
        return f"{has[str(candidate['runtime'])].title} computes attention in plain operators anyway"

    return tuple(knobs), (no_precision, same_attention), refused


def space_of(found: Sequence[Target], model: TorchModel, threads: Sequence[int]) -> Space:
    """The whole space of a checkpoint on a device."""
    knobs, rules, refused = execution_knobs(found, model, threads)
    return Space(knobs, rules, refused)
