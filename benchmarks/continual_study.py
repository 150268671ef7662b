"""Continual learning: our metrics against Avalanche's, and the table of methods and scenarios.

    python benchmarks/continual_study.py agreement
    python benchmarks/continual_study.py learn CHECKPOINT --data-dir DIR --folder DIR [--minutes 1.5]
    python benchmarks/continual_study.py table --folder DIR

``learn`` stops after its minutes and goes on when it is called again; it ends with 0 once all is done, with 3 before. ``agreement`` wants avalanche-lib 0.6.0.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from efficient360.cli import parser as cli
from efficient360.core import formatting
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import from_json
from efficient360.methods.continual_learning import forgetting_and_transfer as metrics

SETTINGS = {
    "methods": "[naive, ewc, lwf, replay, frozen, lora, joint]",
    "seeds": "3",
    "batch": "32",
    "streams": "[digits, corruptions]",
    "corruptions": "[gaussian_noise, fog, contrast]",
    "tasks": "3",
    "images": "200",
    "tested": "100",
    "steps": "25",
    "head_rate": "0.01",
}
SHOWN = (metrics.AVERAGE, metrics.PLASTICITY, metrics.FORGETTING, metrics.INTRANSIGENCE, metrics.SHARE, metrics.RETENTION)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("agreement").set_defaults(run=agreement)
    command = commands.add_parser("learn")
    command.add_argument("checkpoint")
    command.add_argument("--data-dir", required=True)
    command.add_argument("--dataset", default="cifar10")
    command.add_argument("--minutes", type=float, default=1.5)
    command.set_defaults(run=learn)
    drawn = commands.add_parser("table")
    drawn.set_defaults(run=table)
    for one in (command, drawn):
        one.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    asked.run(asked)


def agreement(_asked: argparse.Namespace) -> None:
    """Random accuracy matrices through Avalanche's metrics, fed as its evaluation loop feeds them, and through ours."""
    from avalanche.evaluation.metrics.forgetting_bwt import BWT, Forgetting
    from avalanche.evaluation.metrics.forward_transfer import ForwardTransfer

    rng, worst = np.random.default_rng(0), dict.fromkeys(("backward transfer", "forward transfer", "forgetting where a task is at its best once learned"), 0.0)
    for tasks in (2, 3, 5, 10) * 25:
        r, before = rng.random((tasks, tasks)), rng.random(tasks)
        falling = np.minimum(r, np.diag(r))  # nothing is ever better than right after it was learned
        for matrix, name, metric, ours in (
            (r, "backward transfer", BWT(), metrics.backward_transfer(r)),
            (falling, "forgetting where a task is at its best once learned", Forgetting(), metrics.forgetting(falling)),
        ):
            for learned in range(tasks):
                for task in range(learned + 1):
                    metric.update(task, matrix[learned, task], initial=task == learned)
            worst[name] = max(worst[name], abs(float(np.mean(list(metric.result().values()))) - ours))
        forward = ForwardTransfer()
        for task in range(1, tasks):
            forward.update(task, before[task], initial=True)
            forward.update(task, r[task - 1, task])
        theirs = float(np.mean(list(forward.result().values())))
        worst["forward transfer"] = max(worst["forward transfer"], abs(theirs - metrics.forward_transfer(r, before)))
    print("100 random matrices of 2 to 10 tasks; largest difference from Avalanche 0.6.0:")
    for name, difference in worst.items():
        print(f"- {name}: {difference:.1e}")


def learn(asked: argparse.Namespace) -> None:
    """A slice of the run."""
    typed = ["evaluate", asked.checkpoint, "--dataset", asked.dataset, "--data-dir", asked.data_dir, "--only", "continual", "--out", str(asked.folder)]
    typed += ["--max-minutes", str(asked.minutes)]
    for name, value in SETTINGS.items():
        typed += ["--set", f"continual.{name}={value}"]
    code = cli.run_command(typed)
    done = json.loads((asked.folder / "report.json").read_text(encoding="utf-8"))["state"] == "complete" if code == 0 else False
    sys.exit(0 if done else code or 3)


def table(asked: argparse.Namespace) -> None:
    """The methods' rows of each scenario, means over seeds with 95 % intervals."""
    report = json.loads((asked.folder / "report.json").read_text(encoding="utf-8"))
    found = [o for o in (from_json(one).outcome for one in report["outcomes"]) if isinstance(o, Measurement)]
    values = {(str(o.conditions["stream"]), str(o.conditions["scenario"]), str(o.conditions.get("method", "")), o.metric.name): o for o in found}
    for stream, scenario in dict.fromkeys((key[0], key[1]) for key in values):
        joint = values[stream, scenario, "", "joint_accuracy"]
        print(f"\n## {stream}, {scenario}, {joint.conditions['tasks']} tasks\n")
        print(f"| method | {' | '.join(metric.name.replace('_', ' ') for metric in SHOWN)} |\n|{' --- |' * (len(SHOWN) + 1)}")
        for method in dict.fromkeys(key[2] for key in values if key[:2] == (stream, scenario) and key[2] and key[3] == "retention"):
            cells = [values.get((stream, scenario, method, metric.name)) for metric in SHOWN]
            if method == "joint":
                cells[0] = joint
            print(f"| {method} | {' | '.join('' if cell is None else _told(cell) for cell in cells)} |")


def _told(found: Measurement) -> str:
    return f"{formatting.number(found.value, found.metric)} ({formatting.interval(found.interval, found.metric)})"


if __name__ == "__main__":
    main()
