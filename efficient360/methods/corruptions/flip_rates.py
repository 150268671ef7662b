"""Flip rates along perturbation sequences: predictions frame by frame, the protocol they hold for, and pictures of flips."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.arrays import Floats
from efficient360.core.batch import Batch
from efficient360.core.figures import Gallery, Picture, Table
from efficient360.core.formatting import class_name
from efficient360.core.thumbnails import data_uri
from efficient360.methods.corruptions.corruption import Pixels, to_uint8
from efficient360.methods.corruptions.imagenet_p import PERTURBATIONS, SequenceSelection
from efficient360.models.model import Model

FRAME_BATCH = 32
"""Frames that go through the model together, whatever the batch size of the run."""
PROTOCOL_TITLE = "Stability protocol"
"""Title of the table by which a later run finds the protocol in a report: never changed."""
MAX_PAIRS = 3
"""Pairs of frames that a report shows."""


def predict_sequences(model: Model, images: Tensor, ids: Sequence[str], selection: SequenceSelection, seed: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each perturbation with the predicted classes of the frames of every image, ``(B, T)``.

    Sequences are made in as many threads as torch has, at most one ahead of each; the number of threads changes no value.

    Args:
        model: Logits are enough.
        images: float32 ``(B, 3, H, W)`` in [0, 1], rounded to 8 bits first.
        ids: Example ids, length ``B``.
        selection: Which sequences.
        seed: The run's seed.
    """
    sequences = _frames_ahead(to_uint8(images), ids, selection, seed)
    for name in selection.perturbations:
        yield name, np.stack([predict_frames(model, next(sequences)) for _ in ids])


def predict_frames(model: Model, frames: Pixels) -> NDArray[np.int64]:
    """The predicted class of each frame, ``(T,)``, of frames uint8 ``(T, 3, H, W)``."""
    with torch.inference_mode():
        chunks = [model(chunk.float() / 255).argmax(1).cpu() for chunk in torch.split(torch.from_numpy(frames), FRAME_BATCH)]
    predictions: NDArray[np.int64] = torch.cat(chunks).numpy()
    return predictions


def _frames_ahead(batch: Pixels, ids: Sequence[str], selection: SequenceSelection, seed: int) -> Iterator[Pixels]:
    workers = max(1, torch.get_num_threads())
    pending: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for name in selection.perturbations:
            for pixels, example in zip(batch, ids, strict=True):
                pending.append(pool.submit(selection.frames, pixels, example, name, seed))
                if len(pending) > workers:
                    yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@final
@dataclass(frozen=True)
class StabilityProtocol:
    """What two flip rates must share before one may be divided by the other.

    Args:
        selection: Which sequences.
        size: Height and width of the images.
        examples: How many.
        digest: SHA-256 over them.
        seed: Of the randomness.
    """

    selection: SequenceSelection
    size: tuple[int, int]
    examples: int
    digest: str
    seed: int

    @property
    def averaged_over(self) -> str:
        """What a mean is taken over, in words: fewer perturbations or frames than usual are always named."""
        names = self.selection.perturbations
        words = "10 perturbations" if set(names) == set(PERTURBATIONS) else " ".join(names)
        return f"{words}, at most {self.selection.max_frames} frames" if any(map(self.selection.is_shortened, names)) else words

    def as_table(self) -> Table:
        """For the report, and for later runs to compare themselves with. Rows are looked up by name: they are never renamed."""
        frames = " ".join(str(len(self.selection.steps(name))) for name in self.selection.perturbations)
        rows = (
            ("perturbations", " ".join(self.selection.perturbations)),
            ("frames", frames),
            ("strengths", self.selection.table),
            ("image size", f"{self.size[0]} × {self.size[1]}"),
            ("examples", self.examples),
            ("digest of the examples", self.digest[:16]),
            ("seed", self.seed),
        )
        return Table(PROTOCOL_TITLE, ("what", "which"), rows)


def most_unstable(rates: Mapping[str, Floats]) -> list[tuple[str, int]]:
    """The perturbations with the highest flip rates, each with an example whose prediction flips; different examples where there are enough.

    Args:
        rates: Flip probability of each example, ``(n,)``, by perturbation.

    Returns:
        At most three names, each with the index of an example.
    """
    chosen: list[tuple[str, int]] = []
    for name in sorted(rates, key=lambda name: -rates[name].mean())[:MAX_PAIRS]:
        flipping = [int(i) for i in np.flatnonzero(rates[name])]
        taken = {example for _, example in chosen}
        if flipping:
            chosen.append((name, next((i for i in flipping if i not in taken), flipping[0])))
    return chosen


def flip_pair(model: Model, batch: Batch, name: str, selection: SequenceSelection, class_names: Sequence[str]) -> Iterator[Picture]:
    """The flip nearest the middle of the sequence, where movement and light change the image least: the frame it is compared with, then the frame itself.

    Args:
        model: Called once more.
        batch: One example.
        name: Of the perturbation.
        selection: Which sequences.
        class_names: Of the data.
    """
    frames = selection.frames(to_uint8(batch.images)[0], batch.ids[0], name, batch.seed)
    predictions = predict_frames(model, frames)
    flips = np.flatnonzero(selection.perturbation(name).flips(predictions[None])[0])
    if len(flips) == 0:
        return
    after = 1 + min((int(flip) for flip in flips), key=lambda flip: (abs(2 * flip - len(frames) + 2), flip))
    compares_with_first = selection.perturbation(name).compared_with == "first"
    before = 0 if compares_with_first else after - 1
    title, start = name.replace("_", " "), selection.steps(name).start
    for frame, position in ((before, "clean" if compares_with_first else f"frame {start + before + 1}"), (after, f"frame {start + after + 1}")):
        yield _captioned(frames[frame], int(predictions[frame]), f"{title}, {position}", class_names)


def flip_gallery(pictures: Sequence[Picture]) -> Gallery:
    """All pairs of :func:`flip_pair` side by side."""
    return Gallery("Pairs of frames between which the prediction flips", tuple(pictures))


def _captioned(frame: Pixels, predicted: int, detail: str, class_names: Sequence[str]) -> Picture:
    return Picture(data_uri(torch.from_numpy(frame).float() / 255), class_name(predicted, class_names), detail)
