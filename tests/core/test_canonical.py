"""Digests of plain data: what differs has another, and what is not plain is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.core.canonical import digest
from efficient360.errors import PluginError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


class Norm(StrEnum):
    L2 = "l2"


@dataclass(frozen=True)
class Point:
    x: int


@settings(max_examples=40)
@given(PLAIN, PLAIN)
def test_different_data_have_different_digests(a: Any, b: Any) -> None:
    assert (digest(a, "a") == digest(b, "b")) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


@pytest.mark.parametrize(
    ("value", "same"),
    [(Norm.L2, "l2"), (np.int64(3), 3), (np.float64(0.5), 0.5), (Path("a/b"), "a/b"), ((1, 2), [1, 2]), ({2, 1}, [1, 2]), (Point(1), {"x": 1})],
)
def test_what_is_plainly_meant_is_taken(value: object, same: object) -> None:
    assert digest(value, "value") == digest(same, "same")


@pytest.mark.parametrize("value", [object(), len, np.zeros(2), {"a": [object()]}, type, {1: object()}])
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(PluginError) as caught:
        digest(value, "settings of mine")
    assert caught.value.code == "not-plain"


def test_keys_that_are_no_texts_are_told_apart() -> None:
    mappings: list[Mapping[Any, int]] = [{1: 2}, {"1": 2}, {True: 2}]
    assert len({digest(mapping, "it") for mapping in mappings}) == 3
