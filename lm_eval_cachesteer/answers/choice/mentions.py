"""Where a response mentions options, by letter, by place or by their words."""

import re
from dataclasses import replace

from .letters import by_letter
from .mention import Kind, Mention
from .options import Options

_THEN_TEXT = re.compile(r"(?P<joint>[.):\]]?[ ]?[-,=:(→]?[ ]?)(?:(?:an?|the)\s+)?", re.IGNORECASE)
_THEN_LETTER = re.compile(r"[ ]?[,:-]?[ ]?(?:which is |i\.e\.,? ?)?$")
_JOINT = re.compile(r"\w?[.):\]]|\w?[ ]?[-=:(→]")
_REASON = re.compile(r"[ ](?:because|since|as)\b", re.IGNORECASE)
_PAIR = re.compile(r",?[ ](?:and|or|to|with|vs\.?|versus)[ ](?:[a-z]+[ ])?")
_CLOSED = re.compile(r"[)\]]*[ ]?(?:[.!,;]|$|because\b|since\b)", re.MULTILINE)
_OPERAND_BEFORE = re.compile(
    r"[\d)%][ ]?[-+*/÷^][ ]?$|\b(?:step|question|part|figure|line|row|page|chapter|number)[ ]$"
    r"|\b(?:add|subtract|multiply|divide)\w*[ ][^.\n]*$",
    re.I,
)
_OPERAND_AFTER = re.compile(r"[ ]?[-+*/÷^=<>][ ]?[\d(]|[ ]?(?:times|plus|minus|divided)\b")
_LIST_NUMBER = re.compile(r"\d+[.)][ ]\S")
_WORD_BEFORE = re.compile(
    r"(?:^|[\n.!?:;=→,(-]|\b(?:is|are|was|be|with|so|thus|hence|therefore|choose|pick|answer|not|isn't|say|or)|'s)[ ]?$"
)
_WORD_AFTER = re.compile(r"[ ]?(?:[-.,;:!)✓✗]|$|\n|(?:because|since|as|that)\b)")


def mentions_in(text: str, options: Options) -> list[Mention]:
    """Every mention of an option, in order; of those that overlap, the longest."""
    texts = _texts(text, options)
    letters = _without_answer_marks(text, _without_overlaps(by_letter(text, options)), texts)
    return _with_pairs(text, _merged(text, letters, texts), options)


def _texts(text: str, options: Options) -> list[Mention]:
    """Options by their words; numbers unless they count something else, common words only where they say something."""
    found = []
    for named in options.named_in(text):
        before, after = text[max(0, named.start - 20) : named.start], text[named.end : named.end + 20]
        if named.common and text[named.start].isdigit():
            line = text[text.rfind("\n", 0, named.start) + 1 : named.start]
            listed = not line.strip(" -(") and _LIST_NUMBER.match(text, named.start)
            if listed or _OPERAND_BEFORE.search(before) or _OPERAND_AFTER.match(after):
                continue
        elif named.common and not (_WORD_BEFORE.search(before.lower()) and _WORD_AFTER.match(after.lower())):
            continue
        found.append(Mention(named.start, named.end, named.letter, Kind.COMMON if named.common else Kind.TEXT))
    return found


def _without_answer_marks(text: str, letters: list[Mention], texts: list[Mention]) -> list[Mention]:
    """The mentions without the "A:" that stands for "Answer:": "B:" does not follow, nor do the words of option A."""
    colons = {mention.letter for mention in letters if mention.kind is Kind.LABEL and text[mention.end - 1] == ":"}
    if "B" in colons:
        return letters
    owned = {mention.start for mention in texts if mention.letter == "A"}
    return [
        mention
        for mention in letters
        if not (mention.kind is Kind.LABEL and text.startswith("A:", mention.start))
        or _REASON.match(text, mention.end)
        or not owned.isdisjoint(_starts_after(text, mention))
    ]


def _merged(text: str, letters: list[Mention], texts: list[Mention]) -> list[Mention]:
    """Letter and words side by side as one mention: "B. copper", "copper (B)"; where the two disagree, of none."""
    starts = {mention.start: mention for mention in texts}
    ends = {mention.end: mention for mention in texts}
    merged = list(texts)
    for mention in letters:
        after = next((starts[start] for start in _starts_after(text, mention) if start in starts), None)
        before = next((ends[end] for end in _ends_before(text, mention) if end in ends), None)
        joint = text[mention.end - 1] + text[mention.end : after.start] if after else ""
        if after and after.letter == mention.letter:
            mention = replace(mention, end=after.end)
        elif after and _JOINT.match(joint) and _CLOSED.match(text, after.end):
            mention = replace(mention, end=after.end, letter="")
        elif before and before.letter == mention.letter:
            mention = replace(mention, start=before.start)
        elif before and mention.kind is Kind.NAMED and text[mention.start] in "([":
            mention = replace(mention, start=before.start, letter="")
        merged.append(mention)
    return _without_overlaps(merged)


def _starts_after(text: str, mention: Mention) -> set[int]:
    """Where an option's words may start right after its letter."""
    match = _THEN_TEXT.match(text, mention.end)
    return {match.end(), match.end("joint")} if match else set()


def _ends_before(text: str, mention: Mention) -> set[int]:
    """Where an option's words may end right before its letter."""
    match = _THEN_LETTER.search(text, max(0, mention.start - 14), mention.start)
    return {match.start()} if match else set()


def _with_pairs(text: str, mentions: list[Mention], options: Options) -> list[Mention]:
    """The mentions with the options that "the former" and "the latter" mean: of the last pair, or of the only two."""
    pair = tuple(options.letters) if len(options.letters) == 2 else None
    resolved: list[Mention] = []
    for mention in mentions:
        if mention.letter in ("former", "latter"):
            if pair is None:
                continue
            mention = replace(mention, letter=pair[mention.letter == "latter"])
        elif resolved and _PAIR.fullmatch(text, resolved[-1].end, mention.start):
            pair = (resolved[-1].letter, mention.letter)
        resolved.append(mention)
    return resolved


def _without_overlaps(mentions: list[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for mention in sorted(mentions, key=lambda mention: (mention.start, -mention.end)):
        if kept and mention.start < kept[-1].end:
            if mention.end - mention.start > kept[-1].end - kept[-1].start:
                kept[-1] = mention
            continue
        kept.append(mention)
    return kept
