"""Inputs and outputs by name, as the settings of a program that is no image classifier tell them."""

import json
from typing import Any


def signature(settings: "dict[str, Any]") -> "tuple[list[str], list[str]] | None":
    """Names of inputs and of outputs in the program's order; ``None`` for an image classifier."""
    if "signature" not in settings:
        return None
    told = json.loads(settings["signature"])
    return [name for name, _, _ in told["inputs"]], told["outputs"]
