"""What is benchmarked: opened checkpoints, and a stack of matrix products whose best speed stands for the peak of a device.

As initialised, many networks hide their own layers: LayerScale starts at 1e-5, the last BatchNorm gain of a block at 0, running statistics at those of no
data, the head near 0. A converter could then drop a block and pass the parity gate. So random weights are set to values on which the logits depend, at no
change of cost: same shapes, same operators.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.benchmark.cells import ModelFacts, RowRole
from efficient360.benchmark.zoo import Family, ZooEntry
from efficient360.deployment.runtimes.building import ModelSource
from efficient360.deployment.runtimes.calibration_images import logits_of, program_identity, synthetic_images
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import PixelsToLogits, TorchModel, preflight

PROBES = 8
CALIBRATION = 32
SENSITIVE = "random, seed {seed}, set so that every layer counts"


@final
@dataclass(frozen=True)
class Workload:
    """An open model.

    Args:
        facts: What a reader should know of it.
        source: What artefacts are built of.
        probes: Images float32 ``(n, 3, H, W)`` in [0, 1] that the parity gate asks about.
        reference: The model's own logits ``(n, K)`` of them.
    """

    facts: ModelFacts
    source: ModelSource
    probes: NDArray[np.float32]
    reference: NDArray[np.float32]


def identity_of(checkpoint: Checkpoint, seed: int) -> str:
    """Digest of all that makes a model's program; of a checkpoint with random weights also what is done to them."""
    whole = program_identity(checkpoint, None)
    if checkpoint.trained:
        return whole
    return hashlib.sha256(json.dumps([whole, "sensitive", SENSITIVE_RECIPE, seed]).encode()).hexdigest()


def open_workload(entry: ZooEntry, checkpoint: Checkpoint, seed: int, folder: Path) -> Workload:
    """Build a model, count what it computes, and ask it the probe images.

    Args:
        entry: As its zoo names it.
        checkpoint: As it was resolved.
        seed: Of random weights and invented images.
        folder: Where its programs and artefacts are to be kept.

    Raises:
        CheckpointError: It can't be built, or its logits can't be trusted.
    """
    model = load_model(checkpoint)
    if not checkpoint.trained:
        make_sensitive(model.module, model.size, seed)
    preflight(model, seed)
    weights = "trained" if checkpoint.trained else SENSITIVE.format(seed=seed)
    identity = identity_of(checkpoint, seed)
    facts = ModelFacts(
        name=entry.name,
        role=RowRole.MODEL,
        family=entry.family,
        weights=weights,
        identity=identity,
        size=model.size,
        classes=model.classes,
        parameters=sum(parameter.numel() for parameter in model.network.parameters()),
        macs=_macs(model),
    )
    return workload_from(facts, model, seed, folder)


def workload_from(facts: ModelFacts, model: TorchModel, seed: int, folder: Path) -> Workload:
    """An open model of what is already built."""
    probes = synthetic_images(model.size, PROBES, seed + 1)
    source = ModelSource(facts.identity, model.module, model.size, synthetic_images(model.size, CALIBRATION, seed + 2), folder)
    return Workload(facts, source, probes, logits_of(model, probes))


def _macs(model: TorchModel) -> int | None:
    import torch

    counted = count_macs(model.network, torch.zeros((1, *model.size)))
    return None if counted.uncounted else counted.macs


SENSITIVE_RECIPE = 1
"""Raised whenever the weights change for the same seed."""
LAYER_SCALE = re.compile(r"(gamma|layer_scale)\w*")
HEAD_DEVIATION = 0.05
IMAGES = 16


def make_sensitive(module: PixelsToLogits, size: tuple[int, int, int], seed: int) -> None:
    """Give a randomly initialised network weights that all count, in place and seeded.

    Layer scales and gains that are zero become U(0.5, 1.5), the head's weights N(0, 0.05), and BatchNorm's running statistics those of seeded images.

    Args:
        module: Pixels to logits around a network with random weights; never a trained one.
        size: ``(3, H, W)``.
        seed: Of the values.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.network.modules():
            for name, parameter in part.named_parameters(recurse=False):
                gain = name == "weight" and parameter.ndim == 1 and not bool(parameter.any())
                if gain or LAYER_SCALE.fullmatch(name):
                    nn.init.uniform_(parameter, 0.5, 1.5, generator)
        for part in _heads(module.network):
            nn.init.normal_(part.weight, 0, HEAD_DEVIATION, generator)
    _recalibrate(module, torch.from_numpy(synthetic_images(size, IMAGES, seed)))


def _heads(network: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The layers that put out the logits."""
    get_classifier: Any = getattr(network, "get_classifier", None)
    classifier = get_classifier() if get_classifier is not None else None
    heads: Any = classifier if isinstance(classifier, tuple | list) else [classifier]
    return [part for head in heads if isinstance(head, nn.Module) for part in head.modules() if isinstance(part, nn.Linear | nn.Conv2d)]


def _recalibrate(module: nn.Module, images: torch.Tensor) -> None:
    """Set BatchNorm's running statistics to those of the images."""
    norms: list[Any] = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats]
    if not norms:
        return
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # a plain average over the passes
        part.train()
    with torch.no_grad():
        module(images)
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum
        part.eval()


MATMUL_NAME = "matrix products"
MATMUL_SIDE, MATMUL_WIDTH, MATMUL_DEPTH, MATMUL_CLASSES = 256, 512, 14, 16
MATMUL_MACS = MATMUL_DEPTH * 3 * MATMUL_SIDE * MATMUL_SIDE * MATMUL_WIDTH + MATMUL_WIDTH * MATMUL_CLASSES
"""1.4 G: the rows ``3 · SIDE² / MATMUL_WIDTH`` times ``WIDTH²`` a layer, and the head."""
MATMUL_RECIPE = 1


@final
class MatmulStack(nn.Module):
    """An image seen as a matrix, then linear layers of equal width with ReLU between, which no converter can merge.

    The layers are square and large enough that reading weights costs little beside multiplying, small enough that each stays in a core's cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[part for _ in range(MATMUL_DEPTH) for part in (nn.Linear(MATMUL_WIDTH, MATMUL_WIDTH), nn.ReLU())])
        self.head = nn.Linear(MATMUL_WIDTH, MATMUL_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, MATMUL_CLASSES)`` of images ``(B, 3, MATMUL_SIDE, MATMUL_SIDE)``."""
        rows = images.reshape(images.shape[0], -1, MATMUL_WIDTH)
        logits: Tensor = self.head(self.layers(rows).mean(1))
        return logits


def matmul_facts(seed: int) -> ModelFacts:
    """What a reader should know of it."""
    parts = ["matrix products", MATMUL_RECIPE, MATMUL_SIDE, MATMUL_WIDTH, MATMUL_DEPTH, MATMUL_CLASSES, seed, str(torch.__version__)]
    identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return ModelFacts(
        name=MATMUL_NAME,
        role=RowRole.PEAK,
        family=Family.UNKNOWN,
        weights=f"random, seed {seed}",
        identity=identity,
        size=(3, MATMUL_SIDE, MATMUL_SIDE),
        classes=MATMUL_CLASSES,
        parameters=MATMUL_DEPTH * MATMUL_WIDTH * (MATMUL_WIDTH + 1) + MATMUL_CLASSES * (MATMUL_WIDTH + 1),
        macs=MATMUL_MACS,
    )


def open_matmul(seed: int, folder: Path) -> Workload:
    """The matrix-product reference, opened like a model."""
    module = MatmulStack()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            # He et al. 2015: keeps the signal's size from layer to layer, so that the logits depend on all of them.
            deviation = math.sqrt(2 / MATMUL_WIDTH) if parameter.ndim == 2 else 0.1
            parameter.normal_(0, deviation, generator=generator)
    whole = PixelsToLogits(module, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return workload_from(matmul_facts(seed), TorchModel(whole, (3, MATMUL_SIDE, MATMUL_SIDE), MATMUL_CLASSES), seed, folder)
