"""Square's moves in L2: length is taken from one square and given to another (Andriushchenko et al. 2020, algorithm 3)."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.methods.adversarial.square_moves import Moves, corners, signs

TILES = 5
"""Tiles a side that the start is laid out of."""
TINY = 1e-12


@final
@dataclass(frozen=True)
class L2Moves(Moves):
    """Starts from a grid of bumps; a step empties one square and puts a bump in another, of the length freed."""

    def start_draws(self, shape: tuple[int, int, int]) -> int:
        _, down, across = _tiling(shape)
        return len(down) * len(across) * (1 + shape[0])

    def step_draws(self, shape: tuple[int, int, int]) -> int:
        return 5 + shape[0]

    def sides(self, covered: Tensor, shape: tuple[int, int, int]) -> Tensor:
        _, height, width = shape
        side = (covered * height * width).sqrt().round().long().clamp(min=3)
        largest = min(height, width)
        return (side + (1 - side % 2)).clamp(max=largest - (1 - largest % 2))

    def start(self, origin: Tensor, draws: Tensor) -> Tensor:
        """Bumps of random sign tiled over the image, of norm ε together."""
        batch, channels = origin.shape[:2]
        side, down, across = _tiling((channels, *origin.shape[2:]))
        places = [(top, left) for top in down for left in across]
        change = torch.zeros_like(origin)
        for (top, left), own in zip(places, draws.view(batch, len(places), 1 + channels).unbind(1), strict=True):
            change[:, :, top : top + side, left : left + side] = _bumps(side, own[:, 0], own[:, 1:]).view(batch, channels, side, side)
        return self._moved(origin, change)

    def propose(self, origin: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        found = torch.empty_like(best)
        for side in sorted(set(sides.tolist())):
            mine = (sides == side).nonzero().flatten()
            found[mine] = self._proposed(origin[mine], best[mine], side, draws[mine])
        return found

    def _proposed(self, origin: Tensor, best: Tensor, side: int, draws: Tensor) -> Tensor:
        channels, height, width = origin.shape[1:]
        change = (best - origin).flatten(2)  # (b, C, HW)
        to, out = (_square(draws[:, i], draws[:, i + 1], side, height, width)[:, None].expand(-1, channels, -1) for i in (0, 2))
        either = torch.zeros_like(change).scatter(2, to, 1.0).scatter(2, out, 1.0)
        freed = (change.square() * either).sum(2, keepdim=True)
        unused = (self.epsilon**2 - change.square().sum((1, 2), keepdim=True)).clamp(min=0)
        there = change.gather(2, to)
        bump = _bumps(side, draws[:, 4], draws[:, 5:]) + there / (there.norm(dim=2, keepdim=True) + TINY)
        bump = bump / (bump.norm(dim=2, keepdim=True) + TINY) * (unused / channels + freed).sqrt()
        return self._moved(origin, change.scatter(2, out, 0.0).scatter(2, to, bump).view_as(origin))

    def _moved(self, origin: Tensor, change: Tensor) -> Tensor:
        """The image moved by ``change``, drawn out to the sphere before it is clipped."""
        length = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        moved: Tensor = (origin + change * (self.epsilon / (length + TINY))).clamp(0, 1)
        return moved


def _tiling(shape: tuple[int, int, int]) -> tuple[int, list[int], list[int]]:
    """Side of a tile, and where tiles begin down and across: five on the shorter side of an image ``(C, H, W)``, centred."""
    _, height, width = shape
    side = max(1, min(height, width) // TILES)
    down, across = ([(length - length // side * side) // 2 + i * side for i in range(length // side)] for length in (height, width))
    return side, down, across


def _square(down: Tensor, across: Tensor, side: int, height: int, width: int) -> Tensor:
    """Where the pixels of random squares lie in flattened images, int64 ``(b, side²)``; draws ``(b,)``."""
    sides, step = torch.full_like(down, side).long(), torch.arange(side, device=down.device)
    rows = corners(down, sides, height)[:, None] + step
    columns = corners(across, sides, width)[:, None] + step
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def _bumps(side: int, turn: Tensor, sign: Tensor) -> Tensor:
    """Bumps of length 1 a channel, ``(b, C, side²)``: stood up or laid down by ``turn`` ``(b,)``, of the sign that ``sign`` ``(b, C)`` draws."""
    standing = bump(side).to(turn.device)
    chosen = torch.where(turn[:, None, None] < 0.5, standing, standing.T).flatten(1)
    return chosen[:, None, :] * signs(sign)[:, :, None]


def bump(side: int) -> Tensor:
    """Two pyramids above one another, one up and one down, of length 1 together, float32 ``(side, side)``."""
    upper = side // 2
    halves = torch.cat([_pyramid(upper, side), -_pyramid(side - upper, side)])
    found: Tensor = (halves / halves.norm()).float()
    return found


def _pyramid(height: int, width: int) -> Tensor:
    """Falls from the centre outwards in rings, the k-th from the centre higher by 1 / (k + 1)² than the next; length 1, float64."""
    if not height:
        return torch.empty((0, width), dtype=torch.float64)
    steps = 1 / torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float64).square()
    heights = steps.flip(0).cumsum(0).flip(0)
    ring = torch.maximum((torch.arange(height) - height // 2).abs()[:, None], (torch.arange(width) - width // 2).abs())
    found: Tensor = heights[ring] / heights[ring].norm()
    return found
