"""Writes runs with answers, as the harness does, for pages chosen by a test."""

import json
import random

from ..results.support import hashed

WORDS = [
    "the",
    "skater",
    "pulls",
    "her",
    "arms",
    "in",
    "and",
    "spins",
    "faster",
    "because",
    "less",
    "of",
    "her",
    "weight",
    "is",
    "far",
    "from",
    "the",
    "axis",
    "so",
]


def answered(question, *responses, target="A", prompt=None, filters=None, **figures):
    """A sample answered in free text; `filters` maps a filter to (what it extracted, its figures)."""
    return {
        "question": question,
        "arguments": [[question if prompt is None else prompt, {"until": []}]],
        "resps": [list(responses)],
        "target": target,
        "filters": filters or {"none": (list(responses[:1]), figures)},
    }


def scored(question, choices, target="0", **figures):
    """A sample scored by likelihood: choice -> its log-likelihood."""
    best = max(choices.values())
    pairs = [[str(likelihood), str(likelihood == best)] for likelihood in choices.values()]
    return {
        "question": question,
        "arguments": [[question, choice] for choice in choices],
        "resps": [[pair] for pair in pairs],
        "target": target,
        "filters": {"none": (pairs, figures)},
    }


def steered(name, model="tiny", **settings):
    """The `config` of a run steered towards a style."""
    term = {"name": name, "kind": name, "weight": 1.0, "c_keys": 0.0, "c_values": 5.0} | settings
    return {"model": "hf-cachesteer", "steering": {"model": model, "vectors": [term]}}


def unsteered(model="tiny"):
    """The `config` of an unsteered run."""
    return {"model": "hf-cachesteer", "steering": {"model": model, "vectors": []}}


def write_answers(folder, tasks, config=None, *, date="2026-11-01T10-00-00.000001"):
    """One run of samples of `answered` or `scored`; its figures are the means of theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for task, samples in tasks.items():
        lines, totals = [], {}
        for number, sample in enumerate(samples):
            for filter_name, (extracted, figures) in sample["filters"].items():
                for metric, figure in figures.items():
                    totals.setdefault(f"{metric},{filter_name}", []).append(figure)
                lines.append(
                    {
                        "doc_id": number,
                        "doc": {"question": sample["question"]},
                        "target": sample["target"],
                        "arguments": {
                            f"gen_args_{i}": {f"arg_{j}": part for j, part in enumerate(request)}
                            for i, request in enumerate(sample["arguments"])
                        },
                        "resps": sample["resps"],
                        "filtered_resps": extracted,
                        "filter": filter_name,
                        "metrics": list(figures),
                        "doc_hash": hashed(sample["question"]),
                        "prompt_hash": hashed(sample["question"]),
                        "target_hash": hashed(sample["target"]),
                    }
                    | figures
                )
        (folder / f"samples_{task}_{date}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        results[task] = {"alias": task} | {name: sum(found) / len(found) for name, found in totals.items()}
    content = {
        "results": results,
        "higher_is_better": {task: {"exact_match": True, "acc": True} for task in tasks},
        "config": config or unsteered(),
        "total_evaluation_time_seconds": "12.5",
    }
    (folder / f"results_{date}.json").write_text(json.dumps(content))


def write_sweep(folder, **changed):
    """A sweep over two settings, whose best cell is c_values 4, layers 1-."""
    cells = [
        {
            "settings": {"c_values": c, "layers": layers},
            "split": "development",
            "score": score,
            "low": score - 0.1,
            "high": score + 0.1,
            "adherence": 0.5,
            "repetition": None,
            "documents": 40,
        }
        for c, layers, score in [(2, "1-", 0.4), (4, "1-", 0.7), (2, "8-", 0.3), (4, "8-", 0.5)]
    ]
    content = {
        "vectors": "stepwise",
        "grid": {"c_values": [2, 4], "layers": ["1-", "8-"]},
        "cells": cells,
        "recommended": {
            "settings": {"c_values": 4, "layers": "1-"},
            "score": 0.7,
            "held_out": {"score": 0.65, "gain": {"difference": 0.05, "low": -0.04, "high": 0.14}},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(content | changed))


def many(count, seed, right=0.5, words=60):
    """Samples of one seeded imaginary run."""
    draw = random.Random(seed)
    samples = []
    for i in range(count):
        text = " ".join(draw.choices(WORDS, k=draw.randint(words // 2, words)))
        figures = {"exact_match": float(draw.random() < right), "stepwise": float(draw.random() < right)}
        question = f"Question {i}: what happens to {WORDS[i % len(WORDS)]} number {i}?"
        samples.append(answered(question, text, prompt=f"Answer.\n\n{question}", **figures))
    return samples
