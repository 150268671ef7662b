"""How often ``compare`` calls a run better than its equal: whole comparisons under null hypotheses made of real per-example values, verdict per axis.

python benchmarks/compare_errors.py RUN RUN … [--comparisons N] [--out FILE]

Three nulls, each of every two of the runs, which share their images:
- swapped: each image's values, under all metrics at once, come from either run with probability 1/2, so that the two "runs" differ by chance alone;
- halves: a run's images are split into two halves at random, and the halves are taken for two runs over the same images;
- groups: every image is given another image's groups, so that accuracy differs between the runs as it does while no gap between groups is real.
And one of independent repeats: two times three values of a normal distribution with Student's t intervals.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from efficient360.core.measurement import ONE, Better, Measurement, Metric
from efficient360.core.statistics import clopper_pearson, holm, paired_p_value, student
from efficient360.plugins.registry import dimensions
from efficient360.reports.comparability import identity
from efficient360.reports.comparing.evidence import Kind, swap_p_value, weigh
from efficient360.reports.comparing.example_values import ExampleValues, pair
from efficient360.reports.comparing.run import Run
from efficient360.reports.comparing.verdicts import Verdict, axis_verdict, metric_verdict
from efficient360.reports.folder import read
from efficient360.reports.report import summary_record

ALPHA = 0.05


@dataclass(frozen=True)
class Row:
    """One metric's values in both runs."""

    axis: str  # of a summary metric; empty for any other
    metric: Metric
    first: ExampleValues
    second: ExampleValues


def rows_of(a: Run, b: Run) -> list[Row]:
    """Every metric that can be paired: summary metrics first; of the others those that are means, whose tests are quick."""
    rows, used = [], set()
    for axis in a.report.axes:
        for part in axis.parts:
            found = [summary_record(part.anchor, run.report.records) for run in (a, b)]
            if found[0] is not None and found[1] is not None:
                values = a.values(found[0][0]), b.values(found[1][0])
                if values[0] is not None and values[1] is not None:
                    rows.append(Row(axis.dimension.name, found[0][1].metric, values[0], values[1]))
                    used.add(id(found[0][0]))
    in_b = {identity(record): record for record in b.report.records if isinstance(record.outcome, Measurement)}
    for record in a.report.records:
        if isinstance(record.outcome, Measurement) and not record.outcome.exact and id(record) not in used:
            other = in_b.get(identity(record))
            if other is not None and (x := a.values(record)) is not None and (y := b.values(other)) is not None and x.statistic is None:
                rows.append(Row("", record.outcome.metric, x, y))
    return rows


def swapped(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[Row]:
    swap: dict[str, bool] = {}
    for row in rows:
        both = pair(row.first, row.second)
        if both is None:
            continue
        theirs = set(row.second.ids)
        ids = [example for example in row.first.ids if example in theirs]
        turned = np.array([swap.setdefault(example, bool(rng.integers(2))) for example in ids])[:, None]
        first, second = np.where(turned, both.second, both.first), np.where(turned, both.first, both.second)
        yield replace(row, first=replace(row.first, ids=ids, values=first), second=replace(row.second, ids=ids, values=second))


def halves(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[Row]:
    place: dict[str, float] = {}
    for row in rows:
        order = np.argsort([place.setdefault(example, float(rng.random())) for example in row.first.ids])
        n = len(order) // 2
        ids = [str(i) for i in range(n)]
        parts = [replace(row.first, ids=ids, values=row.first.values[part]) for part in (order[:n], order[n : 2 * n])]
        yield replace(row, first=parts[0], second=parts[1])


def regrouped(rows: Sequence[Row], rng: np.random.Generator) -> Iterator[Row]:
    for row in rows:
        if row.metric.name == "largest_gap_excess":
            yield replace(row, first=_regrouped(row.first, rng_state := rng.permutation(len(row.first.ids))), second=_regrouped(row.second, rng_state))


def _regrouped(values: ExampleValues, order: np.ndarray) -> ExampleValues:
    """The correctness of each example with the groups of another."""
    width = values.values.shape[1] // 2
    members = values.values[:, width:]
    # Three groups a grouping: the score is in exactly one of them.
    correct = values.values[:, :3].sum(axis=1, keepdims=True)
    return replace(values, values=np.concatenate([correct * members[order], members[order]], axis=1))


def p_value(row: Row) -> float:
    both = pair(row.first, row.second)
    assert both is not None
    return paired_p_value(both.first[:, 0], both.second[:, 0]) if both.statistic is None else swap_p_value(both)


def verdicts(rows: Sequence[Row]) -> tuple[dict[str, Verdict], int, list[float]]:
    """Verdict per axis, how many other metrics are called different, and all unadjusted p-values."""
    raw = [p_value(row) for row in rows]
    summary = [i for i, row in enumerate(rows) if row.axis]
    other = [i for i, row in enumerate(rows) if not row.axis]
    adjusted = dict(zip(summary, holm([raw[i] for i in summary]), strict=True))
    axes: dict[str, list[Verdict]] = {}
    for i in summary:
        row = rows[i]
        verdict = metric_verdict(Kind.PAIRED, row.metric, row.first.value(), row.second.value(), adjusted[i], Better.HIGHER)
        axes.setdefault(row.axis, []).append(verdict)
    found = int((stats.false_discovery_control([raw[i] for i in other]) < ALPHA).sum()) if other else 0
    return {axis: axis_verdict(of) for axis, of in axes.items()}, found, raw


def simulate(rows: Sequence[Row], null: Callable[[Sequence[Row], np.random.Generator], Iterator[Row]], n: int, seed: int) -> tuple[Counter[str], list[float]]:
    """How many of ``n`` comparisons call any axis better, any other metric different; and on which axes."""
    counts: Counter[str] = Counter()
    p_values: list[float] = []
    for i in range(n):
        axes, found, raw = verdicts(list(null(rows, np.random.default_rng([seed, i]))))
        decided = [axis for axis, verdict in axes.items() if verdict not in (Verdict.UNDECIDED, Verdict.EQUAL)]
        counts.update({"any axis": bool(decided), "any other metric": found > 0, **dict.fromkeys(decided, 1)})
        p_values += raw
    return counts, p_values


def repeats(n: int) -> tuple[int, int]:
    """How often two times three repeats of the same thing differ at 0.05, and at 0.05 / 20 as after Holm's first step."""
    metric, rng, found = Metric("accuracy", ONE, Better.HIGHER, "Accuracy."), np.random.default_rng(0), [0, 0]
    for _ in range(n):
        values = rng.normal(0.0, 1.0, (2, 3))
        a, b = (Measurement(metric, float(v.mean()), 3, student(v, "student-t over seeds")) for v in values)
        p = weigh(a, b, None).p_value
        assert p is not None
        found[0] += p < ALPHA
        found[1] += p < ALPHA / 20
    return found[0], found[1]


def share(count: int, n: int) -> str:
    interval = clopper_pearson(count, n)
    return f"{100 * count / n:.1f} % ({100 * interval.low:.1f} – {100 * interval.high:.1f} %)"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("runs", type=Path, nargs="+")
    options.add_argument("--comparisons", type=int, default=200)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    axes = dimensions()
    runs = [Run.of(read(folder, axes), folder) for folder in chosen.runs]
    n = chosen.comparisons
    lines = [
        "| null | runs | comparisons | any axis “better” (95 %) | any other metric different (95 %) | unadjusted p < 0.05 | on axes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, null in (("swapped", swapped), ("halves", halves), ("groups", regrouped)):
        for place, (a, b) in enumerate(combinations(runs, 2)):
            if name == "halves" and b is not runs[(runs.index(a) + 1) % len(runs)]:
                continue  # one run is enough
            counts, raw = simulate(rows_of(a, b), null, n, place)
            on = ", ".join(f"{axis} {count}" for axis, count in counts.items() if not axis.startswith("any")) or "–"
            who = a.name if name == "halves" else f"{a.name}, {b.name}"
            rejected = f"{100 * float(np.mean(np.array(raw) < ALPHA)):.1f} % of {len(raw):,}"
            others = share(counts["any other metric"], n) if name != "groups" else "–"
            lines.append(f"| {name} | {who} | {n} | {share(counts['any axis'], n)} | {others} | {rejected} | {on} |")
            print(lines[-1], flush=True)
    often, rarely = repeats(20_000)
    lines.append(f"\nIndependent repeats, two times three: p < 0.05 in {share(often, 20_000)}, p < 0.0025 in {share(rarely, 20_000)}.")
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.out is not None:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
