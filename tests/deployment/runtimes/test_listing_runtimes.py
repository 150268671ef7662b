"""Listings of runtimes need none of their libraries, PyTorch least of all."""

import subprocess
import sys

CODE = """
import sys
from efficient360.deployment.runtimes import catalogue
print(len([catalogue.runtime(name) for name in catalogue.names()]))
print(sorted({"torch", "onnx", "onnxruntime", "openvino", "executorch", "tvm", "litert_torch", "jax"} & set(sys.modules)))
"""


def test_reading_every_runtime_imports_no_library() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    count, imported = done.stdout.splitlines()
    assert int(count) >= 9
    assert imported == "[]"
