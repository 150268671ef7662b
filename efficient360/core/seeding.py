"""Seeded randomness: generators per example, and isolation of torch's global generators."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def generators(salt: str, ids: Sequence[str], seed: int) -> list[np.random.Generator]:
    """A generator for each example, from the seed, the example's id and ``salt`` alone: the same whatever stands beside it."""
    return [np.random.default_rng(list(hashlib.sha256(f"{seed}\0{salt}\0{name}".encode()).digest())) for name in ids]


@contextmanager
def isolated_torch_rng(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's global generators of the CPU and of ``device`` inside the block; their states are restored afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Not torch.manual_seed, which would also seed accelerators that are not restored.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
