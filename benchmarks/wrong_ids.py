"""Lesson 03's learning rates: each of its four starts with four rates, on the validation sentences.

The code is the lesson's own, taken out of the committed notebook; only the sentences to judge on and the rates differ.
Run: python -m benchmarks.wrong_ids
"""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path

from utils.environment import begin
from utils.profiles import banner

ROOT = Path(__file__).parent.parent
LESSON = ROOT / "notebooks" / "03_the_tokenizer_must_match.ipynb"
RATES = (1e-4, 3e-4, 5e-4, 1e-3)


def main() -> int:
    """Print a line for each run and each mean; write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "wrong_ids.json")
    options = parser.parse_args()
    profile = begin()
    lesson = with_validation_sentences(profile)
    rows = []
    for start in lesson["STARTS"]:
        for rate in RATES:
            lesson["RATES"][start] = rate
            for seed in options.seeds:
                lesson["learn_from"](*start, options.labels, seed)
            right = [float(lesson["outcomes"][*start, options.labels, seed].mean()) for seed in options.seeds]
            ids, pretrained = start
            rows.append({"ids": ids, "pretrained": pretrained, "rate": rate, "right": right})
            print(json.dumps(rows[-1]), f"mean {sum(right) / len(right):.3f}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    machine = banner(profile).splitlines()
    options.out.write_text(json.dumps({"machine": machine, "labels": options.labels, "runs": rows}, indent=2) + "\n")
    return 0


def with_validation_sentences(profile) -> dict:
    """The names of the lesson's notebook that `learn_from` needs, judging on the validation sentences."""
    import nbformat
    import numpy as np
    from datasets import load_dataset
    from transformers import AutoTokenizer

    from utils import assets

    tomatoes = load_dataset(str(assets.rotten_tomatoes()))
    scope = {
        "profile": profile, "tomatoes": tomatoes, "test": tomatoes["validation"],
        "truth": np.array(tomatoes["validation"]["label"]),
        "wordpiece": AutoTokenizer.from_pretrained(profile.encoder),
        "bert_tokenizer": AutoTokenizer.from_pretrained(profile.bert),
        "gpt_tokenizer": AutoTokenizer.from_pretrained(profile.gpt),
    }  # fmt: skip
    wanted = {
        "in_range", "wrong_rows", "right_rows", "as_dataset", "fine_tune", "is_right", "new_classifier",
        "counting_words", "learn_from",
    }  # fmt: skip
    cells = [cell.source for cell in nbformat.read(LESSON, as_version=4).cells if cell.cell_type == "code"]
    for node in (node for source in cells for node in ast.parse(source).body):
        if isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "name", None) in wanted:
            exec(compile(ast.Module([node], []), LESSON.name, "exec"), scope)
    scope["rows_of"] = {
        "right": lambda texts: scope["right_rows"](texts, scope["bert_tokenizer"]),
        "wrong": lambda texts: scope["wrong_rows"](texts, scope["gpt_tokenizer"], scope["bert_tokenizer"]),
    }
    (experiment,) = (source for source in cells if "outcomes = {}" in source)  # its constants
    exec(compile(experiment, LESSON.name, "exec"), scope)
    return scope


if __name__ == "__main__":
    raise SystemExit(main())
