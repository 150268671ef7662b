"""Runs in a worker process of their own: crashes, kills and resuming."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from efficient360.api import run_plan
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.errors import CheckpointError
from efficient360.execution.events import Event, Finished
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.plugins.registry import dimensions
from efficient360.reports.folder import read

pytestmark = pytest.mark.slow
ONLY = "calibration,parameters,brightness"


def test_a_segmentation_fault_takes_nothing_with_it(make_plan, plugin) -> None:
    path = plugin(score="os.kill(os.getpid(), signal.SIGSEGV)\n        yield")
    events: list[Event] = []
    report = run_plan(make_plan("brightness", "parameters", plugins=(path,)), events.append)
    found = {r.evaluator: r.outcome for r in report.records}
    assert isinstance(found["brightness"], Failure)
    assert (found["brightness"].code, found["brightness"].message) == ("worker-died", "the process was ended by SIGSEGV")
    assert isinstance(found["parameters"], Measurement)
    assert [e.evaluator for e in events if isinstance(e, Finished)] == ["parameters", "brightness"]


def test_bad_input_crosses_the_process_border(make_plan) -> None:
    with pytest.raises(CheckpointError) as caught:
        run_plan(make_plan("parameters", checkpoint=CheckpointSpec("nowhere.safetensors")), lambda event: None)
    assert caught.value.hint


def command(out: Path, checkpoint: Path, only: str, *more: str) -> list[str]:
    what = ("--dataset", "digits", "--max-examples", "300", "--batch-size", "8", "--only", only)
    return [sys.executable, "-m", "efficient360", "evaluate", str(checkpoint), *what, *more, "--out", str(out)]


def numbers(folder: Path) -> list:
    data = json.loads((folder / "report.json").read_text())
    for outcome in data["outcomes"]:
        del outcome["seconds"]
    return [data["outcomes"], data["dimensions"], data["checkpoint"], data["dataset"], data["state"]]


def test_a_run_killed_amid_its_batches_ends_with_the_same_report(tmp_path: Path) -> None:
    (tmp_path / "mortal.py").write_text(MORTAL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"head.weight": torch.randn(10, 192) / 8, "head.bias": torch.zeros(10)}, tmp_path / "mortal.pth")
    network = ("--arch", f"{tmp_path / 'mortal.py'}:Mortal", "--preprocess", "input_size=8")

    def run(folder: str, **environment: str) -> int:
        line = command(tmp_path / folder, tmp_path / "mortal.pth", "calibration,parameters", *network)
        return subprocess.run(line, check=False, capture_output=True, env=os.environ | environment).returncode

    assert run("whole") == 0
    assert run("killed", KILL_AT="20") == -signal.SIGKILL
    assert run("killed") == 0
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")


MORTAL = """
import itertools, os, psutil, signal
from torch import nn

class Mortal(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.calls = nn.Linear(192, 10), itertools.count()

    def forward(self, x):
        if len(x) == 8 and next(self.calls) == int(os.environ.get("KILL_AT", -1)):
            for process in psutil.Process().parents():  # the command, then this process
                if "efficient360" in process.cmdline():
                    process.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.head(x.flatten(1))
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_run_killed_at_any_time_ends_with_the_same_report(tmp_path: Path, tiny: Path, plugin, seed: int) -> None:
    path = plugin()
    subprocess.run(command(tmp_path / "whole", tiny, ONLY, "--plugin", str(path)), check=True, capture_output=True)
    chance = random.Random(seed)
    for _ in range(4):
        process = subprocess.Popen(command(tmp_path / "killed", tiny, ONLY, "--plugin", str(path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(2.5, 7))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        if (tmp_path / "killed" / "report.json").exists():
            read(tmp_path / "killed", dimensions())  # readable after every kill
    subprocess.run(command(tmp_path / "killed", tiny, ONLY, "--plugin", str(path)), check=True, capture_output=True)
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")


def test_failed_and_unsupported_stand_in_the_report(make_plan, plugin) -> None:
    path = plugin(score="raise ValueError('no')\n        yield")
    report = run_plan(make_plan("brightness", plugins=(path,), dataset=None), lambda event: None)
    assert [f.outcome.status for f in report.failures] == [Status.UNSUPPORTED]
    assert report.state == "complete"
