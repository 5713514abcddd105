"""What a response says of the options it mentions: denied, left open, or merely gone through."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from .mention import Kind, Mention
from .text import Sentences

_WINDOW = 90  # how far around a mention its clause is read
_GO_ON = r"(?:(?!(?:but|so|because|hence|thus|therefore|and)\b)[\w']+\s+)"
DENIED_BEFORE = re.compile(
    r"(?:(?:\b(?:not|never|neither|nor|rather than|instead of|except|unlike|than|other than|as opposed to|cannot"
    r"|(?:mistake|wrong) to|(?<!no )(?<!without a )(?<!without )doubt)|n't)"
    rf"(?!\s+(?:only|just|sure|certain))\s+{_GO_ON}{{0,4}}"
    r"|\b(?:rul(?:es?|ed|ing) out|eliminat\w+|exclud\w+|discard\w*|reject\w*|cross(?:es|ed|ing)? out|dismiss\w*"
    rf"|leaves? out)\s*:?\s+{_GO_ON}{{0,3}})[(\[]?(?:the\s+|an?\s+)?$",
    re.IGNORECASE,
)
_BE = r"(?:is|are|was|were|would be|will be|can be|could be|must be|seems?|looks?|gets?|being|has been|have been)"
_ADVERB = (
    r"(?:also|both|all|therefore|clearly|thus|then|definitely|just|simply|probably|obviously|certainly|now|already)"
)
_BAD = (
    r"(?:incorrect|wrong|false|out\b(?!\s+of)|eliminated|ruled out|excluded|impossible|unlikely|implausible|irrelevant"
    r"|discarded|rejected|dismissed|crossed out|no good|off the table|invalid|unrelated|too\b|not\b(?!\s+only))"
)
_DENIED_AFTER = re.compile(
    rf"[\s,).:]*(?:{_ADVERB}\s+)*(?:{_BE}\s+(?:{_ADVERB}\s+)*{_BAD}|(?:{_BE}|does|do|did|can|could|would|will|has|have)n't\b"
    r"|(?:does|do|did|can|could|would|will|has|have)\s+not\b|cannot\b|can't\b|won't\b|fails?\b|makes? no sense\b"
    r"|contradicts?\b"
    r"|[-:(;=→]*\s*(?:✗|(?:this is\s+|that is\s+|it is\s+)?(?:incorrect|wrong|false|ruled out|eliminated|out)\b)"
    r"|[-:(]\s*no\b|[^.!?\n✓✗]{0,60}✗|[^.!?\n]{0,60}[-:(][ ]?(?:no|incorrect|wrong|false)\W*$)",
    re.IGNORECASE,
)
_THIS_IS_BAD = re.compile(
    rf"\b(?:this|that|it|which)(?:\s+(?:option|choice|answer|statement))?\s+{_BE}\s+(?:{_ADVERB}\s+)*{_BAD}"
    r"|\b(?:incorrect|wrong|ruled out|eliminated?)\b|✗",
    re.IGNORECASE,
)
_OPEN_BEFORE = re.compile(
    r"\b(?:could|might|may|can)\s+(?:(?:also|well|just as well)\s+)?(?:be|choose|pick|say)\s+(?:the\s+)?$"
    r"|\b(?:perhaps|maybe|possibly|torn between|would (?:also )?(?:make|suggest)(?:\s+(?:it|that))?)\s+(?:it's\s+)?$"
    r"|\b(?:(?:think(?:ing)?|what|how) about|consider(?:ing)?|look(?:ing)? at|check(?:ing)?|examin\w+|compar\w+"
    r"|regarding|as for|turn to|test(?:ing)?)\s+(?:the\s+)?$"
    r"|(?:^|[,;:]\s*|\b(?:but|and|so|that|even)\s+)(?:if|suppose|supposing|assuming|say that|whether|unless|had|were)\b"
    r"[^,;:]*$",
    re.IGNORECASE,
)
_OPEN_AFTER = re.compile(
    r"[\s,)]*(?:or\b|(?:would|could|might)\s+(?:only\s+|also\s+|well\s+)?(?:\w+\s+){1,3}?(?:if|only if|when|unless)\b"
    r"|(?:only\s+)?(?:if|unless|assuming|provided|depending)\b|(?:might|may|could)\b|(?:seems?|looks?|sounds?|is|was)\s+tempting)",
    re.IGNORECASE,
)
_OTHERS_THINK = re.compile(
    r"\b(?:(?:many|some|most|a lot of|few|other)\s+(?:of\s+)?(?:the\s+)?(?:people|students|readers|pupils|children"
    r"|users|may|would|might|say|think|pick|choose|would say)|(?:people|everyone|everybody|someone|others)(?! knows?)"
    r"|one (?:might|may|could)|you (?:might|may|could)|at first|first (?:thought|guess|instinct|impression|glance)"
    r"|tempt\w+|common (?:mistake|error|misconception|wrong answer)|initially|originally"
    r"|i (?:thought|was going to|almost)|to (?:say|claim|argue|suggest) that)\b",
    re.IGNORECASE,
)
_TURN = re.compile(r"\b(?:but|however|yet|though|in fact|instead|because)\b|;|:", re.IGNORECASE)
_CLAUSE = re.compile(
    r"[;:]|,\s+(?=(?:but|so|because|while|whereas|and|since|which|not|it|i|we|the)\b)|\bbut\b", re.IGNORECASE
)
_JOINT = re.compile(
    r"[)\]]?\s*(?:,\s*(?:and/or|and|or|nor|possibly|maybe|perhaps)?|/|&|;|\+"
    r"|\(?\s*(?:and/or|and|or|nor|vs\.?|versus|as well as))"
    r"\s*(?:(?:also|possibly|maybe|perhaps|even|both|either|an?|the|options?|choices?|in|on|at)\s+)*",
    re.IGNORECASE,
)
_AND_OR = re.compile(r"\b(?:and|or|nor|vs|versus|and/or)\b|[/&+]", re.IGNORECASE)
_LINE_ENDS = re.compile(r"[ ]?(?:\.?$|\.[ ])", re.MULTILINE)
_CONFIRMED = re.compile(r"\s*(?:yes|yep|yeah|correct|exactly|indeed|right)\b", re.IGNORECASE)
_REFUSED = re.compile(r"\s*(?:no|nope|wrong|incorrect)\b", re.IGNORECASE)
_HEADS = re.compile(r"\s?[.:)-]\s|\s(?=is|would|says)")
_NO_WORDS = ("", "a", "an", "the")
_INLINE_LABEL = re.compile(r"[(\[]?[A-Za-z][).:\]]")


def weighed(text: str, mentions: list[Mention], sentences: Sentences, introduced: set[int]) -> list[Mention]:
    """The mentions with what the response says of them.

    Args:
        text: The response, plain.
        mentions: Its mentions of options, in order.
        sentences: Its sentences.
        introduced: Where mentions start that "the answer is:" introduces.
    """
    found = []
    for group in _groups(text, mentions):
        start, end = sentences.span(group[0].start)[0], sentences.span(group[-1].start)[1]
        before = text[max(start, group[0].start - _WINDOW) : group[0].start]
        after = text[group[-1].end - (text[group[-1].end - 1] == ":") : min(end, group[-1].end + _WINDOW)]
        asks = text[start:end].rstrip(")").endswith("?")
        denied, unsure = _weighed_by(before, after)
        denied = denied or (asks and _REFUSED.match(text, end) is not None)
        unsure = unsure or (asks and not _CONFIRMED.match(text, end))
        open_ = len({mention.letter for mention in group}) > 1
        found += [replace(mention, denied=denied, open=open_, unsure=unsure) for mention in group]
    return _with_lists(text, found, introduced)


@lru_cache(maxsize=256)  # a model that loops says the same again and again
def _weighed_by(before: str, after: str) -> tuple[bool, bool]:
    """Whether what stands around a mention denies it, and whether it makes it unsure."""
    denied = DENIED_BEFORE.search(_CLAUSE.split(before)[-1]) or _DENIED_AFTER.match(after)
    unsure = _OPEN_BEFORE.search(before) or _OPEN_AFTER.match(after) or _OTHERS_THINK.search(_TURN.split(before)[-1])
    return bool(denied), bool(unsure)


def _groups(text: str, mentions: list[Mention]) -> Iterator[list[Mention]]:
    """The mentions in groups: "A, B or (c)" is one; most are alone, like "B" in "B, not C"."""
    group: list[Mention] = []
    for mention in mentions:
        joint = text[group[-1].end : mention.start] if group else ""
        if group and (not _JOINT.fullmatch(joint) or mention.kind is Kind.LABEL):
            yield from _joined(text, group)
            group = []
        group.append(mention)
    if group:
        yield from _joined(text, group)


def _joined(text: str, group: list[Mention]) -> Iterator[list[Mention]]:
    """A group, in parts if no more than a comma joins its two, unless these are letters that end the sentence."""
    letters = all(mention.kind in (Kind.LETTER, Kind.NAMED) for mention in group)
    alone = letters and _LINE_ENDS.match(text, group[-1].end)
    if len(group) > 2 or alone or _AND_OR.search(text[group[0].end : group[-1].start]):
        yield group
    else:
        yield from ([mention] for mention in group)


def _with_lists(text: str, mentions: list[Mention], introduced: set[int]) -> list[Mention]:
    """The mentions, those in lists of options marked, and those denied by what is said about their item.

    A list is a run of items whose letters ascend, whatever words they have. After its item, an option named again is
    still that item, and so are the words that its label stands before.
    """
    runs: list[list[int]] = []
    for index, mention in enumerate(mentions):
        if not _is_item(text, mention):
            continue
        written = _written(text, mention)
        fresh = not runs or written <= _written(text, mentions[runs[-1][-1]]) or mention.start in introduced
        runs.append([index]) if fresh else runs[-1].append(index)
    listing = any(len(run) > 1 for run in runs)
    items = sorted(i for run in runs for i in run if len(run) > 1 or (listing and mentions[i].kind is not Kind.LABEL))
    marked = list(mentions)
    for item, following in pairwise([*items, len(mentions)]):
        head = mentions[item]
        end = mentions[following].start if following < len(mentions) else len(text)
        about = text[head.end : min(end, head.end + 3 * _WINDOW)].split("\n\n" if head.kind is Kind.LABEL else "\n")[0]
        denied = head.denied or bool(_THIS_IS_BAD.search(about))
        marked[item] = replace(head, listed=True, denied=denied)
        last = end if head.kind is Kind.LABEL else head.end + len(about)
        for index in range(item + 1, following):
            again = mentions[index]
            words = again.kind in (Kind.TEXT, Kind.COMMON) and again.start not in introduced
            same = again.letter == head.letter or text[head.end : again.start].strip().lower() in _NO_WORDS
            if words and same and again.start < last:
                marked[index] = replace(again, listed=True)
    return _with_inline_lists(text, marked)


def _written(text: str, mention: Mention) -> str:
    """The letter of an item as it stands there, be its words those of another option."""
    return text[mention.start : mention.end].lstrip("([")[0].upper() if mention.kind is Kind.LABEL else mention.letter


def _is_item(text: str, mention: Mention) -> bool:
    """Whether a mention is a line, or heads it as its label or as the words after a bullet."""
    line = text[text.rfind("\n", 0, mention.start) + 1 : mention.start]
    if mention.kind is Kind.LABEL:
        return True
    if mention.kind is Kind.LETTER and not line:
        return text[mention.end : mention.end + 1] in ("", "\n")
    if mention.kind is Kind.NAMED and not line:
        return _HEADS.match(text, mention.end) is not None
    return line.strip() == "-" or (line.startswith("- ") and line[2:].lower() in ("a ", "an ", "the "))


def _with_inline_lists(text: str, mentions: list[Mention]) -> list[Mention]:
    """The mentions, those marked that list options within a line: "A) tin B) copper C) lead"."""
    lines: dict[int, list[int]] = {}
    for index, mention in enumerate(mentions):
        if mention.kind is not Kind.TEXT and _INLINE_LABEL.match(text, mention.start):
            lines.setdefault(text.rfind("\n", 0, mention.start), []).append(index)
    marked = list(mentions)
    for indices in lines.values():
        letters = [mentions[index].letter for index in indices]
        if len(letters) > 2 and letters == sorted(set(letters)):
            for index in indices:
                marked[index] = replace(marked[index], listed=True)
    return marked
