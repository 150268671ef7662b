"""Numbers by group through fairlearn's MetricFrame."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.fairness.comparison import Answers


@final
@dataclass(frozen=True)
class Frame:
    """What fairlearn says of groups.

    Args:
        sizes: Examples, int64 ``(G,)``.
        accuracy: Share answered rightly, float64 ``(G,)``.
        overconfidence: Mean confidence less accuracy, float64 ``(G,)``.
        difference: Highest accuracy less lowest.
        ratio: Lowest accuracy over highest; ``None`` when no group has a right answer.
        group_min: Lowest accuracy.
    """

    sizes: NDArray[np.int64]
    accuracy: Floats
    overconfidence: Floats
    difference: float
    ratio: float | None
    group_min: float

    @property
    def hits(self) -> NDArray[np.int64]:
        """Right answers, int64 ``(G,)``."""
        hits: NDArray[np.int64] = np.rint(self.accuracy * self.sizes).astype(np.int64)
        return hits


def frame(answers: Answers) -> Frame:
    """The numbers of every group of ``answers``."""
    from fairlearn.metrics import MetricFrame, count  # slow to import: it brings pandas
    from sklearn.metrics import accuracy_score

    table = MetricFrame(
        metrics={"count": count, "accuracy": accuracy_score, "overconfidence": _overconfidence},
        y_true=answers.labels,
        y_pred=answers.predicted,
        sensitive_features=answers.codes,
        sample_params={"overconfidence": {"confidence": answers.confidence}},
    )
    columns = {name: table.by_group[name].to_numpy(dtype=np.float64) for name in ("count", "accuracy", "overconfidence")}
    ratio = float(table.ratio()["accuracy"])
    return Frame(
        columns["count"].astype(np.int64),
        columns["accuracy"],
        columns["overconfidence"],
        float(table.difference()["accuracy"]),
        ratio if np.isfinite(ratio) else None,
        float(table.group_min()["accuracy"]),
    )


def _overconfidence(y_true: Any, y_pred: Any, confidence: Any) -> float:
    return float(np.mean(confidence) - np.mean(y_true == y_pred))
