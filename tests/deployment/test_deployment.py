"""``--as``: every evaluator that needs only logits runs on the artefact itself."""

import json
from pathlib import Path

import pytest

from efficient360.api import follow
from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import RunError, SettingsError
from efficient360.execution.events import Event, Opened
from efficient360.execution.plan import Plan
from efficient360.execution.runner import run


def events_of(plan: Plan) -> list[Event]:
    found: list[Event] = []
    run(plan, found.append)
    return found


def outcomes(plan: Plan) -> dict[str, list]:
    found: list[Event] = []
    run(plan, found.append)
    report = follow(plan, found, lambda event: None)
    by: dict[str, list] = {}
    for record in report.records:
        by.setdefault(record.evaluator, []).append(record.outcome)
    return by


@pytest.mark.slow
def test_an_artefact_is_evaluated_in_place_of_the_checkpoint(make_plan, tmp_path: Path) -> None:
    plain = outcomes(make_plan("accuracy", "calibration"))
    plan = make_plan("accuracy", "calibration", "macs", "memory", out=tmp_path / "deployed", deployment="torch")
    found = outcomes(plan)
    for evaluator in ("accuracy", "calibration"):
        ours = {o.metric.name: o.value for o in found[evaluator] if isinstance(o, Measurement)}
        theirs = {o.metric.name: o.value for o in plain[evaluator] if isinstance(o, Measurement)}
        assert ours == pytest.approx(theirs, abs=1e-4)
    for evaluator in ("macs", "memory"):
        assert [(o.status.value, o.metric) for o in found[evaluator] if isinstance(o, Failure)] == [("unsupported", None)]
    told = json.loads((plan.out / "report.json").read_text())["checkpoint"]
    assert told["name"] == "tiny as torch"
    assert told["deployment"]["runtime"] == "torch"
    assert told["deployment"]["parity"]["passed"]
    assert told["deployment"]["bytes"] > 0
    with pytest.raises(RunError, match="holds an evaluation of another checkpoint"):
        run(make_plan("accuracy", out=plan.out), lambda event: None)
    again = [event for event in events_of(plan) if isinstance(event, Opened)]
    assert len(again) == 1


@pytest.mark.slow
def test_what_wants_gradients_says_so(make_plan, plugin) -> None:
    path = plugin(name="wanting")
    path.write_text(path.read_text().replace("Need.EXAMPLES}", "Need.EXAMPLES, Need.GRADIENTS}"))
    found = outcomes(make_plan("wanting", plugins=(path,), deployment="torch"))
    [failure] = found["wanting"]
    assert (failure.code, failure.message) == ("deployed", "an artefact gives logits only, and this wants gradients")


def test_a_runtime_without_the_precision_is_refused(make_plan) -> None:
    with pytest.raises(SettingsError, match="PyTorch eager has no precision 'int8'"):
        run(make_plan("accuracy", deployment="torch:int8"), lambda event: None)


def test_what_can_not_be_converted_ends_the_run_with_its_reason(make_plan, monkeypatch) -> None:
    from efficient360.deployment.runtimes import catalogue

    monkeypatch.setattr(catalogue, "missing", lambda runtime: ["torch"])
    with pytest.raises(RunError) as caught:
        run(make_plan("accuracy", deployment="torch"), lambda event: None)
    assert caught.value.code == "runtime-not-installed"
    assert caught.value.message.startswith("tiny can't be evaluated as torch: PyTorch eager can't be converted for: torch not installed")
