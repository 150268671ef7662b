"""The state dicts inside what a training script saved: wherever they are nested, under whatever key."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from efficient360.models.inert_values import Named

SEPARATOR: Final = "/"
_DEEPEST: Final = 8
_MOST: Final = 100_000
_WRAPPERS: Final = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
"""Parts of names that wrappers of a layer put in (torch.compile, FSDP, activation checkpointing, Lightning's Fabric), wherever the layer is."""
_WORDS: Final = re.compile(r"[a-z]+|\d+")
_USUAL: Final = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
_NO_WEIGHTS: Final = re.compile(r"(optim|lr_|scheduler|scaler|rng|loops|callbacks?$|hyper_parameters|hparams|args|config).*", re.IGNORECASE)


class Role(IntEnum):
    """What the weights under a key are, in the order in which they are taken."""

    TRAINED = 0
    TEACHER = 1
    STUDENT = 2
    AVERAGE = 3
    MOMENTUM = 4


_ROLES: Final = {
    Role.AVERAGE: {"ema", "averaged", "average", "avg", "swa", "shadow"},
    Role.TEACHER: {"teacher"},
    Role.STUDENT: {"student"},
    Role.MOMENTUM: {"momentum", "target"},
}


@final
@dataclass(frozen=True)
class StateDict:
    """Tensors by name, as they stand in a file.

    Args:
        key: Where in the file: keys joined by ``/``, ``""`` for the file itself.
        tensors: Tensor by name, without the parts of names that wrappers put in.
    """

    key: str
    tensors: Mapping[str, Tensor]

    def label(self, prefix: str) -> str:
        """The state dict, or what stands behind a prefix in it, as ``--weights-key`` takes it; ``""`` for all of a plain one."""
        return SEPARATOR.join(part for part in (self.key, prefix.rstrip(".")) if part)


def state_dicts(content: Any) -> tuple[StateDict, ...]:
    """All mappings of names to tensors, the usual keys first, the outer before the inner; those of optimizers and the like last."""
    found = list(_found(content, (), set()))
    place = {id(one): i for i, one in enumerate(found)}
    return tuple(sorted(found, key=lambda one: (_NO_WEIGHTS.fullmatch(one.key) is not None, *_usual(one.key), place[id(one)])))


def is_plain(content: Any) -> bool:
    """Whether a file holds one mapping of names to tensors, and nothing else."""
    return isinstance(content, Mapping) and bool(content) and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())


def _usual(key: str) -> tuple[int, int]:
    parts = key.split(SEPARATOR)
    return 0 if not key else 1 + (_USUAL.index(parts[0]) if parts[0] in _USUAL else len(_USUAL)), len(parts)


def _found(value: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[StateDict]:
    if id(value) in seen or len(path) > _DEEPEST or len(seen) > _MOST or not isinstance(value, Mapping | list | tuple):
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        tensors = {name: tensor for name, item in value.items() if isinstance(name, str) and (tensor := _tensor(item)) is not None}
        if tensors:
            yield StateDict(SEPARATOR.join(path), _unwrapped(tensors))
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, item in pairs:
        if isinstance(name, str | int) and isinstance(item, Mapping | list | tuple):
            yield from _found(item, (*path, str(name)), seen)


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(value.copy())
    return value if isinstance(value, Tensor) else None


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {_WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    return renamed if len(renamed) == len(tensors) and "" not in renamed else dict(tensors)


def role_of(label: str, names: Mapping[str, Tensor]) -> Role:
    """What weights are, by the words of their key and prefix; ``n_averaged`` is the counter of ``torch.optim.swa_utils.AveragedModel``."""
    words = set(_WORDS.findall(label.lower()))
    found = [role for role, marks in _ROLES.items() if marks & words]
    return found[0] if found else Role.AVERAGE if "n_averaged" in names else Role.TRAINED


def described(value: Any) -> str:
    """What a value is, for messages."""
    return value.path if isinstance(value, Named) else type(value).__name__
