import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import labelled, stream

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.stream import Scenario, Task
from efficient360.methods.continual_learning.task_pool import DomainPool, NewClassPool, unknown_classes

KNOWN = Task("original", (0, 1, 2), labelled([0, 1, 2], 0), labelled([0, 1, 2], 1))


def chosen(mask: torch.Tensor) -> list[int]:
    return torch.nonzero(mask)[:, 0].tolist()


def test_where_an_answer_is_sought() -> None:
    class_incremental, task_incremental, domain_incremental = (stream(s) for s in Scenario)
    assert chosen(class_incremental.output_mask(0, 0)) == [0, 1]
    assert chosen(class_incremental.output_mask(0, 1)) == chosen(class_incremental.output_mask(1, 1)) == [0, 1, 2, 3]
    assert chosen(task_incremental.output_mask(0, 2)) == [0, 1]
    assert chosen(task_incremental.output_mask(2, 2)) == [4, 5]
    assert chosen(domain_incremental.output_mask(1, 1)) == [0, 1]


def test_images_are_numbered_through_all_homes() -> None:
    tasks = stream(Scenario.TASK)
    assert tasks.indices(0).tolist() == list(range(8))
    assert tasks.indices(2).tolist() == list(range(24, 40))
    mixed = np.array([25, 0, 9, 24])
    drawn = tasks.batch(mixed, 2)
    assert drawn.labels.tolist() == [5, 0, 3, 4] == [tasks.label(int(n)) for n in mixed]
    assert [chosen(row) for row in drawn.mask] == [[4, 5], [0, 1], [2, 3], [4, 5]]
    assert torch.equal(drawn.inputs[0], tasks.tasks[1].training.take(np.array([1]))[0][0])
    assert torch.equal(drawn.inputs[1], tasks.original.training.take(np.array([0]))[0][0])


def test_without_original_training_images_numbers_begin_with_the_first_task() -> None:
    tasks = stream(Scenario.DOMAIN, original=0)
    assert len(tasks.indices(0)) == 0
    assert tasks.batch(np.array([0, 16]), 1).labels.tolist() == [0, 0]


@settings(max_examples=30)
@given(st.integers(4, 12), st.integers(2, 6), st.integers(0, 50), st.sampled_from([Scenario.CLASS, Scenario.TASK]))
def test_every_new_class_is_in_one_task(classes: int, tasks: int, seed: int, scenario: Scenario) -> None:
    labels = list(range(classes)) * 2
    every = labelled([0] * len(labels), 0)
    everything = type(every)(every.inputs, every.rows, np.array(labels))
    built = NewClassPool("n", "N", KNOWN, tuple("abcdefghijkl"[:classes]), everything, everything, tasks).build_stream(scenario, seed)
    outputs = [output for task in built.tasks for output in task.outputs]
    assert sorted(outputs) == list(range(3, 3 + classes))
    assert len(built.tasks) <= tasks
    assert built.outputs == 3 + classes
    assert min(len(task.outputs) for task in built.tasks) >= (2 if scenario is Scenario.TASK else 1)
    for task in built.tasks:
        assert set(task.training.labels.tolist()) == set(task.outputs)
        assert task.training.rows.tolist() == [i for i, label in enumerate(labels) if label + 3 in task.outputs]
        assert task.name == ", ".join("abcdefghijkl"[output - 3] for output in task.outputs)


def test_each_seed_has_an_order_of_its_own_and_keeps_it() -> None:
    tasks = tuple(Task(name, (0, 1, 2), KNOWN.training, KNOWN.test) for name in "abcdef")
    pool = DomainPool("d", "D", KNOWN, tasks)
    orders = [tuple(task.name for task in pool.build_stream(Scenario.DOMAIN, seed).tasks) for seed in (0, 1, 2, 0)]
    assert len(set(orders[:3])) == 3
    assert orders[3] == orders[0]
    assert all(sorted(order) == list("abcdef") for order in orders)


def test_few_classes_allow_few_scenarios() -> None:
    for classes, allowed in ((2, (Scenario.CLASS,)), (4, (Scenario.CLASS, Scenario.TASK))):
        assert NewClassPool("n", "N", KNOWN, tuple("abcd"[:classes]), KNOWN.training, KNOWN.test, 5).scenarios == allowed


def test_what_is_known_is_refused_and_left_out() -> None:
    assert unknown_classes(["cat", "fox", "owl"], ["dog", "cat"], "Forest") == [1, 2]
    with pytest.raises(Unsupported) as known:
        unknown_classes(["cat", "dog"], ["dog", "cat", "fox"], "Forest")
    assert known.value.code == "known-classes"
    assert "Forest" in known.value.message
    with pytest.raises(Unsupported) as few:
        unknown_classes(["cat", "owl"], ["cat"], "Forest")
    assert few.value.code == "too-few-classes"
    assert "owl" in few.value.message
