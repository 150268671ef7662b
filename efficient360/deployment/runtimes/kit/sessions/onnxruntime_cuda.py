"""ONNX Runtime on an NVIDIA GPU. A call takes images from the CPU's memory and brings the logits back there: both copies count."""

from .onnxruntime import MODULES, load, operators, version

__all__ = ["MODULES", "load", "operators", "version"]
