"""The best of several explainers, without the luck of the best."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


@final
@dataclass(frozen=True)
class Choice:
    """The best of several, chosen and measured on different examples.

    Args:
        names: What each half of the examples chose; the same name twice where they agree.
        values: Of each example under what the other half chose, float64 ``(n,)``.
    """

    names: tuple[str, str]
    values: NDArray[np.float64]


def choose(scores: Mapping[str, NDArray[Any]]) -> Choice:
    """Choose the highest mean on every other example and take the values of the rest, both ways round.

    The best of several means over the same examples is too high, as it was chosen for its luck too. A single example is both halves.

    Args:
        scores: Values by name, ``(n,)`` each, at least one name and one example.
    """
    names, table = list(scores), np.stack([np.asarray(values, dtype=np.float64) for values in scores.values()])
    n = table.shape[1]
    even = np.arange(n) % 2 == 0
    first = int(table[:, even].mean(1).argmax())
    second = int(table[:, ~even].mean(1).argmax()) if n > 1 else first
    return Choice((names[first], names[second]), np.where(even, table[second], table[first]))
