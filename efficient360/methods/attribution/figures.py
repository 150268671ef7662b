"""Figures of attribution methods: a table of all measures, insertion and deletion curves, randomisation heat map, and a gallery of attribution maps."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from efficient360.core.figures import Curve, Gallery, Heatmap, Picture, Series, Table
from efficient360.core.formatting import MINUS, class_name
from efficient360.core.measurement import Measurement, Metric, Scalar
from efficient360.core.thumbnails import data_uri
from efficient360.evaluator import ScoreTable
from efficient360.methods.attribution import metrics
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod, RandomAttribution
from efficient360.methods.attribution.sanity_checks import STAGES
from efficient360.models.model import TorchModel

BASELINE_TITLES = {"mean": "the image's mean colour", "blur": "the blurred image"}
UNMEASURED = "–"
OBJECT_COLUMNS: Mapping[str, Metric] = {"Pointing game": metrics.POINTING, "Relevance mass accuracy": metrics.LOCALISATION}
"""Columns of the table if objects are annotated."""
POSITIVE, NEGATIVE = (0.86, 0.20, 0.10), (0.10, 0.35, 0.85)
"""RGB of evidence for the class (red) and against it (blue)."""
IMAGE_OPACITY = 0.55
"""Opacity of the greyscale image under the attribution map."""


def results_table(table: ScoreTable, methods: Sequence[AttributionMethod], baselines: Sequence[str], measurements: Sequence[Measurement]) -> Table:
    """A row per method, random attributions last: means over all examples, and over all baselines; localisation if objects are annotated."""
    localisation = {title: metric for title, metric in OBJECT_COLUMNS.items() if any(m.metric == metric for m in measurements)}
    columns = (
        "Method",
        "Faithfulness ↑",
        "Insertion AUC ↑",
        "Deletion AUC ↓",
        "Infidelity ↓",
        "Sparseness",
        "Max-sensitivity ↓",
        "Rank correlation, parameters randomised ↓",
        *(f"{title} ↑" for title in localisation),
    )
    rows = []
    for method in (*methods, RandomAttribution()):
        conditions: dict[str, Scalar] = {"explainer": method.name}
        areas = [[_mean(table, m, {**conditions, "baseline": name}) for name in baselines] for m in (metrics.INSERTION, metrics.DELETION)]
        gain = UNMEASURED if method.name == RandomAttribution.name else _formatted(_mean(table, metrics.FAITHFULNESS, conditions))
        scores = (*(sum(area) / len(area) for area in areas), _mean(table, metrics.INFIDELITY, conditions), _mean(table, metrics.SPARSENESS, conditions))
        checks = (
            _measured(measurements, metrics.SENSITIVITY, conditions),
            _measured(measurements, metrics.SIMILARITY, {**conditions, "randomised": STAGES[-1]}),
        )
        on_objects = (_measured(measurements, metric, conditions) for metric in localisation.values())
        rows.append((method.title, gain, *(_formatted(value) for value in scores), *checks, *on_objects))
    return Table("Attribution methods", columns, tuple(rows))


def _formatted(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", MINUS)  # + 0.0 turns −0.0 into 0.0


def _mean(table: ScoreTable, metric: Metric, conditions: Mapping[str, Scalar]) -> float:
    return float(table.column(metric, conditions).mean())


def _measured(measurements: Sequence[Measurement], metric: Metric, conditions: Mapping[str, Scalar]) -> str:
    return next((_formatted(m.value) for m in measurements if m.metric == metric and m.conditions == conditions), UNMEASURED)


def mean_curves(table: ScoreTable, methods: Sequence[AttributionMethod], baselines: Sequence[str]) -> Iterator[Curve]:
    """Mean insertion and deletion curve of every method for each baseline; random attributions dashed."""
    for baseline in baselines:
        for cells, title in (("inserted", "Insertion into"), ("deleted", "Deletion to")):
            series = [_mean_curve(table, method, baseline, cells) for method in (RandomAttribution(), *methods)]
            x_label = f"fraction of cells {cells}, highest attribution first"
            yield Curve(f"{title} {BASELINE_TITLES[baseline]}", x_label, "probability of the predicted class", tuple(series))


def _mean_curve(table: ScoreTable, method: AttributionMethod, baseline: str, cells: str) -> Series:
    wanted = {("explainer", method.name), ("baseline", baseline), ("cells", cells)}
    points = sorted(
        (float(str(dict(conditions)["share"])), float(values.mean()))
        for (name, conditions), values in table.columns.items()
        if name == metrics.PROBABILITY.name and wanted <= conditions
    )
    x, y = zip(*points, strict=True)
    return Series(method.title, x, y, style="reference" if method.name == RandomAttribution.name else "line")


def randomisation_heatmap(methods: Sequence[AttributionMethod], measurements: Sequence[Measurement]) -> Heatmap:
    """Rank correlation with the attributions of the randomised model, methods by stage of randomisation."""
    correlations = {(m.conditions["explainer"], m.conditions["randomised"]): m.value for m in measurements if m.metric == metrics.SIMILARITY}
    rows = tuple(tuple(correlations.get((method.name, stage)) for stage in STAGES) for method in methods)
    title = "Model parameter randomisation test: rank correlation with the original attributions"
    return Heatmap(title, "randomised parameters", "", STAGES, tuple(method.title for method in methods), rows)


def attribution_gallery(
    model: TorchModel, grid: Grid, methods: Sequence[AttributionMethod], batches: Sequence[tuple[AttributionBatch, int]], class_names: Sequence[str]
) -> Gallery | None:
    """A picture of each image followed by one attribution map per method; ``None`` if there are no images.

    Args:
        model: The model.
        grid: The cells.
        methods: In the order of the pictures.
        batches: Examples, with the number of real ones in each batch.
        class_names: Index = label.
    """
    pictures = [picture for batch, real in batches for picture in _pictures(model, grid, methods, batch, real, class_names)]
    return Gallery("Attribution maps: red is evidence for the predicted class, blue against it", tuple(pictures)) if pictures else None


def _pictures(
    model: TorchModel, grid: Grid, methods: Sequence[AttributionMethod], batch: AttributionBatch, real: int, class_names: Sequence[str]
) -> Iterator[Picture]:
    attributions = [method.attribute(model, grid, batch) for method in methods]
    with torch.no_grad():
        probabilities = model(batch.images).softmax(1)
    for i in range(real):
        label = int(batch.targets[i])
        caption = f"predicted {class_name(label, class_names)}, {100 * float(probabilities[i, label]):.0f} %"
        yield Picture(data_uri(batch.images[i]), caption, batch.ids[i])
        for method, values in zip(methods, attributions, strict=True):
            yield Picture(data_uri(attribution_map(batch.images[i], grid, values[i])), method.title)


def attribution_map(image: Tensor, grid: Grid, attributions: Tensor) -> Tensor:
    """The greyscale image with tinted cells, float ``(3, H, W)``; the tint's strength is the attribution relative to the image's largest.

    Args:
        image: ``(3, H, W)`` in [0, 1].
        grid: The cells.
        attributions: ``(cells,)``.
    """
    image, attributions = image.cpu(), attributions.cpu()
    grey = IMAGE_OPACITY * image.mean(0, keepdim=True) + (1 - IMAGE_OPACITY) * 0.95
    largest = attributions.abs().max()
    relative = grid.to_pixels((attributions / largest if largest > 0 else attributions)[None])[0]  # (1, H, W) in [-1, 1]
    tint = torch.where(relative >= 0, torch.tensor(POSITIVE)[:, None, None], torch.tensor(NEGATIVE)[:, None, None])
    weight = 0.85 * relative.abs()
    return grey * (1 - weight) + tint * weight
