"""Square's moves in L∞: every channel of a square set to one end of the ball (Andriushchenko et al. 2020, algorithm 2)."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.methods.adversarial.square_moves import Moves, corners, signs


@final
@dataclass(frozen=True)
class LinfMoves(Moves):
    """Starts from vertical stripes of ±ε; a step sets each channel of one square to ±ε."""

    def start_draws(self, shape: tuple[int, int, int]) -> int:
        return shape[0] * shape[2]

    def step_draws(self, shape: tuple[int, int, int]) -> int:
        return 2 + shape[0]

    def sides(self, covered: Tensor, shape: tuple[int, int, int]) -> Tensor:
        _, height, width = shape
        return (covered * height * width).sqrt().round().long().clamp(1, min(height, width))

    def start(self, origin: Tensor, draws: Tensor) -> Tensor:
        batch, channels, _, width = origin.shape
        return (origin + self.epsilon * signs(draws).view(batch, channels, 1, width)).clamp(0, 1)

    def propose(self, origin: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        """A square of random place whose channels move to either end of what ε allows."""
        height, width = origin.shape[2:]
        down = _inside(corners(draws[:, 0], sides, height), sides, height)
        across = _inside(corners(draws[:, 1], sides, width), sides, width)
        square = down[:, None, :, None] & across[:, None, None, :]
        ends = (origin + self.epsilon * signs(draws[:, 2:])[:, :, None, None]).clamp(0, 1)
        return torch.where(square, ends, best)


def _inside(first: Tensor, sides: Tensor, length: int) -> Tensor:
    """Which places along an axis a square covers, bool ``(b, length)``."""
    place = torch.arange(length, device=first.device)
    return (place >= first[:, None]) & (place < (first + sides)[:, None])
