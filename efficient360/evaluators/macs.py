"""How much one image costs to compute, and how that grows with resolution."""

from collections.abc import Iterator
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
from efficient360.methods.complexity.growth import PowerLaw, fit_power_law, macs_at_sizes
from efficient360.methods.complexity.operations import OperationCount, count, reference_macs

SCALES = (1, 2, 3, 4)
"""Multiples of the side that the model expects. Whole ones keep patches and windows unbroken."""
AGREEMENT = 0.02
"""The largest relative difference between the two counts that passes without a word."""

MACS = Metric(
    "macs",
    MAC,
    Better.LOWER,
    "Multiply-adds for one image in convolutions, linear layers and attention, with small estimates for normalisation; 1 MAC is 2 FLOP.",
    "fvcore's convention, with both products of fused attention counted",
    low=0,
)
ACTIVATIONS = Metric(
    "activations",
    ONE,
    Better.LOWER,
    "Values that convolutions, linear layers and matrix products put out for one image.",
    "Radosavovic et al. 2020, Designing Network Design Spaces",
    low=0,
)
GROWTH = Metric(
    "macs_growth",
    ONE,
    Better.LOWER,
    "Exponent of MACs against pixels from the model's own image size to four times its side: 1 is linear, 2 quadratic.",
    "least squares on logarithms at 1, 2, 3 and 4 times the side",
)


@final
@dataclass(frozen=True)
class Macs(Evaluator):
    """Multiply-adds and activations of one image, by module and kind, and the growth of multiply-adds with resolution."""

    name: ClassVar[str] = "macs"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (MACS, ACTIVATIONS, GROWTH)
    needs: ClassVar[frozenset[Need]] = frozenset()

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Yield the three numbers; a Failure for each where an operator can't be counted.

        Raises:
            Unsupported: The model has no network in torch.
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("no-module", f"{type(model).__name__} has no network whose operators could be counted", "evaluate the torch checkpoint")
        images = torch.rand((1, *model.input_size), generator=torch.Generator().manual_seed(context.seed)).to(model.device)
        counted = count(model.network, images)
        if counted.uncounted:
            yield from (_uncounted(counted, metric) for metric in self.metrics)
            return
        checked = _cross_check(counted, model, images)
        yield Measurement(MACS, counted.macs, extra=(_by_kind(counted), _by_block(counted), checked))
        yield Measurement(ACTIVATIONS, counted.activations)
        context.deadline.check()
        yield _growth(model, context)


def _uncounted(counted: OperationCount, metric: Metric) -> Failure:
    listed = ", ".join(f"{name} ({calls}×)" for name, calls in counted.uncounted)
    return Failure(
        Status.FAILED,
        "uncounted-operators",
        f"the cost of these operators is not known, so the sum would be too low: {listed}",
        "add a row for each to efficient360/methods/complexity/operators.py",
        metric,
    )


def _cross_check(counted: OperationCount, model: TorchModel, images: torch.Tensor) -> Table:
    """Our products beside those of torch's own counter, which sees what is dispatched instead of what is traced."""
    rows: list[tuple[str, str]] = [("fvcore, all operators", scaled(counted.macs, "MAC", 4)), ("fvcore, products alone", scaled(counted.products, "MAC", 4))]
    try:
        reference = reference_macs(model.network, images)
    except Exception as error:  # the second opinion is third-party code; without it the first still stands
        rows.append(("torch's FlopCounterMode", f"not available: {type(error).__name__}"))
    else:
        difference = counted.products / reference - 1 if reference else float(counted.products > 0)
        verdict = "agree" if abs(difference) <= AGREEMENT else f"differ by more than {100 * AGREEMENT:.0f} %"
        rows += [("torch's FlopCounterMode, unfused attention", scaled(reference, "MAC", 4)), ("difference", f"{100 * difference:+.2f} %: they {verdict}")]
    return Table("Counted twice", ("Count", "MACs"), tuple(rows))


def _by_kind(counted: OperationCount) -> Table:
    ranked = sorted(counted.by_kind.items(), key=lambda item: -item[1])
    return Table("MACs by kind", ("Kind", "MACs", "Share"), tuple((kind, scaled(n, "MAC"), _share(n, counted.macs)) for kind, n in ranked))


def _by_block(counted: OperationCount) -> Table:
    named = {name: n for name, n in counted.by_module.items() if name and block_of(name) == name}
    for name, n in list(named.items()):
        parent, _, number = name.partition(".")
        if number and parent in named:
            # A list's own number holds its items': what is left is what it does itself.
            named[parent] -= n
    named["outside these"] = counted.macs - sum(named.values())
    return Table("MACs by block", ("Block", "MACs", "Share"), tuple((name, scaled(n, "MAC"), _share(n, counted.macs)) for name, n in named.items() if n))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _growth(model: TorchModel, context: Context) -> Outcome:
    checkpoint = context.checkpoint
    try:
        points = macs_at_sizes(model.network, checkpoint.architecture, checkpoint.arguments, model.input_size, SCALES)
    except Unsupported as error:
        return Failure.of(Status.UNSUPPORTED, error, GROWTH)
    pixels, macs = [n for n, _ in points], [n for _, n in points]
    law = fit_power_law(pixels, macs)
    return Measurement(GROWTH, law.exponent, n=len(points), interval=law.interval, extra=(_curve(pixels, macs, law), _points(model, macs, law)))


def _curve(pixels: list[int], macs: list[int], law: PowerLaw) -> Curve:
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


def _points(model: TorchModel, macs: list[int], law: PowerLaw) -> Table:
    _, height, width = model.input_size
    rows = tuple((f"{height * s} × {width * s}", scaled(n, "MAC"), f"{n / (macs[0] * s * s):.2f}") for s, n in zip(SCALES, macs, strict=True))
    return Table(f"MACs of the products by image size (R² of the fit {law.r_squared:.4f})", ("Image", "MACs", "Times linear"), rows)
