"""The contract of an explainer: a question goes in, a value for each cell of each image comes out."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.models.model import TorchModel


class Explainer(ABC):
    """Says how much each cell of an image speaks for the class in question. Frozen dataclasses: their fields are their settings.

    An explainer leaves the model as it found it, and treats each image on its own: its neighbours in the batch change nothing.
    """

    name: ClassVar[str]
    """Stable kebab-case name."""
    title: ClassVar[str]
    """What it is called in print."""
    source: ClassVar[str]
    """The paper."""
    completes: ClassVar[bool] = False
    """Whether its values are meant to sum to the logit of the image less that of the network's mean colour."""

    @abstractmethod
    def require(self, model: TorchModel) -> None:
        """Ask before any work is done.

        Raises:
            Unsupported: The network lacks what this explainer looks at.
        """

    @abstractmethod
    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        """Values float32 ``(B, cells)``, finite, in the grid's order; the larger, the more the cell speaks for the class."""
