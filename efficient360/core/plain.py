"""Values as plain JSON data: what is plainly meant is taken (a NumPy scalar, a tensor of one element, a path), the rest is refused by name."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """``value`` as JSON data: text, whole numbers, finite numbers, truth values, ``None``, and lists and mappings of them.

    A NumPy scalar, a tensor or an array becomes what its ``item`` or ``tolist`` gives, a path its text, a set a sorted list, a dataclass its fields.

    Raises:
        ValueError: A number that is not finite, or a text that is no Unicode.
        TypeError: Anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{float(value)} is no finite number")
        return float(value)
    if isinstance(value, PurePath):
        return _text(str(value))
    if isinstance(value, Mapping):
        return {plain(key) if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if callable(tolist := getattr(value, "tolist", None)):
        listed = tolist()
        if not callable(getattr(listed, "tolist", None)):  # NumPy's long double stays one: it is no JSON number
            return plain(listed)
    raise TypeError(f"{type(value).__name__} is no plain value")


def number(value: Any) -> float:
    """A finite number, also where it comes as an array or a tensor of one element.

    Raises:
        ValueError: It is not finite.
        TypeError: It is no number.
    """
    single = plain(value)
    while isinstance(single, list) and len(single) == 1:
        single = single[0]
    if isinstance(single, bool) or not isinstance(single, int | float):
        raise TypeError(f"{_named(value)} is no number")
    try:
        return float(single)
    except OverflowError as error:
        raise ValueError("a number too large for a float") from error


def whole(value: Any) -> int:
    """A whole number, also where it comes as a float without a fraction.

    Raises:
        ValueError: It has a fraction, or is not finite.
        TypeError: It is no number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    as_float = number(value)
    if as_float != int(as_float):
        raise ValueError(f"{as_float} is no whole number")
    return int(as_float)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{value!a} is no Unicode text") from error
    return value


def _named(value: Any) -> str:
    return type(value).__name__
