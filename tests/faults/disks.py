"""Small file systems in memory, to be filled or made read-only."""

import subprocess
from contextlib import contextmanager

import pytest

PAGE = 4096


@contextmanager
def mounted(folder, room):
    """A file system of its own with room for so many bytes, in whole pages; skips where nothing may be mounted.

    Args:
        folder: Where it is mounted; made if need be.
        room: Bytes that fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Size 0 would mean any size, hence one page that is taken.
    made = _call("mount", "-t", "tmpfs", "-o", f"size={room // PAGE * PAGE + PAGE},mode=700", "tmpfs", folder)
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        (folder / ".taken").write_bytes(b"\0" * PAGE)
        yield folder
    finally:
        _call("umount", "-l", folder).check_returncode()


def remount(folder, *options):
    """Changes a mounted file system: "size=1000000", "ro", "rw"."""
    _call("mount", "-o", ",".join(("remount", *options)), folder).check_returncode()


def _call(*words):
    return subprocess.run([*map(str, words)], capture_output=True, text=True)
