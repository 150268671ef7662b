"""One pass over the same clean examples for all evaluators of a run that ask for it."""

from efficient360.datasets.decoding import decoders_for
from efficient360.datasets.examples import ExampleSet
from efficient360.evaluator import Examples
from efficient360.execution.cache_key import digest, identity_of
from efficient360.execution.events import Progress
from efficient360.execution.predictions import PredictedExamples, predict
from efficient360.execution.session import Opening


def shared(opening: Opening, examples: Examples) -> Examples:
    """The same examples with their clean logits and, where the model offers them, features.

    Args:
        opening: The run.
        examples: A split, or part of one, as an evaluator's context gave it.

    Raises:
        TypeError: Examples that are not from a context.
        CheckpointError: NaN or infinite logits on an example.
        OutOfTime: From the deadline; what is done is kept.
    """
    if isinstance(examples, PredictedExamples):
        return examples
    if not isinstance(examples, ExampleSet):
        raise TypeError(f"{type(examples).__name__} is no split that a context gave")
    plan = opening.plan
    folder = opening.store.work(f"predictions-{digest({**identity_of(opening), 'data': examples.fingerprint})}")
    told = lambda done, total: opening.emit(Progress("clean predictions", done, total))  # noqa: E731
    return predict(opening.model, examples, folder, plan.batch_size, decoders_for(plan.device), opening.deadline, told)
