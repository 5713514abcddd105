"""A disk that is full, or runs full while a file is written: one line names the file and the remedy, no part is left.

A small file system in memory is a disk; without the right to mount one, a limit on the size of files stands for it.
"""

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ResultsError, StorageError
from lm_eval_cachesteer.files import write_atomically
from lm_eval_cachesteer.results.complete import check_complete
from lm_eval_cachesteer.results.runs import find_run

from ..results.scored import write_scored
from . import jobs
from .conftest import trusted
from .disks import PAGE, mounted, remount
from .processes import run

CACHESTEER = str(Path(sys.executable).with_name("cachesteer"))
# What each writes first, and the last part of what it writes to.
WRITERS = [
    (jobs.prepare, "cannot be written to {out}/models"),
    (jobs.extract, "--out {out}/.v.partial.safetensors cannot be written"),
    (
        jobs.extract_to_cache,
        "CACHESTEER_CACHE {out}/vectors/tiny-llama/.contrast.partial.safetensors cannot be written",
    ),
    (jobs.save, "{out}/v.safetensors cannot be written"),
    (jobs.sweep, "--out {out}/cells/"),
    (jobs.report, "--out {out}/report.html cannot be written"),
    (jobs.leaderboard, "--output {out}/leaderboard.md cannot be written"),
    (jobs.gate, "--junit {out}/gate.xml cannot be written"),
    (jobs.study_activation, "--out {out}/study/activation-"),
]
REMEDY = "Free some space"
# The others differ in where they write, not in how.
TO_BE_FILLED = [one for one in WRITERS if one[0] not in (jobs.extract_to_cache, jobs.save, jobs.leaderboard)]


def each(writers):
    return pytest.mark.parametrize(("job", "message"), writers, ids=[job.__name__ for job, _ in writers])


def check_told(ended, *parts):
    """One line, and no traceback."""
    assert ended.code == 3, ended.said
    assert "Traceback" not in ended.said, ended.said
    (line,) = ended.errors
    for part in (*parts, REMEDY):
        assert part in line


@each(WRITERS)
def test_files_that_must_not_grow_are_told_of_in_one_line(job, message, folder):
    check_told(run(job, folder, largest_file=0), message.format(out=folder / "out"), os.strerror(errno.EFBIG))
    assert trusted(folder / "out") == {}


@each(TO_BE_FILLED)
def test_a_full_disk_is_told_of_in_one_line_and_with_room_the_next_run_ends_well(job, message, folder, undisturbed):
    """What is prepared is written by Python, safetensors and tokenizers; each has errors of its own."""
    ended, whole = undisturbed(job)
    needed = sum(math.ceil(len(content) / PAGE) * PAGE for content in whole.values())
    with mounted(folder / "out", 0) as out:
        for room in (0, needed // 2, needed - PAGE):
            remount(out, f"size={room // PAGE * PAGE + PAGE}")
            found = run(job, folder)
            check_told(found, str(out), os.strerror(errno.ENOSPC))
            if room == 0:
                assert message.format(out=out) in found.errors[0]
            assert trusted(out).items() <= whole.items()
        remount(out, f"size={4 * needed + 100 * PAGE}")
        assert run(job, folder).code == ended.code
        assert trusted(out) == whole


def test_weights_that_do_not_fit_are_told_of_in_one_line(folder):
    """safetensors writes them, and has errors of its own."""
    ended = run(jobs.prepare, folder, largest_file=100_000)
    check_told(ended, os.strerror(errno.EFBIG), "CACHESTEER_CACHE")
    assert trusted(folder / "out") == {}


def test_results_that_lm_eval_could_not_write_do_not_end_an_arm(folder):
    for largest in (1000, 10_000):  # results cut short; samples cut short
        found = run(jobs.study, folder, largest_file=largest)
        assert found.code == 3
        assert "Traceback" not in found.said
        (line,) = found.errors
        assert f"{folder}/out/study/baseline/model/" in line
        assert "Finished arms are kept" in line
        record = json.loads((folder / "out/study/baseline/command.json").read_text())
        assert record["finished"] is False


def test_results_that_lm_eval_could_not_write_are_told_of_in_the_demo(folder):
    for largest in (0, 1000, 10_000):
        found = run(jobs.demo, folder, largest_file=largest)
        assert found.code == 3
        assert "Traceback" not in found.said
        (line,) = found.errors
        assert f"{folder}/out/demo/baseline" in line


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_samples_cut_between_two_lines_are_noticed(tmp_path, lines):
    write_scored(tmp_path, {"a": "1101", "b": "01"})
    run_of = find_run(str(tmp_path))
    check_complete(run_of)
    samples = run_of.sample_files["a"]
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(ResultsError, match="is empty" if lines == 0 else f"holds {lines} of 4 documents.*free some"):
        check_complete(run_of)
    samples.unlink()
    with pytest.raises(ResultsError, match="holds no samples of 'a'"):
        check_complete(find_run(str(tmp_path)))


def test_samples_are_looked_at_where_the_run_does_not_count_them(tmp_path):
    write_scored(tmp_path, {"a": "1101"}, **{"n-samples": None})
    check_complete(find_run(str(tmp_path)))
    (tmp_path / next(tmp_path.glob("samples_*")).name).unlink()
    with pytest.raises(ResultsError, match="holds no samples"):
        check_complete(find_run(str(tmp_path)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk_is_told_of_in_one_line():
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run([CACHESTEER, "tasks-path"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert finished.returncode == 3
    (line,) = finished.stderr.splitlines()
    assert line.startswith("Error: Standard output or a temporary file cannot be written (No space left on device).")


def test_a_reader_that_goes_is_no_traceback():
    with subprocess.Popen([CACHESTEER, "tasks-path"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


def test_what_cannot_be_written_is_an_error_of_ours_and_of_python(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(StorageError, match="file/x cannot be written .*Choose a place of your own") as raised:
        write_atomically(tmp_path / "file" / "x", b"new")
    assert isinstance(raised.value, OSError)
    assert (tmp_path / "file").read_text() == "old"
