import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from efficient360.deployment.artefact_folder import ArtefactCard, is_artefact, open_artefact, read_artefact, write_artefact
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision, files_digest
from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec, Preprocessing

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
WEIGHTS = np.array([[1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 1, 4]], np.float32)
"""From the means of three channels to four logits."""


@pytest.fixture
def handed_over(tmp_path: Path) -> Path:
    """An artefact whose logits are a product with the mean colour."""
    files = tmp_path / "files"
    files.mkdir()
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["means"]),
        onnx.helper.make_node("MatMul", ["means", "weights"], ["logits"]),
    ]
    pixels, logits = (onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in (("pixels", [1, 3, 8, 8]), ("logits", [1, 4])))
    graph = onnx.helper.make_graph(nodes, "means", [pixels], [logits], [onnx.numpy_helper.from_array(WEIGHTS, "weights")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10), files / "model.onnx")
    digest, size = files_digest(files)
    artefact = Artefact("onnxruntime", Precision.FP32, 1, (3, 8, 8), files, digest, size, {}, 0.0, Converted({"model": "model.onnx"}))
    shape = Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3)
    write_artefact(artefact, ArtefactCard("means", 4, ("r", "g", "b", "w"), shape, {"threads": 1}), tmp_path / "model", {"run.py": b"pass"})
    return tmp_path / "model"


def test_it_is_read_as_it_was_written(handed_over: Path) -> None:
    artefact, card = read_artefact(handed_over)
    assert (artefact.label, artefact.size, card.class_names, card.told["threads"]) == ("onnxruntime:fp32", (3, 8, 8), ("r", "g", "b", "w"), 1)
    assert (handed_over / "run.py").read_bytes() == b"pass"
    assert is_artefact(CheckpointSpec(str(handed_over)))
    assert not is_artefact(CheckpointSpec(str(handed_over.parent)))
    assert not is_artefact(CheckpointSpec(str(handed_over), architecture="vit_tiny_patch16_224"))


def test_it_answers_like_any_model(handed_over: Path) -> None:
    checkpoint, runnable = open_artefact(CheckpointSpec(str(handed_over)))
    images = torch.rand((3, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    expected = images.mean((2, 3)).numpy() @ WEIGHTS
    with runnable.running(checkpoint.num_classes, None) as model:
        np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-5)
        np.testing.assert_allclose(dataclasses.replace(model, keep=(3, 0))(images).numpy(), expected[:, [3, 0]], rtol=1e-5)


@pytest.mark.parametrize(
    ("place", "value"),
    [(("classes",), 1), (("format",), "other"), (("artefact", "runtime"), "no-such"), (("artefact", "converted", "settings", "model"), "../x")],
)
def test_another_card_is_refused(handed_over: Path, place: tuple[str, ...], value: object) -> None:
    data = json.loads((handed_over / "card.json").read_text())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (handed_over / "card.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError) as error:
        read_artefact(handed_over)
    assert error.value.code == "bad-artefact"


def test_other_files_are_refused(handed_over: Path) -> None:
    with (handed_over / "artefact" / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError) as error:
        read_artefact(handed_over)
    assert error.value.code == "bad-artefact"
