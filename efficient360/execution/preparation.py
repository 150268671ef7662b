"""From the steps of a plan to evaluators with keys. One that can't be had, of those that are not ours, is one failure and costs nobody else anything."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.core.plain import plain
from efficient360.core.text import reason
from efficient360.errors import Efficient360Error
from efficient360.evaluator import Evaluator, ExampleEvaluator
from efficient360.execution.cache_key import key_of
from efficient360.execution.comparable import measured_with
from efficient360.execution.contract import require_declaration
from efficient360.execution.origins import unkeyed
from efficient360.execution.plan import Step, configure
from efficient360.execution.session import Session
from efficient360.plugins.registry import Entry, evaluator_class


@final
@dataclass(frozen=True)
class Prepared:
    """A step ready to run, or why it can't.

    Args:
        name: The evaluator's name.
        key: Of its outcomes.
        evaluator: The evaluator, ``None`` where there is a failure.
        failure: Why it can't run.
        foreign: Whether its code is none of the package's own.
    """

    name: str
    key: str
    evaluator: Evaluator | ExampleEvaluator | None
    failure: Failure | None = None
    foreign: bool = False


def own(session: Session, evaluators: Sequence[Evaluator | ExampleEvaluator]) -> list[Prepared]:
    """The package's own evaluators with their keys.

    Raises:
        Efficient360Error: Other data that their settings name is not there.
    """
    return [Prepared(evaluator.name, key_of(session, evaluator), evaluator) for evaluator in evaluators]


def foreign(session: Session, steps: Sequence[Step], known: dict[str, Entry]) -> list[Prepared]:
    """Evaluators whose code is none of the package's own, imported here. Raises nothing that their code does."""
    return [_foreign(session, step, known) for step in steps]


def _foreign(session: Session, step: Step, known: dict[str, Entry]) -> Prepared:
    name = step.evaluator
    try:
        evaluator: Any = session.evaluators.get(name)
        cls = evaluator_class(name, known) if evaluator is None else type(evaluator)
        require_declaration(name, cls)
        evaluator = configure(cls, step.settings) if evaluator is None else evaluator
        key = key_of(session, evaluator)
        plain(dataclasses.asdict(evaluator))  # settings are stored
        measured_with(session, evaluator, None)  # so are these
        return Prepared(name, key, evaluator, foreign=True)
    except KeyboardInterrupt:
        raise
    except Efficient360Error as error:
        failure = Failure.of(Status.FAILED, error)
    except BaseException as error:  # its code may raise anything, SystemExit too
        failure = Failure(Status.FAILED, "broken-plugin", f"the evaluator {name} can't be prepared: {reason(error)}", "mend the plug-in")
    return Prepared(name, unkeyed(name), None, failure, foreign=True)
