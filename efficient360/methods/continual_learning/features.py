"""A stream whose images have become the checkpoint's features, taken once and kept on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.inputs import CHUNK, Features, Inputs, Part, Pixels
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.stream import Stream, Task
from efficient360.storage.row_log import RowLog


def featured(stream: Stream, learner: Learner, deadline: Deadline) -> Stream:
    """The same stream in features of the learner's backbone; those of an earlier run are read.

    Args:
        stream: In pixels.
        learner: A fresh copy of the checkpoint; its head plays no part.
        deadline: Checked before every pass.

    Raises:
        OutOfTime: From the deadline; what is done is kept.
    """
    seen: dict[Path, Features] = {}

    def taken(inputs: Inputs) -> Inputs:
        """Features in place of pixels, taken once a store; features stay as they are."""
        if not isinstance(inputs, Pixels):
            return inputs
        path = inputs.store.log.path
        if path not in seen:
            seen[path] = _features(inputs, learner, deadline)
        return seen[path]

    def of(part: Part) -> Part:
        return replace(part, inputs=taken(part.inputs))

    def home(task: Task) -> Task:
        return replace(task, training=of(task.training), test=of(task.test))

    return replace(stream, original=home(stream.original), tasks=tuple(map(home, stream.tasks)))


def _features(pixels: Pixels, learner: Learner, deadline: Deadline) -> Features:
    images = len(pixels.store.log)
    log = RowLog(pixels.store.log.path.with_suffix(".f32"), learner.head.in_features)
    log.truncate(len(log) if len(log) >= images else len(log) // CHUNK * CHUNK)
    for start in range(len(log), images, CHUNK):
        deadline.check()
        with torch.no_grad():
            found = learner.backbone(pixels.take(np.arange(start, min(start + CHUNK, images))).to(learner.device))
        log.append(found.cpu().numpy())
    return Features(torch.from_numpy(log.read(0, images)))
