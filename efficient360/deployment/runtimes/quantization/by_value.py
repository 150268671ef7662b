"""A layer's operator in a runtime's own graph, found by the numbers of its weight: exporters rename, transpose and fold, but they keep the numbers."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from efficient360.core.close_names import did_you_mean
from efficient360.deployment.runtimes.runtime import Build
from efficient360.errors import Unsupported


def operators_left(build: Build, weights: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Names of the operators that stay in float.

    Args:
        build: Names the layers.
        weights: Weights of the operators that a runtime's quantizer would take, by the operator's name, in whatever layout.

    Raises:
        Unsupported: ``no-such-layer``: the network has no such layer; ``layer-not-found``: the runtime's graph holds its weight nowhere.
    """
    if not build.float_layers:
        return []
    wanted = _weights(build.program, build.float_layers)
    operators: dict[str, list[str]] = {}
    for name, weight in weights.items():
        operators.setdefault(_digest(weight), []).append(name)
    absent = [layer for layer, digest in wanted.items() if digest not in operators]
    if absent:
        message = f"{', '.join(absent)} can't be left in float: no operator of the converted network has its weights"
        raise Unsupported("layer-not-found", message, "leave other layers in float")
    return sorted({name for digest in wanted.values() for name in operators[digest]})


def _weights(program: Path, layers: Sequence[str]) -> dict[str, str]:
    from efficient360.deployment.runtimes.program import network
    from efficient360.deployment.runtimes.quantization.layers import layers_of, value_of

    module = network(program)
    known = layers_of(module)
    for layer in layers:
        if layer not in known:
            raise Unsupported("no-such-layer", f"the network has no linear layer or convolution called {layer!r}", did_you_mean(layer, list(known)))
    return {layer: _digest(value_of(module, known[layer].weight).detach().numpy()) for layer in layers}


def _digest(weight: NDArray[np.float32]) -> str:
    """The same for the same numbers in any order."""
    return hashlib.sha256(np.sort(weight.astype(np.float32, copy=False), axis=None).tobytes()).hexdigest()
