"""Runs and policies for the gate's tests."""

from xml.etree import ElementTree as ET

from lm_eval_cachesteer.results.runs import find_run

from ..results.support import right_and_wrong, write_run

STEERING = {
    "vectors": [{"name": "stepwise", "weight": 1.0, "sha256": "97f2", "c_keys": 0.0, "c_values": 5.0}],
    "layers": [1, 2],
    "heads": "all",
    "offset_token": "\n",
    "steer_loglikelihood": True,
    "versions": {"torch": "2.6"},
    "model": "SmolLM2",
    "fingerprint": "f1",
    "counts": {"generate_until": {"requests": 50, "interventions": 50, "not_steered": 0}},
}


def steered(**changes):
    """The `config` of a steered run; changes are made to what it records of its steering."""
    return {"config": {"model": "hf-cachesteer", "steering": STEERING | changes}}


def run_of(folder, tasks, **content):
    """A run on disk, found again; a task given as "1101" has documents that are right where there is a 1."""
    samples = {task: right_and_wrong(given) if isinstance(given, str) else given for task, given in tasks.items()}
    return find_run(str(write_run(folder, samples, **content)))


def measured(figures, metric="repetition", **more):
    """Samples of one document for each figure."""
    return [{"document": f"document {i}", metric: figure, **more} for i, figure in enumerate(figures)]


def parsed_xml(content):
    """The root of a report that the gate wrote."""
    return ET.fromstring(content)  # noqa: S314 - our own output
