"""Where the time of a network goes: operators by class, their times by the profiler, and the bound that the best kernel of each class gives."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Device
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact


class OperatorClass(StrEnum):
    """What an operator does. The first two are what an accelerator is built for."""

    CONVOLUTION = "convolution"
    PRODUCT = "matrix product"
    """Matrix products, linear layers, attention in one kernel, Fourier transforms."""
    SOFTMAX = "softmax"
    NORMALISATION = "normalisation"
    ELEMENTWISE = "element-wise"
    MOVEMENT = "data movement"
    OTHER = "other"


PRODUCTS = frozenset({OperatorClass.CONVOLUTION, OperatorClass.PRODUCT})
WORDS = (
    (OperatorClass.CONVOLUTION, r"conv(?!ert)"),  # Convert moves data
    (OperatorClass.PRODUCT, r"matmul|gemm|fully_?connected|linear|addmm|bmm|(?<![a-z])mm(?![a-z])|attention|sdpa|einsum|inner_?product|fft"),
    (OperatorClass.SOFTMAX, r"softmax"),
    (OperatorClass.NORMALISATION, r"norm|mvn"),
    (OperatorClass.OTHER, r"pool|reduce|mean|argmax|cumsum|interpolate|resize_bilinear|upsample"),
    (
        OperatorClass.MOVEMENT,
        r"transpose|reshape|reorder|slice|squeeze|concat|(?<![a-z])cat(?![a-z])|gather|split|expand|permute|(?<![a-z])pad|roll|broadcast|copy"
        r"|clone|view|contiguous|convert|cast|tile|stack|chunk|unbind|select|stride|layout|shuffle|flatten|identity|memory",
    ),
    (
        OperatorClass.ELEMENTWISE,
        r"gelu|relu|silu|swish|sigmoid|tanh|erf|exp|sqrt|pow|clip|clamp|where|quant|add|sum|sub|mul|div|neg|eltwise|element|binary|unary"
        r"|math|activation|logistic|min|max",
    ),
)
"""The first row that has one of its words in an operator's kind decides: a kernel that fuses several is what its costliest part is."""
QUANTIZERS = re.compile(r"quantize_?linear|fake_?quant|quantize_per|requant")


def class_of(kind: str) -> OperatorClass:
    """The class of an operator's kind (``FusedMatMul``, ``aten::addmm``, ``CONV_2D``, ``fused_conv2d_add``)."""
    name = kind.lower()
    if QUANTIZERS.search(name):  # QuantizeLinear is no linear layer
        return OperatorClass.ELEMENTWISE
    return next((kind_class for kind_class, words in WORDS if re.search(words, name)), OperatorClass.OTHER)


def seconds_by_class(rows: Iterable[Mapping[str, Any]]) -> dict[OperatorClass, float]:
    """Seconds of one call by class, every class named, from rows ``{"kind", "seconds"}`` of a runtime's profiler."""
    seconds = dict.fromkeys(OperatorClass, 0.0)
    for row in rows:
        seconds[class_of(row["kind"])] += row["seconds"]
    return seconds


def product_share(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Share of the operators' time in convolutions and matrix products, in [0, 1]; ``None`` where no time was told."""
    seconds = seconds_by_class(rows)
    total = sum(seconds.values())
    return min(1.0, sum(seconds[kind] for kind in OperatorClass if kind in PRODUCTS) / total) if total > 0 else None


PROFILES = 3


@final
@dataclass(frozen=True)
class OperatorProfile:
    """Operator times of one call.

    Args:
        rows: ``{"name", "kind", "seconds", "place"}`` of the profile with the least time in all: what else ran disturbed it least.
        shares: Share of the time in convolutions and matrix products in each profile.
    """

    rows: Sequence[Mapping[str, Any]]
    shares: tuple[float, ...]

    @property
    def share(self) -> float:
        """Median of the shares."""
        return statistics.median(self.shares)


def profile(device: Device, artefact: Artefact, images: Path, threads: int, timeout: float) -> OperatorProfile | Failure:
    """Profile an artefact, each time in a process of its own."""
    profiles: list[Sequence[Mapping[str, Any]]] = []
    for _ in range(PROFILES):
        rows = device.operators(artefact, images, threads, timeout)
        if isinstance(rows, Failure):
            return rows
        profiles.append(rows)
    return summarised(profiles, catalogue.runtime(artefact.runtime).title)


def summarised(profiles: Sequence[Sequence[Mapping[str, Any]]], title: str) -> OperatorProfile | Failure:
    """Profiles of one artefact together; a Failure where one tells no time at all."""
    shares = [product_share(rows) for rows in profiles]
    known = tuple(share for share in shares if share is not None)
    if len(known) < len(shares):
        return Failure(Status.UNSUPPORTED, "no-profiler", f"the profiler of {title} told no time of any operator", "take another runtime")
    return OperatorProfile(min(profiles, key=lambda rows: sum(row["seconds"] for row in rows)), known)


@final
@dataclass(frozen=True)
class BestKernelBound:
    """The least time of each class of operators over the runtimes.

    The sum is a lower bound on time for these libraries' kernels as they are, and so an upper bound on speed: nothing is paid for handing data from one
    library's layout to another's. Where libraries fuse differently the same work stands in different classes (a softmax inside one's attention kernel,
    apart in another's), and the sum can then leave work out altogether.

    Args:
        seconds: Sum over classes.
        best: For each class with time in it, the runtime with the least and its seconds.
        single: The runtime with the least sum over classes.
        single_seconds: That sum.
    """

    seconds: float
    best: Mapping[OperatorClass, tuple[str, float]]
    single: str
    single_seconds: float

    @property
    def speedup(self) -> float:
        """How many times faster than the best single runtime, at most; at least 1."""
        return self.single_seconds / self.seconds


def best_kernel_bound(times: Mapping[str, Mapping[OperatorClass, float]]) -> BestKernelBound | None:
    """The best of each class.

    Args:
        times: Seconds of one call by class, by runtime; a class that is missing counts as 0, for its work is part of another kernel there.

    Returns:
        The bound; ``None`` with fewer than two runtimes that told times, or where every class costs nothing in one of them.
    """
    timed = {runtime: seconds for runtime, seconds in times.items() if sum(seconds.values()) > 0}
    if len(timed) < 2:
        return None
    best = {}
    for kind in OperatorClass:
        seconds, runtime = min((by_class.get(kind, 0.0), runtime) for runtime, by_class in timed.items())
        if any(by_class.get(kind, 0.0) > 0 for by_class in timed.values()):
            best[kind] = runtime, seconds
    total = sum(seconds for _, seconds in best.values())
    single_seconds, single = min((sum(by_class.values()), runtime) for runtime, by_class in timed.items())
    return BestKernelBound(total, best, single, single_seconds) if total > 0 else None
