"""What one evaluator does costs no other a number: the model is verified after each, and put back where it changed; the process is restored."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.core import processes
from efficient360.core.measurement import Failure, Status
from efficient360.errors import RunError
from efficient360.execution.namespaces import restored_namespaces
from efficient360.execution.process_state import restored_process
from efficient360.models.model import Model, TorchModel
from efficient360.models.state import State, changed_parts, probed, state_of

TOLERANCE = 1e-4
"""Of a model's answers to the same images in the same process, relative to their largest magnitude."""


@final
@dataclass(frozen=True)
class Baseline:
    """What a model was before anybody had it.

    Args:
        state: Of its network; empty for an artefact, which shows none.
        answers: To two fixed images, float32 ``(2, K)``; ``None`` where nobody foreign comes.
    """

    state: State
    answers: Tensor | None

    @classmethod
    def of(cls, model: Model, foreign: bool) -> "Baseline":
        """A model as it is now.

        Args:
            model: The model.
            foreign: Whether foreign evaluators will have it.
        """
        return cls(_state(model), probed(model, model.input_size) if foreign else None)

    def changes(self, model: Model) -> list[str]:
        """Names of the parts of the model that changed since."""
        return changed_parts(self.state, _state(model))

    def answers_same(self, model: Model) -> bool:
        """Whether the model gives the same answers as then: it does where nothing that it runs through changed."""
        if self.answers is None:
            return True
        try:
            now = probed(model, model.input_size)
        except Exception:  # a model that was tampered with may raise anything
            return False
        scale = max(1.0, float(self.answers.abs().max()))
        return now.shape == self.answers.shape and bool(torch.isfinite(now).all()) and float((now - self.answers).abs().max()) <= TOLERANCE * scale


def _state(model: Model) -> State:
    if not isinstance(model, TorchModel):
        return {}
    return {**state_of(model.module), "input size, classes and device": (model.size, model.classes, model.device)}


@contextlib.contextmanager
def guarded(foreign: bool) -> Iterator[None]:
    """Afterwards the process is as before: its global state, and after foreign code also the functions of libraries and the processes that it started.

    A process that the block forked, and that comes out of it, ends here.
    """
    pid = os.getpid()
    before = {process.pid for process in processes.descendants(pid)} if foreign else set()
    with contextlib.ExitStack() as stack:
        if foreign:
            stack.enter_context(restored_namespaces())
        stack.enter_context(restored_process())
        try:
            yield
        finally:
            if os.getpid() != pid:
                os._exit(0)
            if foreign:
                processes.end(process for process in processes.descendants(pid) if process.pid not in before)


def changed_model(name: str, parts: list[str]) -> Failure:
    """The failure of an evaluator that changed the model: nothing that it measured is trusted."""
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    what = f" ({parts[0]}{more})" if parts else ""
    message = f"{name} changed the model that it was to measure{what}; its numbers are not kept, and the model was put back for the others"
    return Failure(Status.FAILED, "changed-model", message, "work on a copy: copy.deepcopy(model.network)")


def spoiled(name: str) -> RunError:
    """The error that ends a process in which the model no longer answers as it did."""
    message = f"{name} left the process such that the model answers otherwise, also when it is loaded again"
    return RunError("spoiled-process", message, "run the same command again: what is measured is kept, and the rest resumes in a fresh process")
