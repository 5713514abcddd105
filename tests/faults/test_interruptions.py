"""Ctrl-C and SIGKILL at every file operation and at random moments: nothing corrupt is left, a later run goes on."""

import itertools
import os
import random
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from lm_eval_cachesteer import __main__, cli
from lm_eval_cachesteer.core.metadata import VectorMetadata
from lm_eval_cachesteer.core.prompts import TokenPair
from lm_eval_cachesteer.errors import CachesteerError
from lm_eval_cachesteer.extraction import extract
from lm_eval_cachesteer.sources.embedded import MODEL_ID

from ..conftest import build_model
from . import jobs
from .conftest import clear, trusted
from .processes import Interrupt, Running, run

# What each does at least: files opened to be written, renamed and removed, folders made and removed. Sweeps that are
# killed: tests/sweep/test_killed.py.
KILLED = {jobs.prepare: 10, jobs.extract: 9, jobs.report: 3, jobs.gate: 6, jobs.study: 15}
STOPPED = KILLED | {jobs.sweep: 12}
# Where much time passes outside of Python: in safetensors and torch.
AT_RANDOM = [jobs.prepare, jobs.extract]
MOMENTS = 2
# Before that, `main` may not be reached.
SOON = 0.005


def each(jobs_of):
    return pytest.mark.parametrize("job", jobs_of, ids=lambda job: job.__name__)


def check_left(folder, whole):
    assert trusted(folder / "out").items() <= whole.items()


def check_repeated(job, folder, ended, whole):
    again = run(job, folder)
    assert again.code == ended.code, again.said
    assert trusted(folder / "out") == whole


@each(KILLED)
def test_killed_before_any_file_operation_a_later_run_ends_as_if_nothing_had_been(job, folder, undisturbed):
    ended, whole = undisturbed(job)
    seen = []
    for number in itertools.count(1):
        killed = run(job, folder, Interrupt(signal.SIGKILL, before=number))
        if killed.code != -signal.SIGKILL:
            break
        check_left(folder, whole)
        left = state_of(folder / "out")
        if left not in seen:
            seen.append(left)
            check_repeated(job, folder, ended, whole)
        clear(folder / "out")
    assert killed.code == ended.code
    assert number > KILLED[job]


@each(STOPPED)
def test_ctrl_c_before_any_file_operation_ends_with_130_and_no_traceback(job, folder, undisturbed):
    ended, whole = undisturbed(job)
    for number in itertools.count(1):
        stopped = run(job, folder, Interrupt(signal.SIGINT, before=number))
        check_left(folder, whole)
        if stopped.code == ended.code:
            break
        assert stopped.code == 130, stopped.said
        assert "Traceback" not in stopped.said, stopped.said
    assert number > 3
    assert trusted(folder / "out") == whole  # what was left at each end served the next


@each(AT_RANDOM)
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_interrupted_at_random_moments_a_later_run_ends_as_if_nothing_had_been(job, sent, folder, undisturbed):
    ended, whole = undisturbed(job)
    moments = random.Random(f"{job.__name__} {sent}")
    for _ in range(MOMENTS):
        stopped = run(job, folder, Interrupt(sent, after=moments.uniform(SOON, max(SOON, ended.seconds))))
        check_left(folder, whole)
        if sent == signal.SIGKILL:
            assert stopped.code in (-signal.SIGKILL, ended.code)
        elif "Exception ignored" not in stopped.said:  # Python drops what arrives in a destructor
            assert stopped.code in (130, ended.code), stopped.said
            assert "Traceback" not in stopped.said, stopped.said
    check_repeated(job, folder, ended, whole)


@each([jobs.prepare, jobs.extract, jobs.save, jobs.sweep, jobs.report, jobs.leaderboard, jobs.gate, jobs.study])
def test_files_get_the_names_that_are_trusted_only_when_they_are_whole(job, folder):
    told = run(job, folder, tell=True).said
    opened = [Path(path).relative_to(folder / "out") for path in re.findall(r"^open: (/.+)", told, re.MULTILINE)]
    assert opened
    own = [path for path in opened if "model" not in path.parts]  # lm_eval's are not
    assert [path for path in own if not any(part.startswith(".") for part in path.parts)] == []


def test_progress_of_another_model_of_the_same_name_is_not_added_to(llama, tmp_path):
    progress, pairs = tmp_path / "progress", [TokenPair((5, 6, 7), (8, 9)), TokenPair((1, 2), (3, 4))]

    def first_done(model):
        seen = []
        metadata = VectorMetadata(kind="a", model_id="same")
        extract(model, pairs, metadata, pad_token_id=0, progress_file=progress, on_progress=seen.append)
        return seen[0]

    assert first_done(llama) == 0
    assert first_done(llama) == 2
    assert first_done(build_model("llama", seed=1)) == 0
    assert first_done(build_model("llama", seed=1).bfloat16()) == 0


def test_of_two_that_prepare_the_model_one_converts_and_the_other_waits_for_it(folder, undisturbed):
    _, whole = undisturbed(jobs.prepare)
    both = [Running(jobs.prepare_slowly, folder) for _ in range(2)]
    converting(folder, 1)
    time.sleep(0.1)
    (folder / "go-on").touch()
    ends = [one.ended() for one in both]
    assert [end.code for end in ends] == [0, 0]
    assert converting(folder, 1)  # nobody else has converted
    assert [end.said.splitlines()[-1] for end in ends] == [str(folder / "out" / "models" / MODEL_ID)] * 2
    assert trusted(folder / "out") == whole


def test_who_waits_for_the_model_prepares_it_if_the_other_is_killed(folder, undisturbed):
    ended, whole = undisturbed(jobs.prepare)
    first = Running(jobs.prepare_slowly, folder)
    (number,) = converting(folder, 1)
    second = Running(jobs.prepare_slowly, folder)
    time.sleep(0.1)
    assert converting(folder, 1) == {number}
    os.kill(number, signal.SIGKILL)
    assert first.ended().code == -signal.SIGKILL
    converting(folder, 2)
    check_left(folder, whole)
    (folder / "go-on").touch()
    assert second.ended().code == ended.code
    assert trusted(folder / "out") == whole


def test_an_interrupted_study_leaves_no_lm_eval_behind(folder):
    running = Running(jobs.study_beside_lm_eval, folder)
    wait_for(lambda: (folder / "number").is_file())
    lm_eval = psutil.Process(int((folder / "number").read_text()))
    assert lm_eval.is_running()
    os.kill(running.process.pid, signal.SIGINT)
    ended = running.ended()
    assert ended.code == 130, ended.said
    assert "Traceback" not in ended.said
    wait_for(lambda: not lm_eval.is_running() or lm_eval.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("error", [ValueError("of a library"), CachesteerError("of ours")])
def test_ctrl_c_that_a_library_makes_another_error_of_ends_with_130(error, monkeypatch, capsys):
    def interrupted(**_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(cli, "app", interrupted)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_lm_eval_started_by_us_ends_with_130_and_no_traceback(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("lm_eval.__main__.cli_evaluate", interrupted)
    monkeypatch.setattr("sys.argv", ["lm_eval", "--tasks", "a"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130


def converting(folder, count):
    """The numbers of the processes that convert, once there are so many."""
    wait_for(lambda: len(list(folder.glob("converting-*"))) >= count)
    found = {int(path.name.removeprefix("converting-")) for path in folder.glob("converting-*")}
    assert len(found) == count
    return found


def wait_for(condition, seconds=30):
    """Waits until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def state_of(folder):
    """Everything in a folder; names that are drawn at random are all the same."""
    drawn = re.compile(r"\.[0-9a-f]{8}\.tmp$|(?<=partial-)[a-z0-9_]{8}")
    paths = sorted((drawn.sub("*", str(path.relative_to(folder))), path) for path in folder.rglob("*"))
    return [(name, path.is_dir() or path.read_bytes()) for name, path in paths]
