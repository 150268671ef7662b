from typing import Any

import numpy as np
import pytest
from answered import Known, found, listed, logits_of, run

from efficient360 import conformance
from efficient360.core.figures import Bars, Gallery
from efficient360.core.seeding import generators
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.evaluators.capture_conditions import CaptureConditions
from efficient360.execution.plan import configure
from efficient360.methods.inclusiveness.capture_conditions import CONDITIONS

FEW: dict[str, Any] = {"resamples": 199}


def examples(count: int = 40):
    """Image i is of shade i % 40, and that is its class; clean logits are right throughout."""
    shades = np.arange(count) % 40
    return listed(logits_of(shades, 40), shades, shades=shades.astype(float))


def test_accuracy_under_each_condition_is_that_of_the_degraded_images() -> None:
    of, names = examples(), ("low_light", "sensor_noise", "strong_jpeg")
    outcomes = run(CaptureConditions(conditions=names, **FEW), of)
    (batch,) = of.batches(40)
    for name in names:
        degraded = CONDITIONS[name].apply(batch.images, generators(name, batch.ids, 0))
        hits = int((Known(40)(degraded).argmax(1).numpy() == of.labels).sum())
        accuracy = found(outcomes, "capture_accuracy", capture=name)
        assert (accuracy.value, accuracy.interval) == (hits / 40, wilson(hits, 40))
        assert found(outcomes, "capture_ratio", capture=name).value == accuracy.value  # every clean one is right
    ratios = [found(outcomes, "capture_ratio", capture=name).value for name in names]
    assert found(outcomes, "mean_capture_ratio").value == pytest.approx(np.mean(ratios))
    assert found(outcomes, "capture_ratio", capture="strong_jpeg").value > found(outcomes, "capture_ratio", capture="low_light").value


def test_a_plain_picture_loses_nothing_by_resolution() -> None:
    outcomes = run(CaptureConditions(conditions=("half_resolution", "quarter_resolution", "motion_blur"), **FEW), examples())
    summary = found(outcomes, "mean_capture_ratio")
    assert (summary.value, summary.interval.low, summary.interval.high) == (1, 1, 1)


def test_the_report_shows_the_pictures_and_a_bar_for_each() -> None:
    bars, gallery = found(run(CaptureConditions(**FEW), examples()), "mean_capture_ratio").extra
    assert isinstance(bars, Bars)
    assert bars.labels == ("clean", "half resolution", "quarter resolution", "low light", "sensor noise", "motion blur", "strong JPEG")
    assert (bars.values[0], bars.low[0]) == (1.0, wilson(40, 40).low)
    assert isinstance(gallery, Gallery)
    assert [picture.caption for picture in gallery.pictures] == list(bars.labels)
    assert len(found(run(CaptureConditions(pictures=0, **FEW), examples()), "mean_capture_ratio").extra) == 1


def test_without_a_correct_clean_image_there_is_no_ratio() -> None:
    of = listed(logits_of(np.ones(10, int), 3), np.zeros(10, int), shades=np.zeros(10))
    outcomes = run(CaptureConditions(conditions=("strong_jpeg",), **FEW), of)
    assert found(outcomes, "mean_capture_ratio").code == "never-right"
    assert found(outcomes, "capture_accuracy").value == 1


def test_how_many_images_it_takes() -> None:
    assert (CaptureConditions().sample_size(), CaptureConditions(images=0).sample_size(), CaptureConditions(images=7).sample_size()) == (1000, None, 7)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"conditions": ("fog",)}, "conditions"),
        ({"conditions": ()}, "conditions"),
        ({"conditions": ("low_light", "low_light")}, "conditions"),
        ({"images": -1}, "images"),
        ({"resamples": 9}, "resamples"),
        ({"pictures": -1}, "pictures"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, name: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} of capture_conditions") as caught:
        configure(CaptureConditions, wrong)
    assert caught.value.code == "bad-setting"


def test_it_keeps_the_contract() -> None:
    conformance.check(CaptureConditions(**FEW))
