"""What was learned of a file is kept under its bytes, and a cache that is damaged or can't be written changes nothing."""

from pathlib import Path

import pytest

from efficient360.core import syntax_digest
from efficient360.core.syntax_digest import Source, keep, parsed, read

TEXT = 'from . import helper\nimport numpy as np\n\n\ndef f():\n    """Words."""\n    return "some.dotted.text"\n'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache" / "efficient360"


def forget() -> None:
    """As a new process begins."""
    syntax_digest._Memo.of_this_user.cache_clear()
    syntax_digest._read.cache_clear()


def test_what_a_file_says() -> None:
    source = parsed(TEXT.encode())
    assert source.imports == ((".", "helper"), ("numpy", ""))
    assert source.texts == ("some.dotted.text",)


def test_what_was_learned_is_the_same_in_the_next_process_and_is_not_parsed_again(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    first = read(file, lasting=False)
    keep()
    forget()
    monkeypatch.setattr(syntax_digest, "parsed", lambda data: Source("parsed again"))
    assert read(file, lasting=False) == first
    file.write_text(f"{TEXT}\n")  # other bytes are another file
    assert read(file, lasting=False) == Source("parsed again")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", [[1]], 5]}', "null", '{"a": null}', "\0"])
def test_a_damaged_cache_is_passed_over(cache: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    right = parsed(TEXT.encode())
    read(file, lasting=False)
    keep()
    (kept,) = cache.glob("*.json")
    kept.write_text(damage)
    forget()
    assert read(file, lasting=False) == right


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    assert read(file, lasting=False) == parsed(TEXT.encode())
    keep()


def test_what_is_no_python_counts_by_its_bytes() -> None:
    assert parsed(b"def f(:\n") != parsed(b"def f(:\n\n")
    assert parsed(b"\0").imports == ()
