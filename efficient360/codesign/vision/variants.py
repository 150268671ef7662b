"""From a candidate to the network that it means: cut, trained to recover where that was asked for, its attention written out or not."""

import copy
import dataclasses
import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from efficient360.codesign.space import Candidate
from efficient360.codesign.vision.knobs import SPLIT
from efficient360.codesign.vision.original import Original
from efficient360.core import canonical
from efficient360.core.parsing import parse_json
from efficient360.datasets.examples import ExampleSet
from efficient360.methods.compression.cuts import NO_CUTS, CutModel, Cuts, apply_cuts
from efficient360.methods.distillation.recovery import Recovery, recover
from efficient360.models.model import TorchModel
from efficient360.storage.outcomes import write_atomically

_KEPT: Final = 4
TRAINING_BYTES: Final = 2**29
"""Of the training images held in memory for recovery training."""


@final
@dataclasses.dataclass(frozen=True)
class Variant:
    """A changed network.

    Args:
        cut: Pixels in [0, 1] to logits, and what was cut of it.
        model: The same as it is exported, with attention as the candidate has it.
        identity: Digest of all that makes its program.
        facts: What a reader should know of the changes, plain JSON.
    """

    cut: CutModel
    model: TorchModel
    identity: str
    facts: Mapping[str, Any]


@final
class Variants:
    """Variants of one checkpoint, the last few kept in memory, trained ones on disk.

    Args:
        original: The checkpoint.
        folder: Where trained weights are kept.
        recovery: How cut networks are trained; ``None`` trains none.
    """

    def __init__(self, original: Original, folder: Path, recovery: Recovery | None) -> None:
        self.recovery = recovery
        self._original, self._folder = original, folder
        self._kept: OrderedDict[str, CutModel] = OrderedDict()
        self._calibration: Tensor | None = None
        self._training: Tensor | None = None

    def trains(self, candidate: Candidate) -> bool:
        """Whether recovery training changes a candidate's weights."""
        return self.recovery is not None and self._original.parts.training is not None and Cuts.of(candidate.settings).needs_recovery

    def make(self, candidate: Candidate, trained: bool = True) -> Variant:
        """The network of a candidate.

        Args:
            candidate: Which.
            trained: Whether recovery training, where it was asked for, is done: what a network costs does not depend on it.

        Raises:
            Unsupported: Nothing can change this network so.
        """
        cuts = Cuts.of({name: value for name, value in candidate.settings.items() if name != "input_size" or value != self._original.model.size[1]})
        cut = self._cut(cuts, trained and self.trains(candidate))
        attention = candidate.settings.get("attention", "")
        if attention != SPLIT:
            return Variant(cut, cut.model, self._identity(cut), dict(cut.facts))
        module = copy.deepcopy(cut.model.module)
        split_attention(module)
        model = dataclasses.replace(cut.model, module=module)
        return Variant(cut, model, canonical.digest([self._identity(cut), attention], "the variant"), {**cut.facts, "attention": "plain operators"})

    def calibration(self) -> Tensor:
        """The calibration images float32 ``(n, 3, H, W)`` in [0, 1] of the original's size."""
        if self._calibration is None:
            self._calibration = torch.cat([batch.images for batch in self._original.parts.calibration.batches(32)])
        return self._calibration

    def _identity(self, cut: CutModel) -> str:
        return self._original.program if cut.cuts == NO_CUTS else canonical.digest([self._original.program, cut.digest], "the variant")

    def _cut(self, cuts: Cuts, trained: bool) -> CutModel:
        key = canonical.digest([cuts.digest, None if self.recovery is None or not trained else dataclasses.asdict(self.recovery)], "the cuts")[:16]
        if key not in self._kept:
            self._kept[key] = self._made(cuts, trained, key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _made(self, cuts: Cuts, trained: bool, key: str) -> CutModel:
        original = self._original.model
        if cuts == NO_CUTS:
            return CutModel(original, cuts)
        if not trained:
            return apply_cuts(original, cuts, self.calibration())
        return self._recovered(self._cut(cuts, trained=False), key)

    def _recovered(self, cut: CutModel, key: str) -> CutModel:
        """The cut network after training: from its file where an earlier call has left one."""
        assert self.recovery is not None
        weights, told = self._folder / f"recovered-{key}.safetensors", self._folder / f"recovered-{key}.json"
        if weights.is_file() and told.is_file():
            model = dataclasses.replace(cut.model, module=copy.deepcopy(cut.model.module))
            model.module.load_state_dict(safetensors.torch.load(weights.read_bytes()))
            return cut.trained(model, parse_json(told.read_bytes()))
        self._folder.mkdir(parents=True, exist_ok=True)
        state = self._folder / f"training-{key}.safetensors"
        result = recover(cut.model, self._original.model, self._training_images(), self.recovery, cut.constraint, state)
        tensors = {name: tensor.contiguous().clone() for name, tensor in result.model.module.state_dict().items()}
        write_atomically(weights, safetensors.torch.save(tensors))
        write_atomically(told, canonical_json(result.facts))
        return cut.trained(result.model, result.facts)

    def _training_images(self) -> Tensor:
        """Training images uint8 ``(n, 3, H, W)``, as many as :data:`TRAINING_BYTES` hold."""
        training = self._original.parts.training
        assert training is not None
        if self._training is None:
            self._training = pixels(
                training.subset(max(16, TRAINING_BYTES // int(np.prod(self._original.model.size))), self.recovery.seed if self.recovery else 0)
            )
        return self._training


def pixels(examples: ExampleSet) -> Tensor:
    """All images of a split, uint8 ``(n, 3, H, W)``."""
    return torch.cat([(batch.images * 255).round().to(torch.uint8) for batch in examples.batches(256)])


def canonical_json(facts: Mapping[str, Any]) -> bytes:
    """Plain facts as JSON."""
    return json.dumps(canonical.plain(facts, "the facts"), indent=1).encode()


def split_attention(module: nn.Module) -> None:
    """Have a network compute attention in plain operators, in place: products and a softmax that a compiler may arrange as it likes."""
    parts: list[Any] = list(module.modules())
    for part in parts:
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
