"""The example notebook runs from top to bottom, and shows what a reader is promised."""

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "in_a_notebook.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(NOTEBOOK, folder)
    notebook = nbformat.read(folder / NOTEBOOK.name, as_version=4)
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.source.strip().splitlines()[-1]: output["data"] for cell in cells for output in cell.outputs if "data" in output}


@pytest.mark.slow
def test_the_notebook_runs_and_shows_reports(outputs: dict[str, Any]) -> None:
    for name in ("report", "mine"):
        assert "<svg" in outputs[name]["text/html"]
        assert outputs[name]["text/plain"].startswith("<RunReport ")
        assert outputs[name]["text/plain"].count("\n") == 0
    assert outputs["comparison"]["text/plain"].startswith("<Comparison of digits-vit and SmallTransformer")
    assert outputs['e360.load_report("runs/in-memory")["top1"].value == mine["top1"].value']["text/plain"] == "True"
    assert outputs["round(float(loss.detach()), 3) < 1.0"]["text/plain"] == "True"
