"""The evaluator: what averaging does to answers, what it says where there is nothing to average, and its settings."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import log_loss, roc_auc_score

from efficient360.conformance import ARCHITECTURE, Subject, context_of, subject
from efficient360.core.figures import Curve, Table
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Failure, Measurement, Outcome, Status
from efficient360.evaluators.uncertainty import Uncertainty, harmful_averaging
from efficient360.execution.plan import configure
from efficient360.methods.uncertainty.predictive_distribution import PredictiveDistribution
from efficient360.methods.uncertainty.uncertainty_summary import MethodPredictions, method_measurements, nll_change
from efficient360.models.model import PixelsToLogits

SMALL: dict[str, Any] = {"resamples": 20, "weight_draws": 10, "passes": 3}


def measured(outcomes: list[Outcome]) -> dict[tuple[Any, ...], Measurement]:
    return {(o.metric.name, *o.conditions.values()): o for o in outcomes if isinstance(o, Measurement)}


@pytest.fixture
def on() -> Subject:
    return subject()


@pytest.fixture
def context(on: Subject, tmp_path: Path) -> Context:
    return context_of(on, tmp_path, 8)


def dropping(on: Subject, **rates: float) -> Subject:
    with torch.random.fork_rng():
        network = timm.create_model("vit_tiny_patch16_224", **(ARCHITECTURE | rates)).eval().requires_grad_(requires_grad=False)
    network.load_state_dict(on.model.network.state_dict())
    return dataclasses.replace(on, model=dataclasses.replace(on.model, module=PixelsToLogits(network, [0.5] * 3, [0.5] * 3, None)))


def test_a_model_without_dropout(on: Subject, context: Context) -> None:
    outcomes = list(Uncertainty(**SMALL).evaluate(on.model, context))
    failures = {o.conditions["method"]: o for o in outcomes if isinstance(o, Failure)}
    assert {name: (o.code, o.status) for name, o in failures.items()} == {
        "mc-dropout": ("no-dropout", Status.UNSUPPORTED),
        "stochastic-depth": ("no-stochastic-depth", Status.UNSUPPORTED),
    }
    found = measured(outcomes)
    assert found["nll_change", "laplace"].value == pytest.approx(found["nll", "laplace"].value - found["nll", "point"].value)
    assert found["mutual_information", "laplace"].value > 0
    assert ("mutual_information", "point") not in found
    table, curve, findings = found["nll", "point"].extra
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["point", "laplace"]
    assert isinstance(curve, Curve)
    assert curve.x_label == "mutual information (nat)"
    assert isinstance(findings, Table)
    logits = np.concatenate([batch.clean_logits for batch in context.predicted(on.examples).batches(8)])
    probabilities = torch.from_numpy(logits).double().softmax(1).numpy()
    assert found["nll", "point"].value == pytest.approx(log_loss(on.examples.labels, probabilities, labels=range(7)), rel=1e-5)


def test_dropout_and_stochastic_depth_where_there_are_some(on: Subject, tmp_path: Path) -> None:
    of = dropping(on, proj_drop_rate=0.1, drop_path_rate=0.2)
    runs = []
    for size in (5, 24):
        scratch = tmp_path / str(size)
        scratch.mkdir()
        runs.append(measured(list(Uncertainty(**SMALL, examples=10).evaluate(of.model, context_of(of, scratch, size)))))
    for method in ("mc-dropout", "stochastic-depth"):
        assert runs[0]["mutual_information", method].value > 0
        assert runs[0]["nll", method].value == pytest.approx(runs[1]["nll", method].value, rel=1e-5)
        assert runs[0]["nll", method].n == 10
    assert [row[0] for row in runs[0]["nll", "point"].extra[0].rows] == ["point", "laplace", "mc-dropout", "stochastic-depth"]


def test_no_training_images_no_laplace(on: Subject, context: Context) -> None:
    outcomes = list(Uncertainty(**SMALL).evaluate(on.model, dataclasses.replace(context, training=None)))
    (failure,) = (o for o in outcomes if isinstance(o, Failure) and o.conditions["method"] == "laplace")
    assert (failure.code, failure.status) == ("no-training-split", Status.UNSUPPORTED)
    (curve,) = (one for one in measured(outcomes)["nll", "point"].extra if isinstance(one, Curve))
    assert curve.x_label == "entropy (nat)"


def predictions_of(probability: list[list[float]], within: list[float], labels: list[int], method: str = "laplace") -> MethodPredictions:
    return MethodPredictions(method, PredictiveDistribution(np.array(probability), np.array(within)), np.array(labels))


def test_measures_by_hand() -> None:
    of = predictions_of([[0.8, 0.2], [0.5, 0.5], [0.4, 0.6], [0.9, 0.1]], [0.1, 0.2, 0.6, 0.0], [0, 1, 0, 0])
    found = measured(list(method_measurements(of, 20, 0)))
    assert found["nll", "laplace"].value == pytest.approx(-np.log([0.8, 0.5, 0.4, 0.9]).mean())
    assert found["brier", "laplace"].value == pytest.approx(np.mean([0.08, 0.5, 0.72, 0.02]))
    wrong, entropy = np.array([0, 1, 1, 0]), of.predictive.entropy  # 0.5 against 0.5 goes to the first class
    assert found["error_auroc", "laplace", "entropy"].value == pytest.approx(roc_auc_score(wrong, entropy))
    assert found["error_auroc", "laplace", "mutual information"].value == pytest.approx(roc_auc_score(wrong, of.predictive.mutual_information))
    plain = predictions_of([[0.6, 0.4], [0.5, 0.5], [0.4, 0.6], [0.9, 0.1]], [0.0] * 4, [0, 1, 0, 0], "point")
    assert nll_change(of, plain, 20, 0).value == pytest.approx(np.log(0.6 / 0.8) / 4)


def test_nothing_wrong_leaves_nothing_to_tell() -> None:
    (failure, other) = (o for o in method_measurements(predictions_of([[0.8, 0.2]] * 3, [0.1] * 3, [0, 0, 0]), 20, 0) if isinstance(o, Failure))
    assert (failure.code, failure.message) == ("one-sided", "every one of 3 predictions is correct: AUROC needs both")
    assert {failure.conditions["signal"], other.conditions["signal"]} == {"entropy", "mutual information"}


def test_averaging_that_hurts_is_told() -> None:
    worse = predictions_of([[0.5, 0.5]] * 20, [0.0] * 20, [0] * 20)
    better = predictions_of([[0.9, 0.1]] * 20, [0.0] * 20, [0] * 20, "point")
    (finding,) = harmful_averaging([nll_change(worse, better, 20, 0)])
    assert finding.code == "worse-averaged"
    assert "laplace raises the negative log-likelihood by 0.588 nat" in finding.message
    assert list(harmful_averaging([nll_change(better, worse, 20, 0)])) == []


def test_what_it_is_not_given(on: Subject, context: Context) -> None:
    with pytest.raises(Unsupported) as refused:
        list(Uncertainty().evaluate(on.model, dataclasses.replace(context, examples=None)))
    assert refused.value.code == "no-dataset"


@pytest.mark.parametrize("setting", ["examples", "training_examples", "weight_draws", "passes", "resamples"])
def test_bad_settings(setting: str) -> None:
    with pytest.raises(SettingsError, match=f"the setting {setting} of uncertainty is 0") as refused:
        configure(Uncertainty, {setting: 0})
    assert refused.value.code == "bad-setting"
