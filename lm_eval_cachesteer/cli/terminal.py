"""The terminal: what files and models say is shown there and never acted on, neither as markup nor as control sequence.

Texts reach rich as `Text`, or with `markup=False`; control characters are taken out here, once for all commands.
"""

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from ..printable import without_control


def terminal(*, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console that shows any text as text.

    Args:
        stderr: Whether to write to stderr instead of stdout.
        file: Where to write to instead of either.
        width: Columns; None for those of the terminal.
    """
    console = Console(stderr=stderr, file=file, width=width)
    console.push_render_hook(_WithoutControl())
    return console


class _WithoutControl(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


class _Shown:
    """What rich makes of something, after its layout: control characters have no width, so that nothing moves."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(without_control(segment.text), segment.style)
