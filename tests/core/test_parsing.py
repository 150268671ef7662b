import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.parsing import DEEPEST, parse_json, parse_yaml, require_plain

whole = st.integers(-(2**63) + 1, 2**63 - 1)
scalars = st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8)


@given(plain)
def test_json_comes_back(data: Any) -> None:
    assert parse_json(json.dumps(data)) == data
    assert parse_json(json.dumps(data, ensure_ascii=False).encode()) == data


@given(plain)
def test_json_is_yaml(data: Any) -> None:
    assert parse_yaml(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("no", "no"),
        ("[yes, off, On]", ["yes", "off", "On"]),
        ("[true, False, NULL, ~]", [True, False, None, None]),
        ("010", 10),
        ("[0x1F, 0o17, -3, +4]", [31, 15, -3, 4]),
        ("[1e-3, 1., .5, -2.5E+3]", [0.001, 1.0, 0.5, -2500.0]),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2020-99-99", "2020-99-99"),
        ("2020-01-01", "2020-01-01"),
        ("", None),
        ("a:", {"a": None}),
        ("\ufeffa: 1", {"a": 1}),
        ("base: &b {k: 1, l: 2}\nmine: {<<: *b, k: 3}", {"base": {"k": 1, "l": 2}, "mine": {"k": 3, "l": 2}}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, data: Any) -> None:
    assert parse_yaml(text) == data
    assert type(parse_yaml(text)) is type(data)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1", "line 1, column 3"),
        ("a: 1\nb: {c: 1, c: 2}", "the key 'c' is given twice, line 2, column 4"),
        ("a: &a [*a]", "found|inside what it names"),
        (BOMB, "aliases unfold"),
        (MERGES, "aliases unfold"),
        ("[" * 20_000, "nested deeper than 64 levels"),
        ("{a: " * 900, "nested deeper than 64 levels"),
        ("9" * 5000, "a whole number of 5000 digits"),
        (str(2**63), "more than 64 bits"),
        ("[.inf]", r"\[0\] is no finite number"),
        ("1e400", "no finite number"),
        ('{a: {b: ["\\ud800"]}}', "a.b.0. holds half a character"),
        ("!!python/object/apply:os.system [ls]", "the tag .* is not read"),
        ("!!binary aGk=", "the tag .* is not read"),
        ("!!bool perhaps", "no value of its tag"),
        ("? [a]\n: b", "unhashable key"),
        ("a: \x07", "special characters"),
    ],
    ids=range(17),
)
def test_yaml_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '"\\ud800"', "[" * 200_000, '{"a":' * 900 + "1" + "}" * 900, "1" * 5000, "", "{'a': 1}", b"\xff\xfe", "[1,]"]
)
def test_json_that_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"line|column|UTF|Unicode|unicode"):
        parse_json(text)


def test_depth_of_plain_data() -> None:
    data: Any = 1
    for _ in range(DEEPEST):
        data = [data]
    require_plain(data)
    with pytest.raises(ValueError, match="deeper than 64"):
        require_plain([data])


def test_what_yaml_itself_writes_is_read() -> None:
    data = {"a": [1, 2.5, "no", "010", "2020-01-01", None, True], "b": {"c": "1:30"}}
    assert parse_yaml(yaml.safe_dump(data)) == data
