"""Lesson 02's fine-tuning over several seeds, beside bag-of-words on the same labels and the same test reviews.

A seed decides the sample of reviews, the new layer's start and the order of training. The test reviews are read once
for each seed; nothing is chosen on them. Run: python -m benchmarks.seeds
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from scripts.day4_ex import fine_tune
from utils.console import run_program
from utils.environment import begin
from utils.files import set_aside, write_atomically
from utils.memory import peak_mib

BUILD = Path(__file__).parent.parent / "build" / "benchmarks"


def main() -> int:
    """Print a line for each seed and the means; write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=BUILD / "seeds.json")
    options = parser.parse_args()
    profile = begin()
    rows = []
    if options.out.exists():
        print(f"{options.out} was there before; it is now {set_aside(options.out).name}.")
    for seed in options.seeds:
        started = time.monotonic()
        right, total = fine_tune(profile, epochs=1, seed=seed, output=BUILD / "model")
        seconds = time.monotonic() - started
        row = {"seed": seed, "encoder": right / total, "bag_of_words": bag_of_words(profile, seed), "seconds": seconds}
        rows.append({**row, "peak_mib": peak_mib()})
        print(json.dumps(rows[-1]), flush=True)
    for name in ("encoder", "bag_of_words"):
        print(f"{name}: mean accuracy {sum(row[name] for row in rows) / len(rows):.4f} over {len(rows)} seeds")
        content = {"precision": profile.precision, "runs": rows}
        write_atomically(options.out, json.dumps(content, indent=2) + "\n", "Give --out another file.")
    return 0


def bag_of_words(profile, seed: int) -> float:
    """Test accuracy of TF-IDF and logistic regression on the reviews of `seed`; C is chosen on validation."""
    from datasets import load_dataset
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from utils.splits import with_validation

    imdb = load_dataset(profile.imdb)
    if "validation" not in imdb:
        imdb = with_validation(imdb)
    sizes = {"train": profile.train_size, "validation": profile.validation_size, "test": profile.test_size}
    parts = {}
    for split, size in sizes.items():
        rows = imdb[split].shuffle(seed=seed)
        rows = rows if size is None else rows.select(range(size))
        parts[split] = (rows["text"], rows["label"])
    models = []
    for C in (1, 10, 100):
        counts = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        model = make_pipeline(counts, LogisticRegression(C=C, max_iter=1000)).fit(*parts["train"])
        models.append((model.score(*parts["validation"]), -C, model))
    _, _, best = max(models, key=lambda candidate: candidate[:2])
    return best.score(*parts["test"])


if __name__ == "__main__":
    run_program(main)
