"""Figures of a whole evaluation: mean curves of insertion and deletion, and explainers against measures."""

from collections.abc import Iterator, Mapping, Sequence

from efficient360.core.figures import Curve, Heatmap, Series, Table
from efficient360.core.formatting import MINUS
from efficient360.core.measurement import Measurement, Metric, Scalar
from efficient360.evaluator import ScoreTable
from efficient360.methods.attribution import metrics
from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.randomisation import STAGES

SAID = {"mean": "the image's mean colour", "blur": "the image blurred"}
UNMEASURED = "–"
ON_OBJECTS: Mapping[str, Metric] = {"Pointing": metrics.POINTING, "Localisation": metrics.LOCALISATION}
"""Columns of the table where objects are marked."""


def curves(table: ScoreTable, explainers: Sequence[Explainer], blanks: Sequence[str]) -> Iterator[Curve]:
    """Mean probability of the predicted class against the share of cells inserted, and deleted, for each blank; the random order dashed."""
    for blank in blanks:
        for cells, word in (("inserted", "Insertion into"), ("deleted", "Deletion to")):
            series = [_series(table, one, blank, cells) for one in (Chance(), *explainers)]
            yield Curve(f"{word} {SAID[blank]}", f"share of cells {cells}, highest value first", "probability of the predicted class", tuple(series))


def _series(table: ScoreTable, explainer: Explainer, blank: str, cells: str) -> Series:
    wanted = {("explainer", explainer.name), ("baseline", blank), ("cells", cells)}
    points = sorted(
        (float(str(dict(conditions)["share"])), float(values.mean()))
        for (name, conditions), values in table.columns.items()
        if name == metrics.PROBABILITY.name and wanted <= conditions
    )
    x, y = zip(*points, strict=True)
    return Series(explainer.title, x, y, style="reference" if explainer.name == Chance.name else "line")


def overview(table: ScoreTable, explainers: Sequence[Explainer], blanks: Sequence[str], checked: Sequence[Measurement]) -> Table:
    """A row an explainer, the random one last: means over all examples, of insertion and deletion over all blanks; pointing where objects are marked."""
    marked = {title: metric for title, metric in ON_OBJECTS.items() if any(one.metric == metric for one in checked)}
    columns = (
        "Explainer",
        "Faithfulness ↑",
        "Insertion ↑",
        "Deletion ↓",
        "Infidelity ↓",
        "Sparseness",
        "Max-sensitivity ↓",
        "Similarity, weights shuffled ↓",
        *(f"{title} ↑" for title in marked),
    )
    rows = []
    for explainer in (*explainers, Chance()):
        named: dict[str, Scalar] = {"explainer": explainer.name}
        areas = [[_mean(table, m, {**named, "baseline": blank}) for blank in blanks] for m in (metrics.INSERTION, metrics.DELETION)]
        gain = UNMEASURED if explainer.name == Chance.name else _spelled(_mean(table, metrics.FAITHFULNESS, named))
        rest = (_mean(table, metrics.INFIDELITY, named), _mean(table, metrics.SPARSENESS, named))
        checks = (_found(checked, metrics.SENSITIVITY, named), _found(checked, metrics.SIMILARITY, {**named, "randomised": STAGES[-1]}))
        on_object = (_found(checked, metric, named) for metric in marked.values())
        rows.append((explainer.title, gain, *(_spelled(value) for value in (*(sum(area) / len(area) for area in areas), *rest)), *checks, *on_object))
    return Table("Explainers", columns, tuple(rows))


def similarities(explainers: Sequence[Explainer], checked: Sequence[Measurement]) -> Heatmap:
    """Rank correlation with the explanation under shuffled weights, explainers against how much was shuffled."""
    found = {(m.conditions["explainer"], m.conditions["randomised"]): m.value for m in checked if m.metric == metrics.SIMILARITY}
    rows = tuple(tuple(found.get((one.name, stage)) for stage in STAGES) for one in explainers)
    return Heatmap("Rank correlation with the explanation of shuffled weights", "what was shuffled", "", STAGES, tuple(e.title for e in explainers), rows)


def _spelled(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", MINUS)  # + 0.0 turns −0.0 into 0.0


def _mean(table: ScoreTable, metric: Metric, named: Mapping[str, Scalar]) -> float:
    return float(table.column(metric, named).mean())


def _found(checked: Sequence[Measurement], metric: Metric, named: Mapping[str, Scalar]) -> str:
    return next((_spelled(m.value) for m in checked if m.metric == metric and m.conditions == named), UNMEASURED)
