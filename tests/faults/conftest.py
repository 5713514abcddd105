"""A folder for jobs, what they write there, and what they write if nothing goes wrong."""

import json
import shutil

import pytest

from ..harness.conftest import backend  # noqa: F401 - a fixture
from . import jobs
from .processes import run, start_server


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The folder in which all jobs work, one after another; the server of processes is there."""
    start_server()
    folder = tmp_path_factory.mktemp("jobs")
    jobs.write_inputs(folder)
    return folder


@pytest.fixture
def folder(place):
    """The folder of the jobs: `inputs`, and `out`, which is empty."""
    for path in place.iterdir():
        if path.name != "inputs":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (place / "out").mkdir()
    return place


@pytest.fixture(scope="session")
def written():
    """Job -> its end and the files, if nothing goes wrong."""
    return {}


@pytest.fixture
def undisturbed(folder, written):
    """Says how a job ends if nothing goes wrong, and which files it writes."""

    def look(job):
        if job not in written:
            ended = run(job, folder)
            assert "Traceback" not in ended.said, ended.said
            written[job] = ended, trusted(folder / "out")
            clear(folder / "out")
        return written[job]

    return look


def clear(out):
    """Empties a folder."""
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def trusted(out):
    """The files that later runs and users trust: neither hidden nor in a folder that says it is unfinished."""
    files = {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    files = {path: content for path, content in files.items() if not any(part.startswith(".") for part in path.parts)}
    records = {path.parent: content for path, content in files.items() if path.name == "command.json"}
    unfinished = {parent for parent, content in records.items() if not json.loads(content)["finished"]}
    return {path: content for path, content in files.items() if not unfinished & set(path.parents)}
