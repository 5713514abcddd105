"""Writes result folders as the harness does, for figures chosen by a test."""

import hashlib
import json


def hashed(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def write_run(folder, tasks, *, date="2026-11-01T10-00-00.000001", higher_is_better=None, **content):
    """One run; `tasks` maps a task to its samples: dicts of a document's name, and metrics; "filter" is optional."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "results": {task: {"alias": task} for task in tasks},
        "higher_is_better": {task: higher_is_better or {"exact_match": True} for task in tasks},
        "config": {"model": "hf"},
    }
    path = folder / f"results_{date}.json"
    path.write_text(json.dumps(results | content))
    for task, samples in tasks.items():
        lines = []
        for i, sample in enumerate(samples):
            figures = {name: value for name, value in sample.items() if name not in ("document", "filter", "fields")}
            lines.append(
                {
                    "doc_id": i,
                    "doc": {"question": sample["document"]} | sample.get("fields", {}),
                    "target": "4",
                    "arguments": {"gen_args_0": {"arg_0": sample["document"]}},
                    "resps": [["4"]],
                    "filtered_resps": ["4"],
                    "filter": sample.get("filter", "none"),
                    "metrics": list(figures),
                    "doc_hash": hashed(sample["document"]),
                    "prompt_hash": hashed(sample["document"]),
                    "target_hash": hashed("4"),
                }
                | figures
            )
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"samples_{task}_{date}.jsonl").write_text(text)
    return path


def right_and_wrong(pattern, metric="exact_match", **more):
    """Samples of documents a, b, c, ... that are right where the pattern has a 1."""
    return [{"document": f"document {i}", metric: float(sign), **more} for i, sign in enumerate(pattern)]
