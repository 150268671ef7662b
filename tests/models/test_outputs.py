"""Logits out of what networks return."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from transformers.modeling_outputs import ImageClassifierOutput

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.in_memory import checkpoint_in_memory, model_in_memory
from efficient360.models.outputs import logits_in

LOGITS, FEATURES, MAPS = torch.zeros(2, 5), torch.ones(2, 8), torch.ones(2, 3, 4, 4)


class Pair(NamedTuple):
    logits: torch.Tensor
    features: torch.Tensor


@dataclass
class Answer:
    scores: torch.Tensor
    maps: torch.Tensor


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"logits": LOGITS, "features": FEATURES},
        {"features": FEATURES, "out": LOGITS},
        (LOGITS, MAPS),
        [MAPS, LOGITS],
        (torch.tensor(1.0), LOGITS),
        ImageClassifierOutput(loss=torch.tensor(1.0), logits=LOGITS, hidden_states=(MAPS, MAPS)),
        Answer(LOGITS, MAPS),
        Pair(LOGITS, FEATURES),
        SimpleNamespace(logits=LOGITS, features=FEATURES),
        (LOGITS,),
    ],
    ids=lambda output: type(output).__name__,
)
def test_found_by_itself(output) -> None:
    assert logits_in(output) is LOGITS


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ((FEATURES, LOGITS), "1"),
        ({"heads": {"coarse": FEATURES, "fine": LOGITS}}, "heads.fine"),
        ({"logits": FEATURES, "other": [MAPS, LOGITS]}, "other.1"),
    ],
)
def test_asked_for(output, wanted) -> None:
    assert logits_in(output, wanted) is LOGITS


@pytest.mark.parametrize(
    ("output", "wanted", "code", "words"),
    [
        ((LOGITS, FEATURES), "", "several-outputs", "0 (B, 5), 1 (B, 8)"),
        ((LOGITS, LOGITS + 1), "", "several-outputs", "--output 0 or --output 1"),
        ({"a": {"x": LOGITS}, "b": FEATURES}, "", "several-outputs", "--output a.x or --output b"),
        ({"maps": MAPS}, "", "no-logits", "maps (B, 3, 4, 4)"),
        ("text", "", "no-logits", "str"),
        (None, "", "no-logits", "NoneType"),
        ({"logits": LOGITS}, "fine", "no-such-output", "logits (B, 5)"),
        (LOGITS, "1", "no-such-output", "leave out --output"),
    ],
)
def test_refused_with_what_is_there(output, wanted, code, words) -> None:
    with pytest.raises(CheckpointError) as caught:
        logits_in(output, wanted)
    assert caught.value.code == code
    assert words in f"{caught.value.message} | {caught.value.hint}"


class TwoHeads(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = torch.nn.Linear(12, 4), torch.nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"fine": self.fine(x.flatten(1)), "coarse": self.coarse(x.flatten(1))}


def test_a_network_in_memory_with_two_heads() -> None:
    network, shape = TwoHeads(), Preprocessing((3, 2, 2), (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(CheckpointError) as caught:
        checkpoint_in_memory(network, shape, ())
    assert caught.value.code == "several-outputs"
    fine, coarse = (checkpoint_in_memory(network, shape, (), output) for output in ("fine", "coarse"))
    assert (fine.num_classes, coarse.num_classes) == (4, 2)
    assert fine.digest != coarse.digest
    images = torch.rand(2, 3, 2, 2)
    with torch.inference_mode():
        assert torch.equal(model_in_memory(network, fine, "cpu", (3, 0))(images), network((images - 0.5) / 0.5)["fine"][:, [3, 0]])
