"""Three ways to fine-tune the same encoder on the same reviews: what each costs, and whether it costs accuracy.

The recipes take turns, each run in a process of its own, so that noise of the machine hits all alike. Every run that
ended is kept: an interrupted benchmark goes on. Run: `make bench`, or python -m benchmarks.finetune --help
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rates import flops, timed
from utils import machine
from utils.console import run_program
from utils.files import set_aside, write_atomically
from utils.intervals import Number
from utils.memory import peak_mib

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "finetune.json"
RUN = "one-run"  # how a run in a process of its own is asked for
RATE = 5e-5  # peak learning rate, lesson 02's


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes:
        words: what it is, in a few words.
        max_length: tokens of a review that the model sees.
        side: where a long review is cut off.
        to_longest: fill up to the longest of the batch, not to `max_length`.
        dropout: inside attention, as in pretraining; else none there.
        fast: in the number format that the processor multiplies fast; else float32.
        batch: reviews of a step.
    """

    words: str
    max_length: int = 512
    side: str = "right"
    to_longest: bool = False
    dropout: bool = True
    fast: bool = False
    batch: int = 16


OURS = Recipe("lesson 02", max_length=192, side="left", to_longest=True, dropout=False, fast=True, batch=8)
RECIPES = {
    "a": Recipe("every review padded to 512 tokens, float32"),
    "b": Recipe("dynamic padding, cut at 512, float32", to_longest=True),
    "c": OURS,
    "c in float32": dataclasses.replace(OURS, words="lesson 02 in float32", fast=False),
}
COMPARED = ("a", "b", "c")  # by default


def main() -> int:
    """Run what has not been run yet, print and write the summary; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=500, help="labelled reviews to train on (%(default)s)")
    parser.add_argument("--test-reviews", type=int, default=500, help="to measure accuracy on (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one repetition each (%(default)s)")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=COMPARED, help="%(default)s")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the results (%(default)s)")
    options = parser.parse_args()
    sizes = {"reviews": options.reviews, "test_reviews": options.test_reviews}
    about = sizes | {"machine": machine.describe()}
    runs = earlier_runs(options.out, about)
    if not runs and options.out != RESULT and options.out.exists():
        print(f"{options.out} holds other results; they are now {set_aside(options.out).name}.")
    for seed in options.seeds:
        for name in options.recipes:
            if any((run["recipe"], run["seed"]) == (name, seed) for run in runs):
                continue
            runs.append({"recipe": name, **in_a_process(RECIPES[name], seed=seed, **sizes)})
            print(json.dumps(runs[-1]), flush=True)
            write(options.out, about | {"recipes": summary(runs), "runs": runs})
    results = about | {"recipes": summary(runs), "runs": runs}
    write(options.out, results)
    print(as_text(results))
    return 0


def earlier_runs(path: Path, about: dict) -> list[dict]:
    """The runs in a file of results, if they are of the same reviews on the same machine."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        return results["runs"] if all(results[name] == value for name, value in about.items()) else []
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def write(path: Path, results: dict) -> None:
    """Write the results whole or not at all."""
    write_atomically(path, json.dumps(results, indent=1) + "\n", "Give --out another file.")


def in_a_process(recipe: Recipe, **asked) -> dict:
    """`measure` in a new process.

    Raises:
        RuntimeError: it failed; its error stands above.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        call = json.dumps({"recipe": dataclasses.asdict(recipe), **asked, "out": str(out)})
        command = [sys.executable, "-m", "benchmarks.finetune", RUN, call]
        if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode:
            raise RuntimeError(f"The run of {recipe.words!r} with {asked} failed; see above.")
        return json.loads(out.read_text(encoding="utf-8"))


def measure(recipe: Recipe, reviews: int, seed: int, test_reviews: int, out: str) -> None:
    """Fine-tune once, measure, write a JSON file: seconds, tokens, padding, matrix rates, memory, right answers.

    Args:
        recipe: how.
        reviews: labelled reviews to train on.
        seed: of the sample, the new layer and the order.
        test_reviews: of other films, to be judged afterwards.
        out: the file.
    """
    import numpy as np
    import torch
    from datasets import Dataset, load_dataset
    from transformers import AutoTokenizer, DataCollatorWithPadding

    from utils import assets
    from utils.finetuning import answers, new_trainer

    fast, _ = machine.fast_precision("cpu")
    precision = fast if recipe.fast else "float32"
    rates = {name: machine.matrix_rate("cpu", name) for name in dict.fromkeys(("float32", fast))}
    imdb = load_dataset(str(assets.imdb()))
    tokenizer = AutoTokenizer.from_pretrained(assets.encoder(), truncation_side=recipe.side)

    def take(split: str, size: int, draw: int) -> Dataset:
        rows = imdb[split].shuffle(seed=draw).select(range(size))
        ids = tokenizer(list(rows["text"]), truncation=True, max_length=recipe.max_length)["input_ids"]
        return Dataset.from_dict({"input_ids": ids, "label": list(rows["label"])})

    train, test = take("train", reviews, seed), take("test", test_reviews, 0)
    padding = {} if recipe.to_longest else {"padding": "max_length", "max_length": recipe.max_length}
    collator, computed = DataCollatorWithPadding(tokenizer, **padding), []

    def collate(rows: list[dict]) -> dict:
        batch = collator(rows)
        computed.append(batch["input_ids"].numel())
        return batch

    with tempfile.TemporaryDirectory() as folder:
        trainer = new_trainer(
            str(assets.encoder()), train, tokenizer, seed=seed, dropout=0.1 if recipe.dropout else 0.0,
            collator=collate, output_dir=folder, learning_rate=RATE, num_train_epochs=1, use_cpu=True,
            bf16=precision == "bfloat16", per_device_train_batch_size=recipe.batch, save_strategy="no",
            disable_tqdm=True,
        )  # fmt: skip
        seconds, peak, trained = timed(trainer.train, torch.device("cpu")), peak_mib(), sum(computed)
    trainer.data_collator = DataCollatorWithPadding(tokenizer)  # padding changes no answer: judge all recipes alike
    right = (answers(trainer, list(test["input_ids"])) == np.array(test["label"])).astype(int)
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    lengths = np.array([len(ids) for ids in train["input_ids"]])
    result = {
        "seed": seed, "reviews": reviews, "precision": precision, "seconds": seconds, "tokens": int(lengths.sum()),
        "computed_tokens": trained, "peak_mib": peak, "matrix_rate": rates, "needed_flops": flops(model, lengths),
    }  # fmt: skip
    result["right"] = "".join(map(str, right.tolist()))  # one text, so that the file stays readable
    Path(out).write_text(json.dumps(result), encoding="utf-8")


def summary(runs: list[dict]) -> dict[str, dict]:
    """Means over the seeds of each recipe, and its differences to `c`, with intervals over seeds and reviews.

    Returns:
        name -> seconds, real tokens a second, padding (share), accuracy (percent), peak memory (MiB), the share of the
        matrix rate that real tokens use, how many times the seconds of `c`, and by how many points `c` is right more
        often; the last two, and the accuracy, as [value, low, high], low and high None with a single seed.
    """
    import numpy as np

    recipes = {}
    ours = {run["seed"]: run for run in runs if run["recipe"] == "c"}

    def right_in(run: dict) -> np.ndarray:
        return 100 * np.array(list(run["right"]), dtype=float)

    for name in dict.fromkeys(run["recipe"] for run in runs):
        own = [run for run in runs if run["recipe"] == name]
        recipes[name] = {
            "words": RECIPES[name].words,
            "precision": own[0]["precision"],
            "seconds": float(np.mean([run["seconds"] for run in own])),
            "seconds_each": [run["seconds"] for run in own],
            "tokens_per_second": float(np.mean([run["tokens"] / run["seconds"] for run in own])),
            "padding": 1 - sum(run["tokens"] for run in own) / sum(run["computed_tokens"] for run in own),
            "accuracy": _over_seeds([right_in(run) for run in own]),
            "peak_mib": max(run["peak_mib"] for run in own),
            "share_of_matrix_rate": float(np.mean(
                [run["needed_flops"] / run["seconds"] / run["matrix_rate"][run["precision"]] for run in own]
            )),
        }  # fmt: skip
        both = [run for run in own if run["seed"] in ours]
        if both:
            recipes[name] |= {
                "times_each": [run["seconds"] / ours[run["seed"]]["seconds"] for run in both],
                "c_minus_this": _over_seeds([right_in(ours[run["seed"]]) - right_in(run) for run in both]),
            }
    return recipes


def _over_seeds(scores: list) -> list[float | None]:
    import numpy as np

    from utils.intervals import over_seeds

    if len(scores) == 1:
        return [float(np.mean(scores)), None, None]
    number = over_seeds(scores)
    return [number.value, number.low, number.high]


def as_text(results: dict) -> str:
    """A line for each recipe."""
    lines = []
    for name, row in results["recipes"].items():
        lines.append(
            f"{name:<13} {row['seconds']:7.1f} s  {row['tokens_per_second']:6.0f} tokens/s  padding "
            f"{row['padding']:4.0%}  {Number(*row['accuracy'], '%')} right  {row['peak_mib']:5.0f} MiB  "
            f"{row['share_of_matrix_rate']:.0%} of the matrix rate in {row['precision']}"
        )
        if "times_each" in row and name != "c":
            times = ", ".join(f"{ratio:.1f}" for ratio in row["times_each"])
            lines.append(
                f"{'':<13} {times} times the seconds of c; c is right more often by "
                f"{Number(*row['c_minus_this'], ' points')}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [RUN]:
        asked = json.loads(sys.argv[2])
        measure(Recipe(**asked.pop("recipe")), **asked)
    else:
        run_program(main)
