"""What is benchmarked: opened checkpoints, and a stack of matrix products whose best speed stands for the peak of a device.

As initialised, many networks hide their own layers: LayerScale starts at 1e-5, the last BatchNorm gain of a block at 0, running statistics at those of no
data, the head near 0. A converter could then drop a block and pass the parity gate. So random weights are set to values on which the logits depend, at no
change of cost: same shapes, same operators.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.benchmark.cells import ModelFacts, RowRole
from efficient360.benchmark.matrix_products import MATMUL_CLASSES, MATMUL_DEPTH, MATMUL_MACS, MATMUL_SIDE, MATMUL_WIDTH, matmul_network
from efficient360.benchmark.random_weights import make_sensitive
from efficient360.benchmark.zoo import Family, ZooEntry
from efficient360.core.code_digest import code_of, module
from efficient360.deployment.runtimes.building import ModelSource
from efficient360.deployment.runtimes.calibration_images import logits_of, program_identity, synthetic_images
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import TorchModel, preflight

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
    code = code_of([module("efficient360.benchmark.random_weights")])
    return hashlib.sha256(json.dumps([whole, code.digest, seed]).encode()).hexdigest()


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


MATMUL_NAME = "matrix products"


def matmul_facts(seed: int) -> ModelFacts:
    """What a reader should know of it."""
    code = code_of([module("efficient360.benchmark.matrix_products")])
    parts = ["matrix products", code.digest, seed, str(torch.__version__)]
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
    model = TorchModel(matmul_network(seed), (3, MATMUL_SIDE, MATMUL_SIDE), MATMUL_CLASSES)
    return workload_from(matmul_facts(seed), model, seed, folder)
