from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_networks import SIZE, compared, convolutions, source, transformer

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

# Found, not imported: collection alone would take seconds for it in each of pytest's processes.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(find_spec("litert_torch") is None, reason="litert_torch is not installed"),
]  # a conversion takes half a minute or more
MODELS = {"vit": transformer(), "cnn": convolutions()}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact | Failure]:
    folder = tmp_path_factory.mktemp("artefacts")
    vit, cnn = (source(module, name, folder) for name, module in MODELS.items())
    return {
        "vit": build(vit, "litert", Precision.FP32, batch=2),
        "vit-int8": build(vit, "litert", Precision.INT8, batch=2),
        "cnn": build(cnn, "litert", Precision.FP32),
        "cnn-int8": build(cnn, "litert", Precision.INT8),
    }


def test_answers_in_float_are_the_networks_own(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[name], tmp_path)
        assert found.largest < 1e-4
        assert found.passed


def test_answers_in_int8_pass_the_gate_and_are_quantized(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[f"{name}-int8"], tmp_path)
        assert found.passed, found.reason
        assert found.largest > 1e-4


def test_int8_weighs_about_a_quarter(artefacts) -> None:
    weights = {name: sum(np.prod(row["shape"]) * np.dtype(row["dtype"]).itemsize for row in weights_of(artefacts[name])) for name in ("vit", "vit-int8")}
    assert weights["vit-int8"] < 0.4 * weights["vit"]


def weights_of(artefact: Artefact) -> list[dict]:
    """The matrices and kernels of a model's file, not its activations."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(artefact.folder / "model.tflite"))
    nodes = interpreter._get_ops_details()
    second = {int(node["inputs"][1]) for node in nodes if node["op_name"] in ("FULLY_CONNECTED", "CONV_2D")}
    return [row for row in interpreter.get_tensor_details() if row["index"] in second]


def test_delegation_is_the_graph_without_what_xnnpack_lacks(artefacts) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # The class token is laid out for both images of a call, which XNNPACK does not do.
    for name, left, partitions in (("vit", {"BROADCAST_TO": 1}, 2), ("cnn", {"CUMSUM": 1}, 2)):
        told = artefacts[name].converted.delegation
        bare = Interpreter(str(artefacts[name].folder / "model.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        bare.allocate_tensors()
        assert told.total == len(bare._get_ops_details())
        assert (told.left, told.partitions, told.delegated) == (left, partitions, told.total - len(left))


def test_a_precision_it_does_not_have(tmp_path: Path) -> None:
    found = build(source(MODELS["vit"], "vit", tmp_path), "litert", Precision.BF16)
    assert isinstance(found, Failure)
    assert (found.status, found.code, found.message) == (Status.UNSUPPORTED, "no-precision", "LiteRT has no bf16 on a CPU")


def test_int8_without_images_to_calibrate_with(tmp_path: Path) -> None:
    found = build(ModelSource("vit", MODELS["vit"], SIZE, None, tmp_path), "litert", Precision.INT8)
    assert isinstance(found, Failure)
    assert found.code == "no-calibration"


def test_integers_in_and_out_are_brought_to_and_from_float() -> None:
    from efficient360.deployment.runtimes.kit.sessions import litert

    tensor = {"dtype": np.int8, "quantization": (0.5, -3)}
    whole = litert._quantized(np.array([0.0, 1.0, 1.3, 1000.0, -1000.0], np.float32), tensor)
    assert whole.dtype == np.int8
    assert whole.tolist() == [-3, -1, 0, 127, -128]
    assert litert._real(whole[:3], tensor).tolist() == [0.0, 1.0, 1.5]
