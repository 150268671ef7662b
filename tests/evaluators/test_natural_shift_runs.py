"""Batches, resumption, progress and deadline."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from shifted_datasets import BrightnessModel, ShiftedDataset, run, run_in, with_three_shifts

from efficient360.errors import OutOfTime
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.natural_shift import NaturalShift
from efficient360.execution.scoring import score_all


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_changes_nothing(tmp_path: Path, batch_size: int) -> None:
    dataset = with_three_shifts(tmp_path)
    first = run_in(dataset.context(tmp_path / "first", 4))
    assert run_in(dataset.context(tmp_path / "other", batch_size)) == first


def test_what_was_interrupted_goes_on_at_a_whole_batch(tmp_path: Path) -> None:
    dataset = with_three_shifts(tmp_path)
    whole = run_in(dataset.context(tmp_path / "whole"))

    def stop(done: int, total: int) -> None:
        if total == 90 and done >= 41:
            raise InterruptedError

    context = dataset.context(tmp_path / "stopped")
    with pytest.raises(InterruptedError):
        run_in(dataclasses.replace(context, progress=stop))
    model = BrightnessModel()
    assert run_in(context, model=model) == whole
    # 30 clean images to set the shifted ones beside; 30 of fog and 12 of rain had been done.
    assert len(model.shown) == 30 + 90 - 42


def test_a_log_of_other_images_is_not_taken_up(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean(range(5), range(5)).add("fog", range(5), range(5))
    assert run(dataset)["shift_accuracy", "fog"].value == 1
    dataset.card["shifts"] = []
    dataset.add("fog", [9] * 5, range(5))
    assert run(dataset)["shift_accuracy", "fog"].value == 0


def test_progress_is_told_of_all_sets_together(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    context = dataclasses.replace(with_three_shifts(tmp_path).context(tmp_path / "scratch", 10), progress=lambda *step: told.append(step))
    run_in(context)
    steps = [done for done, total in told if total == 90]
    assert steps == sorted(steps)
    assert steps[-1] == 90


def test_the_deadline_ends_it(tmp_path: Path) -> None:
    context: Context[Any] = with_three_shifts(tmp_path).context(tmp_path / "scratch")
    evaluator, model = NaturalShift(), BrightnessModel()
    table = score_all(evaluator, model, context.examples, context, context.progress)
    with pytest.raises(OutOfTime):
        list(evaluator.examine(model, table, dataclasses.replace(context, deadline=Deadline(0.0))))
