"""The options of a question: their letters, and where a text names one by its words."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .text import plain
from .vocabulary import FUNCTION_WORDS, NUMBERS, UNITS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORD = re.compile(r"\d+(?:[.,:/]\d+)*|%|°|[^\W\d_]+(?:'[^\W\d_]+)?")
_ARTICLES = frozenset(("a", "an", "the"))
_NUMBERS = {word: str(number) for number, word in enumerate(NUMBERS, 2)}
_THEY = (
    r"(?:these|those|them)\b"
    r"(?=\s*(?:[.,;:!)]|$|(?:is|are|was|fits?|appl|works?|match|happen|hold|option|choice|answer)))"
)
_ALL = re.compile(
    rf"\ball (?:of )?(?:(?:the )?(?:above|(?:options|choices|answers|three|four)\b)|{_THEY})", re.IGNORECASE
)
_NONE = re.compile(
    rf"\bnone (?:of )?(?:(?:the )?(?:above|(?:(?:given|other|listed) )?(?:options|choices|answers|ones)\b)|{_THEY})",
    re.IGNORECASE,
)
_SHORTEST_PREFIX = 3  # words of a long option that stand for all of it


class Word(NamedTuple):
    """A word of a text, reduced to what it shares with its inflections."""

    start: int
    end: int
    stem: str


class Named(NamedTuple):
    """An option named by its words: where, which, and whether the words are too common to mean it by themselves."""

    start: int
    end: int
    letter: str
    common: bool


class _Form(NamedTuple):
    stems: tuple[str, ...]
    letter: str
    closed: bool  # a number without its unit: no other unit may follow


@dataclass(frozen=True)
class Options:
    """The options of one question.

    Attributes:
        letters: Their letters.
        texts: Their texts, plain.
        stem: How words are reduced before they are compared.
        forms: The sequences of words that name an option, by their first word, the longest first.
    """

    letters: str
    texts: tuple[str, ...]
    stem: Callable[[str], str]
    forms: dict[str, list[_Form]]

    @classmethod
    def of(cls, choices: Sequence[str]) -> "Options":
        """Reads the options' texts."""
        letters = LETTERS[: len(choices)]
        texts = tuple(plain(choice).strip().rstrip(".") for choice in choices)
        if all(re.match(rf"\(?{letter}[).:]\s", text) for letter, text in zip(letters, texts, strict=True)):
            texts = tuple(text.split(maxsplit=1)[1] for text in texts)
        stem = _stem if len({_stems(text, _stem) for text in texts}) == len(texts) else str.lower
        options = cls(letters, texts, stem, {})
        for form in sorted(options._forms(), key=lambda form: -len(form.stems)):
            options.forms.setdefault(form.stems[0], []).append(form)
        return options

    def _forms(self) -> Iterator[_Form]:
        """The ways to name options by words that name one of them only."""
        full = [_stems(text, self.stem) for text in self.texts]
        ordinary = [
            stems
            for stems, text in zip(full, self.texts, strict=True)
            if not _ALL.search(text) and not _NONE.search(text)
        ]
        head, tail = _shared(ordinary), _shared([stems[::-1] for stems in ordinary])
        found = set[_Form]()
        for letter, stems in zip(self.letters, full, strict=True):
            forms = {_Form(stems, letter, False)}
            if stems in ordinary:
                forms.add(_Form(stems[head:], letter, False))
                if tail and all(map(_is_number, stems[:-tail])):
                    forms.add(_Form(stems[:-tail], letter, True))
            if stems[-1:] == ("only",):
                forms.add(_Form(("only", *stems[:-1]), letter, False))
            others = [other for other in full if other is not stems]
            for length in range(max(_SHORTEST_PREFIX, len(stems) * 2 // 5), len(stems)):
                says = len(set(stems[:length]) - _COMMON) > 1
                if says and all(other[:length] != stems[:length] for other in others):
                    forms.add(_Form(stems[:length], letter, False))
            found.update(form for form in forms if form.stems)
        named = Counter(form.stems for form in found)
        for form in found:
            if named[form.stems] == 1 and (len("".join(form.stems)) > 1 or _is_number(form.stems[0])):
                yield form

    def words(self, text: str) -> list[Word]:
        """The words of a text, without articles."""
        return _words(text, self.stem)

    def named_in(self, text: str) -> list[Named]:
        """Every place where a text names an option by its words; of several readings, the longest."""
        words, found, index = self.words(text), list[Named](), 0
        while index < len(words):
            form = self._form_at(text, words, index)
            if form:
                common = all(_is_number(stem) or stem in _COMMON for stem in form.stems)
                last = words[index + len(form.stems) - 1]
                found.append(Named(words[index].start, last.end, form.letter, common))
            index += len(form.stems) if form else 1
        return sorted(found + self._above(text))

    def _form_at(self, text: str, words: list[Word], index: int) -> _Form | None:
        """The longest form of an option that the words from an index on have."""
        for form in self.forms.get(words[index].stem, ()):
            end = index + len(form.stems)
            same = tuple(word.stem for word in words[index:end]) == form.stems
            if same and not (form.closed and _has_unit(text, words[end - 1 : end + 1])):
                return form
        return None

    def _above(self, text: str) -> list[Named]:
        """Every "all of these" and "none of the options", with its option's letter, or "" if it is no option."""
        return [
            Named(*match.span(), next((self.letters[i] for i, t in enumerate(self.texts) if kind.search(t)), ""), False)
            for kind in (_ALL, _NONE)
            for match in kind.finditer(text)
        ]

    def closest(self, text: str) -> str | None:
        """The option that a text means: the one that it begins, the one that has all its words, or most of them."""
        begun = [
            letter
            for letter, option in zip(self.letters, self.texts, strict=True)
            if " " in text and option.lower().startswith(text.lower())
        ]
        if len(begun) == 1:
            return begun[0]
        all_words = set(_stems(text, self.stem))
        words = all_words - _COMMON
        having = [
            letter
            for letter, option in zip(self.letters, self.texts, strict=True)
            if words <= (own := set(_stems(option, self.stem))) and own & _DENIALS == all_words & _DENIALS
        ]
        if len(having) == 1 and not all(map(_is_number, words)):
            return having[0]
        shares = [(0.0, ""), (0.0, "")]
        for letter, option in zip(self.letters, self.texts, strict=True):
            own = set(_stems(option, self.stem)) - _COMMON
            shares.append((len(own & words) / len(own) if len(own) > 1 else 0.0, letter))
        (second, _), (best, letter) = sorted(shares)[-2:]
        return letter if best >= 0.6 and second <= best - 0.3 else None


def _has_unit(text: str, words: list[Word]) -> bool:
    """Whether a number is followed by a word that may be its unit."""
    if len(words) < 2 or text[words[0].end : words[1].start].strip():
        return False
    return words[1].stem not in _COMMON and not words[1].stem[0].isdigit()


def _words(text: str, stem: Callable[[str], str]) -> list[Word]:
    words = [Word(*match.span(), stem(match[0])) for match in _WORD.finditer(text)]
    return words if stem is str.lower else [word for word in words if word.stem not in _ARTICLES]


def _stems(text: str, stem: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(word.stem for word in _words(text, stem))


def _stem(word: str) -> str:
    """A word without its inflection, or a number in digits: "cooling", "cooled" and "cools" are "cool"."""
    word = word.lower().removesuffix("'s")
    if word[0].isdigit():
        return re.sub(r",(?=\d{3}(?!\d))", "", word)
    if word in _NUMBERS:
        return _NUMBERS[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith(("ing", "ed")):
        word = word.removesuffix("ing").removesuffix("ed")
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word.removesuffix("s")
    word = word.removesuffix("e") if len(word) > 3 else word
    return UNITS.get(word, word)


_DENIALS = {"not", "no", "never", "without"}
_COMMON = FUNCTION_WORDS | set(map(_stem, FUNCTION_WORDS))


def _is_number(stem: str) -> bool:
    return stem[0].isdigit() or stem in "%°"


def _shared(sequences: list[tuple[str, ...]]) -> int:
    """How many words all sequences begin with; none if that is all of one of them, or there is only one."""
    if len(sequences) < 2:
        return 0
    shared = 0
    for stems in zip(*sequences, strict=False):
        if len(set(stems)) > 1:
            break
        shared += 1
    return shared if all(len(sequence) > shared for sequence in sequences) else 0
