import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.corruptions.corruption_error import ALEXNET, CorruptionProtocol, CorruptionResults, ReferenceErrors, known_reference, load_reference
from efficient360.methods.corruptions.imagenet_c import COMMON, SEVERITIES

STANDARD = CorruptionProtocol(COMMON, SEVERITIES, "imagenet-c", (224, 224), 50_000, "d1", 0)
IMAGENET = ["tench, Tinca tinca", *(f"class {i}" for i in range(999))]


def report(protocol: CorruptionProtocol, errors: dict[str, float], clean: float = 0.25) -> dict:
    table = protocol.as_table()
    outcomes = [
        {
            "kind": "measurement",
            "evaluator": "corruption",
            "metric": "corruption_accuracy",
            "value": 0.4,
            "conditions": {"over": "x"},
            "extra": [
                {"kind": "heatmap", "title": "other"},
                {"kind": "table", "title": table.title, "rows": [list(row) for row in table.rows]},
            ],
        },
        {"kind": "measurement", "evaluator": "corruption", "metric": "corruption_accuracy", "value": 1 - clean, "conditions": {"severity": 0}},
        {"kind": "measurement", "evaluator": "accuracy", "metric": "top1", "value": 0.9, "conditions": {}},
        {"kind": "failure", "evaluator": "corruption", "metric": "corruption_accuracy", "conditions": {"corruption": "frost"}},
    ]
    outcomes += [
        {"kind": "measurement", "evaluator": "corruption", "metric": "corruption_accuracy", "value": 1 - e, "conditions": {"corruption": n, "over": "y"}}
        for n, e in errors.items()
    ]
    return {"checkpoint": {"name": "baseline"}, "outcomes": outcomes}


def test_alexnets_errors_are_the_published_ones() -> None:
    """The table of Hendrycks & Dietterich 2019 rounds them to whole percents; their mean is the customary divisor's."""
    whole = [round(100 * ALEXNET.errors[name]) for name in COMMON]
    assert whole == [89, 89, 92, 82, 83, 79, 80, 87, 83, 82, 56, 85, 65, 72, 61]
    assert round(100 * ALEXNET.clean, 1) == 43.5


def test_alexnet_itself_has_an_mce_of_one() -> None:
    right = {name: np.full((5, 4), 1 - error) for name, error in ALEXNET.errors.items()}
    results = CorruptionResults(np.full(4, 1 - ALEXNET.clean), right, SEVERITIES)
    np.testing.assert_allclose(results.mce(ALEXNET), 1)
    np.testing.assert_allclose(results.relative_mce(ALEXNET), 1)


def test_mean_corruption_errors_by_hand() -> None:
    """Fog errs 1/4 and 3/4, snow never; against 1/2 and 1/4 the mCE is (1 + 0) / 2."""
    fog = np.array([[0.0, 1, 1, 1], [0, 0, 0, 1]])
    results = CorruptionResults(np.ones(4), {"fog": fog, "snow": np.ones((2, 4))}, (1, 3))
    reference = ReferenceErrors("r", 0.1, {"fog": 0.5, "snow": 0.25})
    assert results.accuracy().mean() == 0.75
    assert results.relative_error().mean() == 0.25
    assert results.mce(reference).mean() == pytest.approx(0.5)
    assert results.relative_mce(reference).mean() == pytest.approx((0.5 / 0.4 + 0) / 2)
    assert results.heatmap().values == ((1.0, 0.75, 0.25), (1.0, 1.0, 1.0))
    assert results.heatmap().columns == ("clean", "1", "3")


def test_alexnet_divides_the_standard_protocol() -> None:
    assert load_reference("alexnet", STANDARD, IMAGENET) is ALEXNET
    assert load_reference("alexnet", replace(STANDARD, corruptions=(*COMMON, "spatter")), IMAGENET) is ALEXNET


@pytest.mark.parametrize(
    ("changed", "names", "words"),
    [
        ({"size": (256, 256)}, IMAGENET, "256 × 256"),
        ({"table": "cifar-c"}, IMAGENET, "cifar-c"),
        ({"severities": (3,)}, IMAGENET, r"\(3,\)"),
        ({"corruptions": tuple(n for n in COMMON if n != "frost")}, IMAGENET, "14 corruptions, without frost"),
        ({}, IMAGENET[:10], "not ImageNet-1k's"),
        ({}, ["a"] * 1000, "not ImageNet-1k's"),
    ],
)
def test_alexnet_divides_nothing_else_and_says_why(changed: dict, names: list[str], words: str) -> None:
    with pytest.raises(Unsupported, match=words) as raised:
        load_reference("alexnet", replace(STANDARD, **changed), names)
    assert raised.value.code == "other-protocol"


def test_another_run_is_a_reference(tmp_path: Path) -> None:
    errors = {name: 0.5 + i / 100 for i, name in enumerate(COMMON)}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(STANDARD, errors)))
    found = load_reference(str(path), STANDARD, IMAGENET)
    assert (found.name, found.clean) == ("baseline", 0.25)
    assert found.errors == pytest.approx(errors)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"digest": "d2"}, "digest of the examples"),
        ({"seed": 1, "examples": 10}, "examples, seed"),
        ({"severities": (1, 2)}, "severities"),
        ({"corruptions": COMMON[:3]}, "corruptions"),
        ({"table": "cifar-c"}, "strengths"),
        ({"size": (32, 32)}, "image size"),
    ],
)
def test_a_run_under_another_protocol_is_no_reference(tmp_path: Path, changed: dict, words: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(replace(STANDARD, **changed), {"fog": 0.5})))
    with pytest.raises(Unsupported, match=f": {words} differ") as raised:
        load_reference(str(path), STANDARD, IMAGENET)
    assert raised.value.code == "other-protocol"


@pytest.mark.parametrize("text", ["not JSON", "[]", "{}", '{"checkpoint": {"name": "a"}, "outcomes": [{}]}'])
def test_a_file_that_is_not_a_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_reference(str(path), STANDARD, IMAGENET)
    assert raised.value.code == "bad-reference"


def test_a_run_without_corruption_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"checkpoint": {"name": "a"}, "outcomes": []}))
    with pytest.raises(SettingsError) as raised:
        load_reference(str(path), STANDARD, IMAGENET)
    assert raised.value.code == "bad-reference"


def test_an_unknown_reference_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="alexnet"):
        known_reference("resnet50")
    assert known_reference("alexnet") == "alexnet"
    assert known_reference("") == ""


@pytest.mark.parametrize(
    ("corruptions", "severities", "words"),
    [
        (COMMON, SEVERITIES, "15 corruptions, 5 severities"),
        (COMMON[::-1], (5, 4, 3, 2, 1), "15 corruptions, 5 severities"),
        (tuple(n for n in COMMON if n != "frost"), SEVERITIES, "14 corruptions, without frost, 5 severities"),
        (("fog", "snow"), (3,), "fog snow, severity 3"),
        (("spatter",), (1, 5), "spatter, severities 1 5"),
    ],
)
def test_what_a_mean_is_taken_over_in_words(corruptions: tuple[str, ...], severities: tuple[int, ...], words: str) -> None:
    assert replace(STANDARD, corruptions=corruptions, severities=severities).averaged_over == words
