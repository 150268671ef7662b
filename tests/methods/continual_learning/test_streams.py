import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import part, stream

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.material import Domains, NewClasses, unknown_classes
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.stream import Task

KNOWN = Task("original", (0, 1, 2), part([0, 1, 2], 0), part([0, 1, 2], 1))


def chosen(mask: torch.Tensor) -> list[int]:
    return torch.nonzero(mask)[:, 0].tolist()


def test_where_an_answer_is_sought() -> None:
    among_all, told, same = (stream(s) for s in Scenario)
    assert chosen(among_all.allowed(0, 0)) == [0, 1]
    assert chosen(among_all.allowed(0, 1)) == chosen(among_all.allowed(1, 1)) == [0, 1, 2, 3]
    assert chosen(told.allowed(0, 2)) == [0, 1]
    assert chosen(told.allowed(2, 2)) == [4, 5]
    assert chosen(same.allowed(1, 1)) == [0, 1]


def test_images_are_numbered_through_all_homes() -> None:
    of = stream(Scenario.TASK)
    assert of.numbers(0).tolist() == list(range(8))
    assert of.numbers(2).tolist() == list(range(24, 40))
    mixed = np.array([25, 0, 9, 24])
    drawn = of.take(mixed, 2)
    assert drawn.labels.tolist() == [5, 0, 3, 4] == [of.label(int(n)) for n in mixed]
    assert [chosen(row) for row in drawn.allowed] == [[4, 5], [0, 1], [2, 3], [4, 5]]
    assert torch.equal(drawn.inputs[0], of.tasks[1].training.take(np.array([1]))[0][0])
    assert torch.equal(drawn.inputs[1], of.original.training.take(np.array([0]))[0][0])


def test_without_original_training_images_numbers_begin_with_the_first_task() -> None:
    of = stream(Scenario.DOMAIN, original=0)
    assert len(of.numbers(0)) == 0
    assert of.take(np.array([0, 16]), 1).labels.tolist() == [0, 0]


@settings(max_examples=30)
@given(st.integers(4, 12), st.integers(2, 6), st.integers(0, 50), st.sampled_from([Scenario.CLASS, Scenario.TASK]))
def test_every_new_class_is_in_one_task(classes: int, tasks: int, seed: int, scenario: Scenario) -> None:
    labels = list(range(classes)) * 2
    every = part([0] * len(labels), 0)
    everything = type(every)(every.inputs, every.rows, np.array(labels))
    of = NewClasses("n", "N", KNOWN, tuple("abcdefghijkl"[:classes]), everything, everything, tasks).laid_out(scenario, seed)
    outputs = [output for task in of.tasks for output in task.outputs]
    assert sorted(outputs) == list(range(3, 3 + classes))
    assert len(of.tasks) <= tasks
    assert of.outputs == 3 + classes
    assert min(len(task.outputs) for task in of.tasks) >= (2 if scenario is Scenario.TASK else 1)
    for task in of.tasks:
        assert set(task.training.labels.tolist()) == set(task.outputs)
        assert task.training.rows.tolist() == [i for i, label in enumerate(labels) if label + 3 in task.outputs]
        assert task.name == ", ".join("abcdefghijkl"[output - 3] for output in task.outputs)


def test_each_seed_has_an_order_of_its_own_and_keeps_it() -> None:
    tasks = tuple(Task(name, (0, 1, 2), KNOWN.training, KNOWN.test) for name in "abcdef")
    material = Domains("d", "D", KNOWN, tasks)
    orders = [tuple(task.name for task in material.laid_out(Scenario.DOMAIN, seed).tasks) for seed in (0, 1, 2, 0)]
    assert len(set(orders[:3])) == 3
    assert orders[3] == orders[0]
    assert all(sorted(order) == list("abcdef") for order in orders)


def test_few_classes_allow_few_scenarios() -> None:
    for classes, allowed in ((2, (Scenario.CLASS,)), (4, (Scenario.CLASS, Scenario.TASK))):
        assert NewClasses("n", "N", KNOWN, tuple("abcd"[:classes]), KNOWN.training, KNOWN.test, 5).scenarios == allowed


def test_what_is_known_is_refused_and_left_out() -> None:
    assert unknown_classes(["cat", "fox", "owl"], ["dog", "cat"], "Forest") == [1, 2]
    with pytest.raises(Unsupported, match="knows every class of Forest") as known:
        unknown_classes(["cat", "dog"], ["dog", "cat", "fox"], "Forest")
    assert known.value.code == "known-classes"
    with pytest.raises(Unsupported, match="single class that is new to the checkpoint: owl") as few:
        unknown_classes(["cat", "owl"], ["cat"], "Forest")
    assert few.value.code == "too-few-classes"
