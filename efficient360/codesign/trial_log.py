"""Every measurement of a search, kept as soon as it is made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from efficient360.codesign.measured_json import (
    Json,
    candidate_to_json,
    confirmation_from_json,
    confirmation_to_json,
    failure_from_json,
    measured_from_json,
    measured_to_json,
    outcome_to_json,
)
from efficient360.codesign.problem import Confirmation, Effort, Measured
from efficient360.codesign.space import Candidate
from efficient360.codesign.trial import Origin
from efficient360.core.measurement import Failure, Scalar
from efficient360.storage.json_lines import JsonLines

Seconds = Mapping[str, float]


@final
@dataclass(frozen=True)
class Answer:
    """What a problem answered, and how long that took by kind of work."""

    outcome: Measured | Failure
    seconds: Seconds


@final
@dataclass(frozen=True)
class Proposal:
    """A candidate that a search decided to try, and how long the decision took."""

    candidate: Candidate
    origin: Origin
    seconds: float


@final
@dataclass
class Known:
    """What a log holds of one problem, and of one search over it.

    Args:
        costs: By candidate.
        qualities: By candidate and effort.
        confirmations: By the candidates measured together, in order.
        proposals: Of the search, in order.
        earlier: Candidates that were measured before the search began; ``None`` where it has not begun.
        settled: So many of them, the first ones, had been judged to the end.
        others: Lines of other problems.
        broken: Lines that can't be read, such as one torn by a kill.
    """

    costs: dict[Candidate, Answer] = field(default_factory=dict)
    qualities: dict[tuple[Candidate, Effort], Answer] = field(default_factory=dict)
    confirmations: dict[tuple[Candidate, ...], Confirmation] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    earlier: list[Candidate] | None = None
    settled: int = 0
    others: int = 0
    broken: int = 0

    def is_settled(self, candidate: Candidate) -> bool:
        """Whether nothing is left to ask of a candidate."""
        cost, full = self.costs.get(candidate), self.qualities.get((candidate, Effort.FULL))
        return full is not None or (cost is not None and isinstance(cost.outcome, Failure))


class _Line(BaseModel):
    """What every line has, and what some kinds of lines have."""

    model_config = ConfigDict(extra="allow")
    kind: str
    problem: str
    search: str = ""
    candidate: dict[str, Scalar] = {}
    earlier: list[dict[str, Scalar]] = []
    settled: int = 0
    measured: list[dict[str, Any]] | None = None
    failure: dict[str, Any] | None = None
    seconds: dict[str, float] = {}
    effort: Effort = Effort.FULL
    origin: Origin = Origin.MODEL
    number: int = 0


_LINE: Final = TypeAdapter(_Line)


@final
@dataclass(frozen=True)
class TrialLog:
    """An append-only file of measurements (``trials.jsonl``). A kill at any moment leaves whole lines and at most one torn one, which is skipped.

    Measurements belong to a problem, and are taken up by every search over it; proposals belong to one search, with its goals and seed.

    Args:
        path: The file; it is made by the first line.
    """

    path: Path

    def read(self, problem: str, search: str) -> Known:
        """What it holds.

        Args:
            problem: The problem's identity.
            search: The search's key.

        Raises:
            RunError: It can't be read.
        """
        lines = JsonLines(self.path).read()
        known = Known(broken=lines.corrupt)
        for row in lines.objects:
            try:
                line = _LINE.validate_python(row)
                if line.problem == problem:
                    _take(line, row, search, known)
                else:
                    known.others += 1
            except (ValidationError, ValueError, KeyError, TypeError):  # a line of another version, or a damaged one: what it held is measured again
                known.broken += 1
        return known

    def begin(self, problem: str, search: str, settings: Json, earlier: list[Candidate], settled: int) -> None:
        """Note that a search begins, and what was known before."""
        row: Json = {"kind": "search", "problem": problem, "search": search, "settings": settings}
        self._append({**row, "earlier": list(map(candidate_to_json, earlier)), "settled": settled})

    def propose(self, problem: str, search: str, number: int, proposal: Proposal) -> None:
        """Note what is tried next."""
        row = {"kind": "proposal", "problem": problem, "search": search, "number": number, "candidate": candidate_to_json(proposal.candidate)}
        self._append({**row, "origin": proposal.origin.value, "seconds": {"search": proposal.seconds}})

    def keep_cost(self, problem: str, candidate: Candidate, answer: Answer) -> None:
        """Keep what :meth:`Problem.cost` answered."""
        self._append({"kind": "cost", "problem": problem, "candidate": candidate_to_json(candidate), **_answer(answer)})

    def keep_quality(self, problem: str, candidate: Candidate, effort: Effort, answer: Answer) -> None:
        """Keep what :meth:`Problem.quality` answered."""
        self._append({"kind": "quality", "problem": problem, "candidate": candidate_to_json(candidate), "effort": effort.value, **_answer(answer)})

    def keep_confirmation(self, problem: str, confirmation: Confirmation) -> None:
        """Keep what :meth:`Problem.confirm` answered."""
        self._append({"kind": "confirmation", "problem": problem, **confirmation_to_json(confirmation)})

    def _append(self, row: Json) -> None:
        JsonLines(self.path).append([row])


def _answer(answer: Answer) -> Json:
    seconds = dict(answer.seconds)
    if isinstance(answer.outcome, Failure):
        return {"failure": outcome_to_json(answer.outcome), "seconds": seconds}
    return {"measured": measured_to_json(answer.outcome), "seconds": seconds}


def _take(line: _Line, row: Mapping[str, Any], search: str, known: Known) -> None:
    candidate = Candidate(line.candidate)
    match line.kind:
        case "cost":
            known.costs.setdefault(candidate, Answer(_outcome(line), line.seconds))
        case "quality":
            known.qualities.setdefault((candidate, line.effort), Answer(_outcome(line), line.seconds))
        case "confirmation":
            confirmation = confirmation_from_json(row)
            known.confirmations.setdefault(tuple(confirmed.candidate for confirmed in confirmation.candidates), confirmation)
        case "search" if line.search == search and known.earlier is None:
            known.earlier, known.settled = [Candidate(settings) for settings in line.earlier], line.settled
        case "proposal" if line.search == search:
            if line.number != len(known.proposals):  # two processes at once: the first to decide has decided
                raise ValueError(f"proposal {line.number} follows {len(known.proposals)} others")
            known.proposals.append(Proposal(candidate, line.origin, line.seconds.get("search", 0.0)))


def _outcome(line: _Line) -> Measured | Failure:
    failure = failure_from_json(line.failure)
    return measured_from_json(line.measured or []) if failure is None else failure


def spent(answers: Iterator[Seconds]) -> dict[str, float]:
    """Seconds by kind of work, added up."""
    total: dict[str, float] = {}
    for seconds in answers:
        for kind, value in seconds.items():
            total[kind] = total.get(kind, 0.0) + value
    return total
