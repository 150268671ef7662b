"""A program called over and over, one token a call: greedy generation with a cache of keys and values that stays on this side of the runtime."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def looped(run: Callable[[Any], Any], settings: "dict[str, Any]") -> Callable[[Any], Any]:
    """``run`` until an answer is complete, where the settings name a ``loop``; else ``run`` itself.

    Args:
        run: One step: token and position (integers of one element) and the states, to logits ``(…, V)`` and what the states get new at this position.
        settings: Under ``loop`` a JSON object: ``token``, ``position``, ``logits``: names of the step's arrays; ``steps``: tokens to generate;
            ``states``: triples of input, output and the axis of positions, along which the input has room for all and the output has length 1.

    Returns:
        A function of ``{"prompt": int64 (P,)}`` to ``tokens``, int64 ``(P + steps - 1,)``: the likeliest token after each token of the prompt and then
        after each generated one, so that the last ``steps`` of them are the answer; and ``log_likelihood``, float32 ``(P - 1,)``: of each token of the
        prompt but the first, given those before it.
    """
    if "loop" not in settings:
        return run
    loop = json.loads(settings["loop"])
    inputs = {name: (tuple(shape), dtype) for name, shape, dtype in json.loads(settings["signature"])["inputs"]}

    def answer(question: "dict[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
        prompt = question["prompt"]
        states = {name: np.zeros(*inputs[name]) for name, _, _ in loop["states"]}
        token, position = (np.zeros(*inputs[loop[part]]) for part in ("token", "position"))
        tokens = np.zeros(len(prompt) + loop["steps"] - 1, np.int64)
        likelihood = np.zeros(len(prompt) - 1, np.float32)
        for place in range(len(tokens)):
            token[...] = prompt[place] if place < len(prompt) else tokens[place - 1]
            position[...] = place
            result = run({loop["token"]: token, loop["position"]: position, **states})
            logits = np.asarray(result[loop["logits"]]).reshape(-1)
            tokens[place] = logits.argmax()
            if place < len(likelihood):
                likelihood[place] = logits[prompt[place + 1]] - _log_sum_exp(logits)
            for name, output, axis in loop["states"]:
                states[name][(slice(None),) * axis + (slice(place, place + 1),)] = result[output]
        return {"tokens": tokens, "log_likelihood": likelihood}

    return answer


def _log_sum_exp(logits: "NDArray[Any]") -> float:
    top = logits.max()
    return float(top + np.log(np.exp(logits - top).sum()))
