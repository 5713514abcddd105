r"""A response as plain text: without markup, thoughts and invented questions, and cut into sentences."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from ..text import TEXT_MACRO, single_spaces, straight_quotes

_FINAL = "\nFinal answer: "
_REWRITES: tuple[tuple[str, str | Callable[["re.Match[str]"], str]], ...] = (
    (r"~~[^~\n]*~~", ""),
    # LaTeX
    (TEXT_MACRO.pattern, r"\1"),
    (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),
    (r"\\(?:boxed|fbox)\s*\{([^{}\n]*)\}\S*", lambda box: f"{_FINAL}{box[1].strip(' $.')}\n"),
    (r"\\(?:Rightarrow|rightarrow|implies|to)(?![a-zA-Z])|=>|->|⇒|➡", "→"),
    (r"\\[()\[\]$%,; ]|\\[a-zA-Z]+|[${}€£]", " "),
    # answers that tags, double brackets or GSM8K's hashes set apart
    (r"<(?:final[_ ]?)?(?:answer|choice)>", _FINAL),
    (r"</?[a-zA-Z_]+>", "\n"),
    (r"\[\[\s*([A-Za-z])\s*\]\]", rf"{_FINAL}\1\n"),
    (r"(?s)\A((?:(?!####).)*)####(?!#)(?!.*####)[ \t]*(?=[^\n]*\s*\Z)", rf"\1{_FINAL}"),
    # ticks and crosses
    (r"[✅✔☑]\ufe0f?|\[[xX✓]\]", "✓"),
    (r"[❌✘✖]\ufe0f?", "✗"),
    (r"\[ \]|[☐\u200b\ufe0f]", ""),
    # markdown
    (r"(?m)^[ \t]{0,40}\|[ \t]*|[ \t]{0,40}\|[ \t]*$", ""),  # bounded, lest a long gap be read from each of its places
    (r"[ \t]{0,40}\|[ \t]*", " - "),
    (r"(?m)^[ \t]*[*+•][ \t]+", "- "),
    (r"(?<=\w)_(?=\w)", " "),
    (r"(?m)^[ \t]*#+[ \t]*|[ \t]#+[ \t]*$", ""),
    (r"[*_`\"]+|(?m:^[ \t]*>+)", ""),
    (r"(?<!\w)'|'(?!\w)", ""),
)
_SIGNS = str.maketrans({"\u2013": " - ", "\u2014": " - ", "\u2212": "-", "\u2010": "-", "\u2011": "-", "\u00d7": "*"})
_COMPILED_REWRITES = tuple((re.compile(pattern), replacement) for pattern, replacement in _REWRITES)
_REPEATED = re.compile(r"([^\w\s#])\1{3,}")
_BLANK_LINES = re.compile(r"\n{3,}")
_INVENTED = re.compile(
    r"\n[ \t]*(?:(?:(?:next|new|another|follow-up)\s+)?(?:question|problem|exercise|example|quiz|passage|context)"
    r"(?:\s*\d+)?\s*[:.\n]"
    r"|q\d*\s*[:.]|(?:human|user|student|instruction)\s*:|here(?:'s| is) (?:another|the next)\b"
    r"|[^\n]*\?[ \t]*\n\s*(?:-\s*)?\(?A[).:])",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?…]+[)\]]*(?=\s)|\n")
_NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|vs|etc|approx|dr|mr|mrs|st|no|cf)|(?:^|\n)\s*\d+)\.$", re.IGNORECASE)


def final_part(response: str) -> tuple[str, bool]:
    """What follows the thoughts of a reasoning model, and whether those are finished.

    A response that ends within its thoughts, or right after them, is all thoughts.
    """
    thoughts, closed, after = response.rpartition("</think>")
    if closed and after.strip():
        return after, True
    return thoughts or after, bool(closed) or "<think>" not in response


def plain(text: str) -> str:
    r"""The text without markup, with what marks an answer written out: `\boxed{B}` is "Final answer: B"."""
    text = _REPEATED.sub(r"\1\1\1", single_spaces(unicodedata.normalize("NFKC", straight_quotes(text))))
    text = text.translate(_SIGNS)
    for pattern, replacement in _COMPILED_REWRITES:
        text = pattern.sub(replacement, text)
    return _BLANK_LINES.sub("\n\n", single_spaces(text)).strip()


def before_invented_questions(text: str) -> list[str]:
    """The text up to its first further question, up to its second, and so on; last all of it.

    A model that does not stop asks itself another question. A question may also restate the one that was asked, so it
    takes an answer before it to make what follows invented.
    """
    ends = [match.start() for match in _INVENTED.finditer(text)][:3]
    return [part for end in ends if (part := text[:end]).strip()] + [text]


@dataclass(frozen=True)
class Sentences:
    """The sentences of a text; lines end them, too."""

    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str, whole: list[tuple[int, int]]) -> "Sentences":
        """The sentences of a text, none of which ends within one of the spans `whole` (the dot of "B. Copper")."""
        starts, spans = [0], iter(sorted(whole))
        span = next(spans, None)
        for match in _END.finditer(text):
            while span and span[1] <= match.start():
                span = next(spans, None)
            if (span and span[0] <= match.start()) or _NO_END.search(text, max(0, match.start() - 8), match.end()):
                continue
            starts.append(match.end())
        return cls(text, tuple(starts))

    def span(self, position: int) -> tuple[int, int]:
        """Start and end of the sentence around a position, its blanks excluded."""
        index = bisect_right(self.starts, position) - 1
        start = self.starts[index]
        end = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)
        sentence = self.text[start:end]
        return start + len(sentence) - len(sentence.lstrip()), start + len(sentence.rstrip())
