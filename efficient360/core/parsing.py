"""Text as plain data, within limits: JSON and YAML that somebody else wrote, in which nothing surprises."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import yaml
from pydantic_core import from_json
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.error import MarkedYAMLError

DEEPEST: Final = 64
"""Levels that data may be nested."""
LARGEST_WHOLE: Final = 2**63 - 1
"""Largest whole number, on either side of zero: what other programs read, too."""
MOST_NODES: Final = 200_000
"""Values in a YAML text, with those that aliases repeat."""


def parse_json(text: str | bytes) -> Any:
    """The data in a JSON text. NaN, infinities and lone surrogates are no JSON; nesting and the digits of a number are limited.

    Raises:
        ValueError: With the reason, which names line and column.
    """
    return from_json(text.removeprefix("\ufeff") if isinstance(text, str) else text.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)


def parse_yaml(text: str) -> Any:
    """The data in a YAML text: null, booleans, numbers, texts, lists and mappings as YAML 1.2 reads them, so that ``no``, ``010`` and dates are no surprise.

    Raises:
        ValueError: With the reason: no YAML, another type, a key twice, aliases that unfold to more than the text holds, too deep, a number too long.
    """
    try:
        loader = _Loader(text.removeprefix("\ufeff"))
        node = loader.get_single_node()
        if node is None:
            return None
        _require_small(node)
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from error
    except KeyError as error:  # a tag that says what its value is not
        raise ValueError(f"{error} is no value of its tag") from error
    require_plain(data)
    return data


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or error.context}, line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return " ".join(str(error).split())


def require_plain(data: Any) -> None:
    """Check data that no schema describes further.

    Raises:
        ValueError: Nested deeper than 64 levels, a whole number of more than 64 bits, a number that is not finite, or a text that is no Unicode.
    """
    for place, value in _leaves(data, ""):
        if isinstance(value, bool):
            continue
        if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            raise ValueError(f"{place or 'it'} is a whole number of more than 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{place or 'it'} is no finite number")
        if isinstance(value, str) and not _is_unicode(value):
            raise ValueError(f"{place or 'it'} holds half a character (a lone surrogate)")


def _leaves(data: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    if isinstance(data, dict):
        for key, value in data.items():
            yield place, key
            yield from _leaves(value, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _leaves(value, f"{place}[{index}]", depth + 1)
    else:
        yield place, data


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema, and no key twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for them

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """As PyYAML's, down to the deepest level."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ComposerError(None, None, f"nested deeper than {DEEPEST} levels", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML's, refusing a key that stands there twice; one that a merge brings in may be given anew."""
        keys = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, ScalarNode) and key.tag != _MERGE)
        if twice := next((key for (_, key), count in keys.items() if count > 1), None):
            raise ConstructorError(None, None, f"the key {twice!r} is given twice", node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_text(self, node: ScalarNode) -> str:
        """Two escapes that are halves of one character, as JSON writes it, become that character."""
        return str(node.value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def construct_whole(self, node: ScalarNode) -> int:
        text = str(node.value)
        if len(text) > len(str(LARGEST_WHOLE)) + 2:
            raise ConstructorError(None, None, f"a whole number of {len(text)} digits", node.start_mark)
        return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))

    def construct_number(self, node: ScalarNode) -> float:
        return float(str(node.value).lower().replace(".inf", "inf").replace(".nan", "nan"))


_MERGE: Final = "tag:yaml.org,2002:merge"
_SCALARS: Final = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    (_MERGE, r"<<", "<"),
)
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), [c if c != "\0" else "" for c in _first])
_TAGS: Final = frozenset({*(tag for tag, *_ in _SCALARS), *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))})
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_text)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _require_small(root: Node) -> None:
    """Refuse a text whose aliases unfold to more values than a reader could want, counted before anything is unfolded."""
    sizes: dict[int, int] = {}
    opened: set[int] = set()

    def size(node: Node, depth: int) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in opened:
            raise ValueError("an alias stands inside what it names")
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if node.tag not in _TAGS:
            raise ConstructorError(None, None, f"the tag {node.tag!r} is not read", node.start_mark)
        opened.add(id(node))
        if isinstance(node, MappingNode):
            total = 1 + sum(size(part, depth + 1) for pair in node.value for part in pair)
        else:
            total = 1 + (sum(size(part, depth + 1) for part in node.value) if isinstance(node, SequenceNode) else 0)
        if total > MOST_NODES:
            raise ValueError(f"its aliases unfold to more than {MOST_NODES:,} values")
        opened.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root, 0)
