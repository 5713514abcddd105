"""Commands in processes of their own that start at once, and can be interrupted at a moment that a test names.

A server imports the libraries once and forks a process for each command (`multiprocessing`, start method forkserver).
"""

import contextlib
import itertools
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parents[2]
IMPORTED_ONCE = ["tests.faults.pristine", "lm_eval_cachesteer.extraction", "lm_eval_cachesteer.sweep.evaluation",
                 "lm_eval_cachesteer.study.subject", "lm_eval_cachesteer.report.data", "lm_eval_cachesteer.report.page",
                 "tests.faults.warm"]  # fmt: skip
PATIENCE = 60
_BEGUN = b"begun\n"
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}


@dataclass(frozen=True)
class Interrupt:
    """When a process is sent a signal.

    Attributes:
        signal: Which one.
        before: Just before this file operation below the folder `out`, counted from 1: files opened to be written,
            renamed and removed, folders made and removed.
        after: Or so many seconds after `begin`.
    """

    signal: signal.Signals
    before: int | None = None
    after: float | None = None


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        code: Its exit code; of a signal the negative number.
        said: What it wrote to stdout and stderr.
        seconds: How long it took.
    """

    code: int
    said: str
    seconds: float

    @property
    def errors(self):
        """The lines in which the command line tells errors, without the progress bars beside them."""
        return [line for line in self.said.replace("\r", "\n").split("\n") if line.startswith("Error: ")]


class Running:
    """A job in a process of its own.

    Args:
        job: A function of a module: `job(folder)`.
        folder: The folder that it works in.
        interrupt: When it is sent a signal.
        largest_file: Bytes that its files may have, as on a full disk; None for any.
        tell: Whether it writes each file operation to stdout: "open: PATH".
    """

    def __init__(self, job, folder, interrupt=None, largest_file=None, tell=False):
        self._reader, writer = _SERVER.Pipe(duplex=False)
        self.process = _SERVER.Process(target=_work, args=(job, folder, writer, interrupt, largest_file, tell))
        self.process.start()
        writer.close()
        self._said = os.read(self._reader.fileno(), len(_BEGUN))
        self._started = time.monotonic()
        if interrupt and interrupt.after is not None:
            time.sleep(interrupt.after)
            with contextlib.suppress(ProcessLookupError):  # it has ended before
                os.kill(self.process.pid, interrupt.signal)

    def ended(self):
        """Waits for the end, a minute at most from one output to the next."""
        said, part = self._said, self._said
        while part:
            if not self._reader.poll(PATIENCE):
                self.process.kill()
                raise TimeoutError(f"A job does not end. It has said: {said.decode()}")
            part = os.read(self._reader.fileno(), 1 << 16)
            said += part
        self.process.join(PATIENCE)
        said = said.removeprefix(_BEGUN).decode()
        return Ended(self.process.exitcode, said, time.monotonic() - self._started)


def run(job, folder, interrupt=None, **more):
    """Runs a job to its end; see `Running`."""
    return Running(job, folder, interrupt, **more).ended()


def begin():
    """Said by a job when its command begins, and with it the time of `Interrupt.after`."""
    os.write(1, _BEGUN)


def start_server():
    """Starts the server, which finds this repository's tests wherever it is started."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), before.get("PYTHONPATH"))))
    os.environ["CACHESTEER_NO_HOOK"] = "1"  # `pristine` comes first
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _work(job, folder, writer, interrupt, largest_file, tell):
    for stream in (sys.stdout, sys.stderr):
        os.dup2(writer.fileno(), stream.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tqdm.set_lock(threading.RLock())  # tqdm's own is shared with the server, and would be kept by who is killed
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if tell:
        _watch(folder, _telling)
    elif interrupt and interrupt.before is not None:
        _watch(folder, _interrupting(interrupt))
    code = 0
    try:
        job(folder)
    except SystemExit as ended:
        code = ended.code or 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what comes now is no longer the command
    sys.stdout.flush()
    os._exit(code)


def _watch(folder, act):
    """Has something done just before each file operation below `out`, whichever library makes it from Python."""
    below = folder / "out"

    def watch(event, arguments):
        if event == "open":
            path, _, flags = arguments
            counted = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        else:
            path, counted = arguments[0] if arguments else None, event in _CHANGES
            counted = counted and not (event == "os.mkdir" and Path(path).is_dir())
        if not counted or not isinstance(path, str | bytes | os.PathLike):
            return
        place = Path(os.fsdecode(path))
        if place.is_relative_to(below) or not place.is_absolute():  # relative to an open folder: `shutil.rmtree`
            act(event, place)

    sys.addaudithook(watch)


def _interrupting(interrupt):
    count = itertools.count(1)

    def act(event, place):
        if next(count) == interrupt.before:
            os.kill(os.getpid(), interrupt.signal)

    return act


def _telling(event, place):
    os.write(1, f"\n{event}: {place}\n".encode())


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(IMPORTED_ONCE)
