"""Square Attack: random search from logits alone, one square of the image at a time (Andriushchenko et al. 2020)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import AttackBatch, AttackResult, misclassified
from efficient360.methods.adversarial.query_attack import QueryAttack, QueryResult, first_hits, speculative_queries
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Steps after which the share of the image that a square covers is halved (Andriushchenko et al. 2020, section 5, and its code) …"""
SCHEDULE_LENGTH = 10_000
"""… out of this many."""
TILES = 5
"""Tiles along the shorter side of the image that a start consists of."""
TINY = 1e-12


@dataclass(frozen=True)
class Sampler(ABC):
    """Samples the random search in one norm: its start and its proposals.

    Args:
        epsilon: Radius in pixel space.
    """

    epsilon: float

    @abstractmethod
    def start_draws(self, shape: tuple[int, int, int]) -> int:
        """Number of uniform draws that a start takes, for images ``(C, H, W)``."""

    @abstractmethod
    def step_draws(self, shape: tuple[int, int, int]) -> int:
        """Number of uniform draws that a step takes."""

    @abstractmethod
    def sides(self, covered: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Side of a square in pixels, int64 ``(n,)``, for each share of the image covered, ``(n,)``."""

    @abstractmethod
    def start(self, clean: Tensor, draws: Tensor) -> Tensor:
        """First images ``(b, C, H, W)`` from clean ones; ``draws`` in [0, 1), ``(b, start_draws)``."""

    @abstractmethod
    def propose(self, clean: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        """Images to try, ``(b, C, H, W)``: the best ones so far with a square changed.

        Args:
            clean: Clean images ``(b, C, H, W)``.
            best: Best images so far, within ε.
            sides: int64 ``(b,)``.
            draws: In [0, 1), ``(b, step_draws)``.
        """


@final
@dataclass(frozen=True)
class LinfSampler(Sampler):
    """Starts from vertical stripes of ±ε; a proposal sets each channel of one square to ±ε (Andriushchenko et al. 2020, algorithm 2)."""

    def start_draws(self, shape: tuple[int, int, int]) -> int:
        return shape[0] * shape[2]

    def step_draws(self, shape: tuple[int, int, int]) -> int:
        return 2 + shape[0]

    def sides(self, covered: Tensor, shape: tuple[int, int, int]) -> Tensor:
        _, height, width = shape
        return (covered * height * width).sqrt().round().long().clamp(1, min(height, width))

    def start(self, clean: Tensor, draws: Tensor) -> Tensor:
        count, channels, _, width = clean.shape
        return (clean + self.epsilon * signs(draws).view(count, channels, 1, width)).clamp(0, 1)

    def propose(self, clean: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        """A square at a random position whose channels move to either end of the ball."""
        height, width = clean.shape[2:]
        down = _covered(corners(draws[:, 0], sides, height), sides, height)
        across = _covered(corners(draws[:, 1], sides, width), sides, width)
        square = down[:, None, :, None] & across[:, None, None, :]
        ends = (clean + self.epsilon * signs(draws[:, 2:])[:, :, None, None]).clamp(0, 1)
        return torch.where(square, ends, best)


def _covered(first: Tensor, sides: Tensor, length: int) -> Tensor:
    """Which pixels along an axis a square covers, bool ``(b, length)``."""
    pixel = torch.arange(length, device=first.device)
    return (pixel >= first[:, None]) & (pixel < (first + sides)[:, None])


@final
@dataclass(frozen=True)
class L2Sampler(Sampler):
    """Starts from a grid of bumps; a proposal clears one square and moves its norm into a bump in another (Andriushchenko et al. 2020, algorithm 3)."""

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

    def start(self, clean: Tensor, draws: Tensor) -> Tensor:
        """Bumps of random sign tiled over the image, of total norm ε."""
        count, channels = clean.shape[:2]
        side, down, across = _tiling((channels, *clean.shape[2:]))
        tiles = [(top, left) for top in down for left in across]
        perturbation = torch.zeros_like(clean)
        for (top, left), tile in zip(tiles, draws.view(count, len(tiles), 1 + channels).unbind(1), strict=True):
            perturbation[:, :, top : top + side, left : left + side] = _bumps(side, tile[:, 0], tile[:, 1:]).view(count, channels, side, side)
        return self._rescaled(clean, perturbation)

    def propose(self, clean: Tensor, best: Tensor, sides: Tensor, draws: Tensor) -> Tensor:
        proposals = torch.empty_like(best)
        for side in sorted(set(sides.tolist())):
            rows = (sides == side).nonzero().flatten()
            proposals[rows] = self._propose_side(clean[rows], best[rows], side, draws[rows])
        return proposals

    def _propose_side(self, clean: Tensor, best: Tensor, side: int, draws: Tensor) -> Tensor:
        channels, height, width = clean.shape[1:]
        perturbation = (best - clean).flatten(2)  # (b, C, HW)
        target, source = (_square(draws[:, i], draws[:, i + 1], side, height, width)[:, None].expand(-1, channels, -1) for i in (0, 2))
        either = torch.zeros_like(perturbation).scatter(2, target, 1.0).scatter(2, source, 1.0)
        freed = (perturbation.square() * either).sum(2, keepdim=True)
        unused = (self.epsilon**2 - perturbation.square().sum((1, 2), keepdim=True)).clamp(min=0)
        current = perturbation.gather(2, target)
        bump = _bumps(side, draws[:, 4], draws[:, 5:]) + current / (current.norm(dim=2, keepdim=True) + TINY)
        bump = bump / (bump.norm(dim=2, keepdim=True) + TINY) * (unused / channels + freed).sqrt()
        return self._rescaled(clean, perturbation.scatter(2, source, 0.0).scatter(2, target, bump).view_as(clean))

    def _rescaled(self, clean: Tensor, perturbation: Tensor) -> Tensor:
        """The image with ``perturbation`` rescaled to the sphere of radius ε, then clipped."""
        length = perturbation.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        perturbed: Tensor = (clean + perturbation * (self.epsilon / (length + TINY))).clamp(0, 1)
        return perturbed


SAMPLERS: Mapping[Norm, type[LinfSampler | L2Sampler]] = {Norm.LINF: LinfSampler, Norm.L2: L2Sampler}


@final
@dataclass(frozen=True)
class Square(QueryAttack):
    """Keeps a proposal when it lowers the margin between the label and the best other class.

    Args:
        queries: Model queries for each example at most, the start among them; at least 1.
        share: Share of the image's area that the first squares cover, in (0, 1].
        horizon: Length of the square-size schedule as a multiple of ``queries``, above 0. With 2 the search ends halfway, with squares still
            large, as in standard AutoAttack: 5,000 queries on a schedule of 10,000. With 1 it ends with the smallest ones.
    """

    name: ClassVar[str] = "square"
    title: ClassVar[str] = "Square"
    source: ClassVar[str] = "Andriushchenko et al. 2020"
    gradients: ClassVar[bool] = False
    norms: ClassVar[frozenset[Norm]] = frozenset(Norm)
    queries: int = 5000
    share: float = 0.8
    horizon: float = 2.0

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise SettingsError("bad-setting", f"queries of the Square attack is {self.queries}", "give at least 1; 5000 is usual")
        if not 0 < self.share <= 1:
            raise SettingsError("bad-setting", f"share of the Square attack is {self.share}", "give a share of the image above 0 and at most 1; 0.8 is usual")
        if self.horizon <= 0:
            raise SettingsError("bad-setting", f"horizon of the Square attack is {self.horizon}", "give a number above 0; AutoAttack has 2")

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        """Attack every example within one threat model."""
        return self.search(victim, (threat,), batch)[0].result

    def search(self, victim: Victim, threats: Sequence[ThreatModel], batch: AttackBatch) -> tuple[QueryResult, ...]:
        """Restart at each ε, on the examples that no smaller one broke."""
        images, success = batch.images.clone(), torch.zeros(len(batch), dtype=torch.bool, device=batch.labels.device)
        queries = torch.zeros_like(batch.labels)
        results = []
        for threat in threats:
            robust = (~success).nonzero().flatten()
            if len(robust):
                sampler = SAMPLERS[threat.norm](threat.epsilon)
                perturbed, broken, spent = self._random_search(victim, sampler, batch.take(robust), f"{self.name} {threat.norm}")
                images[robust[broken]], queries[robust[broken]] = perturbed[broken], spent[broken]
                success[robust] = broken
            results.append(QueryResult(AttackResult(images.clone(), success.clone()), queries.clone()))
        return tuple(results)

    def _random_search(self, victim: Victim, sampler: Sampler, batch: AttackBatch, salt: str) -> tuple[Tensor, Tensor, Tensor]:
        """The best images, whether each is misclassified, and the queries spent on it."""
        clean, labels = batch.images, batch.labels
        starts, steps, sides = self._draws(sampler, batch, salt)
        best = sampler.start(clean, starts)
        logits = victim.logits(best)
        lowest, success = margins(logits, labels), misclassified(logits, labels)
        spent = torch.ones_like(labels)
        while len(searching := (~success & (spent < self.queries)).nonzero().flatten()):
            example, ahead = speculative_queries(searching, victim.rows)
            query = spent[example] + ahead
            allowed = query < self.queries
            example, query = example[allowed], query[allowed]
            proposals = sampler.propose(clean[example], best[example], sides[query - 1], steps[example, query - 1])
            logits = victim.logits(proposals)
            margin, wrong = margins(logits, labels[example]), misclassified(logits, labels[example])
            row = first_hits(wrong | (margin < lowest[example]), example, len(labels))
            spent = spent + torch.bincount(example, minlength=len(labels))
            accepted = (row < len(example)).nonzero().flatten()
            row = row[accepted]
            best[accepted], lowest[accepted], success[accepted], spent[accepted] = proposals[row], margin[row], wrong[row], query[row] + 1
        return best, success, spent

    def _draws(self, sampler: Sampler, batch: AttackBatch, salt: str) -> tuple[Tensor, Tensor, Tensor]:
        """All random draws of each example's search, ``(B, start)`` and ``(B, steps, step)``, and the side of each step's square."""
        _, channels, height, width = batch.images.shape
        shape, steps = (channels, height, width), self.queries - 1
        generators = batch.generators(salt)
        starts = np.stack([g.random(sampler.start_draws(shape), dtype=np.float32) for g in generators])
        proposals = np.stack([g.random((steps, sampler.step_draws(shape)), dtype=np.float32) for g in generators])
        sides = sampler.sides(area_schedule(steps, self.horizon * self.queries, self.share), shape)
        device = batch.images.device
        return torch.from_numpy(starts).to(device), torch.from_numpy(proposals).to(device), sides.to(device)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other one, ``(B,)``: below 0 when misclassified (Andriushchenko et al. 2020, section 3.1)."""
    label = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return label[:, 0] - others.amax(1)


def area_schedule(steps: int, horizon: float, first: float) -> Tensor:
    """Share of the image's area that the square of each step covers, float64 ``(steps,)``, descending.

    Args:
        steps: How many steps.
        horizon: Steps over which the whole schedule is spread.
        first: Share at the first step.
    """
    reached = (torch.arange(steps, dtype=torch.float64) / horizon * SCHEDULE_LENGTH).floor()
    return first / 2.0 ** torch.bucketize(reached, torch.tensor(HALVINGS, dtype=torch.float64)).double()


def signs(draws: Tensor) -> Tensor:
    """−1 or 1 with equal probability from uniform draws in [0, 1), of any shape."""
    return torch.where(draws < 0.5, -1.0, 1.0)


def corners(draws: Tensor, sides: Tensor, length: int) -> Tensor:
    """First pixel of squares of these sides along an axis, int64, uniform over all positions within ``length``. ``draws`` and ``sides`` ``(b,)``."""
    return (draws * (length - sides + 1)).long()


def _tiling(shape: tuple[int, int, int]) -> tuple[int, list[int], list[int]]:
    """Side of a tile, and the first pixels of the tiles down and across: five on the shorter side of an image ``(C, H, W)``, centred."""
    _, height, width = shape
    side = max(1, min(height, width) // TILES)
    down, across = ([(length - length // side * side) // 2 + i * side for i in range(length // side)] for length in (height, width))
    return side, down, across


def _square(down: Tensor, across: Tensor, side: int, height: int, width: int) -> Tensor:
    """Indices of the pixels of random squares in flattened images, int64 ``(b, side²)``; draws ``(b,)``."""
    sides, step = torch.full_like(down, side).long(), torch.arange(side, device=down.device)
    rows = corners(down, sides, height)[:, None] + step
    columns = corners(across, sides, width)[:, None] + step
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def _bumps(side: int, orientation: Tensor, sign: Tensor) -> Tensor:
    """Bumps of norm 1 a channel, ``(b, C, side²)``: upright or transposed by the draws ``orientation`` ``(b,)``, of the sign that ``sign`` ``(b, C)`` draws."""
    upright = bump(side).to(orientation.device)
    chosen = torch.where(orientation[:, None, None] < 0.5, upright, upright.T).flatten(1)
    return chosen[:, None, :] * signs(sign)[:, :, None]


def bump(side: int) -> Tensor:
    """Two pyramids above one another, one positive and one negative, of total norm 1, float32 ``(side, side)`` (the paper's η)."""
    upper = side // 2
    halves = torch.cat([_pyramid(upper, side), -_pyramid(side - upper, side)])
    normalised: Tensor = (halves / halves.norm()).float()
    return normalised


def _pyramid(height: int, width: int) -> Tensor:
    """Decreases from the centre outwards in rings, the k-th from the centre higher by 1 / (k + 1)² than the next; norm 1, float64."""
    if not height:
        return torch.empty((0, width), dtype=torch.float64)
    steps = 1 / torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float64).square()
    heights = steps.flip(0).cumsum(0).flip(0)
    ring = torch.maximum((torch.arange(height) - height // 2).abs()[:, None], (torch.arange(width) - width // 2).abs())
    normalised: Tensor = heights[ring] / heights[ring].norm()
    return normalised
