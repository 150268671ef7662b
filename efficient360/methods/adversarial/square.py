"""Square Attack: random search from logits alone, a square of the image at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import Found, Subjects, misclassified
from efficient360.methods.adversarial.lookahead import earliest, seats
from efficient360.methods.adversarial.querying import Answered, QueryAttack
from efficient360.methods.adversarial.square_l2 import L2Moves
from efficient360.methods.adversarial.square_linf import LinfMoves
from efficient360.methods.adversarial.square_moves import Moves, shares
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

MOVES: Mapping[Norm, type[LinfMoves | L2Moves]] = {Norm.LINF: LinfMoves, Norm.L2: L2Moves}


@final
@dataclass(frozen=True)
class Square(QueryAttack):
    """Keeps a change when it lowers the margin between the right class and the best other one.

    Args:
        queries: Images shown to the model for each example at most, the start among them; at least 1.
        share: Share of the image's area that the first squares cover, in (0, 1].
        horizon: Budgets that the shrinking of the squares is spread over, above 0. With 2 the search ends halfway, with squares still large:
            so the standard AutoAttack has it, 5,000 queries on a schedule of 10,000. With 1 it ends with the smallest ones.
    """

    name: ClassVar[str] = "square"
    title: ClassVar[str] = "Square"
    source: ClassVar[str] = "Andriushchenko et al. 2020"
    gradients: ClassVar[bool] = False
    norms: ClassVar[frozenset[Norm]] = frozenset(MOVES)
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

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        """Attack every subject within one threat model."""
        return self.search(victim, (threat,), subjects)[0].found

    def search(self, victim: Victim, threats: Sequence[Threat], subjects: Subjects) -> tuple[Answered, ...]:
        """Begin anew at each ε, with those alone that no smaller one felled."""
        images, fell = subjects.images.clone(), torch.zeros(len(subjects), dtype=torch.bool, device=subjects.labels.device)
        queries = torch.zeros_like(subjects.labels)
        answered = []
        for threat in threats:
            standing = (~fell).nonzero().flatten()
            if len(standing):
                moved, fooled, spent = self._climb(victim, MOVES[threat.norm](threat.epsilon), subjects.take(standing), f"{self.name} {threat.norm}")
                images[standing[fooled]], queries[standing[fooled]] = moved[fooled], spent[fooled]
                fell[standing] = fooled
            answered.append(Answered(Found(images.clone(), fell.clone()), queries.clone()))
        return tuple(answered)

    def _climb(self, victim: Victim, moves: Moves, subjects: Subjects, salt: str) -> tuple[Tensor, Tensor, Tensor]:
        """The last images, which are misclassified, and the queries spent on each."""
        origin, labels = subjects.images, subjects.labels
        starts, steps, sides = self._drawn(moves, subjects, salt)
        best = moves.start(origin, starts)
        logits = victim.logits(best)
        lowest, fell = margins(logits, labels), misclassified(logits, labels)
        spent = torch.ones_like(labels)
        while len(searching := (~fell & (spent < self.queries)).nonzero().flatten()):
            who, ahead = seats(searching, victim.rows)
            query = spent[who] + ahead
            allowed = query < self.queries
            who, query = who[allowed], query[allowed]
            tried = moves.propose(origin[who], best[who], sides[query - 1], steps[who, query - 1])
            logits = victim.logits(tried)
            margin, wrong = margins(logits, labels[who]), misclassified(logits, labels[who])
            row = earliest(wrong | (margin < lowest[who]), who, len(labels))
            spent = spent + torch.bincount(who, minlength=len(labels))
            moved = (row < len(who)).nonzero().flatten()
            row = row[moved]
            best[moved], lowest[moved], fell[moved], spent[moved] = tried[row], margin[row], wrong[row], query[row] + 1
        return best, fell, spent

    def _drawn(self, moves: Moves, subjects: Subjects, salt: str) -> tuple[Tensor, Tensor, Tensor]:
        """All that an example's search draws, ``(B, start)`` and ``(B, steps, step)``, and the side of each step's square."""
        _, channels, height, width = subjects.images.shape
        shape, steps = (channels, height, width), self.queries - 1
        generators = subjects.generators(salt)
        starts = np.stack([g.random(moves.start_draws(shape), dtype=np.float32) for g in generators])
        drawn = np.stack([g.random((steps, moves.step_draws(shape)), dtype=np.float32) for g in generators])
        sides = moves.sides(shares(steps, self.horizon * self.queries, self.share), shape)
        device = subjects.images.device
        return torch.from_numpy(starts).to(device), torch.from_numpy(drawn).to(device), sides.to(device)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the right class less the highest other one, ``(B,)``: below 0 when misclassified (Andriushchenko et al. 2020, section 3.1)."""
    right = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return right[:, 0] - others.amax(1)
