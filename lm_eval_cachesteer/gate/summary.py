"""A decision as Markdown, for a pull request."""

import re

from ..printable import printable
from .outcomes import COLUMNS, Decision, Outcome

_SIGNS: dict[Outcome, str] = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}
# Whatever GitHub could read as markup, a mention or the end of a cell; written as a character reference it is text.
_MARKUP = re.compile(r"[\\`*<>\[\]|&@#~$]|\b_|_\b")


def summary(decision: Decision) -> str:
    """A headline and a table with one row for each check.

    Args:
        decision: What the gate found.
    """
    lines = [
        f"### Steering gate: {_SIGNS[decision.outcome]}",
        "",
        f"{decision.headline.partition(': ')[2]}. Baseline: {_run(decision.baseline.label, decision.baseline.model)}. "
        f"Candidate: {_run(decision.candidate.label, decision.candidate.model)}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    for result in decision.results:
        cells = [
            _SIGNS[result.outcome] if column == "outcome" else _text(cell)
            for column, cell in zip(COLUMNS, result.cells(), strict=True)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def summary_of_error(message: str) -> str:
    """What to show for a gate that could not decide.

    Args:
        message: What was wrong with the input.
    """
    return f"### Steering gate: ❌ bad input\n\n{_text(message)}\n"


def _run(label: str, model: str) -> str:
    return _text(f"{label} ({model})" if model else label)


def _text(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", printable(" ".join(text.split())))
