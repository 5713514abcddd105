"""Draws the comparisons: `make bench` writes bench-DEVICE.png beside the figures."""

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from tables import RESULTS


def main() -> None:
    """Draws one file of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS / "bench-cpu.json")
    path = parser.parse_args().results
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = list(content["results"].values())[::-1]
    figure, axes = plt.subplots(figsize=(10, 0.55 * len(rows) + 1.6))
    for i, row in enumerate(rows):
        ratios = [ours / theirs for ours, theirs in zip(row["ours"], row["theirs"], strict=True)]
        color = "tab:green" if row["ratio"] <= row["target"] else "tab:orange"
        axes.barh(i, row["ratio"], color=color, alpha=0.7)
        axes.plot(ratios, [i] * len(ratios), "k.", markersize=4)
        axes.plot([row["target"]] * 2, [i - 0.4, i + 0.4], "k--", linewidth=1.5)
        axes.text(row["ratio"] + 0.02, i + 0.2, f"{row['ratio']:.2f}", va="center", fontsize=8)
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row['work']}\nagainst {row['against']}" for row in rows], fontsize=8)
    axes.set_xlabel("time, ours / theirs (bar: median; dots: rounds; dashes: target)")
    machine = content["machine"]
    axes.set_title(
        f"{machine['device']}, {machine['threads']} threads, {machine['dtype']}, {machine['items']}", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
