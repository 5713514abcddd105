"""Texts made safe to print, checked against Unicode's own tables."""

import pytest

from lm_eval_cachesteer.errors import ArgumentError, StorageError
from lm_eval_cachesteer.printable import one_line, printable, without_control

from .property import acts

EVERYTHING = "".join(map(chr, range(0x110000)))


def test_all_that_a_terminal_acts_on_is_written_out():
    assert not any(map(acts, printable(EVERYTHING)))
    assert not any(map(acts, without_control(EVERYTHING)))
    assert not any(acts(letter) or letter in "\t\n" for letter in one_line(EVERYTHING))


def test_nothing_else_is_changed():
    marks = "\u061c\u200e\u200f"  # of direction: invisible, and written out as well
    kept = "".join(letter for letter in EVERYTHING if not acts(letter) and letter not in marks)
    assert printable(kept) == kept
    assert without_control("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb", "a\\r\nb"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud83d", "\\ud83d"),
        ("naïve 日本 👩‍🚀 עברית", "naïve 日本 👩‍🚀 עברית"),
    ],
)
def test_escapes_are_those_of_python(text, shown):
    assert printable(text) == shown


def test_long_texts_lose_their_middle():
    assert one_line("a" * 50 + "b" * 50, longest=30) == "a" * 20 + " ... " + "b" * 10
    assert one_line("a" * 30, longest=30) == "a" * 30


def test_messages_are_one_printable_line():
    assert str(ArgumentError("x=\x1b[2J\n\u2028y")) == "x=\\x1b[2J\\n\\u2028y"
    message = str(ArgumentError("begin " + "x" * 10**6 + " end"))
    assert len(message) < 7000
    assert (message[:6], message[-4:]) == ("begin ", " end")
    assert str(StorageError("a\nb")) == "a\\nb"
