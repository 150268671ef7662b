"""Which runtime computes on compressed weights: one matrix-vector product beyond the caches, in every weight format that each offers.

    python benchmarks/clustering_runtimes.py [--folder DIR] [--only openvino,mnn]

Every format runs in a process of its own, on one thread: resident memory shows whether the weights were unfolded when they were loaded, time whether fewer
bytes are read. Beside each the same product in float32 by our own kernel is timed in turns, and the share of float32's bytes that memory could have
delivered in that time is told: below 100 % the runtime can't have read float32 weights. Bytes are read from counters where there are some.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROWS, COLUMNS = 16384, 4096
FORMATS = (
    "openvino float32",
    "openvino int8",
    "openvino int4",
    "openvino nf4",
    "openvino codebook-64",
    "openvino adaptive-codebook",
    "onnxruntime float32",
    "onnxruntime nbits-8",
    "onnxruntime nbits-4",
    "onnxruntime nf4",
    "litert float32",
    "litert dynamic-int8",
    "litert dynamic-int4",
    "litert weight-only-int8",
    "mnn float32",
    "mnn int8",
    "mnn int4",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="", help="comma-separated runtimes or formats")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.folder)))
        return
    print(f"{ROWS} x {COLUMNS}, {4 * ROWS * COLUMNS / 1e6:.0f} MB in float32, one thread\n")
    print("| runtime and format | file MB | resident MB | ms | times as fast as float32, our kernel | of float32's bytes at most | largest error | verdict |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        for name in FORMATS:
            if not options.only or {name, name.split()[0]} & set(options.only.split(",")):
                print(row(name, folder), flush=True)


def row(name: str, folder: Path) -> str:
    """A format, measured in a process of its own, as a row of the table."""
    command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        return f"| {name} | | | | | | | not measured: {words[:150]} |"
    told = json.loads(done.stdout.strip().splitlines()[-1])
    value, low, high = told["speed"]
    unfolded = told["resident"] > 0.8 * 4 * ROWS * COLUMNS
    if "float32" in name:
        verdict = "the reference of this runtime"
    elif unfolded:
        verdict = "unfolded to floating point when loaded"
    elif told["share"] < 0.95:
        verdict = "computes on the compressed weights"
    else:
        verdict = "kept compressed, unfolded in each call: no faster"
    return (
        f"| {name} | {told['file'] / 1e6:.0f} | {told['resident'] / 1e6:.0f} | {1e3 * told['seconds']:.1f} | {value:.2f} ({low:.2f} to {high:.2f}) "
        f"| {100 * told['share']:.0f} % | {told['error']:.1e} | {verdict} |"
    )


def one(name: str, folder: Path) -> dict[str, Any]:
    """Make a format, load it, check and time it."""
    from codebook_kernel import Products, compiled, in_turns, machine, times_as_fast

    library = compiled()
    products = Products(library, ROWS, COLUMNS)
    runtime, kind = name.split()
    file, load = FORMATS_BY_RUNTIME[runtime](products, kind, folder)
    before = resident()
    run = load()
    answer = np.asarray(run(products.x[None])).ravel()
    after = resident()
    expected = products.weights.astype(np.float64) @ products.x
    _, bandwidth = machine(library, products, 12)
    seconds = in_turns({"float32": products.float32, "runtime": lambda: run(products.x[None])}, 40)
    speed = times_as_fast(seconds["float32"], seconds["runtime"])
    median = float(np.median(seconds["runtime"]))
    return {
        "file": sum(path.stat().st_size for path in file),
        "resident": after - before,
        "seconds": median,
        "speed": speed,
        "share": float(seconds["runtime"].min()) * bandwidth / (4 * ROWS * COLUMNS),
        "error": float(np.abs(answer - expected).max() / np.abs(expected).max()),
    }


def resident() -> int:
    """Bytes of this process that are in memory, files that are mapped included."""
    import gc

    gc.collect()
    time.sleep(0.2)
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))


Made = tuple[list[Path], Callable[[], Callable[[Any], Any]]]


def openvino_format(products: Any, kind: str, folder: Path) -> Made:
    """Weights compressed by NNCF."""
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import AdvancedCompressionParameters
    from openvino import opset13

    given = opset13.parameter([1, COLUMNS], np.float32, name="x")
    model = openvino.Model([opset13.matmul(given, opset13.constant(products.weights), False, True)], [given])
    mode = nncf.CompressWeightsMode
    if kind == "codebook-64":
        codebook = np.unique((products.table / np.abs(products.table).max()).astype(np.float16))
        advanced = AdvancedCompressionParameters(codebook=codebook)
        model = nncf.compress_weights(model, mode=mode.CODEBOOK, group_size=-1, all_layers=True, advanced_parameters=advanced)
    elif kind == "adaptive-codebook":
        model = nncf.compress_weights(model, mode=mode.ADAPTIVE_CODEBOOK, group_size=64, all_layers=True)
    elif kind != "float32":
        chosen = {"int8": mode.INT8_ASYM, "int4": mode.INT4_SYM, "nf4": mode.NF4}[kind]
        model = nncf.compress_weights(model, mode=chosen, **({} if kind == "int8" else {"group_size": 64, "all_layers": True}))
    path = folder / f"openvino-{kind}.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    del model

    def load() -> Callable[[Any], Any]:
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()
        return lambda x: request.infer([x], share_inputs=True)[0]

    return [path.with_suffix(".bin")], load


def onnx_file(products: Any, folder: Path) -> Path:
    """The product in ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    path = folder / "float32.onnx"
    if not path.exists():
        weight = numpy_helper.from_array(np.ascontiguousarray(products.weights.T), "w")
        sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", COLUMNS), ("y", ROWS))]
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], "product")], "product", sides[:1], sides[1:], [weight])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.save(model, path)
    return path


def onnxruntime_format(products: Any, kind: str, folder: Path) -> Made:
    """MatMulNBits and MatMulBnb4 of ONNX Runtime."""
    import onnx
    import onnxruntime

    path = onnx_file(products, folder)
    if kind.startswith("nbits"):
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

        settings = DefaultWeightOnlyQuantConfig(block_size=64, is_symmetric=True, accuracy_level=4, bits=int(kind[-1]))
        quantizer = MatMulNBitsQuantizer(onnx.load(path), algo_config=settings)
        quantizer.process()
        path = folder / f"{kind}.onnx"
        quantizer.model.save_model_to_file(str(path))
    elif kind == "nf4":
        from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer

        bnb4 = MatMulBnb4Quantizer(onnx.load(path), MatMulBnb4Quantizer.NF4, 64)
        bnb4.process()
        path = folder / "nf4.onnx"
        bnb4.model.save_model_to_file(str(path))

    def load() -> Callable[[Any], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"x": x})[0]

    return [path], load


def litert_format(products: Any, kind: str, folder: Path) -> Made:
    """Recipes of the AI Edge Quantizer, run by XNNPACK."""
    import litert_torch
    import torch
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    plain = folder / "float32.tflite"
    if not plain.exists():
        layer = torch.nn.Linear(COLUMNS, ROWS, bias=False).eval()
        layer.weight.data = torch.from_numpy(products.weights)
        litert_torch.convert(layer, (torch.zeros(1, COLUMNS),)).export(str(plain))
    path = plain
    if kind != "float32":
        recipes = {
            "dynamic-int8": recipe.dynamic_wi8_afp32,
            "dynamic-int4": recipe.dynamic_wi4_afp32,
            "weight-only-int8": recipe.weight_only_wi8_afp32,
        }
        path = folder / f"{kind}.tflite"
        path.unlink(missing_ok=True)
        made = quantizer.Quantizer(str(plain))
        made.load_quantization_recipe(recipes[kind]())
        made.quantize().export_model(str(path))

    def load() -> Callable[[Any], Any]:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        given, wanted = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

        def run(x: Any) -> Any:
            interpreter.set_tensor(given, x)
            interpreter.invoke()
            return interpreter.get_tensor(wanted)

        return run

    return [path], load


def mnn_format(products: Any, kind: str, folder: Path) -> Made:
    """Weights quantized by MNN's converter, run with its low-memory mode, which keeps them so."""
    import MNN.expr
    import MNN.nn

    path = folder / f"{kind}.mnn"
    bits = [] if kind == "float32" else ["--weightQuantBits", kind[-1], "--weightQuantBlock", "64"]
    code = "import sys, _tools; _tools.mnnconvert(sys.argv)"
    command = [sys.executable, "-c", code, "-f", "ONNX", "--modelFile", str(onnx_file(products, folder)), "--MNNModel", str(path), "--bizCode", "e", *bits]
    subprocess.run(command, check=True, capture_output=True)

    def load() -> Callable[[Any], Any]:
        settings = {"backend": "CPU", "numThread": 1, "precision": "high", "memory": "low"}
        manager = MNN.nn.create_runtime_manager((settings,))
        network = MNN.nn.load_module_from_file(str(path), ["x"], ["y"], runtime_manager=manager)

        def run(x: Any) -> Any:
            return np.array(network.forward([MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)])[0].read())

        return run

    return [path], load


FORMATS_BY_RUNTIME: dict[str, Callable[[Any, str, Path], Made]] = {
    "openvino": openvino_format,
    "onnxruntime": onnxruntime_format,
    "litert": litert_format,
    "mnn": mnn_format,
}


if __name__ == "__main__":
    main()
