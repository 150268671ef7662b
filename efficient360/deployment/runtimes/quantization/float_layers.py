"""Which layers are left in float: those that 8 bits harm most, one after another, until the answers hold."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from efficient360.deployment.runtimes.quantization.layers import layers_of
from efficient360.deployment.runtimes.quantization.simulation import SimulatedInt8, ranges_of

TOLERATED: Final = 0.05
"""Mean difference of logits, as a share of their spread, at which no more layers are left in float."""
LARGEST_SHARE: Final = 0.25
"""Of the layers, at most this many, rounded up, are left in float."""


@final
@dataclass(frozen=True)
class Sensitivity:
    """What 8 bits do to a program's answers.

    Args:
        alone: Mean difference of logits as a share of their spread when one layer alone is in int8, by layer, the most harmful first.
        left: The layers left in float, the most harmful first.
        differences: The same difference with every layer in int8, then with the first of ``left`` in float, the first two, and so on.
    """

    alone: dict[str, float]
    left: tuple[str, ...]
    differences: tuple[float, ...]


def sensitivity(
    module: fx.GraphModule,
    calls: Sequence[NDArray[np.float32]],
    left: Collection[str] = (),
    tolerated: float = TOLERATED,
    largest_share: float = LARGEST_SHARE,
) -> Sensitivity:
    """Simulate static int8 on calibration images, and leave layers in float until the answers hold.

    Layers are taken in the order of the harm each does alone, measured on the network's answers by running again only what lies behind it.

    Args:
        module: Graph module of a program.
        calls: Images float32 ``(batch, 3, H, W)`` in [0, 1], a call each.
        left: Layers that stay in float in any case.
        tolerated: Stops there.
        largest_share: Of the layers, at most this many more, rounded up, are left in float.
    """
    layers = [layer for layer in layers_of(module).values() if layer.name not in left]
    simulated = SimulatedInt8(module, layers, ranges_of(module, layers, calls))
    names = [layer.name for layer in layers]
    images = [torch.from_numpy(call) for call in calls]
    passes = [simulated.logits_of_each(call, names) for call in images]
    exact = torch.cat([pair[0] for pair in passes])
    alone = {name: difference(exact, torch.cat([pair[1][index] for pair in passes])) for index, name in enumerate(names)}
    ordered = sorted(names, key=lambda name: (-alone[name], name))

    def with_float(count: int) -> float:
        return difference(exact, torch.cat([simulated.logits(call, ordered[count:]) for call in images]))

    differences = [with_float(0)]
    while differences[-1] > tolerated and len(differences) <= math.ceil(largest_share * len(ordered)):
        differences.append(with_float(len(differences)))
    best = int(np.argmin(differences)) if differences[-1] > tolerated else len(differences) - 1
    return Sensitivity({name: alone[name] for name in ordered}, tuple(ordered[:best]), tuple(differences[: best + 1]))


def difference(exact: Tensor, answers: Tensor) -> float:
    """Mean difference of logits ``(n, K)`` as a share of their spread, as the parity gate takes it."""
    spread = (exact - exact.mean(1, keepdim=True)).abs().mean()
    return float((exact - answers).abs().mean() / spread)
