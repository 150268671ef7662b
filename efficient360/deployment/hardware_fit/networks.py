"""The networks that are timed beside each other: the checkpoint, its convolutional twin, and matrix products alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from efficient360.core.measurement import Failure
from efficient360.deployment.hardware_fit.products import CLASSES, RECIPE, gemm_macs, gemm_network
from efficient360.deployment.hardware_fit.twin import RECIPE as TWIN
from efficient360.deployment.hardware_fit.twin import cnn_twin, shape_of, twin_macs
from efficient360.deployment.runtimes import images
from efficient360.deployment.runtimes.building import Source, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.models.model import PixelsToLogits, TorchModel

Size = tuple[int, int, int]


class Role(StrEnum):
    """What a network is there for."""

    CHECKPOINT = "checkpoint"
    TWIN = "convolutional twin"
    PRODUCTS = "matrix products"


@final
@dataclass(frozen=True)
class Network:
    """A network to convert and time.

    Args:
        role: What it is there for.
        model: In torch.
        identity: Digest or name of all that makes it.
        macs: Multiply-adds of one image in products and convolutions; ``None`` where they can't be counted.
        reference: Its logits float32 ``(n, K)`` of the probe images.
    """

    role: Role
    model: TorchModel
    identity: str
    macs: int | None
    reference: NDArray[np.float32]

    def built(self, runtime: str, precision: Precision, calibration: NDArray[np.float32] | None, folder: Path) -> Artefact | Failure:
        """Its artefact for a runtime."""
        source = Source(self.identity, self.model.module, self.model.input_size, calibration, folder)
        return build(source, runtime, precision)


def checkpoint(model: TorchModel, identity: str, macs: int | None, probes: NDArray[np.float32]) -> Network:
    """The network that is evaluated."""
    return Network(Role.CHECKPOINT, model, identity, macs, images.answers(model, probes))


def products(size: Size, probes: NDArray[np.float32]) -> Network:
    """Matrix products alone, for images of a size."""
    model = _whole(gemm_network(), size, CLASSES)
    return Network(Role.PRODUCTS, model, f"matrix-products-{RECIPE}-torch{torch.__version__}", gemm_macs(), images.answers(model, probes))


def twin(size: Size, macs: int, classes: int, probes: NDArray[np.float32]) -> Network:
    """The convolutional twin of a network with ``macs`` multiply-adds.

    Raises:
        Unsupported: There is none.
    """
    model = _whole(cnn_twin(size, macs, classes), size, classes)
    shape = shape_of(size, macs, classes)
    identity = f"twin-{TWIN}-{shape}-{classes}-torch{torch.__version__}"
    return Network(Role.TWIN, model, identity, twin_macs(size, shape, classes), images.answers(model, probes))


def twin_facts(size: Size, macs: int, classes: int) -> Iterator[tuple[str, str]]:
    """What a reader should know of the twin: name and value."""
    shape = shape_of(size, macs, classes)
    found = twin_macs(size, shape, classes)
    blocks = "–".join(map(str, shape.blocks))
    yield "What it is", "3×3 convolutions in residual blocks as in ResNet-18, normalisation folded in, random weights: it stands for cost alone"
    yield "Shape", f"stem of stride {shape.stride}, {shape.width} channels at first and twice as many in each further stage, {blocks} blocks a stage"
    yield "MACs", f"{found:,}, {100 * (found / macs - 1):+.1f} % against the checkpoint's {macs:,}"


def _whole(network: nn.Module, size: Size, classes: int) -> TorchModel:
    whole = PixelsToLogits(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return TorchModel(whole, size, classes)
