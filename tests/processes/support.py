"""Small tasks for runs of several processes, and reading what such a run has written."""

import json
from pathlib import Path

import yaml


def write_task(folder, name, documents, **settings):
    """Writes a task and its documents.

    Args:
        folder: Where to.
        name: Name of the task.
        documents: Its test split.
        **settings: Further keys of the task's YAML.
    """
    data = Path(folder) / f"{name}.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in documents))
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "metadata": {"version": 1.0},
    }
    (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump(task | settings))


def read_run(folder):
    """The results and, by task, the logged samples of the only run below a folder."""
    (path,) = Path(folder).rglob("results_*.json")
    samples = {}
    for file in path.parent.glob("samples_*.jsonl"):
        task = file.name.removeprefix("samples_").rsplit("_", 1)[0]
        samples[task] = [json.loads(line) for line in file.read_text().splitlines()]
    return json.loads(path.read_text()), samples
