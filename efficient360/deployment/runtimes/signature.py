"""What a program takes and returns where it is no image classifier: named arrays, each of a fixed shape and type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

TYPES: Final = ("float32", "int64", "int32", "bool")
"""NumPy's names of the types that an input may have."""
NO_IMAGES: Final = (0, 0, 0)
"""The size of a program that takes no images."""
Call = Mapping[str, NDArray[Any]]
"""One call of a program: an array for every input, of its shape and type."""


@final
@dataclass(frozen=True)
class ArraySpec:
    """One input.

    Args:
        name: Its name, an identifier.
        shape: Of a whole call, the batch included; fixed.
        dtype: One of :data:`TYPES`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.dtype not in TYPES or any(side < 1 for side in self.shape):
            raise ValueError(f"an input has a name, a fixed shape, and one of the types {', '.join(TYPES)}: {self}")


@final
@dataclass(frozen=True)
class Signature:
    """The inputs of a program in the order in which it takes them, and the names of what it returns in the order in which it returns it.

    Args:
        inputs: Each name once.
        outputs: Each name once, and none that an input has.
    """

    inputs: tuple[ArraySpec, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [*self.names, *self.outputs]
        if len(set(names)) != len(names) or not self.inputs or not self.outputs or not all(name.isidentifier() for name in self.outputs):
            raise ValueError(f"inputs and outputs need names that differ: {names}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(spec.name for spec in self.inputs)

    def require(self, call: Call) -> None:
        """Check one call.

        Raises:
            ValueError: An input lacks, is not one of the program's, or has another shape or type; the message says which.
        """
        if set(call) != set(self.names):
            raise ValueError(f"the program takes {', '.join(self.names)}, and is given {', '.join(call)}")
        for spec in self.inputs:
            array = call[spec.name]
            if array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
                raise ValueError(f"{spec.name} is {spec.dtype} {spec.shape}, and not {array.dtype} {array.shape}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"inputs": [[spec.name, list(spec.shape), spec.dtype] for spec in self.inputs], "outputs": list(self.outputs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Signature":
        """What :meth:`to_json` wrote."""
        return cls(tuple(ArraySpec(name, tuple(shape), dtype) for name, shape, dtype in data["inputs"]), tuple(data["outputs"]))


def stacked(calls: Sequence[Call]) -> dict[str, NDArray[Any]]:
    """Calls in a row as one array for each input, calls along a new first axis: what an ``.npz`` of questions holds."""
    return {name: np.stack([call[name] for call in calls]) for name in calls[0]}
