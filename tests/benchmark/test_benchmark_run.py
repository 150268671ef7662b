"""The whole way on two little models in torch: converted, measured, stored, resumed, drawn."""

import io
import json
import shutil
from typing import Any

import numpy as np
import pytest

from efficient360.benchmark import plan as plan_module
from efficient360.benchmark.cells import RowRole
from efficient360.benchmark.plan import MatrixPlan
from efficient360.benchmark.progress import ProgressMeter
from efficient360.benchmark.publish import publish
from efficient360.benchmark.run import run
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.workloads import MATMUL_NAME
from efficient360.benchmark.zoo import read_models
from efficient360.deployment.devices.device import Schedule
from efficient360.deployment.devices.local import Local
from efficient360.deployment.runtimes.runtime import Precision

pytestmark = pytest.mark.slow
SCHEDULE = Schedule(runs=4, seconds=0.05, blocks=2, warm_runs=2, warm_seconds=0.01, most=1.0, repeats=0, starts=1)
ZOO = """
models:
  - name: small & random
    reference: resnet10t
    family: cnn
    random_weights: true
    arguments: {num_classes: 7}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "zoo.yaml").write_text(ZOO)
    models = read_models(f"{tiny},{folder / 'zoo.yaml'}", random_weights=False, seed=0)
    return MatrixPlan(models, [("torch", Precision.FP32)], ["local"], folder / "out", threads=1, schedule=SCHEDULE)


@pytest.fixture(scope="module")
def measured(plan):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PEAK_RUNTIMES", ("torch",))
        run(plan, ProgressMeter(io.StringIO()))
    return plan.out


@pytest.fixture
def again(plan, measured, tmp_path, monkeypatch):
    """Runs the plan on a copy of the measured folder after a change; tells what was printed."""
    monkeypatch.setattr(plan_module, "PEAK_RUNTIMES", ("torch",))

    def repeat(change=lambda folder: None):
        out = tmp_path / "out"
        shutil.copytree(measured, out)
        change(out)
        told = io.StringIO()
        run(MatrixPlan(**{**vars(plan), "out": out}), ProgressMeter(told))
        return out, told.getvalue()

    return repeat


def test_every_cell_has_its_numbers_and_they_are_those_of_the_raw_times(measured, tiny):
    cells = CellStore(measured).cells()
    assert [(cell.model.name, cell.model.role) for cell in cells] == [
        (MATMUL_NAME, RowRole.PEAK),
        (str(tiny), RowRole.MODEL),
        ("small & random", RowRole.MODEL),
    ]
    for cell in cells:
        assert cell.rankable is not None, cell.exclusion_reason
        raw = [json.loads(line) for line in (measured / cell.samples).read_text().splitlines()]
        times = np.concatenate(next(row["wall_us"] for row in raw if row["key"] == cell.key)) / 1e6
        assert times.min() <= cell.rankable.p50 <= times.max()
        assert len(times) == cell.rankable.runs
    assert cells[1].model.weights == "trained"
    assert "random, seed 0" in cells[2].model.weights
    assert cells[2].model.classes == 7
    assert not any((measured / "artefacts").iterdir())
    assert "small &amp; random" in publish(measured).read_text()


def test_nothing_is_measured_twice(again, measured):
    out, told = again()
    assert told == "nothing left to measure\n"
    assert (out / "cells.jsonl").read_bytes() == (measured / "cells.jsonl").read_bytes()


def test_a_torn_last_line_is_measured_again_and_nothing_else(again, measured):
    def tear(folder):
        path = folder / "cells.jsonl"
        path.write_bytes(path.read_bytes()[:-100])

    out, told = again(tear)
    assert told.startswith("2 steps to do\n")  # a conversion and a measurement
    before, after = CellStore(measured).cells(), CellStore(out).cells()
    assert after[:2] == before[:2]
    assert after[2].key == before[2].key


def test_an_interruption_keeps_the_models_before_it(again, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    out: Any = None

    def forget(folder):
        nonlocal out
        out = folder
        path = folder / "cells.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))

    monkeypatch.setattr(Local, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again(forget)
    assert [cell.model.name for cell in CellStore(out).cells()] == [MATMUL_NAME]
    assert any((out / "artefacts").iterdir())  # what was converted is there for the next call
