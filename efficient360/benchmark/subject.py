"""A model of the matrix, opened: what is to be converted, and what its answers should be."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.benchmark.cells import ModelFacts, Role
from efficient360.benchmark.sensitive import RECIPE, make_sensitive
from efficient360.benchmark.zoo import Entry
from efficient360.deployment.runtimes.building import Source
from efficient360.deployment.runtimes.images import answers, invented, program_identity
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import TorchModel, preflight

PROBES = 8
CALIBRATION = 32
SENSITIVE = "random, seed {seed}, set so that every layer counts"


@final
@dataclass(frozen=True)
class Subject:
    """An open model.

    Args:
        facts: What a reader should know of it.
        source: What artefacts are built of.
        probes: Images float32 ``(n, 3, H, W)`` in [0, 1] that the parity gate asks about.
        reference: The model's own logits ``(n, K)`` of them.
    """

    facts: ModelFacts
    source: Source
    probes: NDArray[np.float32]
    reference: NDArray[np.float32]


def identity_of(checkpoint: Checkpoint, seed: int) -> str:
    """Digest of all that makes a model's program; of a checkpoint with random weights also what is done to them."""
    whole = program_identity(checkpoint, None)
    if checkpoint.trained:
        return whole
    return hashlib.sha256(json.dumps([whole, "sensitive", RECIPE, seed]).encode()).hexdigest()


def open_subject(entry: Entry, checkpoint: Checkpoint, seed: int, folder: Path) -> Subject:
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
        role=Role.MODEL,
        family=entry.family,
        weights=weights,
        identity=identity,
        size=model.size,
        classes=model.classes,
        parameters=sum(parameter.numel() for parameter in model.network.parameters()),
        macs=_macs(model),
    )
    return subject_of(facts, model, seed, folder)


def subject_of(facts: ModelFacts, model: TorchModel, seed: int, folder: Path) -> Subject:
    """An open model of what is already built."""
    probes = invented(model.size, PROBES, seed + 1)
    source = Source(facts.identity, model.module, model.size, invented(model.size, CALIBRATION, seed + 2), folder)
    return Subject(facts, source, probes, answers(model, probes))


def _macs(model: TorchModel) -> int | None:
    import torch

    counted = count_macs(model.network, torch.zeros((1, *model.size)))
    return None if counted.uncounted else counted.macs
