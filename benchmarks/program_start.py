"""How long a program takes until it has imported what a worker imports: forked from a process that has the libraries, beside a process of its own, in turns.

    python benchmarks/program_start.py [--rounds 5]

The program is the module of the runner, which ends as soon as it is imported: it has no ``main`` to call.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

from efficient360.core.program_start import Program, _Alone, start

MODULE = "efficient360.execution.runner"


def main() -> None:
    """Print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    first = seconds(forked)
    times: dict[Callable[[int], Program], list[float]] = {alone: [], forked: []}
    for _ in range(rounds):
        for begin, taken in times.items():
            taken.append(seconds(begin))
    own, copies = (sorted(taken) for taken in times.values())
    print(f"first one, with the process that forks: {first:.2f} s")
    print(f"in a process of its own: median {statistics.median(own):.2f} s ({own[0]:.2f} to {own[-1]:.2f})")
    print(f"forked: median {statistics.median(copies):.2f} s ({copies[0]:.2f} to {copies[-1]:.2f})")
    print(f"ratio of the medians: {statistics.median(own) / statistics.median(copies):.1f}")


def alone(nothing: int) -> Program:
    """The program in a process of its own."""
    return _Alone(MODULE, nothing, nothing, ())


def forked(nothing: int) -> Program:
    """The program forked where that is possible."""
    return start(MODULE, nothing, nothing)


def seconds(begin: Callable[[int], Program]) -> float:
    """Seconds from the start of a program to its end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    began = time.perf_counter()
    begin(nothing).wait()
    taken = time.perf_counter() - began
    os.close(nothing)
    return taken


if __name__ == "__main__":
    main()
