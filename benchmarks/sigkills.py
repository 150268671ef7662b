"""Kill real runs with SIGKILL at random moments, then let each end and compare its report with an undisturbed run's.

    python benchmarks/sigkills.py [--kills 50]

Counts reports lost (unreadable after a kill although one had been written), files corrupted (not readable after a kill) and reports that differ in the end.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from efficient360.plugins.registry import dimensions
from efficient360.reports.folder import read

EVALUATORS = "accuracy,calibration,parameters,macs"


def command(out: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "efficient360",
        "evaluate",
        "digits-vit",
        "--dataset",
        "digits",
        "--only",
        EVALUATORS,
        "--batch-size",
        "1",
        "--out",
        str(out),
    ]


def numbers(folder: Path) -> list[object]:
    data = json.loads((folder / "report.json").read_text())
    for outcome in data["outcomes"]:
        del outcome["seconds"]
    return [data[key] for key in ("outcomes", "dimensions", "checkpoint", "dataset", "state")]


def damage(folder: Path) -> tuple[int, int]:
    """Reports lost and files corrupted in a folder as a kill left it."""
    lost = corrupted = 0
    if (folder / "report.json").exists():
        try:
            read(folder, dimensions())
        except Exception as error:  # whatever it is, the report is lost
            print(f"  lost: {error}")
            lost = 1
        page = (folder / "report.html").read_text() if (folder / "report.html").exists() else "</html>"
        corrupted += not page.rstrip().endswith("</html>")
    table = folder / "examples.parquet"
    if table.exists():
        try:
            pq.read_table(table)
        except Exception as error:  # as above
            print(f"  corrupted: {error}")
            corrupted += 1
    return lost, corrupted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    kills = lost = corrupted = different = runs = 0
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run(command(Path(folder) / "whole"), check=True, capture_output=True)
        length = time.monotonic() - began
        reference = numbers(Path(folder) / "whole")
        while kills < options.kills:
            out = Path(folder) / f"run{runs}"
            runs += 1
            for _ in range(chance.randint(3, 7)):
                process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    process.wait(timeout=chance.uniform(0.3, 0.85) * length)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    kills += 1
                more = damage(out)
                lost, corrupted = lost + more[0], corrupted + more[1]
            subprocess.run(command(out), check=True, capture_output=True)
            same = numbers(out) == reference
            different += not same
            print(f"run {runs}: {kills} kills, {'same report' if same else 'ANOTHER REPORT'}", flush=True)
    print(f"{kills} SIGKILLs over {runs} runs of {length:.1f} s: reports lost {lost}, files corrupted {corrupted}, other final reports {different}")


if __name__ == "__main__":
    main()
