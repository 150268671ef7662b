"""How often `efficient360 check` fails a model that is no worse, and one that is: simulated runs, held against rules as users hold theirs.

python benchmarks/gate_errors.py [--replicates N] [--out FILE]

Two models answer the same images; how hard an image is, is shared, so their answers are correlated as those of real models are. A null comparison is
of two models whose truth lies exactly on every rule's limit: the worst case of a false alarm. A planted drop is a model that is worse by so much.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from interval_draws import Noise, timed_run
from scipy import stats

from efficient360.core.measurement import NAT, ONE, SECOND, Better, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.core.statistics import clopper_pearson, mean_interval
from efficient360.deployment.devices.timing import quantile_interval
from efficient360.reports.comparing.example_values import ExampleTable
from efficient360.reports.comparing.run import Run
from efficient360.reports.gate.check import ALPHA, check
from efficient360.reports.gate.results import State
from efficient360.reports.gate.rule import Kind, parse_rule
from efficient360.reports.report import Report

Rng = np.random.Generator
TOP1 = Metric("top1", ONE, Better.HIGHER, "Right or wrong.", low=0, high=1)
NLL = Metric("nll", NAT, Better.LOWER, "Negative log-likelihood.", low=0)
ROBUST = Metric("robust_accuracy", ONE, Better.HIGHER, "Right under attack.", low=0, high=1)
CORRUPTED = Metric("corruption_accuracy", ONE, Better.HIGHER, "Share of the corruptions under which an image is right.", low=0, high=1)
LATENCY = Metric("latency_p50", SECOND, Better.LOWER, "Median latency.", low=0)
SHARED = 0.9
"""Correlation of the two models' difficulty of an image: of four digits models 5 to 11 of 1000 images are right in one and wrong in the other."""
NOISE = Noise(call=0.01, process=0.03, run=0.025)
"""Of latencies: 1 % between calls, 3 % between processes, 2.5 % between runs."""
EVERYTHING = ("top1 < {top1}pt", "nll > +0", "robust_accuracy < -0", "corruption_accuracy < -0", "latency_p50 > +0%")


@dataclass(frozen=True)
class Model:
    """What is true of a model.

    Args:
        top1: Accuracy.
        nll: Mean negative log-likelihood.
        robust: Accuracy under attack.
        corrupted: Accuracy under corruption.
        latency: In seconds.
    """

    top1: float = 0.95
    nll: float = 0.2
    robust: float = 0.5
    corrupted: float = 0.8
    latency: float = 0.02


@dataclass(frozen=True)
class Setting:
    """A comparison to be repeated.

    Args:
        title: What it is called in the table.
        rules: Those that must not be.
        baseline: Truth of the baseline.
        run: Truth of the run.
        images: Number of images; attacks take 64 of them, corruptions 100.
        paired: Whether values of single images are kept.
    """

    title: str
    rules: Sequence[str]
    baseline: Model
    run: Model
    images: int = 900
    paired: bool = True


def nulls() -> Iterator[Setting]:
    same = Model()
    for images in (100, 900, 5000):
        yield Setting("top1 < -0, equal models", ["top1 < -0"], same, same, images)
    weak, strong = Model(top1=0.7), Model(top1=0.99)
    yield Setting("top1 < -0, equal models of 70 %", ["top1 < -0"], weak, weak)
    yield Setting("top1 < -0, equal models of 99 %", ["top1 < -0"], strong, strong)
    for images in (100, 900, 5000):
        yield Setting("top1 < -1pt, truly 1 pt worse", ["top1 < -1pt"], same, replace(same, top1=0.94), images)
    yield Setting("top1 < -1%rel, truly 1 % worse", ["top1 < -1%rel"], same, replace(same, top1=0.95 * 0.99))
    yield Setting("top1 < -0, not paired", ["top1 < -0"], same, same, paired=False)
    yield Setting("top1 < 95%, a value, truly 95 %", ["top1 < 95%"], same, same)
    yield Setting("nll > +0, equal models", ["nll > +0"], same, same)
    yield Setting("nll > +5%, truly 5 % worse", ["nll > +5%"], same, replace(same, nll=0.21))
    yield Setting("robust_accuracy < -0, equal models, 64 images", ["robust_accuracy < -0"], same, same)
    yield Setting("corruption_accuracy < -2pt, truly 2 pt worse, 100 images", ["corruption_accuracy < -2pt"], same, replace(same, corrupted=0.78))
    yield Setting("latency_p50 > +0%, equal models, 3 processes", ["latency_p50 > +0%"], same, same)
    yield Setting("latency_p50 > +10%, truly 10 % slower, 3 processes", ["latency_p50 > +10%"], same, replace(same, latency=0.022))
    yield Setting("five rules, equal models", [rule.format(top1="-0") for rule in EVERYTHING], same, same)


def drops() -> Iterator[Setting]:
    good = Model()
    for images in (900, 5000):
        for points in (1, 2, 3, 5):
            yield Setting(f"top1 < -0.5pt, truly {points} pt worse", ["top1 < -0.5pt"], good, replace(good, top1=0.95 - points / 100), images)
    for points in (2, 3, 5):
        rules = [rule.format(top1="-0.5") for rule in EVERYTHING]
        yield Setting(f"five rules, top1 truly {points} pt worse", rules, good, replace(good, top1=0.95 - points / 100))
    for points in (10, 20, 30):
        yield Setting(f"robust_accuracy < -0, truly {points} pt worse, 64 images", ["robust_accuracy < -0"], good, replace(good, robust=0.5 - points / 100))
    for points in (3, 5, 8):
        yield Setting(f"corruption_accuracy < -1pt, truly {points} pt worse", ["corruption_accuracy < -1pt"], good, replace(good, corrupted=0.8 - points / 100))
    for percent in (20, 50, 100):
        yield Setting(f"latency_p50 > +10%, truly {percent} % slower", ["latency_p50 > +10%"], good, replace(good, latency=0.02 * (1 + percent / 100)))
    yield Setting("top1 < -0.5pt, truly 3 pt worse, not paired", ["top1 < -0.5pt"], good, replace(good, top1=0.92), paired=False)


def simulated(name: str, model: Model, difficulty: np.ndarray, setting: Setting, rng: Rng) -> Run:
    """A run of a model, with those of its outcomes that the rules are about, and the values of its examples."""
    own = SHARED**0.5 * difficulty + (1 - SHARED) ** 0.5 * rng.normal(size=difficulty.shape)  # (4, n), standard normal
    draws: dict[Metric, Callable[[], np.ndarray]] = {
        TOP1: lambda: own[0] < stats.norm.ppf(model.top1),
        NLL: lambda: model.nll * np.exp(1.2 * own[1] - 0.72),  # lognormal of this mean
        ROBUST: lambda: own[2, :64] < stats.norm.ppf(model.robust),
        CORRUPTED: lambda: (0.8 * own[3, :100] + 0.6 * rng.normal(size=(15, min(100, setting.images))) < stats.norm.ppf(model.corrupted)).mean(axis=0),
    }
    records, values = [], {}
    for metric, draw in draws.items():
        if any(rule.startswith(metric.name) for rule in setting.rules):
            column = draw().astype(float)
            records.append(Record(metric.name, Measurement(metric, float(column.mean()), len(column), mean_interval(column, seed=0))))
            values[metric.name, metric.name, "{}"] = {f"x{i}": float(value) for i, value in enumerate(column)}
    if any(rule.startswith(LATENCY.name) for rule in setting.rules):
        blocks = [(process, model.latency * times) for process, times in timed_run(NOISE, 3, rng)]
        p50 = float(np.median(np.concatenate([times for _, times in blocks])))
        records.append(Record(LATENCY.name, Measurement(LATENCY, p50, 60, quantile_interval(p50, blocks, 50))))
    report = Report("complete", "", "", "", {"name": name, "digest": name}, {"digest": "d"}, {}, {}, records, [])
    return Run(report, ExampleTable(values if setting.paired else {}))


@dataclass
class Counts:
    """How many of some checks failed, and how many would have by other rules of deciding."""

    checks: int = 0
    failed: int = 0
    by_point: int = 0
    unadjusted: int = 0


def repeated(setting: Setting, replicates: int, seed: int) -> Counts:
    """So many checks of fresh runs."""
    rules = [parse_rule(Kind.FAIL_IF, text) for text in setting.rules]
    counts = Counts()
    for replicate in range(replicates):
        rng = np.random.default_rng([seed, replicate])
        difficulty = rng.normal(size=(4, setting.images))
        baseline, run = (simulated(name, model, difficulty, setting, rng) for name, model in (("baseline", setting.baseline), ("run", setting.run)))
        result = check(run, rules, baseline)
        broken = [r for r in result.results if r.state in (State.FAILED, State.UNDECIDED)]
        counts.checks += 1
        counts.failed += not result.passed
        counts.by_point += bool(broken)
        counts.unadjusted += any(r.p_value is not None and r.p_value < ALPHA for r in broken)
    return counts


def table(heading: str, settings: Iterator[Setting], replicates: int, line: Callable[[Setting, Counts], str], seed: int) -> Iterator[str]:
    yield heading
    for i, setting in enumerate(settings):
        counts = repeated(setting, replicates, seed + i)
        text = line(setting, counts)
        print(text, flush=True)
        yield text


def share(count: int, checks: int) -> str:
    return f"{100 * count / checks:.1f} %"


def false_alarms(setting: Setting, counts: Counts) -> str:
    ends = clopper_pearson(counts.failed, counts.checks)
    several = share(counts.unadjusted, counts.checks) if len(setting.rules) > 1 else "as it is"
    interval = f"{100 * ends.low:.1f} – {100 * ends.high:.1f}"
    return f"| {setting.title} | {setting.images} | {share(counts.failed, counts.checks)} | {interval} | {several} | {share(counts.by_point, counts.checks)} |"


def power(setting: Setting, counts: Counts) -> str:
    return f"| {setting.title} | {setting.images} | {share(counts.failed, counts.checks)} | {share(counts.by_point, counts.checks)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1000, help="null comparisons a setting; planted drops get a quarter as many")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gate_errors.md")
    options = parser.parse_args()
    n, fewer = options.replicates, max(1, options.replicates // 4)
    lines = [
        "# Errors of the gate",
        "",
        f"`python benchmarks/gate_errors.py --replicates {n}`: simulated runs, held against rules as `efficient360 check`",
        f"holds them, at its default of alpha = {ALPHA:g}.",
        "",
        f"## False alarms: {n} null comparisons each, with the truth on the limit",
        "",
        f"Nominal: at most {100 * ALPHA:g} %. An exact test of few discordant pairs stays below it. The last columns are what other ways to decide would do.",
        "",
    ]
    lines += table(
        "| rules and truth | images | false alarms | 95 % of this share | not adjusted | --strict |\n| --- | --- | --- | --- | --- | --- |",
        nulls(),
        n,
        false_alarms,
        0,
    )
    lines += ["", f"## Power: {fewer} planted drops each", "", "Share of the checks that fail, as they should.", ""]
    lines += table("| rules and truth | images | found | --strict |\n| --- | --- | --- | --- |", drops(), fewer, power, 1000)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
