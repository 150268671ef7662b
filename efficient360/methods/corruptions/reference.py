"""The model that a mean corruption error is divided by: AlexNet as published, or another run of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.corruptions.other_run import other_run
from efficient360.methods.corruptions.protocol import Protocol
from efficient360.methods.corruptions.tables import COMMON, SEVERITIES

_CLASSES, _SIZE = 1000, (224, 224)


@final
@dataclass(frozen=True)
class Reference:
    """A model's errors.

    Args:
        name: What it is called in conditions.
        clean: Error on clean images.
        errors: Mean error over the severities by corruption.
    """

    name: str
    clean: float
    errors: Mapping[str, float]


ALEXNET: Final = Reference(
    "alexnet",
    0.43478,
    dict(
        zip(
            COMMON,
            (
                0.886428,
                0.894468,
                0.922640,
                0.819880,
                0.826268,
                0.785948,
                0.798360,
                0.866816,
                0.826572,
                0.819324,
                0.564592,
                0.853204,
                0.646056,
                0.717840,
                0.606500,
            ),
            strict=True,
        )
    ),
)
"""AlexNet on ImageNet-C, the customary divisor (Hendrycks & Dietterich 2019); the clean error is torchvision's for the same weights."""


def require_known(setting: str) -> None:
    """Refuse a reference that is neither a published one nor an existing file.

    Raises:
        SettingsError: So it is.
    """
    if setting not in ("", ALEXNET.name) and not Path(setting).is_file():
        message = f"the setting reference of corruption is {setting!r}, which is neither a known model nor a file"
        raise SettingsError("bad-setting", message, f"give {ALEXNET.name}, or the path of another run's report.json")


def reference_for(setting: str, protocol: Protocol, class_names: Sequence[str]) -> Reference:
    """The reference of a setting, if its errors were taken as ours were.

    Args:
        setting: ``alexnet``, or the path of a ``report.json``.
        protocol: Of the result to be divided.
        class_names: Of the data.

    Raises:
        SettingsError: The file can't be read as a report with corruption results.
        Unsupported: Its errors were taken otherwise.
    """
    if setting == ALEXNET.name:
        _require_imagenet_c(protocol, class_names)
        return ALEXNET
    return _of_report(Path(setting), protocol)


def _require_imagenet_c(protocol: Protocol, class_names: Sequence[str]) -> None:
    published = {
        "the images are not ImageNet-1k's": len(class_names) == _CLASSES and class_names[0].lower().startswith(("tench", "n01440764")),
        f"the images measure {protocol.size[0]} × {protocol.size[1]}": protocol.size == _SIZE,
        f"the strengths are those of {protocol.table}": protocol.table == "imagenet-c",
        f"the severities are {protocol.severities}": set(protocol.severities) == set(SEVERITIES),
        f"it was measured over {protocol.over_corruptions}": set(protocol.corruptions) >= set(COMMON),
    }
    if wrong := [reason for reason, met in published.items() if not met]:
        message = f"AlexNet's errors were published for ImageNet-1k at 224 × 224 under 15 corruptions at 5 severities; here {', '.join(wrong)}"
        raise Unsupported("other-protocol", message, "leave the reference out, or give the report.json of a model measured as this one")


def _of_report(path: Path, protocol: Protocol) -> Reference:
    run = other_run(path, "corruption", "corruption_accuracy", protocol.as_table())
    errors = {o.conditions["corruption"]: 1 - o.value for o in run.measured if "corruption" in o.conditions}
    clean = [1 - o.value for o in run.measured if o.conditions.get("severity") == 0]
    return Reference(run.name, clean[0], errors)
