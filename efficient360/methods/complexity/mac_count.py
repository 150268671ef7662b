"""MACs and activations of a forward pass by operator and by module (fvcore), and a second, independent count (torch's FlopCounterMode)."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from fvcore.nn.jit_analysis import JitModelAnalysis
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from efficient360.methods.complexity.mac_formulas import FORMULAS, FREE, PRODUCTS


@final
@dataclass(frozen=True)
class OperationCount:
    """MACs and activations of one forward pass.

    Args:
        macs: Multiply-adds, including fvcore's estimates for normalisation and resampling.
        products: The part of ``macs`` in convolutions, linear layers, matrix products and Fourier transforms.
        activations: Output elements of convolutions, linear layers and matrix products.
        by_module: ``macs`` by dotted module name, ``""`` for the whole network.
        by_kind: ``macs`` by :class:`efficient360.methods.complexity.mac_formulas.OperatorKind`.
        uncounted: Operators without a formula, with their number of calls. If there are any, the counts are too low.
    """

    macs: int
    products: int
    activations: int
    by_module: Mapping[str, int]
    by_kind: Mapping[str, int]
    uncounted: tuple[tuple[str, int], ...]


def count_macs(module: nn.Module, images: Tensor) -> OperationCount:
    """Trace one forward pass with fvcore and sum the cost of its operators.

    The trace runs on a copy that shares the weights, so that neither the network nor torch's settings change.

    Args:
        module: The network; counted in eval mode.
        images: ``(B, 3, H, W)`` where the weights are. The counts are those of the whole batch.
    """
    analysis = JitModelAnalysis(structure_copy(module), images)
    analysis.set_op_handle(**FORMULAS, **dict.fromkeys(FREE))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with _plain_attention(), torch.no_grad():
        by_module = analysis.by_module_and_operator()
    whole = by_module[""]
    by_kind = {key.removeprefix("macs:"): int(n) for key, n in whole.items() if key.startswith("macs:")}
    return OperationCount(
        macs=sum(by_kind.values()),
        products=sum(n for kind, n in by_kind.items() if kind in PRODUCTS),
        activations=int(sum(n for key, n in whole.items() if key.startswith("activations:"))),
        by_module={name: _macs(counter) for name, counter in by_module.items()},
        by_kind=by_kind,
        uncounted=tuple(sorted(analysis.unsupported_ops().items())),
    )


def reference_macs(module: nn.Module, images: Tensor) -> int:
    """MACs of the same products by torch's own ``FlopCounterMode``, at the dispatcher instead of in a trace.

    Attention is forced onto its unfused path, where it consists of matrix products. Works on the ``meta`` device, where it costs
    neither time nor memory. It counts convolutions and matrix products only: compare with ``OperationCount.products``.

    Args:
        module: The network; counted in eval mode.
        images: ``(B, 3, H, W)`` where the weights are.
    """
    network = structure_copy(module)
    with _plain_attention(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(images)
    return int(counter.get_total_flops()) // 2


def structure_copy(module: nn.Module, device: str | None = None) -> nn.Module:
    """A copy of a network's structure in eval mode that shares its tensors, or, with ``device="meta"``, has only their shapes.

    Tracing and counting register hooks on modules; with a copy none can remain on the network itself.
    """
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach() if device is None else parameter.detach().to(device), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer if device is None else buffer.to(device)
    return copy.deepcopy(module, memo).eval()


@contextmanager
def _plain_attention() -> Iterator[None]:
    """``nn.MultiheadAttention`` without its fast path, a single opaque operator that hides the products."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _macs(counter: "Counter[str]") -> int:
    return int(sum(n for key, n in counter.items() if key.startswith("macs:")))
