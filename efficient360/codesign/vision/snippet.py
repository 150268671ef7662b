"""``run.py``: the few lines that run an artefact with NumPy, Pillow and its runtime alone."""

import math
from typing import Final

from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.models.checkpoint import Preprocessing

_RUN: Final = {
    "litert": (
        "ai-edge-litert",
        "from ai_edge_litert.interpreter import Interpreter",
        """model = Interpreter(str(here / "artefact" / {model!r}), num_threads={threads})
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], pixels)
model.invoke()
logits = model.get_tensor(model.get_output_details()[0]["index"])[0]""",
    ),
    "openvino": (
        "openvino",
        "import openvino",
        """settings = {{"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": {precision!r}, "INFERENCE_NUM_THREADS": {threads}}}
model = openvino.Core().compile_model(str(here / "artefact" / {model!r}), "CPU", settings)
logits = model([pixels])[0][0]""",
    ),
    "onnxruntime": (
        "onnxruntime",
        "import onnxruntime",
        """options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
model = onnxruntime.InferenceSession(str(here / "artefact" / {model!r}), options)
logits = model.run(None, {{model.get_inputs()[0].name: pixels}})[0][0]""",
    ),
}
_SNIPPET: Final = '''"""Names the class of an image:  python run.py photo.jpg   (needs: pip install numpy pillow {package})"""

import json
import sys
from pathlib import Path

import numpy as np
{imports}
from PIL import Image, ImageOps

here = Path(__file__).parent
image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
{geometry}
pixels = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255
{run}
names = json.loads((here / "card.json").read_text(encoding="utf-8"))["class_names"]
best = int(logits.argmax())
print(names[best] if names else best)
'''


def snippet(artefact: Artefact, preprocessing: Preprocessing, threads: int) -> str:
    """The program, or ``""`` where a few lines can't do it: another runtime, a quantized input, or images that are prepared in an unusual way.

    Args:
        artefact: What it runs.
        preprocessing: How images are brought to it.
        threads: It is given.
    """
    settings = artefact.converted.settings
    geometry = _geometry(preprocessing)
    if artefact.runtime not in _RUN or not geometry:
        return ""
    package, imports, run = _RUN[artefact.runtime]
    filled = run.format(model=settings["model"], threads=threads, precision=settings.get("precision", "f32"))
    return _SNIPPET.format(package=package, imports=imports, geometry=geometry, run=filled)


def _geometry(preprocessing: Preprocessing) -> str:
    """The evaluation transform of timm in Pillow's words: the short side to the scaled size, and the centre of it."""
    _, height, width = preprocessing.input_size
    if preprocessing.processor or preprocessing.crop_mode not in ("center", "squash") or preprocessing.interpolation not in ("bicubic", "bilinear", "nearest"):
        return ""
    method = f"Image.Resampling.{preprocessing.interpolation.upper()}"
    tall, wide = math.floor(height / preprocessing.crop_pct), math.floor(width / preprocessing.crop_pct)
    if preprocessing.crop_mode == "squash":
        lines = [f"image = image.resize(({wide}, {tall}), {method})"]
    elif tall != wide:
        return ""
    else:
        lines = [f"short = min(image.size)\nimage = image.resize(tuple(int({tall} * side / short) for side in image.size), {method})"]
    if preprocessing.crop_mode == "center" or (tall, wide) != (height, width):
        lines.append(f"left, top = round((image.width - {width}) / 2), round((image.height - {height}) / 2)")
        lines.append(f"image = image.crop((left, top, left + {width}, top + {height}))")
    return "\n".join(lines)
