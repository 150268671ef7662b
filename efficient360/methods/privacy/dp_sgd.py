"""DP-SGD (Abadi et al. 2016) with opacus: Poisson sampling, per-example clipping, Gaussian noise; and a check of opacus' per-sample gradients."""

import copy
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

from efficient360.core.seeding import isolated_torch_rng
from efficient360.errors import Unsupported
from efficient360.evaluator import Deadline
from efficient360.storage.resumable import Progress

MAX_GRADIENT_VALUES = 2**26
"""The most gradient entries held at once, 256 MiB in float32."""
TOLERANCE = 1e-3
"""Relative difference that rounding explains in float32."""
Inputs = Callable[[NDArray[np.int64]], Tensor]
"""From indices of examples to the module's inputs ``(B, …)``."""


@final
@dataclass(frozen=True)
class DpSgdSettings:
    """Hyperparameters of DP-SGD with Adam.

    Args:
        steps: Optimiser steps.
        batch_size: Expected examples per step, at most as many as there are.
        learning_rate: Of Adam.
        max_grad_norm: L2 norm that each example's gradient is clipped to.
        seed: Of the sampling and of the noise.
    """

    steps: int
    batch_size: int
    learning_rate: float
    max_grad_norm: float
    seed: int


def train_dp_sgd(
    module: nn.Module, inputs: Inputs, labels: Tensor, settings: DpSgdSettings, noise_multiplier: float, deadline: Deadline, progress: Progress
) -> None:
    """Train a module in place and leave it in eval mode.

    The sampled batches do not depend on the noise, so trainings under different ε differ by nothing else. Without noise the gradients are clipped too.
    The noise comes from torch's ordinary generator: adequate for measuring accuracy, not for releasing a model.

    Args:
        module: Inputs to logits; its parameters that require gradients are trained. opacus must take it.
        inputs: Gives the inputs of some examples, on the module's device.
        labels: int64 ``(n,)``, on the module's device.
        settings: Hyperparameters.
        noise_multiplier: Standard deviation of the noise in units of the clipping norm; 0 for none.
        deadline: Checked before every step.
        progress: Called after every step.

    Raises:
        OutOfTime: From the deadline.
    """
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    set_training_mode(module)
    trainable = [p for p in module.parameters() if p.requires_grad]
    rows = max(1, MAX_GRADIENT_VALUES // sum(p.numel() for p in trainable))
    generator = torch.Generator(labels.device).manual_seed(settings.seed)
    rng = np.random.default_rng([settings.seed, 11])
    # The fused attention kernels can't be batched over examples.
    with isolated_torch_rng(labels.device, settings.seed), warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")  # opacus warns that the inputs need no gradient, which is intended
        wrapped = GradSampleModule(module, loss_reduction="sum", strict=True)
        optimiser = DPOptimizer(
            torch.optim.Adam(trainable, lr=settings.learning_rate),
            noise_multiplier=noise_multiplier,
            max_grad_norm=settings.max_grad_norm,
            expected_batch_size=settings.batch_size,
            generator=generator,
        )
        for step in range(settings.steps):
            deadline.check()
            drawn = np.flatnonzero(rng.random(len(labels)) < settings.batch_size / len(labels))
            parts = np.array_split(drawn, max(1, math.ceil(len(drawn) / rows)))
            for i, part in enumerate(parts):
                if len(part):
                    logits = wrapped(inputs(part))
                    loss = torch.nn.functional.cross_entropy(logits, labels[torch.from_numpy(part).to(labels.device)], reduction="sum")
                    loss.backward()  # type: ignore[no-untyped-call]
                else:
                    _empty_gradients(trainable)
                optimiser.signal_skip_step(do_skip=i + 1 < len(parts))
                optimiser.step()
                optimiser.zero_grad()
            progress(step + 1, settings.steps)
    wrapped.to_standard_module()
    module.eval()


def _empty_gradients(trainable: list[nn.Parameter]) -> None:
    """Per-sample gradients of an empty batch: the step is noise alone, as the accountant counts it."""
    for parameter in trainable:
        parameter.grad_sample = torch.zeros(0, *parameter.shape, device=parameter.device)  # type: ignore[attr-defined]


def check_per_sample_gradients(network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Check on a few examples that opacus computes each example's own gradient.

    Networks that fold the batch into other axes get gradients of the wrong examples without an error.

    Args:
        network: Inputs to logits, as it will be trained; left unchanged.
        inputs: ``(B, …)``, a few.
        labels: int64 ``(B,)``.

    Raises:
        Unsupported: opacus does not support it or computes something else; the module or parameter is named.
    """
    buffered = first_buffered_module(network)
    if buffered:
        message = f"{buffered} has buffers (statistics or tables) beside its trained weights, which opacus does not support"
        raise Unsupported("buffers", message, "measure the head only: layers [head]")
    try:
        batched = _batched_gradients(copy.deepcopy(network), inputs, labels)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError, KeyError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise Unsupported(
            "per-sample-gradients", f"opacus does not support {type(network).__name__}: {reason}", "measure the head only: layers [head]"
        ) from error
    exact = _gradients_one_by_one(network, inputs, labels)
    largest = max(float(gradient.abs().max()) for gradient in exact.values())
    for name, gradient in batched.items():
        expected = exact[name]
        # A parameter with tiny gradients is compared on the scale of the largest: its own are mostly rounding.
        if gradient.shape != expected.shape or float((gradient - expected).abs().max()) > TOLERANCE * max(float(expected.abs().max()), 0.01 * largest):
            raise Unsupported(
                "per-sample-gradients",
                f"opacus' gradients for {name} of {type(network).__name__} differ from those of each example alone",
                "measure the head only: layers [head]",
            )


def first_buffered_module(network: nn.Module) -> str:
    """Name and type of the first module that has both trained weights and buffers, innermost first; ``""`` when there is none."""
    from opacus.utils.module_utils import trainable_modules

    buffered = [(name, module) for name, module in trainable_modules(network) if any(True for _ in module.buffers())]
    if not buffered:
        return ""
    own = [(name, module) for name, module in buffered if any(True for _ in module.buffers(recurse=False))]
    name, module = (own or buffered)[0]
    return f"{name or 'the network'} ({type(module).__name__})"


def set_training_mode(network: nn.Module) -> None:
    """Training mode, as opacus requires, except for modules without weights: dropout and the like stay off."""
    network.train()
    for module in network.modules():
        if not any(True for _ in module.parameters()):
            module.eval()


def _batched_gradients(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    from opacus import GradSampleModule

    set_training_mode(network)
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")
        wrapped = GradSampleModule(network, loss_reduction="sum", strict=True)
        torch.nn.functional.cross_entropy(wrapped(inputs), labels, reduction="sum").backward()  # type: ignore[no-untyped-call]
    gradients = {name: getattr(p, "grad_sample", None) for name, p in network.named_parameters() if p.requires_grad}
    return {name: torch.empty(0) if gradient is None else gradient.detach() for name, gradient in gradients.items()}


def _gradients_one_by_one(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    plain = copy.deepcopy(network)
    set_training_mode(plain)
    names = [name for name, p in plain.named_parameters() if p.requires_grad]
    trainable = [p for p in plain.parameters() if p.requires_grad]
    rows = []
    for example, label in zip(inputs, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(plain(example[None]), label[None])
        gradients = torch.autograd.grad(loss, trainable, allow_unused=True)
        rows.append([torch.zeros_like(p) if g is None else g for g, p in zip(gradients, trainable, strict=True)])
    return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(names)}
