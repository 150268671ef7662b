"""Recovery training: a network that was cut learns the answers of its original again, within a budget, from training images alone.

Hinton et al. 2015, Distilling the Knowledge in a Neural Network: the student matches the teacher's softened class probabilities; besides, where both have
features of one width, the direction of these. No label is used, so that the student becomes the original again and no better-trained network.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from efficient360.core import canonical
from efficient360.core.seeding import isolated_torch_rng
from efficient360.errors import SettingsError
from efficient360.methods.distillation.augmentation import augmented, batch_of, resized
from efficient360.methods.distillation.progress_file import Progress, load_progress, save_progress
from efficient360.models.model import TorchModel
from efficient360.models.weights import digest

WARM_UP: Final = 0.05
"""Share of the steps in which the learning rate rises."""
HELD_BACK: Final = 256
"""Training images, at most an eighth of them, by which the best state is chosen and with which nothing is trained."""
CHECKS: Final = 10
"""How often the held-back images are looked at."""
TIMED: Final = 3
"""Steps by which minutes are turned into a number of steps."""
SAVE_EVERY: Final = 30.0
"""Seconds between two writes of the state."""
STRICTEST_NORM: Final = 1.0
"""To which the gradient is clipped."""


@final
@dataclass(frozen=True)
class Recovery:
    """How much is trained, and how. AdamW with a linear warm-up and a cosine to zero, images flipped and shifted.

    Args:
        steps: Training steps; 0 takes as many as fit into ``minutes`` by the time that the first few take.
        minutes: Of training, where ``steps`` is 0.
        seed: Of the order of images and of their augmentation. The same seed and steps give the same network.
        batch: Images in a step.
        learning_rate: At its highest.
        weight_decay: Of weight matrices; norms and biases have none.
        temperature: Of both networks' probabilities.
        features: Weight of the features' cosine distance in the loss.

    Raises:
        SettingsError: No budget, or a number out of its range (``bad-recovery``).
    """

    steps: int = 0
    minutes: float = 0.0
    seed: int = 0
    batch: int = 64
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    temperature: float = 2.0
    features: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 0 or self.minutes < 0 or not (self.steps or self.minutes):
            raise SettingsError("bad-recovery", f"recovery training of {self.steps} steps and {self.minutes:g} minutes has no budget", "give minutes or steps")
        if self.batch < 2 or self.learning_rate <= 0 or self.temperature <= 0 or self.features < 0 or self.weight_decay < 0:
            raise SettingsError("bad-recovery", "recovery training wants a batch of 2 or more and a positive learning rate and temperature", "correct them")


@final
@dataclass(frozen=True)
class Recovered:
    """A trained copy.

    Args:
        model: In eval mode, frozen; the state that answered most like the teacher on held-back images, which may be that from before the training.
        facts: Plain JSON: steps, epochs, seconds, agreement with the teacher on the held-back images before and after, and the settings.
    """

    model: TorchModel
    facts: Mapping[str, Any]


def recover(
    student: TorchModel,
    teacher: TorchModel,
    images: Tensor,
    recovery: Recovery,
    constraint: Callable[[nn.Module], Callable[[], None]] | None = None,
    file: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Recovered:
    """Train a copy of the student to answer as the teacher does.

    Args:
        student: Left unchanged; it may take images of another size.
        teacher: Its original, of as many classes.
        images: Training images uint8 ``(n, 3, H, W)``, or float32 in [0, 1], of the teacher's size; at least 16, none of which is evaluated.
        recovery: The budget.
        constraint: Given the copy's network, what is called after each step: see :meth:`CutModel.constraint`.
        file: Where the state is kept, so that the same call goes on after a kill; deleted at the end.
        on_progress: Told the steps done and their total.

    Raises:
        SettingsError: Fewer than 16 images (``bad-recovery``).
        RunError: The state can't be written.
    """
    if len(images) < 16:
        raise SettingsError("bad-recovery", f"recovery training wants 16 training images or more, and was given {len(images)}", "give more, or no budget")
    began = time.monotonic()
    with torch.inference_mode(mode=False), torch.enable_grad():
        training = _Training(student, teacher, images, recovery, constraint)
        identity = canonical.digest(
            [asdict(recovery), digest(student.module.state_dict()), digest(teacher.module.state_dict()), list(images.shape)], "recovery"
        )
        kept = None if file is None else load_progress(file, identity)
        if kept is None:
            training.start(recovery.steps or training.steps_in(recovery.minutes))
        else:
            training.resume(kept)
        saved = time.monotonic()
        while training.step < training.steps:
            training.advance()
            if on_progress is not None:
                on_progress(training.step, training.steps)
            if file is not None and time.monotonic() - saved > SAVE_EVERY:
                save_progress(file, training.progress(identity))
                saved = time.monotonic()
        model, facts = training.result()
    if file is not None:
        file.unlink(missing_ok=True)
    return Recovered(model, {**facts, "seconds": round(time.monotonic() - began, 1)})


class _Training:
    """The state of a training."""

    def __init__(
        self, student: TorchModel, teacher: TorchModel, images: Tensor, recovery: Recovery, constraint: Callable[[nn.Module], Callable[[], None]] | None
    ) -> None:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(recovery.seed)).tolist()
        held = min(HELD_BACK, len(images) // 8)
        self.held, self.trained_on = order[:held], order[held:]
        self.images, self.recovery, self.teacher = images, recovery, teacher
        self.student = replace(student, module=copy.deepcopy(student.module).requires_grad_())
        self._with_features = recovery.features > 0 and _width(self.student) == _width(teacher) > 0  # asked while both are in eval mode
        self.restore: Callable[[], None] = _nothing if constraint is None else constraint(self.student.network)
        self.device = torch.device(student.device)
        self.batch = min(recovery.batch, len(self.trained_on))
        self.optimizer = torch.optim.AdamW(_groups(self.student.module, recovery.weight_decay), lr=recovery.learning_rate)
        self.step, self.steps = 0, 0
        self.best: dict[str, Tensor] = {}
        self.first = self.best_loss = self.best_step = 0.0
        self.agreement = [0.0, 0.0]

    def start(self, steps: int) -> None:
        self.steps = steps
        self._teacher_on_held = self._logits(self.teacher)
        loss, agreement = self._compare()
        self.first = self.best_loss = loss
        self.agreement = [agreement, agreement]
        self.best = _state(self.student.module)

    def resume(self, kept: Progress) -> None:
        self.step, self.steps = kept.step, kept.steps
        self.first, self.best_loss, self.best_step = kept.first, kept.best_loss, kept.best_step
        self.agreement = list(kept.agreement)
        self.best = dict(kept.best)
        self.student.module.load_state_dict(dict(kept.state))
        for name, parameter in self.student.module.named_parameters():
            if name in kept.averages:
                average, square = kept.averages[name]
                self.optimizer.state[parameter] = {"step": torch.tensor(float(kept.step)), "exp_avg": average, "exp_avg_sq": square}
        self._teacher_on_held = self._logits(self.teacher)

    def progress(self, identity: str) -> Progress:
        averages = {
            name: (state["exp_avg"], state["exp_avg_sq"])
            for name, parameter in self.student.module.named_parameters()
            if (state := self.optimizer.state.get(parameter))
        }
        return Progress(
            identity, self.step, self.steps, self.first, self.best_loss, self.best_step, tuple(self.agreement), _state(self.student.module), self.best, averages
        )

    def steps_in(self, minutes: float) -> int:
        """Steps that fit into a time: a few are taken, timed and forgotten."""
        before = _state(self.student.module)
        for attempt in range(TIMED + 1):
            if attempt == 1:  # the first one is slower
                began = time.monotonic()
            self._loss(attempt).backward()  # type: ignore[no-untyped-call]
        a_step = (time.monotonic() - began) / TIMED
        self.optimizer.zero_grad(set_to_none=True)
        self.student.module.load_state_dict(before)  # running statistics of batch norms
        return max(1, int(minutes * 60 / (1.05 * a_step)))

    def advance(self) -> None:
        """One step, and every now and then a look at the held-back images."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recovery.learning_rate * schedule(self.step, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        self._loss(self.step).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.student.module.parameters(), STRICTEST_NORM)
        self.optimizer.step()
        self.restore()
        self.step += 1
        if self.step == self.steps or self.step % max(1, self.steps // CHECKS) == 0:
            loss, agreement = self._compare()
            if loss < self.best_loss:
                self.best_loss, self.best_step, self.best, self.agreement[1] = loss, self.step, _state(self.student.module), agreement

    def result(self) -> tuple[TorchModel, dict[str, Any]]:
        module = self.student.module
        module.load_state_dict(self.best)
        module.eval().requires_grad_(requires_grad=False)
        for parameter in module.parameters():
            parameter.grad = None
        facts = {
            "steps": self.steps,
            "best_step": int(self.best_step),
            "epochs": round(self.steps * self.batch / len(self.trained_on), 3),
            "training_images": len(self.trained_on),
            "held_back_images": len(self.held),
            "held_back_divergence": [self.first, self.best_loss],
            "held_back_agreement": self.agreement,
            "settings": asdict(self.recovery),
        }
        return replace(self.student), facts

    def _loss(self, step: int) -> Tensor:
        per_epoch = len(self.trained_on) // self.batch
        batch = batch_of(self.images, [self.trained_on[i] for i in _places(len(self.trained_on), step, per_epoch, self.batch, self.recovery.seed)])
        pixels = augmented(batch, self.recovery.seed, step).to(self.device)
        small = resized(pixels, self.student.size)
        with torch.no_grad():
            wanted, wanted_features = self._forward(self.teacher, pixels)
        self.student.module.train()
        with isolated_torch_rng(self.device, self.recovery.seed * 1_000_003 + step):  # dropout, where the network has any
            logits, features = self._forward(self.student, small)
        loss = divergence(logits, wanted, self.recovery.temperature)
        if features is not None and wanted_features is not None:
            loss = loss + self.recovery.features * (1 - functional.cosine_similarity(features, wanted_features, dim=-1)).mean()
        return loss

    def _forward(self, model: TorchModel, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return model.logits_and_features(images) if self._with_features else (model(images), None)

    def _compare(self) -> tuple[float, float]:
        """Divergence from the teacher and agreement with it on the held-back images."""
        self.student.module.eval()
        logits = self._logits(self.student)
        same = (logits.argmax(1) == self._teacher_on_held.argmax(1)).float().mean()
        return float(divergence(logits, self._teacher_on_held, 1.0)), float(same)

    def _logits(self, model: TorchModel) -> Tensor:
        with torch.no_grad():
            parts = [self.held[i : i + 64] for i in range(0, len(self.held), 64)]
            return torch.cat([model(resized(batch_of(self.images, part).to(self.device), model.size)) for part in parts])


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Mean Kullback-Leibler divergence of softened probabilities from the wanted ones, times the square of the temperature (Hinton et al. 2015, section 2)."""
    softened = (logits / temperature).log_softmax(-1)
    return functional.kl_div(softened, (wanted / temperature).log_softmax(-1), log_target=True, reduction="batchmean") * temperature**2


def schedule(step: int, steps: int) -> float:
    """The share of the learning rate in a step: a linear rise, then a cosine to zero."""
    rise = max(1, math.ceil(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _places(count: int, step: int, per_epoch: int, batch: int, seed: int) -> list[int]:
    """Which images a step takes: each epoch has its own order, and ends with the last whole batch."""
    epoch, place = divmod(step, per_epoch)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch + 1))
    return order[place * batch : (place + 1) * batch].tolist()


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(module.parameters())
    matrices, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _nothing() -> None:
    return None


def _width(model: TorchModel) -> int:
    """Width of a model's features; 0 where it has none."""
    with torch.no_grad():
        features = model.logits_and_features(torch.full((2, *model.size), 0.5))[1]
    return 0 if features is None else int(features.shape[1])


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
