"""Functions and classes that others use: what a foreign evaluator put in their place is taken out again."""

import builtins
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

PACKAGES = ("efficient360", "PIL", "timm.layers", "torch.nn", "torch.autograd", "numpy.linalg", "numpy.random", "json", "pathlib")
"""Packages that evaluators compute with, beside builtins."""
MODULES = frozenset(
    {"torch", "torch._tensor", "torch.functional", "torch.linalg", "torch.fft", "torch.random", "timm.models.vision_transformer", "numpy", "numpy.fft"}
    | {"scipy.stats", "scipy.special", "scipy.linalg", "scipy.ndimage", "math", "time", "random", "io", "os", "hashlib"}
)
"""Modules likewise, without those below them."""
_PREFIXES = tuple(f"{package}." for package in PACKAGES)
_DESCRIPTORS = (property, classmethod, staticmethod)


@final
@dataclass(frozen=True)
class _Space:
    """A module or class, with what stood in it under which name."""

    owner: ModuleType | type[Any]
    before: dict[str, Any]

    @classmethod
    def of(cls, owner: ModuleType | type[Any]) -> "_Space":
        return cls(owner, dict(vars(owner)))

    def restore(self) -> None:
        """Put back what was replaced, and take out what hides what is inherited."""
        now = dict(vars(self.owner))
        # What is code is asked of the few that differ alone: a process holds some hundred thousand names.
        for name in [name for name, value in self.before.items() if now.get(name) is not value and _is_code(value)]:
            if name not in now or _is_code(now[name]):
                setattr(self.owner, name, self.before[name])
        if isinstance(self.owner, type):
            inherited = self.owner.__mro__[1:]
            for name in [name for name, value in now.items() if name not in self.before and _is_code(value)]:
                if any(name in vars(base) for base in inherited):  # a method put before the one that was inherited
                    delattr(self.owner, name)


@contextlib.contextmanager
def restored_namespaces() -> Iterator[None]:
    """Afterwards every function, class and method of :data:`PACKAGES` and :data:`MODULES` that was there before stands under its name again.

    Code changed within (``__code__``), other modules, and state of native code are beyond it.
    """
    spaces = [_Space.of(owner) for owner in _owners()]
    try:
        yield
    finally:
        for space in spaces:
            with contextlib.suppress(AttributeError, TypeError):  # classes of native code can't be changed, so they were not
                space.restore()


def _owners() -> Iterator[ModuleType | type[Any]]:
    yield builtins
    for full_name, module in list(sys.modules.items()):
        if (full_name in MODULES or f"{full_name}.".startswith(_PREFIXES)) and isinstance(module, ModuleType):
            yield module
            yield from (value for value in list(vars(module).values()) if issubclass(type(value), type) and value.__module__ == full_name)


def _is_code(value: Any) -> bool:
    # Not isinstance, which asks some deprecated objects of torch for their class.
    return callable(value) or issubclass(type(value), _DESCRIPTORS)
