"""The evaluator of MACs on a tiny ViT whose costs are known by hand."""

import dataclasses
from math import fsum

import pytest
import torch
from torch import Tensor, nn

from efficient360.conformance import Subject, check, subject
from efficient360.dimensions.computation import DIMENSION
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, OutOfTime, Status, Unsupported
from efficient360.evaluators import macs as module
from efficient360.evaluators.macs import ACTIVATIONS, GROWTH, MACS, Macs
from efficient360.models.model import PixelsToLogits


class Deployed(Model):
    num_classes, input_size = 7, (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 7)


class Sorting(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.sort().values


class Odd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Sorting.apply(Sorting.apply(x)).mean((2, 3))


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def context(on: Subject, folder, **changes) -> Context:
    return dataclasses.replace(Context(on.checkpoint, None, None, 0, 8, Deadline(), folder), **changes)


def with_network(on: Subject, network: nn.Module):
    return dataclasses.replace(on.model, module=PixelsToLogits(network, (0.5,) * 3, (0.5,) * 3, None).eval())


def test_the_contract():
    check(Macs())


def test_values_by_hand(on: Subject, tmp_path):
    macs, activations, growth = Macs().evaluate(on.model, context(on, tmp_path))
    n, d = 16, 32
    tokens = n + 1
    products = n * d * 3 * 64 + 2 * (12 * tokens * d * d + 2 * tokens * tokens * d) + 7 * d
    norms = 5 * (4 * tokens * d + tokens * d)
    assert (macs.metric, macs.value, macs.interval) == (MACS, products + norms, None)
    attention = 2 * tokens * tokens + tokens * d
    assert (activations.metric, activations.value) == (ACTIVATIONS, n * d + 2 * (tokens * (3 * d + d + 4 * d + d) + attention) + 7)
    assert growth.metric == GROWTH
    assert growth.n == 4
    assert growth.interval.low < 1.2 < growth.value < 1.3 < growth.interval.high < 2


def test_figures_add_up(on: Subject, tmp_path):
    macs, _, growth = Macs().evaluate(on.model, context(on, tmp_path))
    kinds, blocks, checked = macs.extra
    assert {row[0] for row in kinds.rows} == {"linear", "attention", "convolution", "normalisation"}
    assert [row[0] for row in blocks.rows] == ["patch_embed", "blocks.0", "blocks.1", "norm", "head"]
    for table in (kinds, blocks):
        total = fsum(float(str(row[2]).removesuffix(" %")) for row in table.rows)
        assert total == pytest.approx(100, abs=0.5)
    assert checked.rows[-1] == ("difference", "+0.00 %: they agree")
    curve, table = growth.extra
    assert curve.series[0].x == tuple(float((32 * s) ** 2) for s in (1, 2, 3, 4))
    assert table.rows[0][0] == "32 × 32"
    assert table.rows[0][2] == "1.00"
    assert float(table.rows[3][2]) > 1.5


def test_a_disagreement_is_said(on: Subject, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "reference_macs", lambda network, images: 1000)
    macs = next(Macs().evaluate(on.model, context(on, tmp_path)))
    assert "they differ by more than 2 %" in macs.extra[2].rows[-1][1]


def test_without_a_second_opinion_the_first_stands(on: Subject, tmp_path, monkeypatch):
    def broken(network: nn.Module, images: Tensor) -> int:
        raise NotImplementedError

    monkeypatch.setattr(module, "reference_macs", broken)
    macs = next(Macs().evaluate(on.model, context(on, tmp_path)))
    assert macs.extra[2].rows[-1] == ("torch's FlopCounterMode", "not available: NotImplementedError")


def test_an_uncounted_operator_fails_every_metric_and_is_listed(on: Subject, tmp_path):
    outcomes = list(Macs().evaluate(with_network(on, Odd()), context(on, tmp_path)))
    assert [outcome.metric for outcome in outcomes] == [MACS, ACTIVATIONS, GROWTH]
    for outcome in outcomes:
        assert isinstance(outcome, Failure)
        assert (outcome.status, outcome.code) == (Status.FAILED, "uncounted-operators")
        assert "prim::PythonOp.Sorting (2×)" in outcome.message


def test_an_artefact_has_no_operators(on: Subject, tmp_path):
    with pytest.raises(Unsupported, match="Deployed") as error:
        list(Macs().evaluate(Deployed(), context(on, tmp_path)))
    assert error.value.code == "no-module"


def test_a_network_of_one_size_lacks_only_its_growth(on: Subject, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 7))
    macs, activations, growth = Macs().evaluate(with_network(on, network), context(on, tmp_path))
    assert isinstance(macs, Measurement)
    assert macs.value == 3 * 32 * 32 * 7
    assert activations.value == 7
    assert (growth.metric, growth.status) == (GROWTH, Status.UNSUPPORTED)
    assert growth.code == "changed-architecture"


def test_the_time_budget_is_kept(on: Subject, tmp_path):
    with pytest.raises(OutOfTime):
        list(Macs().evaluate(on.model, context(on, tmp_path, deadline=Deadline(0.0))))


def test_the_seed_and_batch_size_change_nothing(on: Subject, tmp_path):
    first = [o.value for o in Macs().evaluate(on.model, context(on, tmp_path))]
    assert [o.value for o in Macs().evaluate(on.model, context(on, tmp_path, seed=7, batch_size=1))] == first


def test_the_computation_axis_reads_these_metrics():
    assert {(anchor.evaluator, anchor.metric) for anchor in DIMENSION.anchors} == {("macs", "macs"), ("macs", "macs_growth")}
