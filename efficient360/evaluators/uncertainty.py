"""Whether averaging over what the weights could also have been gives better answers, and tells wrong ones from right."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from efficient360.core import formatting
from efficient360.core.findings import Finding, findings_table
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Evaluator, Examples, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.uncertainty.calibration_metrics import BRIER, ECE, NLL
from efficient360.methods.uncertainty.detectors import Outputs
from efficient360.methods.uncertainty.disagreement import answers
from efficient360.methods.uncertainty.last_layer import fit_last_layer
from efficient360.methods.uncertainty.passes import answers_of, mean_answers
from efficient360.methods.uncertainty.passing import outputs_of
from efficient360.methods.uncertainty.stochastic import drop_paths, dropouts
from efficient360.methods.uncertainty.uncertain_answers import POINT, Answered, change, measurements
from efficient360.methods.uncertainty.uncertainty_metrics import ENTROPY, ERROR_AUROC, MUTUAL_INFORMATION, NLL_CHANGE
from efficient360.methods.uncertainty.uncertainty_pictures import entropy_figure, methods_table
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

LAPLACE: Final = "laplace"
DROPOUT: Final = "mc-dropout"
DEPTH: Final = "stochastic-depth"
ROWS: Final = 16
"""Images that pass at once while layers drop: each passes many times, so little is lost when it is interrupted."""


@final
@dataclass(frozen=True)
class Uncertainty(Evaluator):
    """Last-layer Laplace, and dropout and stochastic depth at test time where the network has any, beside the plain answer.

    Args:
        examples: The most examples that are answered.
        training_examples: The most training images whose curvature is taken; they stand for all of the training split.
        weight_draws: Weights drawn from the Laplace approximation.
        passes: Passes with layers that drop.
        resamples: Resamples behind the intervals, at least 2.
    """

    name: ClassVar[str] = "uncertainty"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (NLL_CHANGE, NLL, BRIER, ECE, ENTROPY, MUTUAL_INFORMATION, ERROR_AUROC)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.FEATURES})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING_SPLIT})
    examples: int = 2000
    training_examples: int = 5000
    weight_draws: int = 100
    passes: int = 20
    resamples: int = 1000

    def __post_init__(self) -> None:
        for setting, least in (("examples", 1), ("training_examples", 2), ("weight_draws", 2), ("passes", 2), ("resamples", 2)):
            if getattr(self, setting) < least:
                raise SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", f"give at least {least}")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """The plain answers, then every method that the model and the data allow, on the same examples.

        Raises:
            Unsupported: No examples, or an artefact.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        if context.examples is None:
            raise Unsupported("no-examples", "uncertainty was given no examples", "name a data set with --dataset")
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "an artefact gives logits only, and this wants features", "evaluate the checkpoint itself, without --as")
        asked = context.predicted(context.examples).subset(self.examples, context.seed)
        plain = outputs_of(model, asked, context.batch_size)
        point = Answered(POINT, answers([plain.logits]), asked.labels)
        tried = [
            self._tried(LAPLACE, lambda: self._laplace(model, plain, asked, context)),
            self._tried(DROPOUT, lambda: self._passed(DROPOUT, dropouts(model.network), model, asked, context)),
            self._tried(DEPTH, lambda: self._passed(DEPTH, drop_paths(model.network), model, asked, context)),
        ]
        averaged = [one for one in tried if isinstance(one, Answered)]
        changes = [change(one, point, self.resamples, context.seed) for one in averaged]
        figures = methods_table([point, *averaged]), entropy_figure(next(iter(averaged), point)), findings_table(list(_findings(changes)))
        for one in (point, *averaged):
            context.deadline.check()
            yield from measurements(one, self.resamples, context.seed, figures if one is point else ())
        yield from changes
        yield from (one for one in tried if isinstance(one, Failure))

    def _tried(self, method: str, attempt: Callable[[], Answered]) -> Answered | Failure:
        try:
            return attempt()
        except Unsupported as error:
            return Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, NLL_CHANGE, {"method": method})

    def _laplace(self, model: TorchModel, plain: Outputs, asked: Examples, context: Context) -> Answered:
        if context.training is None:
            raise Unsupported("no-training-split", "the curvature of the training loss wants training images", "give a data set with a training split")
        layer = model.classifier()
        chosen = context.predicted(context.training.subset(self.training_examples, context.seed))
        training = outputs_of(model, chosen, context.batch_size)
        context.deadline.check()
        fitted = fit_last_layer(layer, training, len(context.training) / len(chosen))
        assert plain.features is not None  # the training images had some
        return Answered(LAPLACE, answers(fitted.members(plain.features, self.weight_draws, context.seed, context.deadline.check)), asked.labels)

    def _passed(self, method: str, layers: Sequence[nn.Module], model: TorchModel, asked: Examples, context: Context) -> Answered:
        log = RowLog(context.scratch / f"{method}.f64", model.num_classes + 1, "float64")
        row = mean_answers(model, layers, method, self.passes, context.deadline.check)
        rows = recorded(log, asked, min(ROWS, context.batch_size), row, context.deadline, context.progress)
        return Answered(method, answers_of(rows), asked.labels)


def _findings(changes: Sequence[Measurement]) -> Iterator[Finding]:
    """Methods that make the answers worse, beyond what chance explains."""
    for one in changes:
        if one.interval is not None and one.interval.low > 0:
            yield Finding(
                "worse-averaged",
                f"{one.conditions['method']} raises the negative log-likelihood by {formatting.number(one.value, one.metric)}",
                "keep the plain answer: a model that is not sure enough only gets less sure (see its overconfidence under calibration)",
            )
