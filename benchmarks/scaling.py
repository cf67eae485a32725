"""How time and memory of lesson 02's fine-tuning grow with reviews, with tokens of a review and with processes.

Each point is the median of several runs in processes of their own, which take turns. The exponent is the slope of a
line through the logarithms: 1 means that twice as much takes twice as long. Run: python -m benchmarks.scaling
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from statistics import median

from benchmarks.finetune import OURS, in_a_process, write
from utils import machine
from utils.console import run_program

RESULT = Path(__file__).parent / "results" / "scaling.json"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "scaling.png"


def main() -> int:
    """Measure, print, write, draw; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, nargs="+", default=[160, 320, 640, 1280], help="(%(default)s)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512], help="tokens (%(default)s)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="(%(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each (%(default)s)")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the results (%(default)s)")
    options = parser.parse_args()
    fixed = options.reviews[len(options.reviews) // 2 - 1]
    points = [{"part": "reviews", "x": size, "reviews": size} for size in options.reviews]
    points += [{"part": "tokens", "x": length, "reviews": fixed, "max_length": length} for length in options.lengths]
    points += [{"part": "processes", "x": count, "reviews": fixed, "processes": count} for count in options.processes]
    for seed in range(options.repetitions):
        for point in points:
            recipe = dataclasses.replace(OURS, max_length=point.get("max_length", OURS.max_length))
            asked = {"reviews": point["reviews"], "processes": point.get("processes", 1)}
            run = in_a_process(recipe, seed=seed, test_reviews=0, **asked)
            point.setdefault("runs", []).append({name: run[name] for name in ("seconds", "tokens", "peak_mib")})
            print(point["part"], point["x"], json.dumps(point["runs"][-1]), flush=True)
    results = {"machine": machine.describe(), "fixed_reviews": fixed, "parts": by_part(points)}
    write(options.out, results)
    for part, row in results["parts"].items():
        print(f"{part}: seconds {row['seconds']}, MiB {row['peak_mib']}, exponent of time {row['exponent']:.3f}")
    if options.out == RESULT:
        draw(results)
    return 0


def by_part(points: list[dict]) -> dict[str, dict]:
    """What was varied -> its values, median seconds, tokens and memory, and the exponents of time.

    `exponent` is against what was varied, `exponent_of_tokens` against the real tokens, which seeds and cuts change.
    """
    rows = {}
    for part in dict.fromkeys(point["part"] for point in points):
        own = [point for point in points if point["part"] == part]
        row = {"x": [point["x"] for point in own]}
        for name in ("seconds", "tokens", "peak_mib"):
            row[name] = [round(median(run[name] for run in point["runs"]), 2) for point in own]
        row["exponent"] = slope(row["x"], row["seconds"])
        if part != "processes":
            row["exponent_of_tokens"] = slope(row["tokens"], row["seconds"])
        row["memory_growth"] = max(row["peak_mib"]) / min(row["peak_mib"]) - 1
        rows[part] = row | {"runs": [point["runs"] for point in own]}
    return rows


def slope(x: list[float], y: list[float]) -> float:
    """Slope of the least-squares line through the logarithms of at least two points."""
    import numpy as np

    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def draw(results: dict) -> None:
    """Time against each of the three in logarithms, with the fitted lines."""
    import numpy as np

    from utils import plots

    fig, axes = plots.figure(2.6, columns=3)
    labels = {"reviews": "reviews", "tokens": "tokens of a review, at most", "processes": "processes"}
    for ax, (part, row) in zip(axes, results["parts"].items(), strict=True):
        x, seconds = np.array(row["x"]), np.array(row["seconds"])
        fitted = np.exp(np.log(seconds).mean() + row["exponent"] * (np.log(x) - np.log(x).mean()))
        ax.plot(x, fitted, ":", color=plots.BLACK)
        ax.plot(x, seconds, "o", color=plots.BLUE)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set(xlabel=labels[part], ylim=(seconds.min() / 2, 2 * seconds.max()))
        ax.set_xticks(x, x.tolist())
        ax.set_yticks(seconds, [f"{value:.0f}" for value in seconds])
        ax.minorticks_off()
        ax.set_title(f"exponent {row['exponent']:.2f}" if part != "processes" else "the same cores")
    axes[0].set_ylabel("seconds")
    fig.suptitle(f"Fine-tuning as in lesson 02; {results['fixed_reviews']} reviews where another thing varies")
    fig.savefig(PICTURE, metadata={"Software": None})


if __name__ == "__main__":
    run_program(main)
