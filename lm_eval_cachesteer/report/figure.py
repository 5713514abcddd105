"""What all plots of the page share. Texts are escaped here: plotly reads some HTML in them."""

from __future__ import annotations

import html
import json
import textwrap
from typing import Any

from ..errors import ArgumentError
from .theme import FONT, LIGHT

# In pixels.
_LINE, _GAP, _AXIS = 17, 10, 56
# Letters in a line of text above a mark: as many as a narrow phone holds.
_LETTERS = 40

Chart = dict[str, Any]


def require_plotly() -> None:
    """Checks that plots can be drawn.

    Raises:
        ArgumentError: plotly is not installed.
    """
    try:
        import plotly.graph_objects  # noqa: F401
    except ImportError:
        raise ArgumentError(
            'A report needs plotly. Install it with: pip install "lm-eval-cachesteer[report]"'
        ) from None


def chart(title: str, caption: str, traces: list[dict[str, Any]], layout: dict[str, Any], description: str) -> Chart:
    """A figure in light colours, checked by plotly, as plain data.

    Args:
        title: What it is chosen by on the page.
        caption: What it shows, in a few words.
        traces: Its traces.
        layout: Its layout.
        description: What it shows, in words, for screen readers.
    """
    import plotly.graph_objects as go

    figure = json.loads(go.Figure(traces, layout).to_json())
    return {
        "title": title,
        "caption": caption,
        "description": description,
        "data": figure["data"],
        "layout": figure["layout"],
    }


def escaped(text: object) -> str:
    """A text that plotly shows as it is."""
    return html.escape(str(text), quote=False)


def axis(title: object, **settings: Any) -> dict[str, Any]:
    """An axis; it does not zoom, because the page scrolls under the finger."""
    fixed = {"fixedrange": True, "gridcolor": LIGHT["line"], "zeroline": False, "automargin": True, "ticks": ""}
    font = {"size": 13, "color": LIGHT["muted"]}
    return fixed | {"title": {"text": escaped(title), "standoff": 10, "font": font}} | settings


def base_layout(height: int, bottom: int = 8) -> dict[str, Any]:
    """The layout of every figure.

    Args:
        height: In pixels; the width is the page's.
        bottom: The lower margin, in pixels.
    """
    return {
        "template": {},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": bottom},
        "showlegend": False,
        "dragmode": False,
        "paper_bgcolor": LIGHT["paper"],
        "plot_bgcolor": LIGHT["paper"],
        "font": {"family": FONT, "size": 13, "color": LIGHT["ink"]},
        "hoverlabel": {"bgcolor": LIGHT["raised"], "font": {"color": LIGHT["ink"]}},
    }


class Rows:
    """Rows from top to bottom, each with its text above its mark, which can be read at any width.

    The vertical axis counts pixels, so that no text lies on another.
    """

    def __init__(self) -> None:
        self._height = 0
        self._texts: list[dict[str, Any]] = []

    def heading(self, text: str) -> None:
        """Adds a line of its own."""
        self._height += _GAP
        self._write([f"<b>{line}</b>" for line in _wrapped(text)], size=14)

    def row(self, mark: int, name: str, *told: str) -> float:
        """Adds a row.

        Args:
            mark: Height of its mark, in pixels.
            name: What it is about.
            *told: What it says, in words and figures, line by line.

        Returns:
            Where the middle of its mark goes.
        """
        said = [f'<span style="color:{LIGHT["muted"]}">{line}</span>' for part in told for line in _wrapped(part)]
        self._write([*_wrapped(name), *said], size=13)
        middle = self._height + mark / 2
        self._height += mark + _GAP
        return middle

    def layout(self, horizontal: dict[str, Any]) -> dict[str, Any]:
        """The layout of these rows above a horizontal axis."""
        return base_layout(self._height + _AXIS + 8, bottom=_AXIS) | {
            "annotations": self._texts,
            "xaxis": horizontal,
            "yaxis": {"range": [self._height, 0], "visible": False, "fixedrange": True},
        }

    def _write(self, lines: list[str], size: int) -> None:
        self._texts.append(
            {
                "text": "<br>".join(lines),
                "align": "left",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": self._height,
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": size, "color": LIGHT["ink"]},
                "bgcolor": LIGHT["paper"],
                "borderpad": 1,
            }
        )
        self._height += _LINE * len(lines) + 4


def _wrapped(text: str) -> list[str]:
    return [escaped(line) for line in textwrap.wrap(text, _LETTERS)] or [""]
