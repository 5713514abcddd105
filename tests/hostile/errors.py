"""The table of errors: what a user does, what is said then, and how the program ends.

The table is `errors.yaml`; `docs/errors.md` is made from it. After a message, or a place that makes one, has changed:

    python -m tests.hostile.errors

runs every row, writes down what is said now, and makes the page; `git diff` shows what has changed. In messages,
"[...]" stands for words of other libraries and of the system, and "HERE" for the current folder.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import contextlib
import io
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from lm_eval_cachesteer import cli, errors
from lm_eval_cachesteer.harness import manager
from lm_eval_cachesteer.sources.folders import tasks_folder

from ..conftest import build_model, byte_tokenizer
from . import shelf
from .sites import site_at, sites

TABLE = Path(__file__).with_suffix(".yaml")
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
ANYTHING = "[...]"


@dataclass(frozen=True)
class Row:
    """An error.

    Attributes:
        section: Where it stands in the page.
        when: What is wrong, in a few words.
        input: A command line of `cachesteer` or `lm_eval`, or Python.
        message: What is said.
        code: How the program ends; None for Python, where it is an exception.
        sites: The places in the sources that make it.
        setup: Python that is run before, in the same folder.
    """

    section: str
    when: str
    input: str
    message: str = ""
    code: int | None = None
    sites: tuple[str, ...] = ()
    setup: str = ""


@dataclass
class Seen:
    """What came of a row.

    Attributes:
        message: What was said.
        code: How it ended.
        sites: The places that made errors, each once.
        out: What was printed to stdout.
    """

    message: str = ""
    code: int | None = None
    sites: list[str] = field(default_factory=list)
    out: str = ""


def read_table() -> list[Row]:
    """All rows."""
    sections = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["sections"]
    return [
        Row(section=section["name"], **(row | {"sites": tuple(row.get("sites", ()))}))
        for section in sections
        for row in section["rows"]
    ]


def read_unreachable() -> dict[str, str]:
    """Places that no user reaches, or no test can -> why."""
    listed: dict[str, str] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["unreachable"]
    return listed


def matches(said: str, message: str) -> bool:
    """Whether what was said is the message of a row."""
    return re.fullmatch(".*".join(map(re.escape, message.split(ANYTHING))), said) is not None


class Runner:
    """Runs rows, each in a folder of its own.

    Args:
        folder: An empty folder.
        llama: A checkpoint of the tiny llama.
    """

    def __init__(self, folder: Path, llama: Path) -> None:
        self._folder, self._model, self._tokenizer = folder, build_model("llama"), byte_tokenizer()
        self._known = sites()
        self._tasks: Any = None
        shelf.fill(folder / "shelf", self._model, self._tokenizer, llama)

    def run(self, row: Row) -> Seen:
        """Does what a row says."""
        seen, here = Seen(), Path(tempfile.mkdtemp(dir=self._folder)).resolve()
        shutil.copytree(self._folder / "shelf", here, symlinks=True, dirs_exist_ok=True)
        with contextlib.ExitStack() as stack, self._watched(seen):
            stack.enter_context(contextlib.chdir(here) if hasattr(contextlib, "chdir") else _in(here))
            surroundings = {"CACHESTEER_CACHE": str(here / "cache"), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
            stack.enter_context(mock.patch.dict(os.environ, surroundings))
            stack.enter_context(mock.patch.object(manager, "TaskManager", self._shipped_tasks))
            names = shelf.names(self._model, self._tokenizer, stack)
            exec(row.setup, names)  # noqa: S102 - our own table
            if row.input.startswith("cachesteer "):
                _command(row.input, seen)
            else:
                _python(row.input, names, seen)
        seen.message = seen.message.replace(str(here), "HERE")
        shutil.rmtree(here)
        return seen

    @contextlib.contextmanager
    def _watched(self, seen: Seen) -> Iterator[None]:
        """Notes which places make errors."""
        make: Callable[..., None] = errors.CachesteerError.__init__

        def noted(error: Any, message: str) -> None:
            frame = sys._getframe(1)
            name = site_at(frame.f_code.co_filename, frame.f_lineno, self._known)
            if name and name not in seen.sites:
                seen.sites.append(name)
            make(error, message)

        with mock.patch.object(errors.CachesteerError, "__init__", noted):
            yield

    def _shipped_tasks(self) -> Any:
        """The harness's task manager with our tasks alone: reading all of its own takes seconds."""
        if self._tasks is None:
            from lm_eval.tasks import TaskManager

            self._tasks = TaskManager(include_path=str(tasks_folder()), include_defaults=False)
        return self._tasks


def _command(line: str, seen: Seen) -> None:
    out, error = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", shlex.split(line)),
        contextlib.redirect_stdout(sys.stdout if getattr(sys.stdout, "name", "") == "/dev/full" else out),
        contextlib.redirect_stderr(error),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            seen.code = int(ended.code or 0)
    lines = [line for line in error.getvalue().splitlines() if line.startswith("Error: ")]
    seen.message, seen.out = "".join(lines).removeprefix("Error: "), out.getvalue()


def _python(text: str, names: dict[str, Any], seen: Seen) -> None:
    """Runs Python, or what `--model_args` of lm_eval leads to."""
    if text.startswith("lm_eval "):
        words = shlex.split(text)
        given = words[words.index("--model_args") + 1]
        text, seen.code = f"lm({given!r})", cli.BAD_INPUT
    try:
        exec(text, names)  # noqa: S102 - our own table
    except errors.CachesteerError as error:
        seen.message = str(error)


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    """`contextlib.chdir`, which Python 3.10 has not."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


# Writing --------------------------------------------------------------------------------------------------------------

_HEAD = """# Errors

What a user can do wrong, what is said then, and how the program ends. Every message names the value, what was expected
and the remedy, in one line; what it quotes from files and models is written so that a terminal shows it and does not
act on it.

- Commands of `cachesteer` print `Error: ` and the message on stderr, and end with the code given; wrong usage (an
  option that is missing, unknown or malformed) ends with 2: [command-line.md](command-line.md).
- `python -m lm_eval_cachesteer --model hf-cachesteer ...` does the same. Plain `lm_eval` shows the message as the last
  line of a traceback and ends with 1.
- In Python, each is an exception, a subclass of `CachesteerError`. Below, `lm(...)` is a run of `hf-cachesteer` with
  these model arguments, `steerer(...)` is `KVSteerer.from_pretrained(...)`, `ids(...)` are texts as tokens.

`[...]` stands for words of other libraries or of the system, `HERE` for the current folder. This page is made from
`tests/hostile/errors.yaml` by `python -m tests.hostile.errors`; the tests put every row to the program.
"""


def page(rows: list[Row]) -> str:
    """The page of the documentation."""
    parts = [_HEAD]
    for section in dict.fromkeys(row.section for row in rows):
        parts += [f"\n## {section}\n\n", "| what is wrong | input | message | code |\n|---|---|---|---|\n"]
        parts += [
            f"| {row.when} | {_code(row.input)} | {_text(row.message)} | {'' if row.code is None else row.code} |\n"
            for row in rows
            if row.section == section
        ]
    return "".join(parts)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|").replace("\n", "; ")


def _text(text: str) -> str:
    return re.sub(r"([\\*_<\[\]|#])", r"\\\1", text)


def update() -> None:
    """Runs every row, and writes the table and the page anew."""
    content = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        llama = Path(folder) / "tiny-llama"
        build_model("llama").save_pretrained(llama)
        byte_tokenizer().save_pretrained(llama)
        runner = Runner(Path(folder) / "work", llama)
        for section in content["sections"]:
            for row in section["rows"]:
                seen = runner.run(Row(section["name"], row["when"], row["input"], setup=row.get("setup", "")))
                if not seen.message:
                    print(f"no error: {row['input']}")
                if not matches(seen.message, row.get("message", "")):
                    row["message"] = seen.message
                row["code"], row["sites"] = seen.code, seen.sites
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)
    TABLE.write_text(text, encoding="utf-8")
    rows = read_table()
    PAGE.write_text(page(rows), encoding="utf-8")
    covered = {site for row in rows for site in row.sites} | read_unreachable().keys()
    for site in sites():
        if site.name not in covered:
            print(f"no row: {site.name} ({site.path.name}:{site.first})")
    for name in sorted(read_unreachable().keys() - {site.name for site in sites()}):
        print(f"gone: {name}")


if __name__ == "__main__":
    update()
