"""What a value was measured with, stored beside it, so that only like is set beside like."""

import dataclasses
from typing import Any

from efficient360.core import canonical
from efficient360.core.measurement import Metric
from efficient360.evaluator import Evaluator, ExampleEvaluator, Need
from efficient360.execution.session import Session


def measured_with(session: Session, evaluator: Evaluator | ExampleEvaluator, metric: Metric | None) -> dict[str, Any]:
    """What must agree, beside the conditions, before a value is set beside another, plain JSON.

    Args:
        session: The run.
        evaluator: Who measured.
        metric: What; ``None`` for a failure of the whole evaluator.

    Returns:
        ``settings`` that change what the metric means, the evaluator's ``version``, and where they matter ``data``, the number of ``examples`` and the
        ``machine``.
    """
    told = evaluator.settings_scope
    matters = {name: metric is None or name not in told or metric.name in told[name] for name in (*told, "data", "machine")}
    settings = {name: value for name, value in dataclasses.asdict(evaluator).items() if name not in evaluator.drawing_settings and matters.get(name, True)}
    facts: dict[str, Any] = {"version": evaluator.version, "settings": canonical.plain(settings, evaluator.name)}
    if session.dataset is not None and (isinstance(evaluator, ExampleEvaluator) or Need.EXAMPLES in evaluator.needs) and matters["data"]:
        dataset = session.dataset
        facts["data"] = f"{dataset.card.name} {dataset.split} {dataset.examples.digest[:12]}"
        if isinstance(evaluator, ExampleEvaluator):
            size = evaluator.sample_size()
            facts["examples"] = len(dataset.examples) if size is None else min(size, len(dataset.examples))
    if Need.MACHINE in evaluator.needs and matters["machine"]:
        environment = session.environment
        accelerators = "".join(f", {gpu}" for gpu in environment["gpus"])
        facts["machine"] = f"{environment['cpu']}, {environment['cores']} cores, {environment['threads']} threads{accelerators}"
    return facts
