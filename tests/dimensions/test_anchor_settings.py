"""The settings that anchors take are those that the evaluators have by default."""

import dataclasses
from typing import Any

import pytest

from efficient360.dimensions.dimension import Anchor
from efficient360.plugins.registry import dimensions, evaluators

ANCHORS = [anchor for dimension in dimensions() for anchor in dimension.anchors if anchor.settings]


def unordered(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("anchor", ANCHORS, ids=lambda anchor: f"{anchor.evaluator}-{anchor.metric}")
def test_an_anchor_takes_the_evaluators_own_settings(anchor: Anchor) -> None:
    defaults = dataclasses.asdict(evaluators()[anchor.evaluator].load()())
    assert {name: unordered(defaults[name]) for name in anchor.settings} == {name: unordered(value) for name, value in anchor.settings.items()}


def test_robustness_takes_autoattacks_strength() -> None:
    (anchor,) = (anchor for anchor in ANCHORS if anchor.metric == "robust_accuracy")
    assert (anchor.settings["steps"], anchor.settings["targets"], anchor.settings["queries"]) == (100, 9, 5000)
