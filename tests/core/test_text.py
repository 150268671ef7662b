from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.text import HIDDEN, encodable, one_line, reason, shown

ANY = st.text(st.characters())


@given(ANY)
def test_nothing_shown_can_steer_a_terminal(text: str) -> None:
    printed = shown(text)
    assert all(c.isprintable() or c in "\n\t" for c in printed)
    assert shown(printed) == printed


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_ordinary_text_stays(text: str) -> None:
    assert shown(text) == text


def test_what_steers_is_replaced() -> None:
    assert shown("a\x1b[31mb\u202ec\x07\rd") == f"a{HIDDEN}[31mb{HIDDEN}c{HIDDEN}{HIDDEN}d"
    assert one_line("two\nlines\r\nand\tmore") == "two lines and more"
    assert one_line("x" * 20, 5) == "xxxx…"


@given(ANY, st.sampled_from(["ascii", "latin-1", "cp437", "utf-8"]))
def test_any_encoding_takes_what_it_is_given(text: str, encoding: str) -> None:
    encodable(shown(text), encoding).encode(encoding)


def test_numbers_stay_readable_in_ascii() -> None:
    assert encodable("−0.13 – 4.2 µs, ≥ 1 → é", "ascii") == "-0.13 - 4.2 us, >= 1 -> \\xe9"
    assert encodable("−1", "no-such-encoding") == "-1"


def test_an_exception_that_can_not_speak_has_a_reason() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert reason(Mute()) == "Mute: its message can't be read"
    assert reason(ValueError("a\n\x1bb")) == f"ValueError: a {HIDDEN}b"
