"""Lesson 02 beforehand: accuracy against labels, for fine-tuning, a random start and the baselines.

Each run is kept as it ends, so the same command goes on after an interrupt; runs of other machines stay.
Run: python -m notebooks.source.lesson_02.beforehand [--starts NAME ...] [--labels N ...] [--seeds N ...]
What a processor does that has no fast 16-bit arithmetic: --starts "fine-tuning in float32" --labels 240
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from filelock import FileLock

from utils import machine, profiles
from utils.console import run_program
from utils.files import cache_folder, write_atomically

RESULTS = Path(__file__).parent / "results" / "labels.json"
STARTS = ("counting words", "feature extraction", "fine-tuning", "random start", "small encoder")
FLOAT32 = "fine-tuning in float32"  # with the sizes that lesson 02 takes on such a processor
LABELS, SEEDS, TESTED, LENGTH, BATCH = (50, 200, 500, 1000), (0, 1, 2), 1000, 192, 8
RATES = {"fine-tuning": 5e-5, FLOAT32: 5e-5, "random start": 5e-5, "small encoder": 1e-4}
STEPS = 60  # at least; with few labels, several epochs
_VECTORS: dict[tuple, np.ndarray] = {}  # of texts that a frozen encoder read, by folder and ids


def right_beforehand(start: str, labels: int) -> np.ndarray:
    """Which of 1,000 test reviews were judged right, measured beforehand; shape (seeds, 1000), bool.

    Args:
        start: one of STARTS, or FLOAT32.
        labels: how many the start learned from; one of LABELS.
    """
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))["runs"]
    found = [run["right"] for run in runs if (run["start"], run["labels"]) == (start, labels)]
    return np.array([list(map(int, bits)) for bits in found], dtype=bool)


def main() -> int:
    """Make the runs that are not in the file yet; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", nargs="+", choices=(*STARTS, FLOAT32), default=STARTS, help="%(default)s")
    parser.add_argument("--labels", nargs="+", type=int, default=LABELS, help="%(default)s")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="%(default)s")
    options = parser.parse_args()
    for seed in options.seeds:
        for labels in options.labels:
            for start in options.starts:
                if any((run["start"], run["labels"], run["seed"]) == (start, labels, seed) for run in _runs()):
                    continue
                began = time.monotonic()
                right = judged(start, labels, seed)
                run = {
                    "start": start, "labels": labels, "seed": seed, "seconds": round(time.monotonic() - began),
                    "machine": machine.describe(), "right": "".join(map(str, right.astype(int))),
                }  # fmt: skip
                with FileLock(cache_folder() / "labels.lock"):  # two may run side by side
                    runs = sorted([*_runs(), run], key=lambda run: (run["start"], run["labels"], run["seed"]))
                    write_atomically(RESULTS, json.dumps({"runs": runs}, indent=1) + "\n")
                print(f"{start}, {labels} labels, seed {seed}: {right.mean():.1%} in {run['seconds']} s", flush=True)
    return 0


def _runs() -> list[dict]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if RESULTS.exists() else []


def judged(start: str, labels: int, seed: int) -> np.ndarray:
    """Learn from so many labels, drawn with the seed; which test reviews are judged right, shape (1000,), bool.

    Fine-tuning has the arguments of lesson 02's script, and at least STEPS steps, in float32 one epoch; to save time,
    batches have reviews of similar length.
    """
    from datasets import Dataset, load_dataset
    from transformers import AutoTokenizer

    from utils import assets
    from utils.finetuning import answers, new_trainer
    from utils.resume import run_folder

    reviews = load_dataset(str(assets.imdb()))
    train = reviews["train"].shuffle(seed=seed).select(range(labels))
    test = reviews["test"].shuffle(seed=0).select(range(TESTED))
    truth = np.array(test["label"])
    if start == "counting words":
        from sklearn.feature_extraction.text import TfidfVectorizer

        counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        classifier = searched().fit(counter.fit_transform(train["text"]), list(train["label"]))
        return classifier.predict(counter.transform(test["text"])) == truth
    folder = str(assets.small_encoder() if start == "small encoder" else assets.encoder())
    length, batch = profiles.BY_RATE[60][2:] if start == FLOAT32 else (LENGTH, BATCH)
    tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left")
    learned, tried = (
        tokenizer(list(part["text"]), truncation=True, max_length=length)["input_ids"] for part in (train, test)
    )
    if start == "feature extraction":
        return by_features(folder, tokenizer, learned, train["label"], tried) == truth
    epochs = 1 if start == FLOAT32 else max(1, -(-STEPS * batch // labels))
    rows = Dataset.from_dict({"input_ids": learned, "label": list(train["label"])})
    trainer = new_trainer(
        folder, rows, tokenizer, seed=seed, pretrained=start != "random start", learning_rate=RATES[start],
        output_dir=run_folder("02-beforehand"), per_device_train_batch_size=batch, per_device_eval_batch_size=16,
        num_train_epochs=epochs, train_sampling_strategy="group_by_length",
        bf16=start != FLOAT32 and machine.fast_precision("cpu")[0] == "bfloat16", use_cpu=True, save_strategy="no",
        disable_tqdm=True,
    )  # fmt: skip
    trainer.train()
    return answers(trainer, tried) == truth


def by_features(folder: str, tokenizer, learned, labels, tried) -> np.ndarray:
    """Labels by logistic regression on the frozen encoder's mean vectors, as in the lesson."""
    from utils.vectors import mean_vectors

    profile = SimpleNamespace(encoder=folder, device="cpu", precision=machine.fast_precision("cpu")[0])

    def read(rows: list[list[int]]) -> np.ndarray:
        new = [list(ids) for ids in dict.fromkeys(map(tuple, rows)) if (folder, ids) not in _VECTORS]
        if new:
            found = mean_vectors(profile, tokenizer, new)
            _VECTORS.update({(folder, tuple(ids)): vector for ids, vector in zip(new, found, strict=True)})
        return np.stack([_VECTORS[folder, tuple(ids)] for ids in rows])

    return searched().fit(read(learned), list(labels)).predict(read(tried))


def searched():
    """The lesson's logistic regression; cross-validation on the labelled reviews chooses C."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    regression = LogisticRegression(max_iter=1000, class_weight="balanced")
    return GridSearchCV(regression, {"C": [0.1, 1, 10, 100]}, cv=5)


if __name__ == "__main__":
    run_program(main)
