"""A sweep's evaluator without a model: its scores follow from the setting alone."""

import random

DOCUMENTS = 40


def outcome_of(setting, split):
    """What `FakeEvaluator` finds; the larger `c_values`, the better, up to 3, and the larger the edit."""
    strength = setting.get("c_values", 0.0)
    draws = random.Random(f"{sorted(setting.items())} {split}")
    right = 0.3 + 0.2 * min(3.0, strength)
    scores = {f"{split} {i}": float(draws.random() < right) for i in range(DOCUMENTS)}
    return {"scores": scores, "size": 2.0 * strength, "measures": {"looping": 0.0, "adherence": 0.1 * strength}}


class FakeEvaluator:
    """Remembers what it was asked to evaluate.

    Args:
        version: Part of every identity.
    """

    def __init__(self, version="1"):
        self.version = version
        self.evaluated = []

    def identity(self, setting, split):
        return {"setting": dict(setting), "split": split, "version": self.version}

    def evaluate(self, setting, split):
        self.evaluated.append((dict(setting), split))
        return outcome_of(setting, split)
