"""The frames of images under one perturbation after another, made in threads while the model is busy."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.corruptions.corruption import Pixels, eight_bit, generator
from efficient360.methods.corruptions.perturbation import Perturbation
from efficient360.methods.corruptions.sequence_tables import SEQUENCES
from efficient360.models.model import Model

AT_ONCE = 32
"""Frames that go through the model together, whatever the batch size: what it answers for a frame depends on nothing else."""


@final
@dataclass(frozen=True)
class Sequences:
    """What is shown of each image.

    Args:
        perturbations: Names, in order.
        table: Whose strengths: ``imagenet-p`` or ``cifar-p``.
        frames: The most frames a perturbation, at least 2; ``None`` for all that the table has.
    """

    perturbations: tuple[str, ...]
    table: str
    frames: int | None

    def perturbation(self, name: str) -> Perturbation:
        """One of them."""
        return SEQUENCES[self.table][name]

    def steps(self, name: str) -> range:
        """Numbers of the frames shown of one of them."""
        return self.perturbation(name).steps(self.frames)

    @property
    def shortened(self) -> bool:
        """Whether any shows fewer frames than the table has."""
        return any(len(self.steps(name)) < self.perturbation(name).length for name in self.perturbations)

    def made(self, pixels: Pixels, example: str, name: str, seed: int) -> Pixels:
        """One image under one perturbation, uint8 ``(T, 3, H, W)``: depends on the image, its id, the perturbation and the seed alone."""
        # Corruptions count severities from 1: 0 keeps a perturbation's randomness apart from that of the corruption of the same name.
        return self.perturbation(name).effect.frames(pixels, self.steps(name), generator(seed, example, name, 0))


def answers(model: Model, images: Tensor, ids: Sequence[str], shown: Sequences, seed: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each perturbation with the classes that the model gives the frames of every image, ``(B, T)``.

    Threads, as many as torch has, make a sequence each, and no more than one besides is held; their number changes nothing.

    Args:
        model: Logits are enough.
        images: float32 ``(B, 3, H, W)`` in [0, 1], rounded to 8 bits first.
        ids: Example ids, length ``B``.
        shown: Which sequences.
        seed: The run's seed.
    """
    made = _made_ahead(eight_bit(images), ids, shown, seed)
    for name in shown.perturbations:
        yield name, np.stack([classes(model, next(made)) for _ in ids])


def classes(model: Model, frames: Pixels) -> NDArray[np.int64]:
    """The class that the model gives each frame, ``(T,)``."""
    with torch.inference_mode():
        found = [model(part.float() / 255).argmax(1).cpu() for part in torch.split(torch.from_numpy(frames), AT_ONCE)]
    named: NDArray[np.int64] = torch.cat(found).numpy()
    return named


def _made_ahead(batch: Pixels, ids: Sequence[str], shown: Sequences, seed: int) -> Iterator[Pixels]:
    workers = max(1, torch.get_num_threads())
    waiting: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for name in shown.perturbations:
            for pixels, example in zip(batch, ids, strict=True):
                waiting.append(pool.submit(shown.made, pixels, example, name, seed))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
