"""From data to one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

from .theme import DARK, LIGHT, variables

# The plots come last: the page can be used while plotly is still being read.
_SCRIPTS = ("common.js", "diff.js", "leaderboard.js", "sample.js", "samples.js")
_LAST = "plots.js"
# Nothing but the scripts written here runs, and nothing is fetched, whatever a model answered.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# Python's halves of a surrogate pair are always alone; UTF-8 has no form for them.
_ESCAPED = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def render(data: dict[str, Any], title: str) -> bytes:
    """The page.

    Args:
        data: What `report_data` gives.
        title: Its heading.
    """
    from plotly.offline import get_plotlyjs

    scripts = [*map(_asset, _SCRIPTS), _script(get_plotlyjs()), _asset(_LAST)]
    parts = {
        "policy": _POLICY.format(scripts=" ".join(f"'sha256-{_digest(script)}'" for script in scripts)),
        "title": html.escape(title),
        "colors": f":root {{ {variables(LIGHT)} }}\n@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ {variables(DARK)} }} }}",
        "style": _asset("page.css"),
        "data": as_script_data(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    # In one pass: what is filled in is not searched for places.
    return _PLACE.sub(lambda place: parts[place[1]], _asset("page.html")).encode()


def as_script_data(data: object) -> str:
    """JSON that can stand inside a script element, whatever texts it holds."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda found: _IN_SCRIPT.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def _asset(name: str) -> str:
    return _script((resources.files(__package__) / "assets" / name).read_text(encoding="utf-8"))


def _script(text: str) -> str:
    """With line ends as browsers read them, since they check the digest of what they read."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
