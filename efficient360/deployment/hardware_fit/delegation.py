"""How much of a network a runtime's fast path takes, from whatever the runtime tells of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.hardware_fit.operator_times import PRODUCTS, class_of
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact, Delegation

PROVIDER, CPU = "ExecutionProvider", "CPUExecutionProvider"
UNNAMED = "unknown"
REFERENCE = "ref"


@final
@dataclass(frozen=True)
class DelegationSummary:
    """What a fast path takes.

    Args:
        to: The fast path: a delegate, an execution provider, kernels written for this instruction set.
        delegated: Operators taken.
        total: Operators in all.
        partitions: Pieces the network falls into on it; ``None`` where the notion makes no sense.
        left: Number of operators not taken, by kind.
        macs_share: Share of the multiply-adds taken, in [0, 1]; ``None`` where it can't be told.
    """

    to: str
    delegated: int
    total: int
    partitions: int | None
    left: Mapping[str, int] = field(default_factory=dict)
    macs_share: float | None = None


def delegation_of(artefact: Artefact, rows: Sequence[Mapping[str, Any]]) -> DelegationSummary | Failure:
    """What the fast path takes of an artefact.

    Args:
        artefact: Told by its converter where that knows (ExecuTorch, LiteRT).
        rows: Of the runtime's profiler, else: ONNX Runtime names each operator's execution provider, OpenVINO the kernel that ran it.
    """
    title = catalogue.runtime(artefact.runtime).title
    if artefact.converted.delegation is not None:
        return _by_converter(artefact.converted.delegation)
    if artefact.runtime == "openvino" and rows:
        return _by_kernel(rows)
    providers = [str(row["place"]) for row in rows]
    if providers and all(place.endswith(PROVIDER) for place in providers):
        if set(providers) == {CPU}:
            message = f"{title} ran every operator on its CPU provider, so there is nothing that delegation could say"
            return Failure(Status.UNSUPPORTED, "cpu-only", message, "the share of time in matrix products and the utilisation are told beside it")
        return _by_provider(rows)
    return Failure(Status.UNSUPPORTED, "no-delegation", f"{title} tells nothing of what a fast path takes", "take LiteRT, ExecuTorch or OpenVINO")


def _by_converter(delegation: Delegation) -> DelegationSummary:
    return DelegationSummary(delegation.to, delegation.delegated, delegation.total, delegation.partitions, delegation.left, _macs_share(delegation))


def _macs_share(delegation: Delegation) -> float | None:
    """Told, or known because no convolution and no product was left, or none taken."""
    if delegation.macs_share is not None:
        return delegation.macs_share
    if not delegation.delegated:
        return 0.0
    return None if any(class_of(kind) in PRODUCTS for kind in delegation.left) else 1.0


def _by_kernel(rows: Sequence[Mapping[str, Any]]) -> DelegationSummary:
    """Of the operators whose kernel OpenVINO names: those that are not its plain reference implementation."""
    named = [row for row in rows if not str(row["place"]).startswith(UNNAMED)]
    plain = Counter(str(row["kind"]) for row in named if str(row["place"]).startswith(REFERENCE))
    return DelegationSummary("optimised kernels", len(named) - sum(plain.values()), len(named), None, dict(plain))


def _by_provider(rows: Sequence[Mapping[str, Any]]) -> DelegationSummary:
    """In execution order: a partition is a run of operators on one provider that is not the CPU."""
    places = [str(row["place"]) for row in rows]
    left = Counter(str(row["kind"]) for row in rows if row["place"] == CPU)
    partitions = sum(1 for before, place in zip([CPU, *places[:-1]], places, strict=True) if place not in (CPU, before))
    to = ", ".join(sorted({place.removesuffix(PROVIDER) for place in places if place != CPU}))
    return DelegationSummary(to, len(rows) - sum(left.values()), len(rows), partitions, dict(left))
