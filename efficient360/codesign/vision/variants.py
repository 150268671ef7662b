"""From a candidate to the network that it means."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from torch import nn

from efficient360.codesign.space import Candidate
from efficient360.codesign.vision.knobs import SPLIT
from efficient360.codesign.vision.original import Original
from efficient360.core import canonical
from efficient360.models.model import TorchModel

NETWORK_KNOBS: Final = ("attention",)
"""Knobs that change the network before it is converted."""
_KEPT: Final = 4


@final
@dataclass(frozen=True)
class Variant:
    """A changed network.

    Args:
        model: Pixels in [0, 1] to logits.
        identity: Digest of all that makes its program.
        facts: What a reader should know of the changes, plain JSON.
    """

    model: TorchModel
    identity: str
    facts: Mapping[str, Any]


@final
class Variants:
    """Variants of one checkpoint, the last few kept in memory.

    Args:
        original: The checkpoint.
    """

    def __init__(self, original: Original) -> None:
        self._original = original
        self._kept: OrderedDict[str, Variant] = OrderedDict()

    def make(self, candidate: Candidate) -> Variant:
        """The network of a candidate.

        Raises:
            Unsupported: Nothing can change this network so.
        """
        changes = {name: candidate.settings[name] for name in NETWORK_KNOBS if name in candidate.settings}
        key = canonical.digest([self._original.program, changes], "the variant")
        if key not in self._kept:
            self._kept[key] = self._made(changes, key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _made(self, changes: Mapping[str, Any], key: str) -> Variant:
        model = self._original.model
        if changes.get("attention") != SPLIT:
            return Variant(model, self._original.program, {})
        module = copy.deepcopy(model.module)
        split_attention(module)
        return Variant(TorchModel(module, model.size, model.classes, model.device), key, {"attention": "plain operators"})


def split_attention(module: nn.Module) -> None:
    """Have a network compute attention in plain operators, in place: products and a softmax that a compiler may arrange as it likes."""
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
