"""The checks that follow the first clean predictions of a run: of what they say, and, where nobody named it, of the normalisation."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.findings import Finding, findings_from_json, findings_to_json
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import Efficient360Error
from efficient360.evaluator import Deadline
from efficient360.execution.cache_key import digest, identity_of
from efficient360.execution.prediction_findings import Bools, far_better, percent, prediction_findings
from efficient360.execution.predictions import stored_logits
from efficient360.execution.session import Session
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.model import Model
from efficient360.storage.outcomes import write_atomically

VERSION: Final = 1
"""Raised when the checks change: stored findings are made anew."""
FIRST, ALL = 64, 256
"""Images on which every other normalisation is tried, and on which the best of them is judged."""
NORMALISATIONS: Final = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "Inception's (0.5)": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP's": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "no": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""The usual means and deviations, by whose they are."""


def findings_of_predictions(session: Session) -> tuple[Finding, ...] | None:
    """Findings of the clean predictions; ``None`` as long as no evaluator has asked for them. Kept, so that a rerun need not try again."""
    if session.dataset is None or session.match is None or not session.checkpoint.trained:
        return None
    examples = session.dataset.examples
    file = session.store.work(f"findings-{digest({**identity_of(session), 'data': examples.fingerprint, 'checks': VERSION})}") / "findings.json"
    try:
        return findings_from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        pass  # not there yet, or damaged: made anew
    logits = stored_logits(session)
    if logits is None:
        return None
    order = list(range(session.checkpoint.num_classes)) if session.match.outputs is None else list(session.match.outputs)
    alternatives = {how: [order.index(output) for output in outputs] for how, outputs in session.match.alternatives.items()}
    found = (
        *_other_normalisation(session, examples, logits),
        *prediction_findings(logits, examples.labels, examples.class_names, alternatives),
    )
    write_atomically(file, json.dumps(findings_to_json(found)).encode())
    return found


def _other_normalisation(session: Session, examples: ExampleSet, logits: NDArray[np.float32]) -> Sequence[Finding]:
    if not {"mean", "std"} & set(session.checkpoint.assumed):
        return ()
    row = {name: i for i, name in enumerate(examples.ids)}
    chosen = examples.subset(ALL, session.plan.seed)
    right = logits[[row[name] for name in chosen.ids]].argmax(axis=1) == chosen.labels
    try:
        finding = better_normalisation(session.model, chosen, right, session.checkpoint.preprocessing, session.plan.batch_size, session.deadline)
    except (Efficient360Error, RuntimeError):  # a check may fail or run out of time; it takes nothing with it
        return ()
    return () if finding is None else (finding,)


def better_normalisation(model: Model, examples: ExampleSet, right: Bools, own: Preprocessing, batch_size: int, deadline: Deadline) -> Finding | None:
    """Whether one of the usual normalisations does far better than the one that was assumed. What is evaluated stays as it is.

    Args:
        model: Normalises inside, with ``own``.
        examples: Images to try it on.
        right: Whether each is classified correctly as it is, bool ``(n,)``.
        own: The assumed preprocessing.
        batch_size: Images a forward pass.
        deadline: When to stop.

    Raises:
        OutOfTime: From the deadline.
    """
    others = {name: values for name, values in NORMALISATIONS.items() if not np.allclose(values, (own.mean, own.std), atol=0.01)}
    first = examples.subset(FIRST, examples.seed)
    scores = {name: float(_right(model, first, own, values, batch_size, deadline).mean()) for name, values in others.items()}
    best = max(scores, key=lambda name: scores[name])
    place = {name: i for i, name in enumerate(examples.ids)}
    if scores[best] <= float(right[[place[name] for name in first.ids]].mean()):
        return None
    other = _right(model, examples, own, others[best], batch_size, deadline)
    if not far_better(right, other, len(others)):
        return None
    mean, std = (" ".join(f"{value:g}" for value in values) for values in others[best])
    told = f"with {best} normalisation (mean {mean}, std {std}) the accuracy on {len(right)} images would be {percent(other)} instead of {percent(right)}"
    return Finding("other-normalisation-better", told, "write the mean and std it was trained with into its sidecar, and evaluate it again")


def _right(
    model: Model, examples: ExampleSet, own: Preprocessing, other: tuple[Sequence[float], Sequence[float]], batch_size: int, deadline: Deadline
) -> Bools:
    """Whether each example is classified correctly under another normalisation, bool ``(n,)``."""
    mean, std, own_mean, own_std = (torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in (*other, own.mean, own.std))
    right: list[Tensor] = []
    for batch in examples.batches(batch_size):
        deadline.check()
        with torch.inference_mode():
            # The model subtracts its own mean and divides by its own deviation: these pixels come out as the other normalisation would have them.
            logits = model((batch.images - mean) / std * own_std + own_mean)
        right.append(logits.argmax(dim=1).cpu() == batch.labels)
    return torch.cat(right).numpy()
