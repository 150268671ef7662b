"""RayS: the nearest adversarial example along rays to the corners of the cube, from predicted classes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import AttackBatch, AttackResult, misclassified
from efficient360.methods.adversarial.query_attack import QueryAttack, QueryResult, first_hits, speculative_queries
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class NearestAdversarial:
    """The nearest adversarial example found for each image.

    Args:
        images: float32 ``(B, 3, H, W)``, the clean image where none was found.
        radii: float64 ``(B,)``, its L∞ distance in pixel space; infinite where none was found.
    """

    images: Tensor
    radii: Tensor


@final
@dataclass(frozen=True)
class RayS(QueryAttack):
    """Flips the sign of one block of the direction after another, from the whole image down to single values.

    A flipped direction is tried at the smallest radius known; only where the image is misclassified there too is the radius refined by
    binary search. It draws nothing at random, and its search does not depend on ε: one search serves every radius.

    Args:
        queries: Model queries for each example at most, at least 1.
        precision: Radius at which a binary search stops, in pixel space; above 0.
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

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        """Attack every example within one threat model."""
        return self.search(victim, (threat,), batch)[0].result

    def search(self, victim: Victim, threats: Sequence[ThreatModel], batch: AttackBatch) -> tuple[QueryResult, ...]:
        """One search down to the smallest ε, read at each."""
        epsilons = [threat.epsilon for threat in threats]
        state, queries_at = self._search(victim, batch, epsilons)
        images = state.nearest(batch.images)
        results = []
        for epsilon, queries in zip(epsilons, queries_at.unbind(0), strict=True):
            success = state.radius <= epsilon
            results.append(QueryResult(AttackResult(torch.where(success.view(-1, 1, 1, 1), images, batch.images), success), queries))
        return tuple(results)

    def nearest(self, victim: Victim, batch: AttackBatch, enough: float = 0.0) -> NearestAdversarial:
        """The nearest adversarial examples; the search for an example ends once it is within ``enough`` (pixel space)."""
        state, _ = self._search(victim, batch, [enough])
        return NearestAdversarial(state.nearest(batch.images), state.radius)

    def _search(self, victim: Victim, batch: AttackBatch, epsilons: Sequence[float]) -> tuple["_RaysState", Tensor]:
        """The final state, and the queries after which each example came within each ε, int64 ``(E, B)``, 0 where it never did."""
        clean, labels = batch.images, batch.labels
        state = _RaysState.initial(clean)
        flips = torch.tensor(blocks(clean[0].numel(), self.queries), device=clean.device)
        radii = torch.tensor(epsilons, dtype=torch.float64, device=clean.device)[:, None]
        queries_at = torch.zeros((len(epsilons), len(labels)), dtype=torch.int64, device=clean.device)
        while len(searching := ((state.radius > min(epsilons)) & (state.spent < self.queries)).nonzero().flatten()):
            example, ahead = speculative_queries(searching, victim.rows)
            allowed = (state.spent[example] + ahead < self.queries) & ((ahead == 0) | ~state.bisecting[example])
            example, ahead = example[allowed], ahead[allowed]
            directions, lengths = state.queries(example, ahead, flips)
            wrong = misclassified(victim.logits(along(clean[example], directions, lengths)), labels[example])
            state.update(example, directions, lengths, wrong, self.precision)
            queries_at = torch.where((queries_at == 0) & (state.radius <= radii), state.spent, queries_at)
        return state, queries_at


@final
@dataclass(frozen=True)
class _RaysState:
    """The search of each example. Tensors of ``B`` rows, changed in place.

    Args:
        best: The direction of the nearest adversarial example found, ±1, ``(B, D)``.
        radius: Its distance along that direction, float64; infinite before any is found.
        trial: The direction whose radius is being refined by binary search, ``(B, D)``.
        correct_radius: A radius along it at which the image is classified correctly, float64.
        bisecting: Whether a binary search is under way, bool.
        block: Number of the next block to flip, int64.
        spent: Queries so far, int64.
    """

    best: Tensor
    radius: Tensor
    trial: Tensor
    correct_radius: Tensor
    bisecting: Tensor
    block: Tensor
    spent: Tensor

    @classmethod
    def initial(cls, clean: Tensor) -> "_RaysState":
        best = torch.ones_like(clean).flatten(1)
        count = torch.zeros(len(clean), dtype=torch.int64, device=clean.device)
        zero = count.double()
        return cls(best, zero + torch.inf, best.clone(), zero.clone(), count.bool(), count.clone(), count.clone())

    def queries(self, example: Tensor, ahead: Tensor, flips: Tensor) -> tuple[Tensor, Tensor]:
        """Direction ``(S, D)`` and length float64 ``(S,)`` that each row queries: a flip at the best radius, or the midpoint of a binary search."""
        first, last = flips[self.block[example] + ahead].unbind(1)
        place = torch.arange(self.best.shape[1], device=example.device)
        flipped = torch.where((place >= first[:, None]) & (place < last[:, None]), -self.best[example], self.best[example])
        bisecting, radius = self.bisecting[example], self.radius[example].clamp(max=1)  # within [0, 1] no image is further than 1
        midpoint = (self.correct_radius[example] + radius) / 2
        return torch.where(bisecting[:, None], self.trial[example], flipped), torch.where(bisecting, midpoint, radius)

    def update(self, example: Tensor, directions: Tensor, lengths: Tensor, wrong: Tensor, precision: float) -> None:
        """Take in which rows are misclassified. Of an example's flips the first misclassified one counts; those behind it were never asked."""
        bisected = self.bisecting[example]
        row = first_hits(wrong & ~bisected, example, len(self.radius))
        used = torch.arange(len(example), device=example.device) <= row[example]
        counts = torch.bincount(example[used], minlength=len(self.radius))
        self.spent.add_(counts)
        self.block.add_(torch.where(self.bisecting, 0, counts))
        correct, better = (bisected & ~wrong).nonzero().flatten(), (bisected & wrong).nonzero().flatten()
        self.correct_radius[example[correct]] = lengths[correct]
        begun = (row < len(example)).nonzero().flatten()
        self.trial[begun], self.correct_radius[begun], self.bisecting[begun] = directions[row[begun]], 0.0, True
        first = begun[torch.isinf(self.radius[begun])]
        better = torch.cat([better, row[first]])
        self.best[example[better]], self.radius[example[better]] = directions[better], lengths[better]
        self.bisecting.logical_and_(self.radius - self.correct_radius > precision)

    def nearest(self, clean: Tensor) -> Tensor:
        """The nearest adversarial example of each, the clean image where none was found."""
        is_adversarial = torch.isfinite(self.radius)
        return torch.where(is_adversarial.view(-1, 1, 1, 1), along(clean, self.best, self.radius.clamp(max=1)), clean)


def along(clean: Tensor, directions: Tensor, lengths: Tensor) -> Tensor:
    """Images ``(b, 3, H, W)`` moved by ``lengths`` ``(b,)`` along directions of ±1 ``(b, D)``, clipped to [0, 1]."""
    return (clean + (directions * lengths.to(directions.dtype)[:, None]).view_as(clean)).clamp(0, 1)


def blocks(size: int, count: int) -> list[tuple[int, int]]:
    """At least the first ``count`` blocks as (first, last + 1): all ``size`` values, then halves, quarters, down to single values."""
    result: list[tuple[int, int]] = []
    level = 0
    while len(result) < count:
        length = max(1, -(-size // 2**level))
        result += [(start, min(start + length, size)) for start in range(0, size, length)]
        level += 1
    return result
