"""Draws sweeps.svg from development.json: coefficient against adherence and looping, one panel for each vector."""

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "cachesteer"  # the same figures make the same file
mpl.rcParams["svg.fonttype"] = "none"  # text stays text
from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen first

COLUMNS = 3


def plot_sweeps(path: Path) -> None:
    """Draws the sweeps of a development.json beside it."""
    sweeps = json.loads(path.read_text(encoding="utf-8"))
    rows = -(-len(sweeps) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(9, 2.4 * rows), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(sweeps) :]:
        axis.set_visible(False)
    for axis, (kind, sweep) in zip(axes.flat, sweeps.items(), strict=False):
        coefficients = [trial["c_values"] for trial in sweep["trials"]]
        for figure_name, style in (("adherence", "o-"), ("looping", "x--")):
            shares = [100 * trial[figure_name] for trial in sweep["trials"]]
            axis.plot(coefficients, shares, style, label=figure_name, markersize=4)
        axis.axvline(sweep["recommended"]["c_values"], color="gray", linewidth=0.8)
        axis.set_title(kind, fontsize=10)
        axis.set_ylim(-5, 105)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("% of answers")
    for axis in axes.flat[max(0, len(sweeps) - COLUMNS) : len(sweeps)]:
        axis.set_xlabel("c_values")
        axis.tick_params(labelbottom=True)
    axes.flat[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path.with_name("sweeps.svg"), metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    from lm_eval_cachesteer.sources.embedded import MODEL_ID
    from lm_eval_cachesteer.sources.folders import vectors_folder
    from lm_eval_cachesteer.sources.resolve import model_folder

    plot_sweeps(vectors_folder() / model_folder(MODEL_ID) / "development.json")
