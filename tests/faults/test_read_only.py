"""A cache folder that cannot be written to: the remedy is named, and what is there can be used."""

import os
from contextlib import contextmanager

import pytest

from . import jobs
from .conftest import trusted
from .disks import mounted, remount
from .processes import run


@contextmanager
def read_only(out):
    """A folder on a read-only file system if this user may mount one (root); else one without the right to write."""
    if os.geteuid() == 0:
        with mounted(out, 1 << 24):
            yield lambda: remount(out, "ro")
    else:
        yield lambda: out.chmod(0o500)
        out.chmod(0o700)


@pytest.mark.parametrize("job", [jobs.prepare, jobs.extract_to_cache], ids=lambda job: job.__name__)
def test_a_read_only_cache_is_told_of_in_one_line_with_the_remedy(job, folder):
    with read_only(folder / "out") as lock:
        lock()
        ended = run(job, folder)
        assert ended.code == 3, ended.said
        assert "Traceback" not in ended.said
        (line,) = ended.errors
        assert str(folder / "out") in line
        assert "CACHESTEER_CACHE" in line
        assert "pair" not in ended.said  # before any work
        assert trusted(folder / "out") == {}


def test_a_model_in_a_read_only_cache_is_used(folder):
    with read_only(folder / "out") as lock:
        assert run(jobs.prepare, folder).code == 0
        lock()
        ended = run(jobs.prepare, folder)
        assert ended.code == 0, ended.said
        assert ended.errors == []
