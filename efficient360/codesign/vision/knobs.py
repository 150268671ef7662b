"""The space of an image classifier: every knob with what it offers here, and why the others are refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.codesign.space import Candidate, Knob, Rule, Space
from efficient360.core.close_names import did_you_mean
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import SettingsError
from efficient360.methods.compression.cut_settings import TITLES, conflict, cut_settings
from efficient360.models.model import TorchModel

USUAL: Final = ("litert", "openvino", "onnxruntime")
"""Runtimes that are searched where none are named, as far as they are installed; LiteRT first: it is what a variant is set beside."""
_PROMISING: Final = (
    Precision.FP32,
    Precision.INT8_SMOOTH,
    Precision.INT8_DYNAMIC,
    Precision.W8,
    Precision.BF16,
    Precision.W4_GPTQ,
    Precision.INT8,
    Precision.INT4_DYNAMIC,
    Precision.FP16,
    Precision.W16,
    Precision.W4,
)
"""In which order precisions are tried alone: as it is, then those that usually gain most for least."""
FUSED: Final = "fused"
SPLIT: Final = "split"
WRITES_OUT: Final = ("litert", "executorch", "ncnn")
"""Runtimes whose converters write attention out in plain operators anyway."""

ONLY_PACKED: Final = ("sparsity", "clusters")
"""Knobs that change neither time nor the size of an artefact."""


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
    return Target(name, converter.title, tuple(sorted(precisions, key=_PROMISING.index)))


def execution_knobs(found: Sequence[Target], model: TorchModel, threads: Sequence[int]) -> tuple[tuple[Knob, ...], tuple[Rule, ...], Mapping[str, str]]:
    """Runtime, precision, threads and attention, with what excludes combinations and why a knob is not offered."""
    refused: dict[str, str] = {}
    precisions = [p for p in Precision if any(p in target.precisions for target in found)]
    knobs = [
        Knob("runtime", "Runtime", tuple(target.name for target in found)),
        Knob("precision", "Precision", tuple(p.value for p in sorted(precisions, key=_PROMISING.index))),
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


def cut_knobs(model: TorchModel, packaged: bool) -> tuple[tuple[Knob, ...], tuple[Rule, ...], Mapping[str, str]]:
    """What may be cut of a network, as :func:`execution_knobs`.

    Args:
        model: The original.
        packaged: Whether the size of a compressed package counts: nothing else gets smaller by clusters and zeros, which runtimes store like other weights.
    """
    offered = cut_settings(model)
    unpaid = () if packaged else tuple(name for name in ONLY_PACKED if name in offered.settings)
    why = "no runtime that is searched gains by it: only a compressed package does (add --goal 'package_bytes<…')"
    knobs = tuple(Knob(name, TITLES[name], values, ordered=name != "sparsity") for name, values in offered.settings.items() if name not in unpaid)
    return knobs, (lambda candidate: conflict(candidate.settings),), {**offered.refused, **dict.fromkeys(unpaid, why)}


def space_of(found: Sequence[Target], model: TorchModel, threads: Sequence[int], packaged: bool, kept: Collection[str] = ()) -> Space:
    """The whole space of a checkpoint on a device.

    Args:
        found: Runtimes with their precisions.
        model: The original.
        threads: Numbers of threads to try.
        packaged: As :func:`cut_knobs`.
        kept: Knobs that are not to be turned.

    Raises:
        SettingsError: There is no such knob (``unknown-knob``).
    """
    knobs, rules, refused = execution_knobs(found, model, threads)
    cuts, cut_rules, not_cut = cut_knobs(model, packaged)
    known = [*(knob.name for knob in (*knobs, *cuts)), *refused, *not_cut]
    if unknown := [name for name in kept if name not in known]:
        raise SettingsError("unknown-knob", f"there is no knob {unknown[0]!r}", did_you_mean(unknown[0], known))
    told = {**refused, **not_cut, **dict.fromkeys(kept, "kept as it is, as you asked")}
    return Space(tuple(knob for knob in (*knobs, *cuts) if knob.name not in kept or knob.name in ("runtime", "precision")), (*rules, *cut_rules), told)
