"""One pass over the same clean examples for all evaluators of a run that ask for it."""

from efficient360.datasets.decoding import decoders_for
from efficient360.datasets.examples import ExampleSet
from efficient360.evaluator import Examples
from efficient360.execution.cache_key import digest, identity_of
from efficient360.execution.events import Progress
from efficient360.execution.predictions import PredictedExamples, predict
from efficient360.execution.session import Session


def shared(session: Session, examples: Examples) -> Examples:
    """The same examples with their clean logits and, where the model offers them, features.

    Args:
        session: The run.
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
    plan = session.plan
    folder = session.store.work(f"predictions-{digest({**identity_of(session), 'data': examples.fingerprint})}")
    told = lambda done, total: session.emit(Progress("clean predictions", done, total))  # noqa: E731
    return predict(session.model, examples, folder, plan.batch_size, decoders_for(plan.device), session.deadline, told)
