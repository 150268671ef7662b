"""PyTorch on an NVIDIA GPU, operator by operator. A call takes images from the CPU's memory and brings the logits back there: both copies count."""

from .torch import MODULES, load, version

__all__ = ["MODULES", "load", "version"]
