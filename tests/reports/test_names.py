"""Display texts: what a reader sees of stored names, conditions and values."""

import pytest

import synthetic
from efficient360.core.measurement import ONE, Better, Conditions, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.deployment.runtimes import catalogue
from efficient360.plugins.registry import evaluators
from efficient360.reports import names, sections
from efficient360.reports.report import Report, axes_of

NLL = Metric("nll", ONE, Better.LOWER, "Negative log-likelihood.", low=0)


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("top1", "Top-1 accuracy"),
        ("ece_excess", "Debiased ECE"),
        ("tnr_at_fnr", "Non-members identified (TNR at FNR)"),
        ("auroc", "OOD detection AUROC"),
        ("remaining_doubt", "Conformal set size (log-normalised)"),
        ("hessian_trace", "Hessian trace"),
        ("mce", "mCE"),
        ("a_plugins_ece", "A plugins ECE"),
        ("_", "_"),
    ],
)
def test_titles(metric: str, title: str) -> None:
    assert names.title(metric) == title


def test_an_identifier_in_words_is_not_a_metric_title() -> None:
    assert (names.title("alpha"), names.words("alpha")) == ("Power-law exponent α (WeightWatcher)", "Alpha")


def test_a_profile_of_this_machine_is_called_emulated() -> None:
    assert names.conditions({"device": "limited:1core-2gb", "batch": 1}) == "device = limited:1core-2gb (emulated) · batch size = 1"
    assert names.conditions({"device": "local"}) == "device = local"


def test_every_title_belongs_to_a_metric_of_the_package() -> None:
    metrics = {metric.name for entry in evaluators().values() for metric in entry.load().metrics}
    assert set(names.TITLES) <= metrics


def test_no_two_metrics_of_the_package_share_a_title() -> None:
    metrics = {metric.name for entry in evaluators().values() for metric in entry.load().metrics}
    assert len({names.title(metric) for metric in metrics}) == len(metrics)


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({}, ""),
        ({"corruption": "gaussian_noise", "severity": 3}, "corruption = gaussian noise · severity = 3"),
        ({"severity": 0}, "severity = 0 (clean)"),
        ({"temperature": "fitted"}, "temperature-scaled"),
        ({"attack": "margin", "tier": "one checkpoint, lower bound", "fnr": "1 %"}, "attack = margin · single checkpoint · lower bound · FNR 1 %"),
        ({"norm": "linf", "epsilon": "4/255", "attack": "worst case"}, "L∞ · ε = 4/255 · worst case over attacks"),
        ({"attack": "apgd-ce + apgd-t"}, "attack = APGD-CE + APGD-T"),
        ({"runtime": "onnxruntime", "precision": "fp32", "batch": 1}, "ONNX Runtime · fp32 · batch size = 1"),
        ({"tolerated": "1 point"}, "accuracy loss ≤ 1 point"),
        ({"cutoff": 0.06250001, "my_key": True}, "cutoff = 0.0625 · my key = yes"),
        ({"corruption": "fog", "severity": 3}, "corruption = fog · severity = 3"),
        ({"epsilon": 4 / 255, "attack_steps": 10, "targeted": False}, "ε = 0.01569 · attack steps = 10 · targeted = no"),
        ({"group": "a_{}_b"}, "group = a_{}_b"),
        ({"device": "local"}, "device = local"),
        ({"device": "limited:1core-2gb"}, "device = limited:1core-2gb (emulated)"),
    ],
)
def test_conditions(conditions: Conditions, text: str) -> None:
    assert names.conditions(conditions) == text


def test_runtimes_are_called_as_in_the_catalogue() -> None:
    assert {name: names.VALUES["runtime"].get(name, name) for name in catalogue.names()} == {name: catalogue.runtime(name).title for name in catalogue.names()}


def rows(*conditions: Conditions) -> list[str]:
    records = [Record("calibration", Measurement(NLL, 0.5 + i, conditions=c)) for i, c in enumerate(conditions)]
    report = synthetic.report()
    report = Report(**{**vars(report), "records": records, "axes": axes_of(synthetic.dimensions(), records)})
    (group,) = [group for section in sections.sections(report) for group in section.groups]
    return [row.distinct for row in group.rows]


def test_a_value_without_the_condition_of_its_neighbours_says_what_it_is() -> None:
    assert rows({}, {"temperature": "fitted"}) == ["uncalibrated", "temperature-scaled"]
    mean, worst = {"over": "mean of the classes"}, {"over": "worst class"}
    assert rows(mean, {**mean, "temperature": "fitted"}, worst)[0] == "uncalibrated · mean over classes"
    assert rows({}, {"capture": "low_light"}) == ["clean", "capture = low light"]
    assert rows({}, {"odd": 1}) == ["overall", "odd = 1"]
    assert rows({"batch": 1}) == [""]


def test_an_axis_without_a_score_names_the_missing_summary_metrics() -> None:
    axes = {axis.dimension.name: axis for axis in synthetic.report().axes}
    assert sections.no_score(axes["memory"]) == "no score, missing: Peak activation memory (batch size = 1)"
    assert sections.no_score(axes["latency"]) == "no score, missing: Median latency"
