"""The copy of the checkpoint that learns, and the features that its untrained backbone computes."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.stream import CHUNK, Features, Inputs, LabelledInputs, Pixels, Stream, Task
from efficient360.models.model import TorchModel
from efficient360.storage.row_log import RowLog


@final
class Learner(nn.Module):
    """Inputs to logits: a backbone and a linear head.

    It stays in eval mode during training: batch-norm statistics are frozen (scales and offsets are trained), and dropout and stochastic depth
    are off. So no step depends on the rest of its batch, and none draws random numbers.

    Args:
        backbone: Inputs to features ``(B, D)``.
        head: Features to logits ``(B, K)``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it is trained."""
        return self.head.weight.device

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        features: Tensor = self.backbone(inputs.to(self.device))
        logits: Tensor = self.head(features)
        return logits


def learner_from(model: TorchModel, outputs: int) -> Learner:
    """A copy of the checkpoint with its own head, extended by an output for each new class, initialised to zeros: no seed is involved.

    Args:
        model: Of the checkpoint; left unchanged.
        outputs: Total number of outputs, at least as many as the checkpoint has.

    Raises:
        Unsupported: The network does not end in one linear classifier.
    """
    known = model.classifier()
    module = copy.deepcopy(model.module)
    module.keep = None
    module.network.set_submodule(model.head, nn.Identity())
    # On the meta device no initial weights are drawn.
    head = nn.Linear(known.in_features, outputs, bias=known.bias is not None, device="meta")
    head.weight = nn.Parameter(_extended(known.weight.detach(), outputs))
    if known.bias is not None:
        head.bias = nn.Parameter(_extended(known.bias.detach(), outputs))
    return Learner(module, head).requires_grad_(requires_grad=True)


def require_learnable(model: TorchModel) -> None:
    """Check before any work is done that a learner computes the checkpoint's logits.

    Raises:
        Unsupported: The network does not end in one linear classifier, or transforms its logits afterwards.
    """
    images = torch.rand((2, *model.input_size), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same = torch.allclose(learner_from(model, model.num_classes)(images), model(images), rtol=1e-3, atol=1e-4)
    if not same:
        message = f"{type(model.network).__name__} does more to its logits than one linear classifier"
        raise Unsupported("classifier-not-last", message, "evaluate an architecture that ends in one")


def head_learner(learner: Learner) -> Learner:
    """A learner with the same head that takes features instead of images."""
    return Learner(nn.Identity(), copy.deepcopy(learner.head))


def _extended(weights: Tensor, rows: int) -> Tensor:
    more = weights.new_zeros((rows - len(weights), *weights.shape[1:]))
    return torch.cat([weights, more])


def feature_stream(stream: Stream, learner: Learner, deadline: Deadline) -> Stream:
    """The same stream with the backbone's features as inputs, cached on disk beside the pixels.

    Args:
        stream: Of pixels.
        learner: An untrained copy of the checkpoint; its head is not used.
        deadline: Checked before every pass.

    Raises:
        OutOfTime: From the deadline; what is done is kept.
    """
    cached: dict[Path, Features] = {}

    def features(inputs: Inputs) -> Inputs:
        """Features in place of pixels, computed once per store; features are returned unchanged."""
        if not isinstance(inputs, Pixels):
            return inputs
        path = inputs.store.log.path
        if path not in cached:
            cached[path] = _compute_features(inputs, learner, deadline)
        return cached[path]

    def convert(examples: LabelledInputs) -> LabelledInputs:
        return replace(examples, inputs=features(examples.inputs))

    def convert_task(task: Task) -> Task:
        return replace(task, training=convert(task.training), test=convert(task.test))

    return replace(stream, original=convert_task(stream.original), tasks=tuple(map(convert_task, stream.tasks)))


def _compute_features(pixels: Pixels, learner: Learner, deadline: Deadline) -> Features:
    images = len(pixels.store.log)
    log = RowLog(pixels.store.log.path.with_suffix(".f32"), learner.head.in_features)
    log.truncate(len(log) if len(log) >= images else len(log) // CHUNK * CHUNK)
    for start in range(len(log), images, CHUNK):
        deadline.check()
        with torch.no_grad():
            features = learner.backbone(pixels.take(np.arange(start, min(start + CHUNK, images))).to(learner.device))
        log.append(features.cpu().numpy())
    return Features(torch.from_numpy(log.read(0, images)))
