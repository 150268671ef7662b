"""What Square's random search tries: where it starts, which change comes next, and how large the squares are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Steps after which the share of the image that a square covers is halved (Andriushchenko et al. 2020, section 5, and its code) …"""
SCHEDULE = 10_000
"""… of as many."""


def shares(steps: int, horizon: float, first: float) -> Tensor:
    """Share of the image's area that the square of each step covers, float64 ``(steps,)``, falling.

    Args:
        steps: How many steps.
        horizon: Steps that the whole schedule is spread over.
        first: Share at the first step.
    """
    reached = (torch.arange(steps, dtype=torch.float64) / horizon * SCHEDULE).floor()
    return first / 2.0 ** torch.bucketize(reached, torch.tensor(HALVINGS, dtype=torch.float64)).double()


@dataclass(frozen=True)
class Moves(ABC):
    """The steps of the search in one norm.

    Args:
        epsilon: Radius in pixel space.
    """

    epsilon: float

    @abstractmethod
    def start_draws(self, shape: tuple[int, int, int]) -> int:
        """Uniform numbers that a start takes, for images ``(C, H, W)``."""

    @abstractmethod
    def step_draws(self, shape: tuple[int, int, int]) -> int:
        """Uniform numbers that a step takes."""

    @abstractmethod
    def sides(self, covered: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Side of a square in pixels, int64 ``(n,)``, for each share of the image covered, ``(n,)``."""

    @abstractmethod
    def start(self, origin: Tensor, draws: Tensor) -> Tensor:
        """First images ``(b, C, H, W)`` from clean ones; ``draws`` in [0, 1), ``(b, start_draws)``."""

    @abstractmethod
    def propose(self, origin: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        """Images to try, ``(b, C, H, W)``: the best ones so far with a square changed.

        Args:
            origin: Clean images ``(b, C, H, W)``.
            best: Best images so far, within ε.
            sides: int64 ``(b,)``.
            draws: In [0, 1), ``(b, step_draws)``.
        """


def signs(draws: Tensor) -> Tensor:
    """−1 or 1 with equal chances from uniform numbers in [0, 1), of any shape."""
    return torch.where(draws < 0.5, -1.0, 1.0)


def corners(draws: Tensor, sides: Tensor, length: int) -> Tensor:
    """Where squares of these sides begin along an axis, int64: every place within ``length`` is as likely. ``draws`` and ``sides`` ``(b,)``."""
    return (draws * (length - sides + 1)).long()
