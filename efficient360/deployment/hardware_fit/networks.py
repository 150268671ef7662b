"""The networks that are timed side by side: the checkpoint, a CNN with as many MACs, and a stack of matrix products."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.core.measurement import Failure
from efficient360.deployment.hardware_fit.matched_cnn import RECIPE as TWIN
from efficient360.deployment.hardware_fit.matched_cnn import matched_cnn, matched_cnn_macs, shape_of
from efficient360.deployment.runtimes import calibration_images
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.models.model import PixelsToLogits, TorchModel

Size = tuple[int, int, int]


class NetworkRole(StrEnum):
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

    role: NetworkRole
    model: TorchModel
    identity: str
    macs: int | None
    reference: NDArray[np.float32]

    def built(self, runtime: str, precision: Precision, calibration: NDArray[np.float32] | None, folder: Path) -> Artefact | Failure:
        """Its artefact for a runtime."""
        source = ModelSource(self.identity, self.model.module, self.model.input_size, calibration, folder)
        return build(source, runtime, precision)


def checkpoint(model: TorchModel, identity: str, macs: int | None, probes: NDArray[np.float32]) -> Network:
    """The network that is evaluated."""
    return Network(NetworkRole.CHECKPOINT, model, identity, macs, calibration_images.logits_of(model, probes))


def products(size: Size, probes: NDArray[np.float32]) -> Network:
    """Matrix products alone, for images of a size."""
    model = _whole(gemm_network(), size, MATMUL_CLASSES)
    return Network(
        NetworkRole.PRODUCTS, model, f"matrix-products-{MATMUL_RECIPE}-torch{torch.__version__}", gemm_macs(), calibration_images.logits_of(model, probes)
    )


def twin(size: Size, macs: int, classes: int, probes: NDArray[np.float32]) -> Network:
    """The convolutional twin of a network with ``macs`` multiply-adds.

    Raises:
        Unsupported: There is none.
    """
    model = _whole(matched_cnn(size, macs, classes), size, classes)
    shape = shape_of(size, macs, classes)
    identity = f"twin-{TWIN}-{shape}-{classes}-torch{torch.__version__}"
    return Network(NetworkRole.TWIN, model, identity, matched_cnn_macs(size, shape, classes), calibration_images.logits_of(model, probes))


def twin_facts(size: Size, macs: int, classes: int) -> Iterator[tuple[str, str]]:
    """What a reader should know of the twin: name and value."""
    shape = shape_of(size, macs, classes)
    actual = matched_cnn_macs(size, shape, classes)
    blocks = "–".join(map(str, shape.blocks))
    yield "What it is", "3×3 convolutions in residual blocks as in ResNet-18, normalisation folded in, random weights: it stands for cost alone"
    yield "Shape", f"stem of stride {shape.stride}, {shape.width} channels at first and twice as many in each further stage, {blocks} blocks a stage"
    yield "MACs", f"{actual:,}, {100 * (actual / macs - 1):+.1f} % against the checkpoint's {macs:,}"


def _whole(network: nn.Module, size: Size, classes: int) -> TorchModel:
    whole = PixelsToLogits(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return TorchModel(whole, size, classes)


MATMUL_ROWS, MATMUL_WIDTH, MATMUL_DEPTH, MATMUL_CLASSES = 384, 512, 14, 16
MATMUL_RECIPE = 1
"""Raised whenever the network changes."""


@final
class MatmulNetwork(nn.Module):
    """A few numbers of the image spread over a matrix, then linear layers of equal width with ReLU between, which no converter can merge.

    The layers are large enough that reading weights costs little beside multiplying, small enough that each stays in a core's cache.

    Args:
        rows: Rows of the matrix that is multiplied.
        width: Its columns; each layer multiplies it by a square matrix of so many rows.
        depth: Number of layers.
    """

    def __init__(self, rows: int, width: int, depth: int) -> None:
        super().__init__()
        self.rows = nn.Linear(3, rows)
        self.columns = nn.Parameter(torch.empty(width))
        self.layers = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(width, width), nn.ReLU())])
        self.head = nn.Linear(width, MATMUL_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, 16)`` of images ``(B, 3, H, W)``."""
        matrix = self.rows(images.mean((2, 3)))[:, :, None] * self.columns
        logits: Tensor = self.head(self.layers(matrix).mean(1))
        return logits


def gemm_network(rows: int = MATMUL_ROWS, width: int = MATMUL_WIDTH, depth: int = MATMUL_DEPTH, seed: int = 0) -> nn.Module:
    """A network of matrix products, images ``(B, 3, H, W)`` of any size to logits ``(B, 16)``, with seeded weights (He et al. 2015)."""
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global state
        network = MatmulNetwork(rows, width, depth)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            deviation = math.sqrt(2 / parameter.shape[1]) if parameter.ndim == 2 else 0.5
            parameter.normal_(0, deviation, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def gemm_macs(rows: int = MATMUL_ROWS, width: int = MATMUL_WIDTH, depth: int = MATMUL_DEPTH) -> int:
    """Multiply-adds of :func:`gemm_network` for one image, those of its linear layers alone."""
    return 3 * rows + depth * rows * width * width + width * MATMUL_CLASSES
