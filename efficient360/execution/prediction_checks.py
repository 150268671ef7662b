"""The checks that follow the first clean predictions of a run: of what they say, and of what nobody named."""

import contextlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.code_digest import code_of, module
from efficient360.core.findings import Finding, findings_from_json, findings_to_json
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import Efficient360Error
from efficient360.execution import alternatives, prediction_findings
from efficient360.execution.cache_key import digest
from efficient360.execution.predictions import pass_identity, stored_logits
from efficient360.execution.session import Session
from efficient360.storage.outcomes import write_atomically

CHECKS: Final = (__name__, alternatives.__name__, prediction_findings.__name__)
"""Modules of the checks: when they change, stored findings are made anew."""
MOST_OTHERS: Final = 3
"""Other weights of the same file that are tried."""
TRIED: Final = 256
"""Images on which an alternative is judged."""


def findings_of_predictions(session: Session) -> tuple[Finding, ...] | None:
    """Findings of the clean predictions; ``None`` as long as no evaluator has asked for them. Kept, so that a rerun need not try again."""
    if session.dataset is None or session.match is None or not session.checkpoint.trained:
        return None
    examples = session.dataset.examples
    identity = {**pass_identity(session, examples), "checks": code_of([module(name) for name in CHECKS]).digest}
    file = session.store.work(f"findings-{digest(identity, 'the checks of predictions')}") / "findings.json"
    try:
        return findings_from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        pass  # not there yet, or damaged: made anew
    logits = stored_logits(session)
    if logits is None:
        return None
    order = list(range(session.checkpoint.num_classes)) if session.match.outputs is None else list(session.match.outputs)
    matches = {how: [order.index(output) for output in outputs] for how, outputs in session.match.alternatives.items()}
    found = (
        *_alternatives(session, examples, logits),
        *prediction_findings.prediction_findings(logits, examples.labels, examples.class_names, matches),
    )
    write_atomically(file, json.dumps(findings_to_json(found)).encode())
    return found


def _alternatives(session: Session, examples: ExampleSet, logits: NDArray[np.float32]) -> Sequence[Finding]:
    """What the checkpoint left unsaid, tried the other way; a check that fails or runs out of time takes nothing with it."""
    checkpoint, plan = session.checkpoint, session.plan
    row = {name: i for i, name in enumerate(examples.ids)}
    chosen = examples.subset(TRIED, plan.seed)
    right = logits[[row[name] for name in chosen.ids]].argmax(axis=1) == chosen.labels
    trial = alternatives.Trial(chosen, right, plan.batch_size, session.deadline)
    rest = (session.keep, plan.device, trial)
    tries: list[Callable[[], Finding | None]] = []
    if session.deployment is None and "num_heads" in checkpoint.spec.arguments:
        tries.append(partial(alternatives.better_heads, checkpoint, *rest))
    if checkpoint.assumed:
        tries.append(partial(alternatives.better_preprocessing, session.model, checkpoint.preprocessing, checkpoint.assumed, trial))
    if session.deployment is None:
        tries += [partial(alternatives.better_weights, checkpoint, key, *rest) for key in checkpoint.alternatives[:MOST_OTHERS] if key]
    found = []
    for attempt in tries:
        with contextlib.suppress(Efficient360Error, RuntimeError):
            found.append(attempt())
    return [finding for finding in found if finding is not None]
