"""A folder full of files named like libraries, as may lie beside downloaded weights: none of them is ever imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import efficient360

ROOT = Path(efficient360.__file__).parents[1]
NAMES = "argparse contextlib dataclasses encodings json logging multiprocessing numpy pathlib pickle rich subprocess timm torch typing wandb yaml"
TRAP = "import os\nwith open(os.environ['MARKER'], 'a') as file: file.write(__name__ + '\\n')\nraise SystemExit(9)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder full of traps."""
    place = tmp_path / "downloads"
    place.mkdir()
    for name in NAMES.split():
        (place / f"{name}.py").write_text(TRAP)
    return place


def run(folder: Path, *arguments: str, script: bool = True) -> tuple[int, str, str]:
    """Exit code, names of what was imported from the folder, and the last line of the standard error, of the command run in the folder."""
    marker = folder.parent / "marker"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"} | {"MARKER": str(marker), "PYTHONPATH": str(ROOT)}
    installed = folder.parent / "bin" / "efficient360"
    installed.parent.mkdir(exist_ok=True)
    installed.write_text("from efficient360.__main__ import main\nmain()\n")
    command = [sys.executable, str(installed)] if script else [sys.executable, "-m", "efficient360"]
    done = subprocess.run([*command, *arguments], cwd=folder, env=environment, capture_output=True, check=False, text=True)
    return done.returncode, marker.read_text() if marker.exists() else "", done.stderr if done.returncode else ""


@pytest.mark.parametrize("arguments", [["--version"], ["list", "evaluators"], ["list", "runtimes"]], ids=" ".join)
def test_the_command_imports_nothing_from_its_folder(folder: Path, arguments: list[str]) -> None:
    assert run(folder, *arguments) == (0, "", "")


def test_nor_does_the_module(folder: Path) -> None:
    (folder / "contextlib.py").unlink()  # which Python's own -m imports before any code of ours
    assert run(folder, "list", "evaluators", script=False) == (0, "", "")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_nor_do_its_workers_and_their_helpers(folder: Path, tiny: Path) -> None:
    out = folder / "runs"
    out.mkdir()
    for trap in folder.glob("*.py"):
        (out / trap.name).write_text(TRAP)
    what = ["evaluate", str(tiny), "--dataset", "digits", "--max-examples", "20", "--only", "accuracy,memory", "--out", str(out)]
    assert run(folder, *what, "--wandb", "p", "--wandb-mode", "offline") == (0, "", "")
    assert list((out / "wandb").glob("offline-run-*/*.wandb"))


@pytest.mark.slow
def test_nor_do_processes_that_a_library_starts(folder: Path, tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['efficient360', '--version']\nfrom efficient360.cli.entry import run\nrun(['--version'])\n"
    code += "import multiprocessing\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(len, ['abc']))\n"
    script = tmp_path / "script.py"
    script.write_text(code)
    marker = tmp_path / "marker"
    environment = os.environ | {"MARKER": str(marker), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, check=False, text=True)
    assert (done.returncode, marker.exists()) == (0, False), done.stderr
    assert "[3]" in done.stdout
