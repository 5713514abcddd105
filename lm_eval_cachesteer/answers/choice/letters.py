"""Where a response mentions options by letter or by place: "B.", "option B", "(b)", "the second one"."""

import re

from .mention import Kind, Mention
from .options import Options
from .vocabulary import FUNCTION_WORDS, LEADING_WORDS, VERBS

NOUN = r"(?:option|choice|answer|letter|solution|alternative|statement|candidate|ending|possibility|response)s?"
_LISTED = ("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th")
_PLACES = {word: place for place, words in enumerate(_LISTED, 1) for word in words.split()}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
_MORE_LETTERS = "ABCDEFGH"  # what else may be meant as an option, if there are fewer
_ARTICLE = re.compile(rf"[AaIi]\s+(?!(?:{'|'.join(VERBS)})\b)[a-z]")
_NAMED = re.compile(
    rf"\b(?P<noun>{NOUN})[ ](?:of[ ])?(?:number[ ]|no\.[ ]?)?#?[(\[]?"
    rf"(?:(?P<letter>[A-Za-z])|(?P<number>\d{{1,2}})|(?P<roman>i{{1,3}}|iv|v))[)\]]?(?![\w'^=+°%]|[.,:/-]\d|-\w)",
    re.IGNORECASE,
)
_BRACKETED = re.compile(
    r"(?<![\w)])[(\[]\s?(?:(?P<letter>[A-Za-z])|(?P<roman>i{1,3}|iv))\s?[)\]](?!\w)"
    r"|^[ \t]*(?P<small>i{2,3}|iv)[.)](?!\w)",
    re.MULTILINE,
)
_PLACE = re.compile(
    rf"\b(?P<named>the\s+(?:(?P<place>{'|'.join(_PLACES)}|last)\s+(?:listed\s+|given\s+)?"
    rf"(?:of (?:the|these) (?:two|three|four|five)\b|one\b|{NOUN}\b)|final\s+(?:option|choice|one)\b"
    r"|(?P<pair>former|latter)\b))",
    re.IGNORECASE,
)
_BARE_PLACE = re.compile(
    r"\b(?:is|be|with|choose|pick|say|prefer|so|therefore|only|clearly)[ ]"
    rf"(?P<named>the[ ](?P<place>{'|'.join(_PLACES)}|last))"
    r"(?=[ ]?(?:[.,;!]|$))",
    re.IGNORECASE | re.MULTILINE,
)
_BARE_NUMBER = re.compile(
    r"(?:\A\s*|\banswer(?:[ ]is)?:?\s*)(?P<number>\d)(?=[.)]?\s*(?:$|\n))", re.IGNORECASE | re.MULTILINE
)
_LABEL = re.compile(
    r"^(?:[-✓✗][ \t]+)*(?:\d+[.)][ \t]+)?(?P<label>[(\[]?(?P<letter>[A-Za-z])"
    r"(?:[)\]][.:]?|[.:](?=\s|$)|(?=[ ]?[-→][ ])))",
    re.MULTILINE,
)
_LETTER = re.compile(
    r"(?<![\w'^°\\.+=-])(?P<letter>[A-Z])[)\]]?"
    r"(?![\w'^°+#]|\s?=|-\w|\.[A-Z]|\s(?:flat|sharp|major|minor)\b|[ ][A-H](?:[ ,]|$))"
)
_SMALL = re.compile(
    r"(?:^|[:→][ ]?|\b(?:is|with|choose|pick|select|say|be|so)[ ])(?P<letter>[a-z])"
    r"(?:[)\]]|(?=[ ]?(?:[.,;!]|$)|[ ](?:because|since|as|for)\b))",
    re.MULTILINE,
)
_LAST_WORD = re.compile(r"(?P<word>[\w']+)[ ]?[(\[]?$")
_NO_OPTION_BEFORE = re.compile(r"(?i:\b(?:from|between)\s+)(?:[A-Z]\s+(?:to|and)\s+)?$|\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.\s$")


def by_letter(text: str, options: Options) -> list[Mention]:
    """Every mention by letter or place. "the former" and "the latter" have these words for their letter."""
    return [*_labels(text, options), *_named(text, options), *_placed(text, options), *_letters(text, options)]


def _labels(text: str, options: Options) -> list[Mention]:
    found = []
    for match in _LABEL.finditer(text):
        letter = _letter(match["letter"], options)
        if letter is not None and not _is_genus(text, match.end("letter"), options):
            found.append(Mention(match.start("label"), match.end(), letter, Kind.LABEL))
    return found


def _named(text: str, options: Options) -> list[Mention]:
    """Options by letter in brackets or after their noun, or by number: "option B", "(b)", "choice 2"."""
    found = []
    for match in [*_NAMED.finditer(text), *_BRACKETED.finditer(text)]:
        parts = match.groupdict("")
        if parts["letter"] and _ARTICLE.match(text, match.start("letter")):
            continue
        letter = _letter(parts["letter"], options) if parts["letter"] else None
        number = parts.get("number") or _ROMAN.get((parts["roman"] or parts.get("small") or parts["letter"]).lower())
        if letter is None and number and not parts.get("noun", "").lower().startswith(("answer", "letter", "response")):
            letter = _place(int(number), options)
        if letter is not None:
            found.append(Mention(match.start(), match.end(), letter, Kind.NAMED))
    return found


def _placed(text: str, options: Options) -> list[Mention]:
    """Options by their place in words, and by its number where that is all of the answer: "the last one", "2"."""
    found = []
    for match in [*_PLACE.finditer(text), *_BARE_PLACE.finditer(text)]:
        parts = match.groupdict("")
        letter = parts.get("pair") or _place(_PLACES.get(parts["place"].lower(), len(options.letters)), options)
        found.append(Mention(*match.span("named"), letter or "", Kind.NAMED))
    if not any(word.stem[0].isdigit() for option in options.texts for word in options.words(option)):
        for match in _BARE_NUMBER.finditer(text):
            found.append(Mention(*match.span("number"), _place(int(match["number"]), options) or "", Kind.NAMED))
    return found


def _place(number: int, options: Options) -> str | None:
    """The option at a place, "" if there is none there, None if the number may as well be an option's text."""
    written = {str(number)} | {roman for roman, value in _ROMAN.items() if value == number}
    if any(text.lower() in written for text in options.texts):
        return None
    return options.letters[number - 1 : number] if number else ""


def _letters(text: str, options: Options) -> list[Mention]:
    """Capital letters where an option may stand, and small ones that stand alone after a word like "is"."""
    found = []
    for match in _LETTER.finditer(text):
        start = match.start()
        letter = _letter(match["letter"], options)
        before = text[max(0, start - 24) : start]
        word = _LAST_WORD.search(before)
        if (
            letter is None
            or _ARTICLE.match(text, start)
            or (word and not _leads(word["word"].lower()) and not _is_closed(text, match.end(), before))
            or _NO_OPTION_BEFORE.search(before)
            or _is_genus(text, start + 1, options)
        ):
            continue
        found.append(Mention(start, match.end(), letter, Kind.LETTER))
    for match in _SMALL.finditer(text):
        if (letter := _letter(match["letter"], options)) and not _is_genus(text, match.end("letter"), options):
            found.append(Mention(match.start("letter"), match.end(), letter, Kind.LETTER))
    return found


def _leads(word: str) -> bool:
    """Whether an option may follow a word."""
    return word in LEADING_WORDS or word.endswith("ly")


def _is_closed(text: str, end: int, before: str) -> bool:
    """Whether a letter has a bracket after it, and that bracket is its own."""
    return text[end - 1] in ")]" and before.rfind("(") <= before.rfind(")")


def _letter(letter: str, options: Options) -> str | None:
    """The option of a letter, "" for a capital that may be meant as one but is none, else None."""
    if letter.upper() in options.letters:
        return letter.upper()
    return "" if letter in _MORE_LETTERS else None


def _is_genus(text: str, end: int, options: Options) -> bool:
    """Whether a letter is short for a name, as in "E. coli": a small word follows that begins no option."""
    following = re.match(r"\.\s?([a-z]+)\b", text[end : end + 30])
    if not following or following[1] in FUNCTION_WORDS:
        return False
    begins = {words[0].stem for words in map(options.words, options.texts) if words}
    return begins.isdisjoint(word.stem for word in options.words(following[1]))
