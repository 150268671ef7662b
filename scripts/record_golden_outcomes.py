#!/usr/bin/env python3
"""Records the golden outcomes in tests/golden: each evaluator's numbers on a small checkpoint, with the digest of the code that gave them.

    python scripts/record_golden_outcomes.py               all evaluators whose numbers or code are others than recorded
    python scripts/record_golden_outcomes.py accuracy      these alone
    python scripts/record_golden_outcomes.py --check       writes nothing, exits 1 if a number moved

One file an evaluator. It tells which numbers moved; a file in whose diff the digest alone is another is code that changed and gives the same numbers.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import golden_outcomes as golden  # noqa: E402 - found by the path above


def main() -> int:
    """Measure, compare, write."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    check = len(arguments) < len(sys.argv) - 1
    if unknown := [name for name in arguments if name not in golden.SETTINGS]:
        print(f"no golden outcomes are kept of {', '.join(unknown)}; known: {', '.join(golden.SETTINGS)}", file=sys.stderr)
        return 2
    any_moved = False
    for name in arguments or golden.SETTINGS:
        before, code = golden.recorded(name), golden.code(name)
        with tempfile.TemporaryDirectory() as folder:
            outcomes = golden.measured(name, Path(folder) / "run")
        moved = golden.moved(before["outcomes"], outcomes)
        any_moved |= bool(moved)
        changed = "other code" if code != before["code"] else "same code"
        print(f"{name}: {changed}, {f'{len(moved)} numbers moved' if moved else 'same numbers'}")
        for line in moved:
            print(f"  {line}")
        if not check and (moved or code != before["code"]):
            golden.FOLDER.mkdir(exist_ok=True)
            lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in (outcomes if moved else before["outcomes"]))
            (golden.FOLDER / f"{name}.json").write_text(f'{{"code": "{code}",\n "outcomes": [\n{lines}\n]}}\n', encoding="utf-8")
    return int(check and any_moved)


if __name__ == "__main__":
    sys.exit(main())
