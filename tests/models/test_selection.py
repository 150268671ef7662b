"""Weights found in what trainers save, for any network: only names and shapes are compared."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.name_matching import common_prefix, places
from efficient360.models.selection import Choice, Target, choose, separate_heads, shapes_of

PATH = Path("w.pth")


class Own(nn.Module):
    """A network that no library has."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 2)
        self.trunk = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.out = nn.Linear(4, classes)


def _weights(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return Own().state_dict()


WANTED = _weights()
SHAPES = shapes_of(WANTED)


def _fits(tensors: Any) -> bool:
    return shapes_of(tensors) == SHAPES


TARGET = Target(SHAPES, ("out",), _fits)


def _choose(content: Any, key: str = "") -> Choice:
    return choose(content, PATH, key, TARGET)


def _taken(content: Any, key: str = "") -> str:
    """The label that is taken, whose tensors are the network's."""
    taken = _choose(content, key).taken
    assert taken.fits
    return taken.label


def _under(prefix: str, tensors: dict[str, Tensor] = WANTED, **beside: Tensor) -> dict[str, Tensor]:
    return {**{prefix + name: tensor for name, tensor in tensors.items()}, **beside}


@pytest.mark.parametrize("prefix", ["", "net.", "backbone.", "encoder.", "vit.", "model.backbone.", "module.net._orig_mod.", "a.b.c.d."])
@pytest.mark.parametrize("key", ["state_dict", "model", "what/ever/nested"])
def test_any_prefix_and_any_nesting(prefix: str, key: str) -> None:
    content: Any = _under(prefix, **{"criterion.weight": torch.ones(5), "val_acc.correct": torch.ones(1)})
    for part in reversed(key.split("/")):
        content = {"epoch": 3, part: content}
    choice = _choose(content)
    assert choice.taken.fits
    assert choice.taken.selection.prefix == prefix.replace("_orig_mod.", "")
    assert torch.equal(choice.taken.tensors["out.weight"], WANTED["out.weight"])
    assert choice.taken.beside == ()


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.text("abcxyz_", min_size=1, max_size=5), max_size=4), order=st.permutations(list(WANTED)))
def test_a_prefix_is_found_whatever_it_is(parts: list[str], order: list[str]) -> None:
    prefix = "".join(f"{part}." for part in parts)
    shapes = {prefix + name: SHAPES[name] for name in order}
    assert places(shapes, SHAPES)[0].prefix == prefix
    assert common_prefix(shapes) == prefix


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_forward_module."])
def test_what_wrappers_put_into_names_comes_out_anywhere(wrapper: str) -> None:
    assert _taken({name.replace("trunk.", f"trunk.{wrapper}"): tensor for name, tensor in WANTED.items()}) == ""


def test_counters_of_a_profiler_are_left_out() -> None:
    content = {**WANTED, "total_ops": torch.zeros(1), "trunk.0.total_params": torch.zeros(1), "trunk.total_ops": torch.zeros(1)}
    assert _choose(content).taken.selection.left_out == ("total_ops", "trunk.0.total_params", "trunk.total_ops")
    assert _taken(content) == ""


@pytest.mark.parametrize("name", ["criterion.weight", "loss_fn.weight", "train_acc.tp", "val_metrics.total", "teacher.stem.weight", "ema_decay", "queue_ptr"])
def test_losses_metrics_and_other_networks_beside_plain_names(name: str) -> None:
    assert _taken({**WANTED, name: torch.ones(1)}) == ""


@pytest.mark.parametrize("name", ["trunk.2.weight", "register.weight", "fc_norm.weight", "out_dist.weight", "normalize.mean"])
def test_layers_that_may_take_part_are_not_dropped(name: str) -> None:
    assert not _choose({**WANTED, name: torch.ones(4)}).taken.fits


def test_siblings_of_a_nested_network_are_told() -> None:
    assert _choose({"state_dict": _under("net.", **{"projection.weight": torch.ones(4, 4), "train_loss": torch.ones(1)})}).taken.beside == ("projection",)


@pytest.mark.parametrize(
    ("content", "taken", "others"),
    [
        ({"state_dict": WANTED, "state_dict_ema": _weights(1)}, "state_dict", ("state_dict_ema",)),
        ({"state_dict_ema": _weights(1), "state_dict": WANTED}, "state_dict", ("state_dict_ema",)),
        ({"model": WANTED, "ema": {"module": _weights(1)}}, "model", ("ema/module",)),
        ({"model": WANTED, "model_ema": {k: v.clone() for k, v in WANTED.items()}}, "model", ()),
        ({"student": _under("module.backbone."), "teacher": _under("backbone.", _weights(1))}, "teacher/backbone", ("student/module.backbone",)),
        ({"state_dict": {**_under("model."), **_under("ema_model.module.", _weights(1))}}, "state_dict/model", ("state_dict/ema_model.module",)),
        ({"state_dict": {**_under("student."), **_under("teacher.", _weights(1))}}, "state_dict/teacher", ("state_dict/student",)),
        ({"module": WANTED, "optimizer": {"state": {0: {"exp_avg": torch.ones(4)}}}}, "module", ()),
        ({"ema_state_dict": WANTED}, "ema_state_dict", ()),
        ([WANTED], "0", ()),
    ],
)
def test_which_of_several_is_taken(content: Any, taken: str, others: tuple[str, ...]) -> None:
    choice = _choose(content)
    assert (choice.taken.label, choice.others) == (taken, others)
    assert bool(choice.reason) == bool(others)


BOTH = {"state_dict": {**_under("model."), **_under("ema_model.module.", _weights(1))}, "swa": _weights(2)}


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("state_dict/ema_model.module", "state_dict/ema_model.module"),
        ("ema_model.module", "state_dict/ema_model.module"),
        ("ema_model", "state_dict/ema_model.module"),
        ("model", "state_dict/model"),
        ("swa", "swa"),
        ("ema", "state_dict/ema_model.module"),
    ],
)
def test_a_key_chooses(key: str, label: str) -> None:
    assert _taken(BOTH, key) == label


def test_a_key_that_is_not_there() -> None:
    with pytest.raises(CheckpointError) as caught:
        _choose(BOTH, "teacher")
    assert caught.value.code == "unknown-weights-key"
    assert "'state_dict/model'" in caught.value.message
    with pytest.raises(CheckpointError) as caught:
        _choose(WANTED, "ema")
    assert caught.value.code == "no-ema-weights"


def test_a_head_that_is_the_one_layer_of_a_sequential() -> None:
    assert _taken({name.replace("out.", "out.1."): tensor for name, tensor in WANTED.items()}) == ""


def test_a_head_of_two_layers_is_another_network() -> None:
    content = {name.replace("out.", "out.2."): tensor for name, tensor in WANTED.items()} | {"out.0.weight": torch.ones(4, 4), "out.0.bias": torch.ones(4)}
    assert not _choose(content).taken.fits


def test_a_classifier_beside_a_network_is_taken_when_asked_for() -> None:
    trunk = {name: tensor for name, tensor in WANTED.items() if not name.startswith("out.")}
    content = {"state_dict": _under("backbone.", trunk, **{"linear.weight": WANTED["out.weight"], "linear.bias": WANTED["out.bias"]})}
    taken = _choose(content).taken
    assert not taken.fits
    assert separate_heads(taken, content, TARGET) == ("state_dict/backbone+linear",)
    assert _taken(content, "state_dict/backbone+linear") == "state_dict/backbone"


@pytest.mark.parametrize("content", [None, 3, [], {}, {"epoch": 1}, {"a": {"b": {}}}])
def test_nothing_that_could_be_weights(content: Any) -> None:
    with pytest.raises(CheckpointError) as caught:
        _choose(content)
    assert caught.value.code == "no-state-dict"
