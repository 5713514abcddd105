"""Figures of a response, of the kinds that the harness's tasks return."""

import numpy as np


def measured(doc, results):
    """A float, a bool, a figure that only some documents have, and one of numpy's."""
    words = results[0].split()
    answers = [word for word in words if word in ("yes", "no")]
    figures = {
        "numbers": float(sum(word.isdigit() for word in words)),
        "answered": bool(answers),
        "share": np.float32(len(answers) / max(1, len(words))),
    }
    return figures | ({"right": float(answers[-1] == doc["answer"])} if answers else {})
