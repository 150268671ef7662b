"""How often a gate of many rules fails where nothing changed, with the answers of real models: false alarms of `efficient360 check` over swapped runs.

efficient360 evaluate digits-vit --dataset digits --out RUN; the same for digits-vit-reg
python benchmarks/gate_swaps.py BASELINE RUN [--swaps N] [--out FILE]

Each example keeps its two models' values, but which of the two is called the baseline is drawn anew for every example: neither is better, while how the
values are distributed, and go together among examples and metrics, is that of the runs.
"""

import argparse
from pathlib import Path

import numpy as np

from efficient360.core.statistics import clopper_pearson, holm
from efficient360.plugins.registry import dimensions
from efficient360.reports.comparing.example_values import ExampleValues, Paired
from efficient360.reports.comparing.run import Run
from efficient360.reports.folder import read
from efficient360.reports.gate.check import ALPHA
from efficient360.reports.gate.evidence import paired_evidence
from efficient360.reports.gate.rule import Kind, parse_rule
from efficient360.reports.gate.selection import subjects

RULES = (
    "top1 < -0",
    "nll > +0",
    "brier > +0",
    "corruption_accuracy < -0",
    "corruption_accuracy[corruption=fog] < -0",
    "corruption_accuracy[corruption=contrast] < -0",
    "robust_accuracy < -0",
    "best_faithfulness < -0",
    "mean_capture_ratio < -0",
    "worst_group_accuracy < -0",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--swaps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gate_swaps.md")
    options = parser.parse_args()
    axes = dimensions()
    runs = [Run.of(read(folder, axes), folder) for folder in (options.baseline, options.run)]
    found: list[tuple[str, bool, ExampleValues, ExampleValues]] = []
    for text in RULES:
        rule = parse_rule(Kind.FAIL_IF, text)
        for subject in subjects(rule, runs[1].report, runs[0].report):
            if subject.records is not None:
                behind = [run.values(record) for record, run in zip(subject.records[::-1], runs, strict=True)]
                if behind[0] is not None and behind[1] is not None and list(behind[0].ids) == list(behind[1].ids):
                    told = f"{text}, {subject.conditions['groups']}" if "groups" in subject.conditions else text
                    found.append((told, rule.worse_below, behind[0], behind[1]))
    ids = sorted({example for *_, values, _ in found for example in values.ids})
    rejected, alarms, unadjusted = np.zeros(len(found), int), 0, 0
    for seed in range(options.swaps):
        swapped = dict(zip(ids, np.random.default_rng([7, seed]).random(len(ids)) < 0.5, strict=True))
        p_values = []
        for _, below, first, second in found:
            mask = np.array([swapped[example] for example in first.ids])[:, None]
            pair = Paired(np.where(mask, second.values, first.values), np.where(mask, first.values, second.values), first.statistic)
            p = paired_evidence(pair, 1.0, 0.0, below).p_value
            p_values.append(1.0 if p is None else p)
        rejected += np.array(p_values) < ALPHA
        alarms += min(holm(p_values)) < ALPHA
        unadjusted += min(p_values) < ALPHA
    names = [run.name for run in runs]
    ends = clopper_pearson(alarms, options.swaps)
    lines = [
        "# False alarms of the gate on swapped runs",
        "",
        f"`python benchmarks/gate_swaps.py BASELINE RUN --swaps {options.swaps}`: quick runs of {names[0]} and {names[1]}, whose values are swapped example by",
        f"example, so that neither is better; {len(found)} rules in one check, alpha = {ALPHA:g}.",
        "",
        f"**Of {options.swaps} checks {alarms} failed: {100 * alarms / options.swaps:.1f} %** (95 %: {100 * ends.low:.1f} – {100 * ends.high:.1f} %;",
        f"nominal at most {100 * ALPHA:g} %). Without adjustment {100 * unadjusted / options.swaps:.1f} % would have.",
        "",
        "| rule | examples | p < alpha by itself |",
        "| --- | --- | --- |",
        *(f"| {told} | {len(values.ids)} | {100 * count / options.swaps:.1f} % |" for (told, _, values, _), count in zip(found, rejected, strict=True)),
    ]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
