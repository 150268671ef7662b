"""MACs and activations of one image, and the scaling of MACs with resolution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import scaled
from efficient360.evaluator import (
    MAC,
    ONE,
    Better,
    Context,
    Evaluator,
    Failure,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Status,
    TorchModel,
    Unsupported,
)
from efficient360.methods.complexity.blocks import block_of
from efficient360.methods.complexity.mac_count import OperationCount, count_macs, reference_macs
from efficient360.methods.complexity.resolution_scaling import ScalingLaw, fit_scaling_law, macs_at_sizes

SCALES = (1, 2, 3, 4)
"""Multiples of the side that the model expects; integers keep patches and windows whole."""
AGREEMENT = 0.02
"""Largest relative difference at which the two counts agree."""

MACS = Metric(
    "macs",
    MAC,
    Better.LOWER,
    "Multiply-accumulates per image in convolutions, linear layers and attention, plus small estimates for normalisation; 1 MAC is 2 FLOP.",
    "fvcore's convention, with both products of fused attention counted",
    low=0,
)
ACTIVATIONS = Metric(
    "activations",
    ONE,
    Better.LOWER,
    "Output elements of convolutions, linear layers and matrix products per image.",
    "Radosavovic et al. 2020, Designing Network Design Spaces",
    low=0,
)
GROWTH = Metric(
    "macs_growth",
    ONE,
    Better.LOWER,
    "Exponent of MACs against pixels, from the model's own image size to four times its side: 1 is linear, 2 quadratic.",
    "least squares on logarithms at 1, 2, 3 and 4 times the side",
)


@final
@dataclass(frozen=True)
class Macs(Evaluator):
    """MACs and activations of one image, by block and kind of operator, and the scaling of MACs with resolution."""

    name: ClassVar[str] = "macs"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (MACS, ACTIVATIONS, GROWTH)
    needs: ClassVar[frozenset[Need]] = frozenset()

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Yield the three metrics; a Failure for each if an operator has no formula.

        Raises:
            Unsupported: The model has no network in torch.
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("no-module", f"{type(model).__name__} has no torch network whose operators could be counted", "evaluate the torch checkpoint")
        images = torch.rand((1, *model.input_size), generator=torch.Generator().manual_seed(context.seed)).to(model.device)
        counted = count_macs(model.network, images)
        if counted.uncounted:
            yield from (_uncounted(counted, metric) for metric in self.metrics)
            return
        checked = _cross_check(counted, model, images)
        yield Measurement(MACS, counted.macs, extra=(_by_kind(counted), _by_block(counted, model.view.blocks), checked))
        yield Measurement(ACTIVATIONS, counted.activations)
        context.deadline.check()
        yield _growth(model, context)


def _uncounted(counted: OperationCount, metric: Metric) -> Failure:
    listed = ", ".join(f"{name} ({calls}×)" for name, calls in counted.uncounted)
    return Failure(
        Status.FAILED,
        "uncounted-operators",
        f"these operators have no cost formula, so the total would be too low: {listed}",
        "report their names to the project: the count stays missing until they have a formula",
        metric,
    )


def _cross_check(counted: OperationCount, model: TorchModel, images: torch.Tensor) -> Table:
    """Our count of the products beside that of torch's own counter, which sees what is dispatched instead of what is traced."""
    rows: list[tuple[str, str]] = [("fvcore, all operators", scaled(counted.macs, "MAC", 4)), ("fvcore, products only", scaled(counted.products, "MAC", 4))]
    try:
        reference = reference_macs(model.network, images)
    except Exception as error:  # the cross-check is third-party code; the count stands without it
        rows.append(("torch's FlopCounterMode", f"not available: {type(error).__name__}"))
    else:
        difference = counted.products / reference - 1 if reference else float(counted.products > 0)
        verdict = "agree" if abs(difference) <= AGREEMENT else f"differ by more than {100 * AGREEMENT:.0f} %"
        rows += [("torch's FlopCounterMode, unfused attention", scaled(reference, "MAC", 4)), ("difference", f"{100 * difference:+.2f} %: they {verdict}")]
    return Table("Cross-check of MAC counts", ("Count", "MACs"), tuple(rows))


def _by_kind(counted: OperationCount) -> Table:
    ranked = sorted(counted.by_kind.items(), key=lambda item: -item[1])
    return Table("MACs by kind", ("Kind", "MACs", "Share"), tuple((kind, scaled(n, "MAC"), _share(n, counted.macs)) for kind, n in ranked))


def _by_block(counted: OperationCount, blocks: Sequence[str]) -> Table:
    named = {name: n for name, n in counted.by_module.items() if name and block_of(name, blocks) == name}
    own = dict(named)
    for name, n in named.items():
        holder = next((front for front in _holders(name) if front in named), "")
        if holder:
            # A list's own count includes its items': what remains is its own.
            own[holder] -= n
    own["other"] = counted.macs - sum(own.values())
    return Table("MACs by block", ("Block", "MACs", "Share"), tuple((name, scaled(n, "MAC"), _share(n, counted.macs)) for name, n in own.items() if n))


def _holders(name: str) -> list[str]:
    """Dotted names of the modules that hold a module, the innermost first."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %"


def _growth(model: TorchModel, context: Context) -> Outcome:
    checkpoint = context.checkpoint
    try:
        points = macs_at_sizes(model.network, checkpoint.architecture, checkpoint.arguments, model.input_size, SCALES)
    except Unsupported as error:
        return Failure.of(Status.UNSUPPORTED, error, GROWTH)
    pixels, macs = [n for n, _ in points], [n for _, n in points]
    law = fit_scaling_law(pixels, macs)
    return Measurement(GROWTH, law.exponent, n=len(points), interval=law.interval, extra=(_curve(pixels, macs, law), _points(model, macs, law)))


def _curve(pixels: list[int], macs: list[int], law: ScalingLaw) -> Curve:
    x = tuple(float(n) for n in pixels)
    return Curve(
        "MACs against resolution",
        "pixels",
        "MACs",
        (
            Series("counted", x, tuple(float(n) for n in macs), style="points"),
            Series(f"pixels^{law.exponent:.2f} (R² {law.r_squared:.4f})", x, tuple(law.factor * n**law.exponent for n in x)),
            Series("linear", x, tuple(macs[0] * n / x[0] for n in x), style="reference"),
        ),
        x_log=True,
        y_log=True,
    )


def _points(model: TorchModel, macs: list[int], law: ScalingLaw) -> Table:
    _, height, width = model.input_size
    rows = tuple((f"{height * s} × {width * s}", scaled(n, "MAC"), f"{n / (macs[0] * s * s):.2f}") for s, n in zip(SCALES, macs, strict=True))
    return Table(f"MACs (products only) by image size (R² of the fit {law.r_squared:.4f})", ("Image", "MACs", "Relative to linear"), rows)
