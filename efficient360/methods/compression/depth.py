"""Which blocks of a network it can do without: those whose absence changes its answers least, on calibration images."""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from efficient360.methods.compression.moments import run
from efficient360.models.structure.slicing import PassThrough

SHORTLIST: Final = 4
"""Blocks of least influence, each of which is left out on trial."""
TRIED_ON: Final = 32
"""Calibration images that blocks are left out on trial with."""


@final
class _Influence:
    """Mean of 1 − cosine between a block's input and output tokens (block influence: Men et al. 2024, ShortGPT)."""

    def __init__(self) -> None:
        self.sum, self.count, self.shapes_agree = 0.0, 0, True

    def __call__(self, given: Any, output: Any) -> None:
        if not isinstance(given, Tensor) or not isinstance(output, Tensor) or given.shape != output.shape:
            self.shapes_agree = False
            return
        similarity = functional.cosine_similarity(given.flatten(2) if given.ndim > 3 else given, output.flatten(2) if output.ndim > 3 else output, dim=-1)
        self.sum += float((1 - similarity).sum())
        self.count += similarity.numel()

    @property
    def value(self) -> float:
        return self.sum / max(self.count, 1)


def droppable(module: nn.Module, network: nn.Module, blocks: Sequence[str], images: Tensor) -> tuple[str, ...]:
    """Blocks whose output has the shape of their input, so that they can be left out; at most all but one."""
    return tuple(_influences(module, network, blocks, images))


def drop_blocks(module: nn.Module, network: nn.Module, blocks: Sequence[str], count: int, images: Tensor) -> list[str]:
    """Leave out blocks one after the other, each time the one without which the answers change least; changed in place.

    The change is the Kullback-Leibler divergence of the class probabilities from the whole network's. Only the few blocks of least influence are left out on
    trial: their order tells little, but those of large influence are never the cheapest.

    Args:
        module: Images to logits, in eval mode.
        network: What it holds, in which the blocks are named.
        blocks: Names of blocks.
        count: How many are left out, fewer than can be.
        images: Calibration images.

    Returns:
        Names of those that were left out, in this order.
    """
    few = images[:TRIED_ON]
    before = run(module, few, {}).log_softmax(-1)
    dropped: list[str] = []
    for _ in range(count):
        influences = _influences(module, network, [name for name in blocks if name not in dropped], few)
        if not influences:
            break
        tried = {}
        for name in sorted(influences, key=lambda each: influences[each])[:SHORTLIST]:
            block = network.get_submodule(name)
            network.set_submodule(name, PassThrough())
            tried[name] = float(functional.kl_div(run(module, few, {}).log_softmax(-1), before, log_target=True, reduction="batchmean"))
            network.set_submodule(name, block)
        best = min(tried, key=lambda each: tried[each])
        network.set_submodule(best, PassThrough())
        dropped.append(best)
    return dropped


def close_gaps(network: nn.Module) -> bool:
    """Take the empty places out of timm's plain vision transformer, whose depth then is an argument of its own; whether it is one."""
    vit: Any = network
    if not isinstance(network, VisionTransformer) or not isinstance(vit.blocks, nn.Sequential):
        return False
    left = [index for index, block in enumerate(vit.blocks) if not isinstance(block, PassThrough)]
    vit.feature_info = [vit.feature_info[0] | {"module": f"blocks.{place}"} for place in range(len(left))]
    vit.blocks = nn.Sequential(*(vit.blocks[index] for index in left))
    return True


def _influences(module: nn.Module, network: nn.Module, blocks: Sequence[str], images: Tensor) -> dict[str, float]:
    watched = {name: _Influence() for name in blocks}
    with torch.inference_mode():
        run(module, images, {network.get_submodule(name): influence for name, influence in watched.items()})
    return {name: influence.value for name, influence in watched.items() if influence.shapes_agree and influence.count}
