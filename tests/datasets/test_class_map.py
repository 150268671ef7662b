from pathlib import Path

import pytest

from efficient360.datasets.class_map import read_class_map
from efficient360.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "plane,airplane\n\ncar, 1\n"),
        ("a.json", '{"plane": "airplane", "car": 1}'),
        ("a.yaml", "plane: airplane\ncar: 1\n"),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert read_class_map(tmp_path / name) == {"plane": "airplane", "car": 1}


def test_numbers_among_the_datas_names_are_names(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("0: cat\n1: 2\n")
    assert read_class_map(tmp_path / "a.yaml") == {"0": "cat", "1": 2}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"one\n"),
        ("a.csv", b"a,b,c\n"),
        ("a.csv", b"a,b\na,c\n"),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.json", b"["),
        ("a.json", b"[1]"),
        ("a.json", b'{"a": 1.5}'),
        ("a.json", b'{"a": true}'),
        ("a.json", b"[" * 100_000),
        ("a.yaml", b"a: [1]"),
        ("a.yaml", b"a: [\n"),
        ("a.yaml", b"true: 1"),
    ],
)
def test_what_is_no_class_map_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        read_class_map(tmp_path / name)
    assert caught.value.code == "bad-class-map"


def test_a_folder_or_nothing_is_named(tmp_path: Path) -> None:
    for path, code in ((tmp_path, "not-a-file"), (tmp_path / "x.csv", "missing-image")):
        with pytest.raises(DatasetError) as caught:
            read_class_map(path)
        assert caught.value.code == code
