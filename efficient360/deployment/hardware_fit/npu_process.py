"""The process that compiles for an embedded accelerator: a LiteRT model brought to int8 throughout, then handed to the accelerator's own compiler."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Quantize the model that standard input names, compile it, and leave the compiler's summary in the folder named there."""
    request: dict[str, Any] = json.loads(sys.stdin.read())
    folder = Path(request["folder"])
    quantized = folder / "int8.tflite"
    _quantize(Path(request["model"]), Path(request["images"]), quantized)
    from ethosu.vela.vela import main as vela

    vela([str(quantized), "--accelerator-config", request["accelerator"], "--output-dir", str(folder)])


def _quantize(model: Path, images: Path, target: Path) -> None:
    """Every operator in 8 bits, ranges from the images: the accelerator computes nothing in float."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager

    ((signature, names),) = Interpreter(str(model)).get_signature_list().items()
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    observer = calibrator.Calibrator(str(model), num_threads=1)
    observer.calibrate({signature: [{names["inputs"][0]: image[None]} for image in np.load(images)]}, recipe)
    made = quantizer.Quantizer(str(model), recipe.get_quantization_recipe())
    made.quantize(observer.get_model_qsvs(), enable_progress_report=False).export_model(str(target), overwrite=True)


if __name__ == "__main__":
    main()
