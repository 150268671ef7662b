"""What may be changed of a network that nothing else is known of: whole blocks left out, neurons of an MLP left out, linear layers factored."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.codesign.programs.program import Program
from efficient360.codesign.space import Knob
from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.signature import Call
from efficient360.errors import Unsupported
from efficient360.methods.compression.low_rank import LowRankFactorization

NONE: Final = "none"


@final
@dataclass(frozen=True)
class Change:
    """One dimension of what may be changed.

    Args:
        knob: Its settings; the first leaves the network as it is.
        apply: From a network and a setting to a network; the given one stays as it is. It may raise :class:`~efficient360.errors.Unsupported`.
    """

    knob: Knob
    apply: Callable[[nn.Module, Scalar], nn.Module]


def dropped_blocks(program: Program, path: str, most: int, calls: Sequence[Call]) -> Change:
    """Blocks of a list left out, those first that change what passes through them least.

    The influence of a block is 1 minus the mean cosine between what enters and what leaves it, over positions and calls (Men et al. 2024, ShortGPT, section 3).

    Args:
        program: The original.
        path: Name of the ``nn.ModuleList`` in it (``encoder.layer``).
        most: Blocks that may be left out at most.
        calls: To measure influence on; none that quality is judged on.

    Raises:
        Unsupported: ``no-block-list``: there is no such list, or not so many blocks in it.
    """
    blocks = _submodule(program.module, path)
    if not isinstance(blocks, nn.ModuleList) or most >= len(blocks):
        message = f"{program.name} has no list of more than {most} blocks at {path}"
        raise Unsupported("no-block-list", message, "name an nn.ModuleList, as named_modules() prints it")
    order = np.argsort(block_influence(program, path, calls), kind="stable")

    def apply(module: nn.Module, count: Scalar) -> nn.Module:
        changed = copy.deepcopy(module)
        left_out = {int(index) for index in order[: int(count)]}
        kept = [block for index, block in enumerate(changed.get_submodule(path).children()) if index not in left_out]
        changed.set_submodule(path, nn.ModuleList(kept))
        return changed

    return Change(Knob("dropped_blocks", "Blocks left out", tuple(range(most + 1)), ordered=True), apply)


def block_influence(program: Program, path: str, calls: Sequence[Call]) -> NDArray[np.float64]:
    """Influence of each block of a list, float64 ``(blocks,)`` in [0, 2]: see :func:`dropped_blocks`."""
    blocks = program.module.get_submodule(path)
    sums = np.zeros(len(list(blocks.children())))
    counts = np.zeros(len(sums))

    def hook(index: int) -> Callable[..., None]:
        def listen(_: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
            before, after = arguments[0], result[0] if isinstance(result, tuple) else result
            cosines = nn.functional.cosine_similarity(before.flatten(0, -2).double(), after.flatten(0, -2).double(), dim=-1)
            sums[index] += float((1 - cosines).sum())
            counts[index] += len(cosines)

        return listen

    handles = [block.register_forward_hook(hook(index)) for index, block in enumerate(blocks.children())]
    try:
        program.run(reading=True)(calls)
    finally:
        for handle in handles:
            handle.remove()
    influence: NDArray[np.float64] = sums / np.maximum(counts, 1)
    return influence


def mlp_kept(program: Program, pairs: Sequence[tuple[str, str]], percents: Sequence[int] = (100, 75, 50)) -> Change:
    """Neurons of MLPs left out, those first whose weights, going in times going out, are smallest.

    Args:
        program: The original.
        pairs: Names of the two linear layers of each MLP, with nothing but an element-wise function between them. A pair whose block was left out before is
            passed over.
        percents: Shares of the neurons that are kept; the first is 100.

    Raises:
        Unsupported: ``no-mlp``: a pair is none.
    """
    for first, second in pairs:
        into, out = _submodule(program.module, first), _submodule(program.module, second)
        if not isinstance(into, nn.Linear) or not isinstance(out, nn.Linear) or into.out_features != out.in_features:
            raise Unsupported("no-mlp", f"{first} and {second} of {program.name} are no two linear layers of an MLP", "name both, the first first")

    def apply(module: nn.Module, setting: Scalar) -> nn.Module:
        changed = copy.deepcopy(module)
        for first, second in pairs:
            into, out = _submodule(changed, first), _submodule(changed, second)
            if isinstance(into, nn.Linear) and isinstance(out, nn.Linear):
                _narrow(into, out, max(1, round(into.out_features * int(str(setting).rstrip(" %")) / 100)))
        return changed

    return Change(Knob("mlp_kept", "MLP width kept", tuple(f"{percent} %" for percent in percents), ordered=True), apply)


def low_rank(program: Program, percents: Sequence[int] = (75, 50)) -> Change:
    """Linear layers as the product of two thinner ones that hold so many percent of their weights.

    Raises:
        Unsupported: No linear layer is large enough.
    """
    for percent in percents:
        LowRankFactorization(percent).compress(program.module)

    def apply(module: nn.Module, setting: Scalar) -> nn.Module:
        return LowRankFactorization(int(str(setting).rstrip(" %"))).compress(module).network.eval()

    return Change(Knob("low_rank", "Rank of linear layers", (NONE, *(f"{percent} %" for percent in percents)), ordered=True), apply)


@torch.no_grad()
def _narrow(into: nn.Linear, out: nn.Linear, kept: int) -> None:
    importance: Tensor = into.weight.norm(dim=1) * out.weight.norm(dim=0)
    chosen = importance.topk(kept).indices.sort().values
    into.weight = nn.Parameter(into.weight[chosen].contiguous(), requires_grad=False)
    if into.bias is not None:
        into.bias = nn.Parameter(into.bias[chosen].contiguous(), requires_grad=False)
    out.weight = nn.Parameter(out.weight[:, chosen].contiguous(), requires_grad=False)
    into.out_features = out.in_features = kept


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None
