"""The source of a class that no module's file holds: one typed in a notebook, at a prompt, or in the script that runs."""

import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, tuple, frozenset)


def source_of(cls: type) -> str:
    """The source of a class, of its bases, and of the functions, classes and constants of its own module that they name, at whatever depth.

    What can't be read as text, as at a prompt, is told by its compiled code.
    """
    seen: dict[str, str] = {}
    _follow(cls, cls.__module__, seen)
    return "\n".join(f"{name}: {text}" for name, text in sorted(seen.items()))


def _follow(thing: Any, home: str, seen: dict[str, str]) -> None:
    name = getattr(thing, "__qualname__", repr(thing))
    if getattr(thing, "__module__", None) != home or name in seen:
        return
    seen[name] = _text(thing)
    functions = list(_functions(thing))
    for base in thing.__mro__[1:] if isinstance(thing, type) else ():
        _follow(base, home, seen)
    for function in functions:
        for used, value in _used(function):
            if isinstance(value, _PLAIN):
                seen[used] = repr(value)
            else:
                _follow(value, home, seen)


def _functions(thing: Any) -> Iterator[types.FunctionType]:
    values = vars(thing).values() if isinstance(thing, type) else (thing,)
    for value in values:
        inner = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", getattr(value, "__wrapped__", value))))
        if isinstance(inner, types.FunctionType):
            yield inner


def _used(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that a function names, those of functions within it included."""
    scope: Mapping[str, Any] = function.__globals__
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        pending += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        yield from ((name, scope[name]) for name in code.co_names if name in scope)


def _text(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError, KeyError):  # KeyError: tvm replaces inspect.getfile, and looks a class's module up
        return "".join(_compiled(function.__code__) for function in _functions(thing))


def _compiled(code: types.CodeType) -> str:
    constants = [_compiled(value) if isinstance(value, types.CodeType) else repr(value) for value in code.co_consts]
    return f"{code.co_code.hex()}{constants}{code.co_names!r}"
