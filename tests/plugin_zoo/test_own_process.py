"""Evaluators that end, close, fork or hang their process: each has one of its own, and costs nobody else anything."""

import time
from pathlib import Path

import pytest
from specimens import whole, witness

from efficient360.api import follow
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.execution.events import Event, Importing, Started
from efficient360.execution.plan import Step
from efficient360.execution.worker import Limits, isolated

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

BODIES = {
    "segfaults": "os.kill(os.getpid(), signal.SIGSEGV)",
    "leaves_at_once": "os._exit(0)",
    "closes_handles": "os.closerange(0, 256)",
    "forks": "os.fork()",
    "hangs": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
    "prints_much": "print('\\x1b[31m' * 4_000_000)\nprint('last words \\x1b]0;title\\x07')",
}
IMPORTS = {"hangs_at_import": "while True: pass"}
CODES = {"segfaults": "worker-died", "leaves_at_once": "worker-died", "closes_handles": "worker-died", "hangs": "time-limit", "hangs_at_import": "plugin-hung"}


def test_a_process_of_its_own_is_all_that_each_can_harm(make_plan, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sources = {name: whole(name, body) for name, body in BODIES.items()}
    sources |= {name: whole(name, extra=extra) for name, extra in IMPORTS.items()} | {"witness": witness("witness")}
    files = []
    for name, source in sources.items():
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(source)
    passed = 0.0

    def listen(event: Event) -> None:
        nonlocal passed
        if isinstance(event, Started) and event.evaluator == "hangs":
            passed += 7200  # both budget and grace are over: the clock says so, nobody waits
        if isinstance(event, Importing) and event.evaluators == ("hangs_at_import",):
            passed += 7200

    plan = make_plan(steps=tuple(Step(name, {}) for name in (*sources, "accuracy")), plugins=tuple(files), max_minutes=60)
    report = follow(plan, isolated(plan, Limits(clock=lambda: time.monotonic() + passed)), listen)
    outcomes = {record.evaluator: record.outcome for record in report.records}
    assert {name: o.code for name, o in outcomes.items() if isinstance(o, Failure)} == CODES
    assert outcomes["hangs"].status is Status.NOT_RUN
    assert {name for name, o in outcomes.items() if isinstance(o, Measurement)} == {"accuracy", "witness", "forks", "prints_much"}
    printed = capfd.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert len(printed.err) < 200_000
