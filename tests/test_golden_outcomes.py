"""Numbers do not move unseen: each evaluator's golden outcomes, and the digest of the code that gave them."""

import warnings
from pathlib import Path

import pytest

import golden_outcomes as golden
from efficient360.plugins.registry import evaluators

RECORD = "python scripts/record_golden_outcomes.py"
SLOW = {"memory"}  # its process loads all libraries again


def test_every_evaluator_but_those_that_take_times_has_golden_outcomes() -> None:
    assert set(golden.SETTINGS) == set(evaluators()) - golden.TIMED
    assert {file.stem for file in golden.FOLDER.glob("*.json")} == set(golden.SETTINGS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.exhaustive] if name in SLOW else []) for name in golden.SETTINGS])
def test_numbers_are_those_recorded(name: str, tmp_path: Path) -> None:
    before = golden.recorded(name)
    if moved := golden.moved(before["outcomes"], golden.measured(name, tmp_path / "run")):
        same_code = before["code"] == golden.code(name)
        why = (
            f"the numbers of {name} moved though its code is the one they were recorded with: a library or the processor gives other numbers"
            if same_code
            else f"the code of {name} changed since its numbers were recorded, and they moved. If that is meant: {RECORD} {name}"
        )
        pytest.fail("\n".join([why, *moved]), pytrace=False)


def test_code_that_changed_without_moving_numbers_is_told() -> None:
    """Told, not refused: a rewording of an error would otherwise be a conflict for everybody who merges."""
    changed = [name for name in golden.SETTINGS if golden.recorded(name)["code"] != golden.code(name)]
    if changed:
        warnings.warn(f"code changed since its golden outcomes were recorded: {', '.join(changed)}", stacklevel=1)
    assert all(golden.recorded(name)["outcomes"] for name in golden.SETTINGS)


def test_a_moved_number_a_new_and_a_missing_one_are_told_and_rounding_is_not() -> None:
    entry = {"metric": "top1", "conditions": {}, "value": 0.5, "n": 10}
    failed = {"metric": "top1", "conditions": {}, "status": "failed", "code": "x"}
    assert golden.moved([entry], [entry | {"value": 0.50001}]) == []
    assert golden.moved([entry], [entry | {"value": 0.51}]) == ['["top1", {}]: 0.51 (n 10), recorded 0.5 (n 10)']
    assert golden.moved([entry], [entry | {"n": 9}]) != []
    assert golden.moved([entry], [failed]) != []
    assert golden.moved([entry], []) == ['["top1", {}]: gone']
    assert golden.moved([], [entry]) == ['["top1", {}]: new']
