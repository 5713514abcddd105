"""A sweep that is killed, by SIGKILL, at any moment ends as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lm_eval_cachesteer.sweep.ledger import Ledger

KILLS = 20
CELLS = 30
# Large enough that a kill can fall into the writing of a cell.
DOCUMENTS = 5000

# Imports once, then forks a sweep for every line read: a process of its own that can be killed at once.
SCRIPT = """
import os, random, sys, time
from pathlib import Path
from lm_eval_cachesteer.sweep.grid import cells, parse_axis
from lm_eval_cachesteer.sweep.ledger import Ledger
from lm_eval_cachesteer.sweep.search import sweep

folder, count, documents = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


class Logging:
    def identity(self, setting, split):
        return {"setting": setting, "split": split}

    def evaluate(self, setting, split):
        time.sleep(random.uniform(0.001, 0.005))
        draws = random.Random(f"{setting.get('c_values', 0.0)} {split}")
        scores = {f"{split} {i}": float(draws.random() < 0.5) for i in range(documents)}
        with open(folder / "log", "a") as log:
            log.write(f"{setting.get('c_values', 0.0)} {split}\\n")
            log.flush()
            os.fsync(log.fileno())
        return {"scores": scores, "size": setting.get("c_values", 0.0), "measures": {}}


settings = cells([parse_axis(f"c_values=1:{count}:1")])
for line in sys.stdin:
    child = os.fork()
    if not child:
        ledger = Ledger(folder / "cells")
        with ledger.locked():
            print("ready", os.getpid(), flush=True)
            sweep(settings, Logging(), ledger)
        os._exit(0)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""


def expected(strength, split):
    draws = random.Random(f"{strength} {split}")
    return {f"{split} {i}": float(draws.random() < 0.5) for i in range(DOCUMENTS)}


def finished(cells):
    return {path.name: path.stat().st_mtime_ns for path in cells.glob("[!.]*.json")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_it_ends_as_if_left_alone(tmp_path):
    moments = random.Random(8)
    cells, log = tmp_path / "cells", tmp_path / "log"
    log.touch()
    kept, evaluated, hits = {}, [], 0
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(CELLS), str(DOCUMENTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:

        def ask():
            forks.stdin.write("go\n")
            forks.stdin.flush()
            return int(forks.stdout.readline().removeprefix("ready "))

        for _ in range(KILLS):
            process = ask()
            time.sleep(moments.uniform(0, 0.06))
            os.kill(process, signal.SIGKILL)
            hits += int(forks.stdout.readline().removeprefix("ended ")) == signal.SIGKILL
            assert kept.items() <= finished(cells).items()  # what was finished stays untouched
            since = log.read_text().splitlines()[len(evaluated) :]
            assert not set(since) & {_named(cells / name) for name in kept}  # and is not evaluated again
            evaluated += since
            kept = finished(cells)
        ask()
        assert forks.stdout.readline() == "ended 0\n"
        forks.stdin.close()

    assert hits == KILLS  # every kill came before the sweep's end
    assert 0 < len(kept) < CELLS + 3
    assert kept.items() <= finished(cells).items()
    strengths = [float(i) for i in range(1, CELLS + 1)]
    content = [json.loads((cells / name).read_text()) for name in finished(cells)]
    chosen = [one["identity"]["setting"] for one in content if one["identity"]["split"] == "held_out"]
    (best,) = [setting for setting in chosen if setting]
    wanted = [({}, "development"), *(({"c_values": s}, "development") for s in strengths)]
    wanted += [({}, "held_out"), (best, "held_out")]
    assert len(content) == len(wanted)
    for setting, split in wanted:
        outcome = Ledger(cells).get({"setting": setting, "split": split})
        strength = setting.get("c_values", 0.0)
        assert outcome == {"scores": expected(strength, split), "size": strength, "measures": {}}
    assert not list(cells.glob(".*.tmp"))
    lines = log.read_text().splitlines()
    assert set(lines) == {f"{setting.get('c_values', 0.0)} {split}" for setting, split in wanted}
    assert len(lines) <= len(wanted) + KILLS  # at most the cell at work is evaluated again


def _named(path):
    identity = json.loads(path.read_text())["identity"]
    return f"{identity['setting'].get('c_values', 0.0)} {identity['split']}"


# Kills itself at the n-th call, of Python or C, that keeping a cell makes; n = 1, 2, ... until there are no more.
AT_EVERY_CALL = """
import itertools, os, signal, sys
from pathlib import Path
from lm_eval_cachesteer.sweep.ledger import Ledger

ledger, identity, outcome = Ledger(Path(sys.argv[1])), {"seed": 0}, {"scores": {"a": 1.0}}
with ledger.locked():
    pass
for number in itertools.count(1):
    child = os.fork()
    if not child:
        calls = itertools.count(1)
        sys.setprofile(lambda *_: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == number else None)
        ledger.put(identity, outcome)
        sys.setprofile(None)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found = ledger.get(identity)
    print("nothing" if found is None else "whole" if found == outcome else "part")
    if status == 0:
        break
    ledger.path(identity).unlink(missing_ok=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_anywhere_while_a_cell_is_kept_it_is_whole_or_absent(tmp_path):
    command = [sys.executable, "-c", AT_EVERY_CALL, str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    found = finished.stdout.split()
    absent = found.count("nothing")
    assert found == ["nothing"] * absent + ["whole"] * (len(found) - absent)
    assert absent > 10
    assert len(found) > absent
    assert list(tmp_path.glob(".*.tmp"))  # some were half-written
