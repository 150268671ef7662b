"""Bayesian approximations: whether averaging over weights improves predictions, and whether uncertainty detects misclassification."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from efficient360.core import formatting
from efficient360.core.findings import Finding, findings_table
from efficient360.core.settings import AtLeast1, AtLeast2
from efficient360.evaluator import Context, Evaluator, Examples, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel, Unsupported
from efficient360.methods.uncertainty.calibration_metrics import BRIER, ECE, NLL
from efficient360.methods.uncertainty.laplace import fit_last_layer_laplace
from efficient360.methods.uncertainty.mc_dropout import active_drop_path_layers, active_dropout_layers, mc_predictive_rows, predictive_from_rows
from efficient360.methods.uncertainty.model_outputs import ModelOutputs, predict_examples
from efficient360.methods.uncertainty.predictive_distribution import average_members
from efficient360.methods.uncertainty.uncertainty_summary import (
    ENTROPY,
    ERROR_AUROC,
    MUTUAL_INFORMATION,
    NLL_CHANGE,
    POINT,
    MethodPredictions,
    method_measurements,
    methods_table,
    nll_change,
    uncertainty_histogram,
)
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

LAPLACE: Final = "laplace"
MC_DROPOUT: Final = "mc-dropout"
STOCHASTIC_DEPTH: Final = "stochastic-depth"
ROWS: Final = 16
"""Images per stochastic forward pass: each passes many times, so little is lost when it is interrupted."""


@final
@dataclass(frozen=True)
class Uncertainty(Evaluator):
    """Last-layer Laplace, and MC dropout and stochastic depth at test time where the network has any, against the point estimate.

    Args:
        examples: At most so many examples.
        training_examples: At most so many training images for the curvature; they represent the whole training split.
        weight_draws: Weight samples from the Laplace approximation.
        passes: Stochastic forward passes.
        resamples: Bootstrap resamples for the intervals.
    """

    name: ClassVar[str] = "uncertainty"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (NLL_CHANGE, NLL, BRIER, ECE, ENTROPY, MUTUAL_INFORMATION, ERROR_AUROC)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.FEATURES})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING_SPLIT})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"resamples": ()}
    examples: AtLeast1 = 2000
    training_examples: AtLeast2 = 5000
    weight_draws: AtLeast2 = 100
    passes: AtLeast2 = 20
    resamples: AtLeast2 = 1000

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """The point estimate, then every method that the model and the data allow, on the same examples.

        Raises:
            Unsupported: No examples, or a deployed artefact.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        split = context.require_examples()
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "a deployed artefact gives logits only, but features are needed", "evaluate the checkpoint itself, without --as")
        examples = context.predicted(split).subset(self.examples, context.seed)
        outputs = predict_examples(model, examples, context.batch_size)
        point = MethodPredictions(POINT, average_members([outputs.logits]), examples.labels)
        attempts = [
            self._attempt(LAPLACE, lambda: self._laplace(model, outputs, examples, context)),
            self._attempt(MC_DROPOUT, lambda: self._monte_carlo(MC_DROPOUT, active_dropout_layers(model.network), model, examples, context)),
            self._attempt(STOCHASTIC_DEPTH, lambda: self._monte_carlo(STOCHASTIC_DEPTH, active_drop_path_layers(model.network), model, examples, context)),
        ]
        averaged = [attempt for attempt in attempts if isinstance(attempt, MethodPredictions)]
        changes = [nll_change(predictions, point, self.resamples, context.seed) for predictions in averaged]
        histogram = uncertainty_histogram(next(iter(averaged), point))
        figures = methods_table([point, *averaged]), histogram, findings_table(list(harmful_averaging(changes)))
        for predictions in (point, *averaged):
            context.deadline.check()
            yield from method_measurements(predictions, self.resamples, context.seed, figures if predictions is point else ())
        yield from changes
        yield from (attempt for attempt in attempts if isinstance(attempt, Failure))

    def _attempt(self, method: str, predict: Callable[[], MethodPredictions]) -> MethodPredictions | Failure:
        try:
            return predict()
        except Unsupported as error:
            return Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, NLL_CHANGE, {"method": method})

    def _laplace(self, model: TorchModel, outputs: ModelOutputs, examples: Examples, context: Context) -> MethodPredictions:
        split = context.require_training()
        layer = model.classifier()
        subset = context.predicted(split.subset(self.training_examples, context.seed))
        training = predict_examples(model, subset, context.batch_size)
        context.deadline.check()
        posterior = fit_last_layer_laplace(layer, training, len(split) / len(subset))
        members = posterior.sample_logits(outputs.require_features(), self.weight_draws, context.seed, context.deadline.check)
        return MethodPredictions(LAPLACE, average_members(members), examples.labels)

    def _monte_carlo(self, method: str, layers: Sequence[nn.Module], model: TorchModel, examples: Examples, context: Context) -> MethodPredictions:
        log = RowLog(context.scratch / f"{method}.f64", model.num_classes + 1, "float64")
        to_rows = mc_predictive_rows(model, layers, method, self.passes, context.deadline.check)
        rows = recorded(log, examples, min(ROWS, context.batch_size), to_rows, context.deadline, context.progress)
        return MethodPredictions(method, predictive_from_rows(rows), examples.labels)


def harmful_averaging(changes: Sequence[Measurement]) -> Iterator[Finding]:
    """Methods that significantly increase the NLL."""
    for change in changes:
        if change.interval is not None and change.interval.low > 0:
            yield Finding(
                "worse-averaged",
                f"{change.conditions['method']} raises the negative log-likelihood by {formatting.number(change.value, change.metric)}",
                "keep the point estimate: averaging makes an underconfident model even less confident (see overconfidence under calibration)",
            )
