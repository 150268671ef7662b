"""RayS: the nearest misclassified image along rays to the corners of the cube, from predicted classes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import Found, Subjects, misclassified
from efficient360.methods.adversarial.lookahead import earliest, seats
from efficient360.methods.adversarial.querying import Answered, QueryAttack
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class Nearest:
    """The nearest misclassified image found for each example.

    Args:
        images: float32 ``(B, 3, H, W)``, the clean image where none was found.
        radii: float64 ``(B,)``, L∞ distance in pixel space that it was found at; infinite where none was found.
    """

    images: Tensor
    radii: Tensor


@final
@dataclass(frozen=True)
class RayS(QueryAttack):
    """Flips the sign of one block of the direction after another, from the whole image down to single values.

    A flipped direction is tried at the shortest radius known; only where the image is misclassified there too is the radius halved down.
    It draws nothing at random, and its search does not depend on ε: one search answers for every radius.

    Args:
        queries: Images shown to the model for each example at most, at least 1.
        precision: Radius to which a halving goes on, in pixel space; above 0.
    """

    name: ClassVar[str] = "rays"
    title: ClassVar[str] = "RayS"
    source: ClassVar[str] = "Chen & Gu 2020"
    gradients: ClassVar[bool] = False
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})
    queries: int = 5000
    precision: float = 2e-5

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise SettingsError("bad-setting", f"queries of the RayS attack is {self.queries}", "give at least 1; 5000 is usual")
        if self.precision <= 0:
            raise SettingsError("bad-setting", f"precision of the RayS attack is {self.precision}", "give a radius above 0; 2e-5 is usual")

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        """Attack every subject within one threat model."""
        return self.search(victim, (threat,), subjects)[0].found

    def search(self, victim: Victim, threats: Sequence[Threat], subjects: Subjects) -> tuple[Answered, ...]:
        """One search down to the smallest ε, read at each."""
        epsilons = [threat.epsilon for threat in threats]
        rays, reached = self._walk(victim, subjects, epsilons)
        images = rays.nearest(subjects.images)
        answered = []
        for epsilon, queries in zip(epsilons, reached.unbind(0), strict=True):
            fell = rays.radius <= epsilon
            answered.append(Answered(Found(torch.where(fell.view(-1, 1, 1, 1), images, subjects.images), fell), queries))
        return tuple(answered)

    def nearest(self, victim: Victim, subjects: Subjects, enough: float = 0.0) -> Nearest:
        """How near the search comes to each subject; an example that came within ``enough`` (pixel space) is searched no further."""
        rays, _ = self._walk(victim, subjects, [enough])
        return Nearest(rays.nearest(subjects.images), rays.radius)

    def _walk(self, victim: Victim, subjects: Subjects, epsilons: Sequence[float]) -> tuple["_Rays", Tensor]:
        """Where every search ended, and the queries after which each came within each ε, int64 ``(E, B)``, 0 where it never did."""
        origin, labels = subjects.images, subjects.labels
        rays = _Rays.begun(origin)
        flips = torch.tensor(blocks(origin[0].numel(), self.queries), device=origin.device)
        radii = torch.tensor(epsilons, dtype=torch.float64, device=origin.device)[:, None]
        reached = torch.zeros((len(epsilons), len(labels)), dtype=torch.int64, device=origin.device)
        while len(searching := ((rays.radius > min(epsilons)) & (rays.spent < self.queries)).nonzero().flatten()):
            who, ahead = seats(searching, victim.rows)
            asked = (rays.spent[who] + ahead < self.queries) & ((ahead == 0) | ~rays.halving[who])
            who, ahead = who[asked], ahead[asked]
            directions, lengths = rays.questions(who, ahead, flips)
            wrong = misclassified(victim.logits(along(origin[who], directions, lengths)), labels[who])
            rays.answer(who, directions, lengths, wrong, self.precision)
            reached = torch.where((reached == 0) & (rays.radius <= radii), rays.spent, reached)
        return rays, reached


@final
@dataclass(frozen=True)
class _Rays:
    """Where the search of each example stands. Tensors of ``B`` rows, changed in place.

    Args:
        best: The direction of the nearest image found, ±1, ``(B, D)``.
        radius: How far along it, float64; infinite before any is found.
        trial: The direction whose radius is being halved, ``(B, D)``.
        right: A radius along it at which the image is classified rightly, float64.
        halving: Whether it is, bool.
        block: Number of the next block to flip, int64.
        spent: Queries so far, int64.
    """

    best: Tensor
    radius: Tensor
    trial: Tensor
    right: Tensor
    halving: Tensor
    block: Tensor
    spent: Tensor

    @classmethod
    def begun(cls, origin: Tensor) -> "_Rays":
        best = torch.ones_like(origin).flatten(1)
        count = torch.zeros(len(origin), dtype=torch.int64, device=origin.device)
        zero = count.double()
        return cls(best, zero + torch.inf, best.clone(), zero.clone(), count.bool(), count.clone(), count.clone())

    def questions(self, who: Tensor, ahead: Tensor, flips: Tensor) -> tuple[Tensor, Tensor]:
        """Direction ``(S, D)`` and length float64 ``(S,)`` that each row asks about: a flip at the best radius, or the middle of a halving."""
        first, last = flips[self.block[who] + ahead].unbind(1)
        place = torch.arange(self.best.shape[1], device=who.device)
        flipped = torch.where((place >= first[:, None]) & (place < last[:, None]), -self.best[who], self.best[who])
        halving, radius = self.halving[who], self.radius[who].clamp(max=1)  # within [0, 1] no image is further than 1
        return torch.where(halving[:, None], self.trial[who], flipped), torch.where(halving, (self.right[who] + radius) / 2, radius)

    def answer(self, who: Tensor, directions: Tensor, lengths: Tensor, wrong: Tensor, precision: float) -> None:
        """Take in which rows are misclassified. Of an example's flips the first that is counts; those behind it were never asked."""
        halved = self.halving[who]
        row = earliest(wrong & ~halved, who, len(self.radius))
        asked = torch.arange(len(who), device=who.device) <= row[who]
        counts = torch.bincount(who[asked], minlength=len(self.radius))
        self.spent.add_(counts)
        self.block.add_(torch.where(self.halving, 0, counts))
        right, better = (halved & ~wrong).nonzero().flatten(), (halved & wrong).nonzero().flatten()
        self.right[who[right]] = lengths[right]
        begun = (row < len(who)).nonzero().flatten()
        self.trial[begun], self.right[begun], self.halving[begun] = directions[row[begun]], 0.0, True
        first = begun[torch.isinf(self.radius[begun])]
        better = torch.cat([better, row[first]])
        self.best[who[better]], self.radius[who[better]] = directions[better], lengths[better]
        self.halving.logical_and_(self.radius - self.right > precision)

    def nearest(self, origin: Tensor) -> Tensor:
        """The nearest image found of each, the clean one where none was."""
        found = torch.isfinite(self.radius)
        return torch.where(found.view(-1, 1, 1, 1), along(origin, self.best, self.radius.clamp(max=1)), origin)


def along(origin: Tensor, directions: Tensor, lengths: Tensor) -> Tensor:
    """Images ``(b, 3, H, W)`` moved by ``lengths`` ``(b,)`` along directions of ±1 ``(b, D)``, clipped to [0, 1]."""
    return (origin + (directions * lengths.to(directions.dtype)[:, None]).view_as(origin)).clamp(0, 1)


def blocks(size: int, count: int) -> list[tuple[int, int]]:
    """The first ``count`` blocks or more, first place and the one after the last: all ``size`` values, then halves, quarters, down to single ones."""
    found: list[tuple[int, int]] = []
    level = 0
    while len(found) < count:
        length = max(1, -(-size // 2**level))
        found += [(start, min(start + length, size)) for start in range(0, size, length)]
        level += 1
    return found
