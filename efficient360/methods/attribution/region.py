"""Where the object of one image is, put in terms of the cells that an explanation ranks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.methods.attribution.grid import Grid


@final
@dataclass(frozen=True)
class Cover:
    """What an object covers of a grid's cells.

    Args:
        shares: How much of each cell is object, float64 ``(cells,)`` in [0, 1].
        centres: Whether the middle of each cell is, bool ``(cells,)``.
    """

    shares: NDArray[np.float64]
    centres: NDArray[np.bool_]


class Region(ABC):
    """The object of one image, or all of them together, in the image as the model sees it."""

    @abstractmethod
    def over(self, grid: Grid) -> Cover:
        """What it covers of a grid's cells.

        Raises:
            SettingsError: It can't be read, or does not fit the image that the model sees (``bad-regions``).
        """
