import json
import subprocess
import sys

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.sweep.ledger import Ledger

IDENTITY = {"fingerprint": "ab", "documents": {"arith": [1, 2]}, "seed": 0, "gen_kwargs": {"temperature": 0.5}}
OUTCOME = {"scores": {"größer": 1.0, "kleiner": 0.1}, "size": 0.30000000000000004, "measures": {}}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "deep" / "cells")


def test_what_is_put_is_got_and_nothing_else(ledger):
    assert ledger.get(IDENTITY) is None
    ledger.put(IDENTITY, OUTCOME)
    assert ledger.get(IDENTITY) == OUTCOME
    assert Ledger(ledger.folder).get(dict(reversed(IDENTITY.items()))) == OUTCOME  # the order of fields says nothing
    assert list(ledger.folder.iterdir()) == [ledger.path(IDENTITY)]


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "ac"},
        {"documents": {"arith": [1, 3]}},
        {"documents": {"logic": [1, 2]}},
        {"seed": 1},
        {"gen_kwargs": {"temperature": 0.6}},
        {"gen_kwargs": {}},
        {"metric": None},
    ],
)
def test_an_identity_that_differs_in_any_field_is_another_cell(ledger, changed):
    ledger.put(IDENTITY, OUTCOME)
    assert ledger.get(IDENTITY | changed) is None
    assert ledger.path(IDENTITY | changed) != ledger.path(IDENTITY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (json.dumps({"identity": IDENTITY, "outcome": OUTCOME}).encode()[:-1], "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "does not hold the cell it is named after"),
        (json.dumps({"identity": IDENTITY | {"seed": 1}, "outcome": OUTCOME}).encode(), "does not hold the cell"),
        (json.dumps({"outcome": OUTCOME}).encode(), "does not hold the cell"),
        (json.dumps({"identity": IDENTITY}).encode(), "holds no outcome"),
        (json.dumps({"identity": IDENTITY, "outcome": None}).encode(), "holds no outcome"),
    ],
)
def test_a_damaged_or_foreign_file_is_named(ledger, content, message):
    ledger.put(IDENTITY, OUTCOME)
    ledger.path(IDENTITY).write_bytes(content)
    with pytest.raises(ResultsError) as raised:
        ledger.get(IDENTITY)
    assert str(ledger.path(IDENTITY)) in str(raised.value)
    assert message in str(raised.value)
    assert "Remove it; its cell is run again." in str(raised.value)


def test_what_was_half_written_is_never_read_and_is_cleared(ledger):
    ledger.put(IDENTITY, OUTCOME)
    finished = ledger.path(IDENTITY)
    half = finished.with_name(f".{finished.name}.123.tmp")
    finished.rename(half)
    assert ledger.get(IDENTITY) is None
    with ledger.locked():
        assert not half.exists()


HOLD = """
import sys
from pathlib import Path
from lm_eval_cachesteer.sweep.ledger import Ledger
with Ledger(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_one_process_at_a_time(ledger):
    command = [sys.executable, "-c", HOLD, str(ledger.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ResultsError, match="Another sweep is running in .*cells. Wait for it, or .* --out"):
            ledger.locked().__enter__()
        other.kill()  # a killed process holds no lock
        other.wait()
        with ledger.locked():
            pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResultsError, match="cannot be kept in .*file.*Choose another folder"):
        Ledger(tmp_path / "file" / "cells").locked().__enter__()
