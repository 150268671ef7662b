"""A network with named inputs, run by PyTorch: what variants and artefacts are compared with. A loop calls it token by token."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils import _pytree as pytree

from efficient360.deployment.runtimes.kit.loop import looped
from efficient360.deployment.runtimes.signature import ArraySpec, Call, Signature, stacked

Answers = Mapping[str, NDArray[Any]]
"""What several calls return: an array for each output, calls along its first axis."""
Run = Callable[[Sequence[Call]], Answers]
PROMPT: Final = "prompt"
"""The one input of a program with a loop: tokens int64 ``(P,)``."""


@final
@dataclass(frozen=True)
class State:
    """What a step remembers, kept by its caller: keys and values of the tokens so far.

    Args:
        input: Name of the input, with room for every position.
        output: Name of the output that holds what is new at this position.
        axis: Of positions; there the input has its room, the output length 1.
    """

    input: str
    output: str
    axis: int


@final
@dataclass(frozen=True)
class Loop:
    """How a step is called until an answer is complete: token after token, the likeliest first.

    Args:
        token: Name of the input that holds one token.
        position: Name of the input that holds its place, from 0.
        logits: Name of the output with a logit for every token of the vocabulary.
        states: What is remembered.
        steps: Tokens that an answer has.
    """

    token: str
    position: str
    logits: str
    states: tuple[State, ...]
    steps: int

    def settings(self, steps: int) -> str:
        """For the kit (``kit/loop.py``): an answer of so many tokens; 1 reads the prompt alone."""
        states = [[state.input, state.output, state.axis] for state in self.states]
        return json.dumps({"token": self.token, "position": self.position, "logits": self.logits, "steps": steps, "states": states})


@final
@dataclass(frozen=True)
class Program:
    """A network that ``torch.export`` takes.

    Args:
        name: As it is shown.
        module: In eval mode; it takes its inputs in the signature's order, and returns its outputs in the signature's order.
        signature: What it takes and returns, shapes fixed.
        loop: For a network that is called token by token; then calls are ``{"prompt": tokens}``.
    """

    name: str
    module: nn.Module
    signature: Signature
    loop: Loop | None = None

    @property
    def identity(self) -> str:
        """Digest of weights, structure, and what it takes and returns."""
        whole = hashlib.sha256(str(self.module).encode())
        whole.update(json.dumps([self.signature.to_json(), torch.__version__]).encode())
        for name, tensor in sorted(self.module.state_dict().items()):
            whole.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
            whole.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else str(tensor.item()).encode())
        return whole.hexdigest()

    @property
    def tokens(self) -> Callable[[Call], int]:
        """How many steps a call takes; 1 without a loop."""
        return lambda call: 1 if self.loop is None else len(call[PROMPT]) + self.loop.steps - 1

    def with_module(self, module: nn.Module) -> "Program":
        """The same with another network in it."""
        return Program(self.name, module, self.signature, self.loop)

    def run(self, reading: bool) -> Run:
        """PyTorch's answers, call by call.

        Args:
            reading: A program with a loop reads its prompt and generates nothing.
        """
        call = torch_call(self.module, self.signature)
        if self.loop is not None:
            call = looped(call, {"loop": self.loop.settings(1 if reading else self.loop.steps), "signature": json.dumps(self.signature.to_json())})
        return lambda calls: stacked([call(asked) for asked in calls])

    def require(self, call: Call) -> None:
        """Check one call.

        Raises:
            ValueError: It is none of this program's; the message says why.
        """
        if self.loop is None:
            self.signature.require(call)
            return
        room = min(_spec(self.signature, state.input).shape[state.axis] for state in self.loop.states)
        if set(call) != {PROMPT} or call[PROMPT].ndim != 1 or call[PROMPT].dtype != np.int64 or len(call[PROMPT]) < 2:
            raise ValueError("a program with a loop is called with a prompt alone: int64 (P,), of at least two tokens")
        if self.tokens(call) > room:
            raise ValueError(f"{len(call[PROMPT])} tokens of the prompt and {self.loop.steps} of the answer don't fit into the room for {room}")

    def step_calls(self, calls: Sequence[Call], every: int = 1) -> list[Call]:
        """What the network itself is given while it answers: the calls, or every so many of the steps of a loop, to calibrate with."""
        if self.loop is None:
            return [dict(call) for call in calls]
        seen: list[Call] = []
        step = torch_call(self.module, self.signature)

        def recording(inputs: Call) -> Mapping[str, NDArray[Any]]:
            seen.append(copy.deepcopy(dict(inputs)))
            return step(inputs)

        settings = {"loop": self.loop.settings(self.loop.steps), "signature": json.dumps(self.signature.to_json())}
        kept: list[Call] = []
        for call in calls:
            looped(recording, settings)(call)
            kept += seen[every - 1 :: every]
            seen.clear()
        return kept


def torch_call(module: nn.Module, signature: Signature) -> Callable[[Call], dict[str, NDArray[Any]]]:
    """A network as a function of named arrays.

    Args:
        module: In eval mode, on the CPU.
        signature: What it takes and returns.
    """

    def call(inputs: Call) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            results = pytree.tree_leaves(module(*(torch.from_numpy(inputs[name]) for name in signature.names)))
        if len(results) != len(signature.outputs):
            raise ValueError(f"the network returns {len(results)} arrays, and the signature names {len(signature.outputs)}: {', '.join(signature.outputs)}")
        return {name: result.numpy() for name, result in zip(signature.outputs, results, strict=True)}

    return call


def _spec(signature: Signature, name: str) -> ArraySpec:
    return next(spec for spec in signature.inputs if spec.name == name)
