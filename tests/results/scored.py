"""Result folders whose figures follow from their samples, with steering as hf-cachesteer records it."""

from statistics import fmean

from .support import right_and_wrong, write_run

STEPWISE = {"name": "stepwise", "kind": "stepwise", "weight": 1.0, "c_keys": 0.0, "c_values": 5.0}


def write_scored(folder, tasks, *, vectors=(), model="tiny", measures=None, config=None, **content):
    """One run; `tasks` maps a task to a pattern of 0 and 1, the right and wrong answers of its documents.

    Args:
        folder: Where to.
        tasks: Task -> pattern.
        vectors: The terms of the steering.
        model: The language model.
        measures: Further figures of every task, by "metric,filter".
        config: Further settings of the run.
        content: As in `write_run`.

    Returns:
        The results file.
    """
    results = {
        task: {"alias": task, "exact_match,none": fmean(map(int, pattern)), "exact_match_stderr,none": 0.05}
        | (measures or {})
        for task, pattern in tasks.items()
    }
    settings = {"model": "hf-cachesteer", "model_args": {"pretrained": model}, "steering": {"vectors": list(vectors)}}
    counted = {task: {"original": 200, "effective": len(pattern)} for task, pattern in tasks.items()}
    samples = {task: right_and_wrong(pattern) for task, pattern in tasks.items()}
    defaults = {"results": results, "config": settings | (config or {}), "n-samples": counted}
    return write_run(folder, samples, **(defaults | content))
