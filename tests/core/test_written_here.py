"""The source of what no file holds: a class typed in a notebook, with the functions and constants that it names."""

from types import SimpleNamespace
from typing import Any

import pytest

from efficient360.core.written_here import source_of

TEXT = """
class Base:
    def base(self): return other()
class Mine(Base):
    def score(self): return [helper(x) for x in range(SIZE)]
def helper(x): return deeper(x) + {added}
def deeper(x): return x * {factor}
def other(): return {other}
def unused(): return {unused}
SIZE = {size}
"""
FIRST = {"added": 1, "factor": 2, "other": 3, "unused": 4, "size": 5}


def typed(**changes: int) -> Any:
    names: dict[str, Any] = {"__name__": "typed_at_a_prompt"}
    exec(TEXT.format(**FIRST | changes), names)
    return SimpleNamespace(**names).Mine


@pytest.mark.parametrize("changed", ["added", "factor", "other", "size"])
def test_what_a_class_names_counts_at_whatever_depth(changed: str) -> None:
    assert source_of(typed(**{changed: 9})) != source_of(typed())


def test_what_it_does_not_name_does_not() -> None:
    assert source_of(typed(unused=9)) == source_of(typed())
