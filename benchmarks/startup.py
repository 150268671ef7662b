"""Start-up time of the command against an empty interpreter, interleaved in one run.

python benchmarks/startup.py [--repeats 20]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("efficient360"))
CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "efficient360 --help": [COMMAND, "--help"],
    **{f"efficient360 list {what}": [COMMAND, "list", what] for what in ("evaluators", "dimensions", "datasets", "checkpoints", "protocols")},
}


def processor_seconds(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return time.perf_counter() - began, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=20)
    repeats = options.parse_args().repeats
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(repeats):
        for name, command in CASES.items():
            times[name].append(processor_seconds(command))
    wall, cpu = ({name: statistics.median(t[i] for t in all_) for name, all_ in times.items()} for i in (0, 1))
    base = "python -c pass"
    for name in CASES:
        print(f"{name:32} {1000 * wall[name]:7.1f} ms  {wall[name] / wall[base]:5.2f}×   CPU {1000 * cpu[name]:6.1f} ms  {cpu[name] / cpu[base]:5.2f}×")


if __name__ == "__main__":
    main()
