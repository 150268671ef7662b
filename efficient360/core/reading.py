"""How a file that some program wrote is read: within limits, through a schema, and refused in one sentence that names file and place.

Every kind of file has one :class:`Reader`. What it raises is an error of that kind, whatever was wrong: no permission, a folder or a pipe in the file's
place, more bytes than such a file can need, another encoding, broken JSON or YAML, a field of another type.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any, BinaryIO, Final, TypeVar, final

from pydantic import TypeAdapter, ValidationError, WrapValidator

from efficient360.core.parsing import parse_json, parse_yaml, require_plain
from efficient360.errors import Efficient360Error

T = TypeVar("T")

MEBIBYTE: Final = 2**20


@final
@dataclass(frozen=True)
class Reader:
    """One kind of file, and how one that is not such a file is refused.

    Args:
        error: Class of the error.
        code: Its stable code.
        hint: What to do about it.
        noun: What stands before the file's name in a sentence: ``protocol`` gives "the protocol FILE"; ``""`` gives the name alone.
        limit: Bytes that such a file may have.
    """

    error: type[Efficient360Error]
    code: str
    hint: str
    noun: str = ""
    limit: int = 16 * MEBIBYTE

    @contextlib.contextmanager
    def open(self, path: Path) -> Iterator[BinaryIO]:
        """A file, open for reading.

        Raises:
            Efficient360Error: It can't be read, is a folder, a pipe or a device, or larger than the limit.
        """
        try:
            # A pipe without a writer would block an ordinary open for ever.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as error:
            raise self.refuse(path, f"can't be read: {_why(error)}") from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self.refuse(path, f"is {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or a device'}, not a file")
            if status.st_size > self.limit:
                raise self.refuse(path, f"has {status.st_size:,} bytes, where {self.limit:,} are the most")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file
        except OSError as error:
            raise self.refuse(path, f"can't be read: {_why(error)}") from error
        finally:
            os.close(descriptor)

    def read_bytes(self, path: Path) -> bytes:
        """The contents of a file.

        Raises:
            Efficient360Error: As :meth:`open`.
        """
        with self.open(path) as file:
            data = file.read(self.limit + 1)
        if len(data) > self.limit:
            raise self.refuse(path, f"has more than {self.limit:,} bytes")
        return data

    def read_text(self, path: Path) -> str:
        """The contents of a file as text.

        Raises:
            Efficient360Error: As :meth:`read_bytes`, or it is not UTF-8.
        """
        try:
            return self.read_bytes(path).decode()
        except UnicodeDecodeError as error:
            raise self.refuse(path, f"is not UTF-8 text (byte {error.start + 1})") from error

    def from_json(self, text: str | bytes, origin: object) -> Any:
        """The data in a JSON text, see :func:`efficient360.core.parsing.parse_json`.

        Raises:
            Efficient360Error: It is no JSON, or exceeds the limits.
        """
        try:
            return parse_json(text)
        except ValueError as error:
            raise self.refuse(origin, f"is not valid JSON: {error}") from error

    def from_yaml(self, text: str, origin: object) -> Any:
        """The data in a YAML text, see :func:`efficient360.core.parsing.parse_yaml`.

        Raises:
            Efficient360Error: It is no YAML, or exceeds the limits.
        """
        try:
            return parse_yaml(text)
        except ValueError as error:
            raise self.refuse(origin, f"is not YAML: {error}") from error

    def validate(self, schema: TypeAdapter[T], data: Any, origin: object) -> T:
        """What a schema makes of data.

        Raises:
            Efficient360Error: The data don't fit; the sentence names the place.
        """
        try:
            return schema.validate_python(data)
        except ValidationError as error:
            raise self.refuse(origin, misfit(error)) from error

    def plain(self, data: Any, origin: object) -> Any:
        """Data that no schema describes further, within the limits of :func:`efficient360.core.parsing.require_plain`.

        Raises:
            Efficient360Error: They exceed them.
        """
        try:
            require_plain(data)
        except ValueError as error:
            raise self.refuse(origin, f"has a value that can't be used: {error}") from error
        return data

    def refuse(self, origin: object, reason: str) -> Efficient360Error:
        """The error that a file is refused with.

        Args:
            origin: The file, or what else the data are from.
            reason: What is wrong, as the end of a sentence whose subject is the file.
        """
        return self.error(self.code, f"{f'the {self.noun} ' if self.noun else ''}{origin}{'' if reason[:1] in ' :' else ' '}{reason}", self.hint)


def misfit(error: ValidationError) -> str:
    """What is wrong with data that don't fit a schema, to be put right behind their name: ``: mean is 'x', where a list is wanted``."""
    first = error.errors()[0]
    place = where(first["loc"])
    if first["type"] == "missing":
        return f" has no {place}"
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        return (
            f": {place}{'.' if place else ''}{context['discriminator'].strip(chr(39))} is {shown(context['tag'])}, where {context['expected_tags']} is wanted"
        )
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f" has an unknown key {place!r}"
    return f": {place or 'it'} is {shown(first['input'])}, where {wanted(first)} is wanted"


def in_words(words: str) -> WrapValidator:
    """What a field wants, in a person's words, in place of what one part of its type lacks."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise ValueError(words) from error

    return WrapValidator(check)


def where(location: tuple[int | str, ...]) -> str:
    """A place in data: ``models[3].name``."""
    place = ""
    for part in (part for part in location if part != "[key]"):
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


def wanted(error: Any) -> str:
    """What a schema wants in place of a value, in words, by one of pydantic's error entries."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] in _WANTED:
        return _WANTED[error["type"]].format(**error.get("ctx", {}))
    message = str(error["msg"])
    return "what fits: " + message[:1].lower() + message[1:]


def shown(value: Any) -> str:
    """A value in a message: its beginning, without a control character, whatever it is."""
    short = Repr()
    short.maxlevel, short.maxdict, short.maxstring, short.maxother = 3, 3, 80, 80
    try:
        return short.repr(list(value) if isinstance(value, tuple | set | frozenset) else value)
    except (ValueError, RecursionError):  # of a number of thousands of digits
        return f"a {type(value).__name__}"


def _why(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)


_WANTED: Final[Mapping[str, str]] = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "a number above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "a number below {lt:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_long": "a text of at most {max_length} characters",
    "string_too_short": "a text of at least {min_length} characters",
    "string_pattern_mismatch": "a text like {pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 64 bits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "none_required": "nothing",
}
"""What to give instead, by the kind of pydantic's error."""
