"""Corruption errors: mean and relative corruption error, the mCE over a reference model such as AlexNet, and the protocol they hold for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Heatmap, Table
from efficient360.core.paths import is_file
from efficient360.errors import Unsupported
from efficient360.methods.corruptions.imagenet_c import COMMON, SEVERITIES
from efficient360.methods.corruptions.reference_run import read_reference_run

PROTOCOL_TITLE = "Corruption protocol"
"""Title of the table by which :func:`read_reference_run` finds the protocol in a report: never changed."""
_IMAGENET_CLASSES, _IMAGENET_SIZE = 1000, (224, 224)


@final
@dataclass(frozen=True)
class CorruptionProtocol:
    """What two corruption results must share before one may be divided by the other.

    Args:
        corruptions: Names, in order.
        severities: In order.
        table: Table of severities: ``imagenet-c`` or ``cifar-c``.
        size: Height and width of the images.
        examples: How many.
        digest: SHA-256 over them.
        seed: Of the randomness.
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    table: str
    size: tuple[int, int]
    examples: int
    digest: str
    seed: int

    @property
    def averaged_over(self) -> str:
        """What a mean is taken over, in words: fewer corruptions or severities than usual are always named."""
        return f"{self.corruptions_in_words}, {self.severities_in_words}"

    @property
    def corruptions_in_words(self) -> str:
        """The corruptions, such as ``15 corruptions``."""
        missing = [name for name in COMMON if name not in self.corruptions]
        if set(self.corruptions) == set(COMMON):
            return "15 corruptions"
        if set(self.corruptions) < set(COMMON) and len(missing) < 4:
            return f"{len(self.corruptions)} corruptions, without {' and '.join(missing)}"
        return " ".join(self.corruptions)

    @property
    def severities_in_words(self) -> str:
        """The severities, such as ``5 severities``."""
        if set(self.severities) == set(SEVERITIES):
            return "5 severities"
        return f"{'severity' if len(self.severities) == 1 else 'severities'} {' '.join(map(str, self.severities))}"

    def as_table(self) -> Table:
        """For the report, and for later runs to compare themselves with. Rows are looked up by name: they are never renamed."""
        rows = (
            ("corruptions", " ".join(self.corruptions)),
            ("severities", " ".join(map(str, self.severities))),
            ("strengths", self.table),
            ("image size", f"{self.size[0]} × {self.size[1]}"),
            ("examples", self.examples),
            ("digest of the examples", self.digest[:16]),
            ("seed", self.seed),
        )
        return Table(PROTOCOL_TITLE, ("what", "which"), rows)


@final
@dataclass(frozen=True)
class ReferenceErrors:
    """Errors of a reference model.

    Args:
        name: What it is called in conditions.
        clean: Error on clean images.
        errors: Mean error over the severities by corruption.
    """

    name: str
    clean: float
    errors: Mapping[str, float]


ALEXNET: Final = ReferenceErrors(
    "alexnet",
    0.43478,
    {
        "gaussian_noise": 0.886428,
        "shot_noise": 0.894468,
        "impulse_noise": 0.922640,
        "defocus_blur": 0.819880,
        "glass_blur": 0.826268,
        "motion_blur": 0.785948,
        "zoom_blur": 0.798360,
        "snow": 0.866816,
        "frost": 0.826572,
        "fog": 0.819324,
        "brightness": 0.564592,
        "contrast": 0.853204,
        "elastic_transform": 0.646056,
        "pixelate": 0.717840,
        "jpeg_compression": 0.606500,
    },
)
"""AlexNet on ImageNet-C, the customary divisor (Hendrycks & Dietterich 2019); the clean error is torchvision's for the same weights."""


def known_reference(reference: str) -> str:
    """Validates a setting that names a reference: empty, a published model, or an existing file.

    Raises:
        ValueError: It is none of these.
    """
    if reference not in ("", ALEXNET.name) and not is_file(Path(reference)):
        raise ValueError(f"give {ALEXNET.name}, or the path of another run's report.json")
    return reference


def load_reference(reference: str, protocol: CorruptionProtocol, class_names: Sequence[str]) -> ReferenceErrors:
    """The errors of a reference model, if they were measured under the same protocol.

    Args:
        reference: ``alexnet``, or the path of a ``report.json``.
        protocol: Of the result to be divided.
        class_names: Of the data.

    Raises:
        SettingsError: The file is not a report with corruption results.
        Unsupported: The errors were measured under another protocol.
    """
    if reference == ALEXNET.name:
        _require_imagenet_c(protocol, class_names)
        return ALEXNET
    run = read_reference_run(Path(reference), "corruption", "corruption_accuracy", protocol.as_table())
    errors = {o.conditions["corruption"]: 1 - o.value for o in run.values if "corruption" in o.conditions}
    clean = [1 - o.value for o in run.values if o.conditions.get("severity") == 0]
    return ReferenceErrors(run.name, clean[0], errors)


def _require_imagenet_c(protocol: CorruptionProtocol, class_names: Sequence[str]) -> None:
    published = {
        "the images are not ImageNet-1k's": len(class_names) == _IMAGENET_CLASSES and class_names[0].lower().startswith(("tench", "n01440764")),
        f"the images measure {protocol.size[0]} × {protocol.size[1]}": protocol.size == _IMAGENET_SIZE,
        f"the severities follow {protocol.table}": protocol.table == "imagenet-c",
        f"the severities are {protocol.severities}": set(protocol.severities) == set(SEVERITIES),
        f"it was measured over {protocol.corruptions_in_words}": set(protocol.corruptions) >= set(COMMON),
    }
    if differing := [reason for reason, met in published.items() if not met]:
        message = f"AlexNet's errors were published for ImageNet-1k at 224 × 224 under 15 corruptions at 5 severities; here {', '.join(differing)}"
        raise Unsupported("other-protocol", message, "leave the reference out, or give the report.json of a model measured as this one")


@final
@dataclass(frozen=True)
class CorruptionResults:
    """Whether each example was classified correctly.

    Args:
        clean: Without corruption, float64 ``(n,)`` of 0 and 1.
        correct: By corruption, in order: ``(severities, n)``.
        severities: In order.
    """

    clean: Floats
    correct: Mapping[str, Floats]
    severities: tuple[int, ...]

    def accuracy(self) -> Floats:
        """Each example's mean over corruptions and severities, ``(n,)``."""
        return _mean([correct.mean(axis=0) for correct in self.correct.values()])

    def relative_error(self) -> Floats:
        """Each example's mean error beyond its clean error, ``(n,)``; its mean is the mean corruption error less the clean error."""
        return self.clean - self.accuracy()

    def mce(self, reference: ReferenceErrors) -> Floats:
        """Each example's contribution to the mCE, ``(n,)``, whose mean is the mCE.

        Every corruption's error is divided by the reference's before the mean over corruptions (Hendrycks & Dietterich 2019). The paper divides
        sums over severities; both sums have the same number of terms, so means over severities give the same ratio.
        """
        return _mean([(1 - correct.mean(axis=0)) / reference.errors[name] for name, correct in self.correct.items()])

    def relative_mce(self, reference: ReferenceErrors) -> Floats:
        """The same for the relative mCE, from errors beyond the clean error of either model, ``(n,)``."""
        return _mean([(self.clean - correct.mean(axis=0)) / (reference.errors[name] - reference.clean) for name, correct in self.correct.items()])

    def heatmap(self) -> Heatmap:
        """Accuracy by corruption and severity, the clean images first."""
        clean = float(self.clean.mean())
        values = tuple((clean, *(float(row.mean()) for row in correct)) for correct in self.correct.values())
        columns = ("clean", *map(str, self.severities))
        return Heatmap("Accuracy by corruption and severity", "severity", "corruption", columns, tuple(name.replace("_", " ") for name in self.correct), values)


def _mean(rows: list[Floats]) -> Floats:
    mean: Floats = np.mean(rows, axis=0)
    return mean
