"""Ill-behaved evaluators beside others: no other's number changes, none is lost."""

import dataclasses
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from specimens import BROKEN, CHANGES_MODEL, CHANGES_PROCESS, FAILS, MEANT, whole, witness

from efficient360.core.measurement import Failure, Measurement, Outcome
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished
from efficient360.execution.plan import Plan, Step

OURS = ("accuracy", "calibration")


def run(plan: Plan, folder: Path, plugins: dict[str, str]) -> dict[str, Sequence[Outcome]]:
    """The outcomes by evaluator, of ours and of each plug-in from a file of its own, in this order and in this process."""
    files = []
    for name, source in plugins.items():
        files.append(folder / f"{name}.py")
        files[-1].write_text(source, encoding="utf-8", errors="surrogatepass")
    events: list[Event] = []
    runner.run(dataclasses.replace(plan, steps=tuple(Step(name, {}) for name in (*OURS, *plugins)), plugins=tuple(files)), events.append)
    return {event.evaluator: [record.outcome for record in event.records] for event in events if isinstance(event, Finished)}


def beside_witnesses(plan: Plan, folder: Path, specimens: dict[str, str]) -> dict[str, Sequence[Outcome]]:
    """The outcomes of some specimens, once it is sure that no witness before, between or after them saw a difference."""
    alone = run(dataclasses.replace(plan, out=plan.out / "alone"), folder, {"witness": witness("witness")})
    plugins = {"witness": witness("witness")}
    for name, source in specimens.items():
        plugins |= {name: source, f"after_{name}": witness(f"after_{name}")}
    outcomes = run(dataclasses.replace(plan, out=plan.out / "zoo"), folder, plugins)
    for name, seen in outcomes.items():
        if name in OURS:
            assert seen == alone[name], name
        elif name == "witness" or name.startswith("after_"):
            assert [vars(o) for o in seen] == [vars(o) for o in alone["witness"]], name
    assert len(outcomes) == len(OURS) + len(plugins)
    return outcomes


@pytest.mark.slow
def test_who_changes_the_model_is_named_and_harms_nobody(make_plan, tmp_path: Path) -> None:
    outcomes = beside_witnesses(make_plan(), tmp_path, {name: whole(name, body) for name, body in CHANGES_MODEL.items()})
    for name in CHANGES_MODEL:
        (failure,) = outcomes[name]
        assert isinstance(failure, Failure), name
        assert failure.code == "changed-model", name
        assert name in failure.message


@pytest.mark.slow
def test_what_is_left_in_the_process_reaches_nobody(make_plan, tmp_path: Path) -> None:
    before = Path.cwd(), dict(os.environ), list(sys.path), sys.stdout, signal.getsignal(signal.SIGTERM), list(warnings.filters), torch.get_rng_state()
    outcomes = beside_witnesses(make_plan(), tmp_path, {name: whole(name, body) for name, body in CHANGES_PROCESS.items()})
    for name in CHANGES_PROCESS:
        assert isinstance(outcomes[name][0], Measurement), (name, outcomes[name])
    after = Path.cwd(), dict(os.environ), list(sys.path), sys.stdout, signal.getsignal(signal.SIGTERM), list(warnings.filters), torch.get_rng_state()
    assert before[:-1] == after[:-1]
    assert torch.equal(before[-1], after[-1])
    assert np.geterr()["divide"] == "warn"


@pytest.mark.slow
def test_each_fault_is_one_failure_of_its_own(make_plan, tmp_path: Path) -> None:
    specimens = {name: whole(name, body) for name, (body, _) in FAILS.items()} | {name: source for name, (source, _) in BROKEN.items()}
    outcomes = beside_witnesses(make_plan(), tmp_path, specimens)
    for name, (_, code) in (FAILS | BROKEN).items():
        failure = next(outcome for outcome in outcomes[name] if isinstance(outcome, Failure))
        assert isinstance(failure, Failure), (name, failure)
        assert failure.code == code, (name, failure)
        assert len(failure.message) < 1000
        assert failure.message.isprintable(), name


def test_what_is_plainly_meant_is_taken(make_plan, tmp_path: Path) -> None:
    specimens = {name: whole(name, body).replace("        yield Measurement(THING, 0.5)\n", "") for name, body in MEANT.items()}
    specimens["path_setting"] = whole("path_setting", members="file: Path = Path('a')\nsizes: tuple[int, ...] = (1, 2)")
    outcomes = run(make_plan(), tmp_path, specimens)
    for name in MEANT:
        (measured,) = outcomes[name]
        assert isinstance(measured, Measurement), measured
        assert (type(measured.value), type(measured.n)) == (float, int)
        assert measured.value == (1.0 if name == "integer_value" else 0.25)
    assert isinstance(outcomes["path_setting"][0], Measurement)
