"""A response as the rungs read it: its sentences, its mentions of options, and where it states an answer."""

from bisect import bisect_left
from dataclasses import dataclass

from .mention import Mention
from .mentions import mentions_in
from .options import Options
from .statements import Statement, leads_in, named_in, statements_in
from .text import Sentences
from .weighing import weighed


@dataclass(frozen=True)
class Reading:
    """A response as the rungs read it.

    Attributes:
        text: The response, plain.
        options: The options of the question.
        sentences: Its sentences.
        mentions: Its mentions of options, in order.
        starts: Where these start.
        denied: Where each option is denied last.
        statements: The statements that an option is the answer, in order.
        named: Where "the answer is" introduces something that is not an option itself.
    """

    text: str
    options: Options
    sentences: Sentences
    mentions: tuple[Mention, ...]
    starts: tuple[int, ...]
    denied: dict[str, int]
    statements: tuple[Statement, ...]
    named: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, text: str, options: Options) -> "Reading":
        """Reads a plain text."""
        found = mentions_in(text, options)
        sentences = Sentences.of(text, [(mention.start, mention.end) for mention in found])
        leads = leads_in(text, found)
        mentions = weighed(text, found, sentences, {lead.mention for lead in leads})
        return cls(
            text,
            options,
            sentences,
            tuple(mentions),
            tuple(mention.start for mention in mentions),
            {mention.letter: mention.start for mention in mentions if mention.denied},
            tuple(statements_in(text, mentions, sentences, leads)),
            tuple(named_in(text, mentions, sentences)),
        )

    def mentioned(self, start: int, end: int) -> tuple[Mention, ...]:
        """The mentions that start within a span."""
        return self.mentions[bisect_left(self.starts, start) : bisect_left(self.starts, end)]
