import json
import os
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.files import exclusive, json_text, write_atomically


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match="report"):
        write_atomically(tmp_path / "report.html", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture
def calls(monkeypatch):
    """What is told to the disk, in order: ("sync", inode, size at that moment) and ("rename", inode)."""
    calls = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor):
        found = os.fstat(descriptor)
        calls.append(("sync", found.st_ino, found.st_size))
        sync(descriptor)

    def renamed(self, target):
        calls.append(("rename", self.stat().st_ino))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return calls


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_return(tmp_path, calls):
    path = tmp_path / "cell.json"
    write_atomically(path, b"x" * 100_000)
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert [call[:2] for call in calls] == [("sync", file), ("rename", file), ("sync", folder)]
    assert calls[0][2] == 100_000  # nothing is left in a buffer of ours


def test_content_that_cannot_be_synced_is_an_error_and_no_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "cell.json").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "cell.json", b"new")
    assert (tmp_path / "cell.json").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["cell.json"]


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(descriptor):
        if os.fstat(descriptor).st_ino == tmp_path.stat().st_ino:
            raise OSError(22, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "cell.json", b"new")
    assert (tmp_path / "cell.json").read_bytes() == b"new"


def test_json_has_null_for_what_is_no_number():
    content = {"a": [1, 0.5, float("nan")], "b": (float("inf"), {"c": float("-inf")}), "d": "NaN", "e": True}
    expected = {"a": [1, 0.5, None], "b": [None, {"c": None}], "d": "NaN", "e": True}
    assert json.loads(json_text(content), parse_constant=pytest.fail) == expected


def test_one_at_a_time_works_in_a_folder(tmp_path):
    with (
        exclusive(tmp_path / "new" / "study", "study"),
        pytest.raises(ResultsError, match="Another study is running in .*study. Wait for it, or .* --out"),
        exclusive(tmp_path / "new" / "study", "study"),
    ):
        pytest.fail("both work")
    with exclusive(tmp_path / "new" / "study", "study"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="Results cannot be kept in .*x .*Choose another folder with --out"):
        exclusive(tmp_path / "file" / "x", "study").__enter__()


def test_what_goes_wrong_inside_is_not_taken_for_the_lock(tmp_path):
    with pytest.raises(OSError, match="disk"), exclusive(tmp_path, "sweep"):
        raise OSError(5, "disk")
