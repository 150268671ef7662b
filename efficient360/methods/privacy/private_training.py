"""DP-SGD (Abadi et al. 2016) with opacus: Poisson-drawn batches, each example's gradient clipped, noise on the sum."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.evaluator import Deadline
from efficient360.methods.privacy.per_sample import settle
from efficient360.methods.privacy.randomness import own_randomness
from efficient360.storage.resumable import Progress

HELD = 2**26
"""The most gradient entries held at once, 256 MiB in float32."""
Inputs = Callable[[NDArray[np.int64]], Tensor]
"""From rows to the module's inputs ``(B, …)``."""


@final
@dataclass(frozen=True)
class Course:
    """How long and how boldly to train.

    Args:
        steps: Optimiser steps.
        batch: Examples a step on average, at most as many as there are.
        rate: Learning rate of Adam.
        clip: Largest L2 norm of an example's gradient.
        seed: Of the draws and of the noise.
    """

    steps: int
    batch: int
    rate: float
    clip: float
    seed: int


def train(module: nn.Module, inputs: Inputs, labels: Tensor, course: Course, noise: float, deadline: Deadline, progress: Progress) -> None:
    """Train a module in place, in eval mode at the end.

    The draws are the same whatever the noise, so trainings under other ε differ by nothing else. Without noise the gradients are clipped all the same.
    The noise comes from torch's generator: good for measuring accuracy, not for releasing a model.

    Args:
        module: Inputs to logits; its parameters that require gradients are trained. opacus must take it.
        inputs: Gives the inputs of some rows, on the module's device.
        labels: int64 ``(n,)``, on the module's device.
        course: How.
        noise: Deviation of the noise in units of the clipping norm; 0 for none.
        deadline: Checked before every step.
        progress: Told after every step.

    Raises:
        OutOfTime: From the deadline.
    """
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    settle(module)
    trained = [p for p in module.parameters() if p.requires_grad]
    rows = max(1, HELD // sum(p.numel() for p in trained))
    generator = torch.Generator(labels.device).manual_seed(course.seed)
    rng = np.random.default_rng([course.seed, 11])
    # The fused attention kernels can't be batched over examples.
    with own_randomness(labels.device, course.seed), warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")  # hooks on a network whose images need no gradient are meant
        wrapped = GradSampleModule(module, loss_reduction="sum", strict=True)
        optimiser = DPOptimizer(
            torch.optim.Adam(trained, lr=course.rate), noise_multiplier=noise, max_grad_norm=course.clip, expected_batch_size=course.batch, generator=generator
        )
        for step in range(course.steps):
            deadline.check()
            drawn = np.flatnonzero(rng.random(len(labels)) < course.batch / len(labels))
            parts = np.array_split(drawn, max(1, math.ceil(len(drawn) / rows)))
            for i, part in enumerate(parts):
                if len(part):
                    logits = wrapped(inputs(part))
                    loss = torch.nn.functional.cross_entropy(logits, labels[torch.from_numpy(part).to(labels.device)], reduction="sum")
                    loss.backward()  # type: ignore[no-untyped-call]
                else:
                    _nobody(trained)
                optimiser.signal_skip_step(do_skip=i + 1 < len(parts))
                optimiser.step()
                optimiser.zero_grad()
            progress(step + 1, course.steps)
    wrapped.to_standard_module()
    module.eval()


def _nobody(trained: list[nn.Parameter]) -> None:
    """The gradients of a batch that nobody was drawn into: none. The step is noise alone, as the accountant counts it."""
    for parameter in trained:
        parameter.grad_sample = torch.zeros(0, *parameter.shape, device=parameter.device)  # type: ignore[attr-defined]
