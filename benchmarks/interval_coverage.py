"""How often every kind of interval that a report prints covers what it is an interval of: simulated, and exact where a formula exists. Nominal is 95 %.

python benchmarks/interval_coverage.py [--replicates N] [--part PART] [--out FILE]

One part after the other appends to the same file.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from interval_draws import (
    Draw,
    Noise,
    balanced,
    bank,
    calibration,
    classwise,
    detection,
    difference,
    disparity,
    few_seeds,
    group_gap,
    latency,
    lowest,
    mean_of,
    median_of,
    membership,
    normal_auc,
    odds,
    old_latency,
    one_attacks_interval,
    paired_ratio,
    perturbation,
    relative,
    selected_wilson,
    strongest,
    temperature,
)
from scipy import stats

from efficient360.core.statistics import clopper_pearson, wilson
from efficient360.methods.fairness.criteria import CalibrationWithinGroups, DemographicParity

SLOW = 4
"""A slow kind gets so many times fewer replicates."""


@dataclass(frozen=True)
class Kind:
    name: str
    setting: str
    draw: Draw
    slow: bool = False


def of_means() -> Iterator[Kind]:
    for n in (50, 500):
        yield Kind("difference of two proportions (Newcombe)", f"n {n}", difference(False, n))
        yield Kind("difference of two paired proportions (Newcombe)", f"n {n}", difference(True, n))
    for distribution, n in (
        ("normal", 4),
        ("normal", 10),
        ("normal", 64),
        ("exponential", 16),
        ("exponential", 64),
        ("lognormal", 100),
        ("lognormal", 1000),
        ("mostly zero", 50),
    ):
        yield Kind("mean (bootstrap-t; Student's t under 10 values)", f"{distribution}, n {n}", mean_of(distribution, n))
    yield Kind("mean over seeds (Student's t)", "n 3", few_seeds(3))
    for n in (8, 64):
        yield Kind("median (order statistics)", f"n {n}", median_of(n))
    yield Kind("relative accuracy, mean of conditions (paired bootstrap)", "n 200", relative(200))
    yield Kind("accuracy kept (paired bootstrap)", "n 500", paired_ratio(500))
    yield Kind("median perturbation (bootstrap)", "n 60", perturbation(60), slow=True)


def of_latency() -> Iterator[Kind]:
    for setting, noise in (
        ("quiet: calls 1 %", Noise()),
        ("drift dominates: 3 %, lasting a block", Noise(drift=0.03)),
        ("drift dominates: 3 %, lasting three blocks", Noise(drift=0.03, memory=3)),
        ("drift dominates: 8 %, lasting a block", Noise(drift=0.08)),
        ("processes differ by 3 %", Noise(process=0.03)),
        ("processes differ by 8 %", Noise(process=0.08)),
        ("runs differ by 2.5 %", Noise(run=0.025)),
        ("all: drift 3 %, processes 3 %, runs 2.5 %", Noise(drift=0.03, process=0.03, run=0.025)),
    ):
        yield Kind("latency p50 (three processes)", setting, latency(noise))
        yield Kind("as before: block bootstrap in one process", setting, old_latency(noise))
    yield Kind("latency p50 (a single process)", "all: drift 3 %, processes 3 %, runs 2.5 %", latency(Noise(drift=0.03, process=0.03, run=0.025), processes=1))
    yield Kind("latency p90 (three processes)", "all: drift 3 %, processes 3 %, runs 2.5 %", latency(Noise(drift=0.03, process=0.03, run=0.025), percent=90))


def of_scores() -> Iterator[Kind]:
    for shift, n in ((0.0, 100), (1.0, 100), (3.0, 100)):
        yield Kind("membership AUC (Newcombe)", f"AUC {normal_auc(shift):.2f}, n {n}", membership(shift, n))
    yield Kind("as before: one attack's interval for the best of four", "nothing to find, n 300", one_attacks_interval(4, 300))
    yield Kind("strongest of four attacks", "nothing to find, independent, n 300", strongest((0.0,) * 4, 300, 0.0), slow=True)
    yield Kind("strongest of four attacks", "nothing to find, correlation 0.8, n 300", strongest((0.0,) * 4, 300, 0.8), slow=True)
    yield Kind("strongest of four attacks", "one is strong, n 300", strongest((0.6, 0.0, 0.0, 0.1), 300, 0.5), slow=True)


def of_detection() -> Iterator[Kind]:
    for metric, shift in (("auroc", 1.0), ("auroc", 2.5), ("fpr95", 1.0), ("fpr95", 2.5)):
        yield Kind(f"OOD {metric.upper()} (bootstrap)", f"AUROC {normal_auc(shift):.2f}, n 400", detection(metric, shift, 400), slow=True)
    for name in ("knn", "mahalanobis"):
        yield Kind(f"OOD AUROC of {name}, as before: its training images as given", "bank of 300, n 300", bank(name, False), slow=True)
        yield Kind(f"OOD AUROC of {name}, training images drawn anew", "bank of 300, n 300", bank(name, True), slow=True)


def of_calibration() -> Iterator[Kind]:
    for metric, scale in (("ece", 1.6), ("excess", 1.0), ("excess", 1.6), ("aurc", 1.6), ("augrc", 1.6)):
        setting = "calibrated" if scale == 1 else "overconfident"
        yield Kind(
            {"ece": "ECE (centred bootstrap)", "excess": "ECE beyond chance"}.get(metric, metric.upper()),
            f"{setting}, n 900",
            calibration(metric, scale, 900),
            slow=True,
        )
    yield Kind("class-wise ECE beyond chance, mean", "calibrated, n 900", classwise(900), slow=True)
    yield Kind("temperature (sandwich)", "n 300", temperature(300), slow=True)


def of_groups() -> Iterator[Kind]:
    for groups, gap in ((2, 0.0), (8, 0.0), (4, 0.1)):
        setting = f"{groups} groups of 897 images" + (f", one {gap:.0%} worse" if gap else ", equal")
        for title, make, summaries in (
            ("equalized odds", odds, ("mean", "worst")),
            ("demographic parity", DemographicParity, ("mean", "worst")),
            ("calibration within groups", CalibrationWithinGroups, ("",)),
        ):
            if gap and make is CalibrationWithinGroups:
                continue
            for i, summary in enumerate(summaries):
                yield Kind(f"{title} {summary}".strip() + " (simultaneous)", setting, disparity(make, i, groups, gap), slow=True)


def of_classes() -> Iterator[Kind]:
    equal, spread = np.full(10, 0.89), np.linspace(0.7, 0.98, 10)
    for rates, setting in ((equal, "10 equal groups of 90"), (spread, "10 groups of 90, 70 to 98 %")):
        yield Kind("difference of group accuracies", setting, group_gap(rates, 90, False))
        yield Kind("ratio of group accuracies", setting, group_gap(rates, 90, True))
        yield Kind("as before: Wilson of the class that came out lowest", setting, selected_wilson(rates, 90))
        yield Kind("worst class (simultaneous Wilson)", setting, lowest(rates, 90, 1), slow=True)
    for rates, setting in ((np.full(40, 0.89), "40 equal classes of 50"), (np.linspace(0.6, 0.98, 40), "40 classes of 50, 60 to 98 %")):
        yield Kind("lowest tenth of the classes", setting, lowest(rates, 50, 4))
    yield Kind("balanced accuracy (stratified bootstrap)", "10 classes of 40", balanced(40), slow=True)


def exact_rows() -> Iterator[tuple[str, str, str, str]]:
    """Wilson and Clopper–Pearson: mean and least coverage over accuracies from 50 to 99 %, by summing the binomial distribution."""
    for title, make in (("proportion (Wilson)", wilson), ("proportion (Clopper–Pearson)", clopper_pearson)):
        for n in (30, 100, 1000):
            ends = [make(k, n) for k in range(n + 1)]
            low, high = np.array([i.low for i in ends]), np.array([i.high for i in ends])
            rates = np.linspace(0.5, 0.99, 200)
            covered = [float(stats.binom.pmf(np.arange(n + 1), n, p)[(low <= p) & (p <= high)].sum()) for p in rates]
            yield title, f"n {n}, accuracy 50 to 99 %", f"{100 * np.mean(covered):.1f} %", f"exact; least {100 * min(covered):.1f} %"


def measured(kind: Kind, replicates: int) -> tuple[str, str, str, str]:
    count = replicates // SLOW if kind.slow else replicates
    hits, below = 0, 0
    for i in range(count):
        interval, truth = kind.draw(np.random.default_rng([360, i]))
        hits += interval.low - 1e-12 <= truth <= interval.high + 1e-12
        below += truth < interval.low - 1e-12
    share = hits / count
    ends = wilson(hits, count)
    return (
        kind.name,
        kind.setting,
        f"{100 * share:.1f} %",
        f"{100 * ends.low:.1f} – {100 * ends.high:.1f}, of {count}; truth below {below}, above {count - hits - below}",
    )


PARTS: dict[str, Callable[[], Iterator[Kind]]] = {
    "means": of_means,
    "latency": of_latency,
    "scores": of_scores,
    "detection": of_detection,
    "calibration": of_calibration,
    "groups": of_groups,
    "classes": of_classes,
}
HEAD = """# Coverage of every kind of interval

Nominal 95 %. "As before" are intervals that were printed once and are printed no more.

| interval | setting | covers | Monte Carlo error, 95 % |
| --- | --- | --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    for name in [asked.part] if asked.part else PARTS:
        rows = [*(exact_rows() if name == "means" else ()), *(measured(kind, asked.replicates) for kind in PARTS[name]())]
        text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        print(text, end="", flush=True)
        if asked.out:
            before = asked.out.read_text(encoding="utf-8") if asked.out.exists() else HEAD
            asked.out.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
