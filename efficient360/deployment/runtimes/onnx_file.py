"""The program as an ONNX file, which several runtimes convert from."""

import os
import re
from pathlib import Path
from typing import Any

from efficient360.deployment.runtimes.runtime import Build
from efficient360.errors import Unsupported

INPUT, OUTPUT = "images", "logits"
"""Names of an image classifier's one input, float32 ``(B, 3, H, W)`` in [0, 1], and its one output, float32 ``(B, K)``."""
NEEDS = ("onnx", "onnxscript")
"""Importable modules that writing it takes."""


def onnx_file(build: Build) -> Path:
    """The ONNX file of a build's program, weights inside; written once for all runtimes, taken as it is where it already lies.

    Raises:
        Unsupported: ``no-onnx``: the exporter knows no ONNX operator for one of the program's; the message says which.
    """
    import torch

    from efficient360.deployment.runtimes.program import load_program

    path = build.shared / "model.onnx"
    if path.is_file():
        return path
    part = path.with_suffix(f".{os.getpid()}.part.onnx")
    try:
        inputs, outputs = ([INPUT], [OUTPUT]) if build.signature is None else (build.signature.names, build.signature.outputs)
        written: Any = torch.onnx.export(load_program(build.program), dynamo=True, input_names=inputs, output_names=outputs, verbose=False)
        written.save(part, external_data=False)
    except Exception as error:  # the exporter's own error types are many and not public
        part.unlink(missing_ok=True)
        cause = " ".join(str(error.__cause__ or error).split())
        operator = re.search(r"target=torch\.ops\.([\w.]+)", cause)
        cause = f"the exporter has no translation of {operator[1]}" if operator else cause[:300]
        raise Unsupported("no-onnx", f"this network can't be written as ONNX: {cause}", "take a runtime that converts without ONNX") from error
    part.replace(path)
    return path
