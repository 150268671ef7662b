"""Top eigenvalue and trace of a loss's Hessian, product by product, kept on disk between them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hutchinson import probed, signs
from efficient360.methods.spectral.top_eigenvalue import Krylov, begun
from efficient360.storage.row_log import RowLog

TOLERANCE: Final = 0.01
"""Share of the top eigenvalue within which it is known when the steps end early."""


def explored(hessian: LossHessian, steps: int, seed: int, kept: Path, tick: Callable[[], None]) -> Krylov:
    """Lanczos' steps until the top eigenvalue is known within 1 %, or all of them, going on from those that are kept.

    Args:
        hessian: Of the loss.
        steps: The most, at least 1.
        seed: Of the vector that it starts from.
        kept: File that the state is kept in after each step.
        tick: Called before each step; stops the work by raising.
    """
    device = torch.device(hessian.model.device)
    state = _read(kept) if kept.exists() else begun(hessian.size, seed)
    state = Krylov(state.diagonal, state.beside, state.last.to(device), state.following.to(device))
    while state.steps < min(steps, hessian.size) and not state.settled(TOLERANCE):
        tick()
        state = state.advanced(hessian.product)
        _write(state, kept)
    return state


def traced(hessian: LossHessian, probes: int, seed: int, log: RowLog, tick: Callable[[], None]) -> list[float]:
    """One estimate of the trace a probe, those that the log has already read from it.

    Args:
        hessian: Of the loss.
        probes: How many.
        seed: Of the probes.
        log: One column.
        tick: Called before each probe; stops the work by raising.
    """
    device = torch.device(hessian.model.device)
    for number in range(len(log), probes):
        tick()
        log.append(np.array([[probed(hessian.product, signs(hessian.size, seed, number).to(device))]]))
    return [float(value) for value in log.read(0, probes)[:, 0]]


def _write(state: Krylov, kept: Path) -> None:
    tensors: dict[str, Tensor] = {
        "diagonal": torch.tensor(state.diagonal, dtype=torch.float64),
        "beside": torch.tensor(state.beside, dtype=torch.float64),
        "last": state.last.cpu().contiguous(),
        "following": state.following.cpu().contiguous(),
    }
    part = kept.with_suffix(".part")
    save_file(tensors, part)
    part.replace(kept)


def _read(kept: Path) -> Krylov:
    tensors = load_file(kept)
    return Krylov(tuple(tensors["diagonal"].tolist()), tuple(tensors["beside"].tolist()), tensors["last"], tensors["following"])
