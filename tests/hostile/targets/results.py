"""Result folders, and sweeps."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lm_eval_cachesteer.gate.decision import decide
from lm_eval_cachesteer.gate.junit import junit
from lm_eval_cachesteer.gate.policy import Check, Policy
from lm_eval_cachesteer.gate.summary import summary
from lm_eval_cachesteer.report.data import report_data
from lm_eval_cachesteer.report.page import as_script_data
from lm_eval_cachesteer.results.comparison import compare_runs
from lm_eval_cachesteer.results.leaderboard import leaderboard
from lm_eval_cachesteer.results.listing import as_csv, as_json, as_markdown
from lm_eval_cachesteer.results.remarks import remarks
from lm_eval_cachesteer.results.runs import Run, find_runs

from ..cases import EDITS, JSON_VALUES, Change, Edit, changes_of, edited, replaced
from ..property import assert_one_line, tried

_DATE = "2026-11-01T10-00-00.000001"
_TOKENS = (b"{", b"]", b"\n", b"\xff", b"1e999", b'"\\ud800"', b"[" * 300)


def _answered(number: int, figure: float) -> dict[str, Any]:
    """A document answered in free text."""
    return {
        "doc_id": number,
        "doc": {"question": f"q{number}", "text": "t"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"q{number}", "arg_1": {"until": []}}},
        "resps": [["Step 1: two and two. Step 2: four"]],
        "filtered_resps": [["4", "boxed"]],
        "filter": "none",
        "metrics": ["exact_match", "words"],
        "doc_hash": f"d{number}",
        "prompt_hash": f"p{number}",
        "target_hash": "t",
        "exact_match": figure,
        "words": 7.5 + number,
    }


def _chosen(number: int, figure: float) -> dict[str, Any]:
    """A document answered by likelihoods."""
    requests = {f"gen_args_{i}": {"arg_0": "q", "arg_1": f" {i}"} for i in range(2)}
    choices = {"arguments": requests, "resps": [[["-1.5", "False"]], [[-2.5, True]]], "target": 1}
    return _answered(number, figure) | choices | {"metrics": ["acc"], "acc": figure}


def _results(vectors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = {"generate_until": {"requests": 4, "interventions": 4, "not_steered": 0}}
    steering = {"vectors": vectors, "model": "m", "fingerprint": "f", "steer_loglikelihood": True, "counts": counts}
    return {
        "results": {
            "t": {"alias": "t", "exact_match,none": 0.5, "exact_match_stderr,none": 0.2, "words,none": 9.0},
            "c": {"alias": "c", "acc,none": 0.5},
            "g": {"alias": "g", "acc,none": 0.5},
        },
        "group_subtasks": {"g": ["t", "c"]},
        "configs": {"t": {"generation_kwargs": {"do_sample": True, "until": []}}, "c": {}},
        "versions": {"t": 1.0, "c": 1},
        "n-shot": {"t": 2},
        "n-samples": {"t": {"original": 4, "effective": 4}},
        "higher_is_better": {"t": {"exact_match": True, "words": True}, "c": {"acc": True}},
        "config": {
            "model": "hf-cachesteer",
            "model_args": {"pretrained": "m", "dtype": "float32"},
            "gen_kwargs": {"temperature": 0.5},
            "torch_seed": 0,
            "steering": steering,
        },
        "total_evaluation_time_seconds": "12.5",
        "chat_template": None,
    }


_TERM = {"name": "stepwise", "kind": "stepwise", "weight": 1.0, "sha256": "97", "c_keys": 0.0, "c_values": 5.0}
_SAMPLES = {
    "t": [_answered(number, float(number % 2)) for number in range(4)],
    "c": [_chosen(number, number / 3) for number in range(4)],
}
_RUN = {"results": _results([_TERM])} | _SAMPLES
_CELL = {"split": "development", "documents": 4, "score": 0.5, "low": 0.1, "high": 0.9, "repetition": 0.1}
_GRID = {"c_values": [1, 2], "layers": ["1-", "all"], "heads": [1, 2]}
_SWEEP = {
    "vectors": "mine",
    "tasks": ["t"],
    "grid": _GRID,
    "cells": [
        {"settings": {"c_values": c_values, "layers": layers, "heads": heads}} | _CELL
        for c_values in _GRID["c_values"]
        for layers in _GRID["layers"]
        for heads in _GRID["heads"]
    ],
    "recommended": {
        "settings": {"c_values": 2, "layers": "1-", "heads": 1},
        "score": 0.5,
        "held_out": {"score": 0.5, "gain": {"difference": 0.1, "low": -0.1, "high": 0.3}},
    },
}
_POLICY = Policy(
    same=("model", "steering", "generation"),
    checks=(Check("exact_match", "not_worse_by", 0.1), Check("words", "at_most", 9.0, confident=True)),
    allow_unmatched=True,
)


@dataclass(frozen=True)
class Changed:
    """What is changed.

    Attributes:
        kind: "run", or "sweep" for what a sweep leaves beside runs.
        parts: Parts of the JSON.
        file: Number of a file of the run.
        edits: Edits of that file's bytes.
    """

    kind: str
    parts: Sequence[Change]
    file: int
    edits: Sequence[Edit]


def _cases(kinds: tuple[str, ...]) -> st.SearchStrategy[Changed]:
    return st.builds(
        Changed,
        kind=st.sampled_from(kinds),
        parts=changes_of(JSON_VALUES, 4),
        file=st.integers(0, 2),
        edits=st.sampled_from(((), (), ())) | EDITS,
    )


RUNS, REPORTS = _cases(("run",)), _cases(("run", "sweep"))


def check(changed: Changed, folder: Path) -> None:
    """Runs that are read can be compared, listed and judged, or it is said why not."""
    said: list[str] = []
    runs = tried(lambda: find_runs(_written(changed, folder), lambda error: said.append(str(error)))) or []
    if len(runs) == 2:
        _check_pair(*runs)
    entries = tried(lambda: leaderboard(runs, left_out=lambda error: said.append(str(error))))
    if entries is not None:
        as_markdown(entries).encode()
        json.loads(as_json(entries))
        assert len({len(row) for row in csv.reader(io.StringIO(as_csv(entries)))}) == 1
    for message in said:
        assert_one_line(message)


def check_report(changed: Changed, folder: Path) -> None:
    """Runs and sweeps that are read can be shown, and what is left out is named."""
    data = tried(lambda: report_data(_written(changed, folder)))
    if data is not None:
        assert json.loads(as_script_data(data))
        for message in data["remarks"]:
            assert_one_line(message)


def _written(changed: Changed, folder: Path) -> list[str]:
    """Writes a sound run and a changed one; returns where they are."""
    base, other = folder / "base", folder / "other"
    if not base.exists():
        _write(base, {"results": _results([])} | _SAMPLES)
    for old in other.glob("*") if other.exists() else ():
        old.unlink()
    if changed.kind == "sweep":
        _write(other, _RUN)
        content = json.dumps(replaced(_SWEEP, changed.parts)).encode()
        (other / "sweep.json").write_bytes(edited(content, changed.edits, _TOKENS))
    else:
        _write(other, replaced(_RUN, changed.parts), changed)
    return [str(base), str(other)]


def _check_pair(base: Run, other: Run) -> None:
    for tasks in ((), ("t",), ("c",)):
        comparison = tried(lambda tasks=tasks: compare_runs(base, other, tasks=tasks, allow_unmatched=True))
        if comparison is not None:
            assert all(0 <= one.adjusted <= 1 for one in comparison.metrics)
            assert all(isinstance(line, str) for line in remarks(comparison))
    decision = tried(lambda: decide(base, other, _POLICY))
    if decision is not None:
        assert decision.exit_code in (0, 1, 2)
        assert junit(decision)
        summary(decision).encode()
        json.dumps(decision.described(), allow_nan=False)


def _write(folder: Path, content: Any, changed: Changed | None = None) -> None:
    """Writes a run as the harness does, with whatever it holds."""
    folder.mkdir(exist_ok=True)
    texts = {f"results_{_DATE}.json": json.dumps(content.get("results"))}
    for task in ("t", "c"):
        lines = content.get(task, [])
        lines = lines if isinstance(lines, list) else [lines]
        texts[f"samples_{task}_{_DATE}.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines)
    for number, (name, text) in enumerate(texts.items()):
        edits = changed.edits if changed is not None and changed.file == number else ()
        (folder / name).write_bytes(edited(text.encode(), edits, _TOKENS))
