"""Whether a run's samples are all there: lm_eval ends well even if the disk was full when it wrote them."""

from ..errors import ResultsError
from .runs import Run
from .samples import read_samples


def check_complete(run: Run) -> None:
    """Checks that the samples of each task can be read and are as many as the run counted.

    Args:
        run: A run with `--log_samples`, of all or the first documents.

    Raises:
        ResultsError: They are not.
    """
    counted = run.content.get("n-samples")
    tasks = counted if isinstance(counted, dict) else dict.fromkeys(run.sample_files)
    for task in tasks or {"any task": None}:
        samples = read_samples(run, task)
        counts = tasks.get(task)
        expected = counts.get("effective") if isinstance(counts, dict) else None
        if expected is not None and len(samples.documents) != expected:
            raise ResultsError(
                f"{samples.file} holds {len(samples.documents)} of {expected} documents. lm_eval could not write them "
                "all: free some space, and run it again."
            )
