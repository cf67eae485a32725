"""Lesson 03 beforehand: its four starts with four learning rates each, and the runs that would take too long there.

The code is the lesson's own: the cells that are needed are run.
Run: python -m benchmarks.wrong_ids rates      (accuracies on the validation sentences; about 15 minutes)
     python -m benchmarks.wrong_ids runs       (the runs that come with the course; about 3 minutes)
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.label_budgets import RESULTS, names_of
from utils.console import run_program
from utils.files import write_atomically
from utils.profiles import banner

RATES = (1e-4, 3e-4, 5e-4, 1e-3)
LABELS = 500
NEEDED = (
    "import numpy as np\nfrom babel", "tomatoes = load_dataset", "def in_range", "def rows_in_use", "bert_tokenizer =",
    "rows_of = {", "def as_dataset", "def fine_tune", "def new_classifier", "BUDGETS, SEEDS, EPOCHS =",
    "def learn_from", "experiments = Experiments(",
)  # fmt: skip


def main() -> int:
    """Run one part; write its JSON into benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rates", "runs"))
    part = parser.parse_args().part
    lesson = lesson_03()
    machine = banner(lesson["profile"]).splitlines()
    if part == "runs":
        wanted = {lesson["learn_from"]: lesson["beforehand_runs"]}
        lesson["experiments"].run(lesson["learn_from"], lesson["beforehand_runs"], "runs")
        lesson["experiments"].write_beforehand(wanted, RESULTS / "wrong_ids_runs.json", machine)
        return 0
    lesson["experiments"].beforehand = {}
    judge_on_validation(lesson)
    grid = [
        {"ids": ids, "pretrained": pretrained, "labels": LABELS, "seed": seed, "rate": rate}
        for ids, pretrained in lesson["STARTS"] for rate in RATES for seed in lesson["SEEDS"]
    ]  # fmt: skip
    rows: dict[tuple, list[float]] = {}
    for one, found in zip(grid, lesson["experiments"].run(lesson["learn_from"], grid, "rates"), strict=True):
        rows.setdefault((one["ids"], one["pretrained"], one["rate"]), []).append(float(np.mean(found[one["ids"]])))
    for key, right in rows.items():
        print(*key, f"mean {np.mean(right):.3f}")
    listed = [dict(zip(("ids", "pretrained", "rate"), key, strict=True), right=right) for key, right in rows.items()]
    content = json.dumps({"machine": machine, "labels": LABELS, "runs": listed}, indent=2)
    write_atomically(RESULTS / "wrong_ids.json", content + "\n")
    return 0


def lesson_03() -> dict:
    """What lesson 03 has defined when its runs are planned and none has been made."""
    return names_of("03_the_tokenizer_must_match", "imdb = load_dataset", *NEEDED)


def judge_on_validation(lesson: dict) -> None:
    """Let the lesson's runs be judged on the validation sentences, and keep them apart from its own."""
    sentences = lesson["tomatoes"]["validation"]
    lesson["truth"] = np.array(sentences["label"])
    lesson["test_rows"] = {ids: lesson["rows_of"][ids](sentences["text"]) for ids in lesson["test_rows"]}
    experiments = lesson["experiments"]
    experiments.data = [*experiments.data, "validation"]


if __name__ == "__main__":
    run_program(main)
