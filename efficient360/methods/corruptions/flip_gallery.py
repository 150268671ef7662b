"""Two frames between which the answer flips, with what the model calls either."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.batch import Batch
from efficient360.core.figures import Gallery, Picture
from efficient360.core.formatting import class_name
from efficient360.core.thumbnails import data_uri
from efficient360.methods.corruptions.corruption import Pixels, eight_bit
from efficient360.methods.corruptions.sequences import Sequences, classes
from efficient360.models.model import Model

SHOWN = 3


def chosen(rates: Mapping[str, NDArray[np.float64]]) -> list[tuple[str, int]]:
    """Perturbations under which most answers flip, each with an example whose answer does, another for each where there are enough.

    Args:
        rates: Flip probability of each example, ``(n,)``, by perturbation.

    Returns:
        At most three names, each with the number of an example.
    """
    found: list[tuple[str, int]] = []
    for name in sorted(rates, key=lambda one: -rates[one].mean())[:SHOWN]:
        flipping = [int(i) for i in np.flatnonzero(rates[name])]
        taken = {example for _, example in found}
        found += [(name, next((i for i in flipping if i not in taken), flipping[0]))] if flipping else []
    return found


def pair(model: Model, batch: Batch, name: str, shown: Sequences, class_names: Sequence[str]) -> Iterator[Picture]:
    """The flip nearest the middle of the sequence, where movement and light change the image least: the frame it is compared with, then the frame itself.

    Args:
        model: Asked once more.
        batch: One example.
        name: Of the perturbation.
        shown: Which sequences.
        class_names: Of the data.
    """
    frames = shown.made(eight_bit(batch.images)[0], batch.ids[0], name, batch.seed)
    answers = classes(model, frames)
    flips = np.flatnonzero(shown.perturbation(name).flips(answers[None])[0])
    if len(flips) == 0:
        return
    after = 1 + min((int(flip) for flip in flips), key=lambda flip: (abs(2 * flip - len(frames) + 2), flip))
    first = shown.perturbation(name).compared == "first"
    before = 0 if first else after - 1
    told, start = name.replace("_", " "), shown.steps(name).start
    for frame, what in ((before, "clean" if first else f"frame {start + before + 1}"), (after, f"frame {start + after + 1}")):
        yield _picture(frames[frame], int(answers[frame]), f"{told}, {what}", class_names)


def gallery(pictures: Sequence[Picture]) -> Gallery:
    """All pairs side by side."""
    return Gallery("Where the answer flips, in pairs", tuple(pictures))


def _picture(frame: Pixels, answer: int, told: str, class_names: Sequence[str]) -> Picture:
    return Picture(data_uri(torch.from_numpy(frame).float() / 255), class_name(answer, class_names), told)
