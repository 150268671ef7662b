"""What each evaluator costs, from finished runs: the table that the time left is told from.

Of each evaluator's seconds over the runs, a part that does not depend on the model and a part in images that the model could have answered meanwhile,
both non-negative, by least squares of the relative error.

python benchmarks/recorded_costs.py RUN=MILLISECONDS_PER_IMAGE … > efficient360/configs/costs.yaml
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from efficient360.execution.costs import Circumstances, amount

TIMES = {
    "accuracy": ("split",),
    "calibration": ("split",),
    "conformal": ("split",),
    "group_fairness": ("split",),
    "inclusion": ("split",),
    "membership_inference": ("split",),
    "uncertainty": ("examples",),
    "memory": ("batches",),
    "latency": ("runtimes", "batches", "runs"),
    "device_reach": ("runtimes", "profiles"),
    "corruption": ("examples", "corruptions", "severities"),
    "adversarial": ("examples", "steps"),
    "black_box": ("examples", "epsilons", "queries"),
    "stability": ("examples", "perturbations"),
    "faithfulness": ("examples", "steps"),
    "capture_conditions": ("images", "conditions"),
    "weight_spectrum": ("images", "steps"),
    "feature_spectrum": ("examples", "probes"),
    "continual": ("streams", "methods", "seeds", "steps"),
    "out_of_distribution": ("images",),
    "compression": ("examples", "variants"),
    "private_training": ("epsilons", "layers", "steps"),
    "natural_shift": ("split",),
    "acceleration": ("runtimes", "runs"),
}
"""The settings that an evaluator's time grows with."""
COUNTED = {
    "stability": "{seconds: 13, images: 19000, times: {examples: 64, perturbations: 10}}",
    "natural_shift": "{seconds: 1, images: 3000, times: {split: 1000}}",
    "private_training": "{seconds: 5, images: 250000, times: {epsilons: 3, layers: 2, steps: 50}}",
    "acceleration": "{seconds: 600, images: 20000, times: {runtimes: 4, runs: 30}}",
}
"""Evaluators that no run of the quick protocol has: counted from their work, and from one run of digits-vit where it got that far."""
HEAD = """# What each evaluator took, for telling the time left and for `efficient360 list evaluators`. Written by benchmarks/recorded_costs.py from runs of
# {runs}, on {cpu}.
# seconds: apart from the model. images: that the model could have answered in the rest of the time. times: what both grow with.
# The last four are counted, not recorded.
evaluators:"""


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", nargs="+", metavar="RUN=MS")
    rows: dict[str, list[tuple[float, float]]] = {}
    settings: dict[str, dict[str, object]] = {}
    images, names, cpu = 0, [], ""
    for given in options.parse_args().runs:
        folder, _, milliseconds = given.rpartition("=")
        report = json.loads((Path(folder) / "report.json").read_text())
        names.append(f"{report['checkpoint']['name']} ({report['protocol']['name']}, {report['dataset']['examples']} images)")
        cpu, images = report["environment"]["cpu"], max(images, report["dataset"]["examples"])
        seconds = {}
        for line in (Path(folder) / "outcomes.jsonl").read_text().splitlines():
            outcome = json.loads(line)
            if outcome["kind"] == "measurement":
                seconds[outcome["evaluator"]] = outcome["seconds"]
                settings[outcome["evaluator"]] = outcome["settings"]
        for name, took in seconds.items():
            rows.setdefault(name, []).append((float(milliseconds) / 1000, took))
    sys.stdout.write(HEAD.format(runs=", ".join(names), cpu=cpu) + "\n")
    for name, measured in rows.items():
        taken = np.array([max(took, 0.05) for _, took in measured])
        design = np.array([[1.0, pace] for pace, _ in measured]) / taken[:, None]
        (fixed, model), _ = nnls(design, np.ones(len(measured))) if len(measured) > 1 else ((0.0, taken[0] / measured[0][0]), None)
        times = {key: amount(key, settings[name].get(key), 1.0, Circumstances(images, 0.0)) for key in TIMES.get(name, ())}
        grows = f", times: {{{', '.join(f'{key}: {value:g}' for key, value in times.items())}}}" if times else ""
        sys.stdout.write(f"  {name}: {{seconds: {rounded(fixed)}, images: {rounded(model)}{grows}}}\n")
    for name, cost in COUNTED.items():
        if name not in rows:
            sys.stdout.write(f"  {name}: {cost}\n")


def rounded(value: float) -> str:
    """Two significant digits."""
    return f"{round(value, 1 - math.floor(math.log10(value))) if value > 0.005 else 0:g}"


if __name__ == "__main__":
    main()
