"""Program files evaluated in a checkpoint's place: their logits are those of the network that they were exported from."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from efficient360.deployment.program_artefact import is_program, open_program
from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec

VALUES = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
IMAGES = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(0))


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.body = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3, num_classes=6)
        self.other = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.body(x)
        return fine, self.other(fine)


def write(kind: str, network: nn.Module, folder: Path) -> Path:
    path = folder / f"m.{kind}"
    if kind == "ts":
        torch.jit.save(torch.jit.trace(network, (IMAGES[:1],)), str(path))
    elif kind == "pt2":
        torch.export.save(torch.export.export(network, (IMAGES[:1],)), path)
    else:
        pytest.importorskip("onnxscript")
        torch.onnx.export(network, (IMAGES[:1],), dynamo=True, verbose=False).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ts", "pt2", "onnx"])
def test_logits_are_the_networks_own(tmp_path, kind) -> None:
    pytest.importorskip("onnxruntime")
    network = TwoHeads().eval()
    output = {"ts": "1", "pt2": "1", "onnx": "1"}[kind]
    spec = CheckpointSpec(str(write(kind, network, tmp_path)), output=output, preprocessing={**VALUES, **({"input_size": 32} if kind == "ts" else {})})
    assert is_program(spec)
    mean, std = (torch.tensor(VALUES[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        expected = network((IMAGES - mean) / std)[1]
    with open_program(spec, tmp_path / "work") as (checkpoint, program):
        assert (checkpoint.num_classes, checkpoint.preprocessing.input_size, checkpoint.trained) == (4, (3, 32, 32), True)
        with program.running(4, (2, 0)) as model:
            assert (model(IMAGES) - expected[:, [2, 0]]).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["ts", "pt2"])
def test_several_outputs_are_asked_for(tmp_path, kind) -> None:
    spec = CheckpointSpec(str(write(kind, TwoHeads().eval(), tmp_path)), preprocessing={"input_size": 32})
    with pytest.raises(CheckpointError) as caught, open_program(spec, tmp_path / "work"):
        pass
    assert caught.value.code == "several-outputs"
    assert "--output 0 or --output 1" in caught.value.hint


def test_an_image_size_that_it_does_not_take(tmp_path) -> None:
    spec = CheckpointSpec(str(write("ts", TwoHeads().eval(), tmp_path)), output="0")
    with pytest.raises(CheckpointError) as caught, open_program(spec, tmp_path / "work"):
        pass
    assert caught.value.code == "network-fails"
    assert "--preprocess input_size=N" in caught.value.hint


def test_weights_are_no_program(tmp_path) -> None:
    torch.save(TwoHeads().state_dict(), tmp_path / "w.pth")
    assert not is_program(CheckpointSpec(str(tmp_path / "w.pth")))
    assert not is_program(CheckpointSpec(str(write("ts", TwoHeads().eval(), tmp_path)), "vit_tiny_patch16_224"))


@pytest.mark.parametrize(("quantized", "precision"), [(False, "fp32"), (True, "int8")])
def test_a_quantized_graph_is_called_so(tmp_path, quantized, precision) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(torch.randn(192, 4, generator=torch.Generator().manual_seed(0)).numpy(), "head")
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 4])
    nodes = [onnx.helper.make_node("Flatten", ["images"], ["flat"]), onnx.helper.make_node("MatMul", ["flat", "head"], ["logits"])]
    graph = onnx.helper.make_graph(nodes, "linear", [images], [logits], [weights])
    path = tmp_path / "linear.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    if quantized:
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(path, path)
    with open_program(CheckpointSpec(str(path), preprocessing=VALUES), tmp_path / "work") as (_, program):
        assert program.artefact(None).precision.value == precision
