"""Three ways to fine-tune the same encoder on the same reviews: what each costs, and whether it costs accuracy.

The recipes take turns, each run in a process of its own, so that noise of the machine hits all alike. Every run that
ended is kept: an interrupted benchmark goes on. Run: `make bench`, or python -m benchmarks.finetune --help
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rates import flops, matrix_rate, timed
from utils import machine
from utils.console import run_program
from utils.files import set_aside, write_atomically
from utils.memory import peak_mib

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "finetune.json"
PICTURE = ROOT / "docs" / "pictures" / "finetune.png"
RUN = "one-run"  # how a run in a process of its own is asked for
RATE = 1e-4  # peak learning rate, lesson 02's
BATCH = 16


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes:
        words: what it is, in a few words.
        max_length: tokens of a review that the model sees.
        ends: keep the head and the tail of a long review, not the head only.
        to_longest: fill up to the longest of the batch, not to `max_length`.
        multiple: of how many tokens a filled-up batch is; None for any number.
        grouped: reviews of similar length in one batch.
        frozen: parts that keep their weights, from below: 1 for the embeddings, 2 for them and one layer.
        lean: without work that nothing needs, see `utils.lean`.
        dropout: as in pretraining; else none.
        attention: `attn_implementation`; None for the library's choice.
        fast: in the number format that the processor multiplies fast; else float32.
        rate: peak learning rate.
    """

    words: str
    max_length: int = 512
    ends: bool = False
    to_longest: bool = False
    multiple: int | None = None
    grouped: bool = False
    frozen: int = 0
    lean: bool = False
    dropout: bool = True
    attention: str | None = None
    fast: bool = False
    rate: float = RATE


PLAIN = Recipe(
    "the lesson's choices, but all is trained",
    max_length=256,
    ends=True,
    to_longest=True,
    multiple=32,
    grouped=True,
    dropout=False,
    attention="eager",
    fast=True,
)
OURS = dataclasses.replace(PLAIN, words="lesson 02", lean=True, frozen=3)
RECIPES = {
    "a": Recipe("the ten lines: padded to 512, float32"),
    "b": Recipe("the usual course: dynamic padding, cut at 512, float32", to_longest=True),
    "c": OURS,
    "c in float32": dataclasses.replace(OURS, words="lesson 02 in float32", fast=False),
}
COMPARED = tuple(RECIPES)  # by default
# The others show what reading less and training less cost: benchmarks/results/finetune_choices.json has 4,000 reviews.
# Compare accuracies there, not seconds: its runs of 0 and 1 frozen layers had the last layer at [CLS], the others not.
RECIPES["plain"] = PLAIN
RECIPES |= {
    f"plain, {count} frozen, {times} x": dataclasses.replace(
        PLAIN,
        words=f"embeddings and {count} layers frozen, {times} times the rate",
        frozen=count + 1,
        rate=times * RATE,
    )
    for count in (0, 1, 2, 3)
    for times in (1, 2)
}
RECIPES |= {
    f"plain at {length}": dataclasses.replace(PLAIN, words=f"{length} tokens", max_length=length)
    for length in (64, 128, 192, 384)
}


def main() -> int:
    """Run what has not been run yet, print and write the summary; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=640, help="labelled reviews to train on (%(default)s)")
    parser.add_argument("--test-reviews", type=int, default=2000, help="to measure accuracy on (%(default)s)")
    parser.add_argument("--judge", choices=["test", "validation"], default="test", help="which reviews (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one repetition each (%(default)s)")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=COMPARED, help="%(default)s")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the results (%(default)s)")
    options = parser.parse_args()
    sizes = {"reviews": options.reviews, "test_reviews": options.test_reviews, "judge": options.judge}
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
    if options.out == RESULT:
        draw(results)
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


def in_a_process(recipe: Recipe, processes: int = 1, **asked) -> dict:
    """`measure` in a new process, or in several that share the batches and the cores.

    Raises:
        RuntimeError: it failed; its error stands above.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        call = json.dumps({"recipe": dataclasses.asdict(recipe), **asked, "out": str(out)})
        command = [sys.executable, "-m", "benchmarks.finetune", RUN, call]
        environment = dict(os.environ)
        if processes > 1:
            launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
            command = [sys.executable, "-m", *launcher, "-m", "benchmarks.finetune", RUN, call]
            environment["OMP_NUM_THREADS"] = str(max(1, machine.cores() // processes))
        if subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL).returncode:
            raise RuntimeError(f"The run of {recipe.words!r} with {asked} failed; see above.")
        return json.loads(out.read_text(encoding="utf-8"))


def measure(recipe: Recipe, reviews: int, seed: int, test_reviews: int, out: str, judge: str = "test") -> None:
    """Fine-tune once, measure, write a JSON file: seconds, tokens, padding, matrix rates, memory, right answers.

    Args:
        recipe: how.
        reviews: labelled reviews to train on.
        seed: of the sample, the new layer and the order.
        test_reviews: of other films, to be judged afterwards; 0 for none.
        out: the file; of several processes, the first one writes it.
        judge: the split from which these other reviews come; a choice of recipe is made on "validation".
    """
    from utils.environment import begin

    profile = begin("embedded", uses=[])
    import numpy as np
    import torch
    from datasets import load_dataset
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

    from scripts.day4_ex import head_and_tail, new_model

    device = torch.device("cpu")
    rates = {name: matrix_rate(device, getattr(torch, name)) for name in dict.fromkeys(("float32", profile.precision))}
    precision = profile.precision if recipe.fast else "float32"
    imdb = load_dataset(profile.imdb)
    tokenizer = AutoTokenizer.from_pretrained(profile.encoder)

    def cut(batch: dict) -> dict:
        if recipe.ends:
            return head_and_tail(batch, tokenizer, recipe.max_length)
        ids = tokenizer(batch["text"], truncation=True, max_length=recipe.max_length)["input_ids"]
        return {"input_ids": ids, "length": [len(row) for row in ids]}

    def take(split: str, size: int):
        rows = imdb[split].shuffle(seed=seed).select(range(size))
        return rows.map(cut, batched=True, remove_columns=["text"])

    train, test = take("train", reviews), take(judge, test_reviews)
    model = new_model(profile.encoder, seed, recipe.attention, recipe.frozen, recipe.dropout, recipe.lean)
    collator = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=recipe.multiple)
    if not recipe.to_longest:
        collator = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=recipe.max_length)
    computed = []

    def collate(rows: list[dict]) -> dict:
        batch = collator(rows)
        computed.append(batch["input_ids"].numel())
        return batch

    processes = int(os.environ.get("WORLD_SIZE", 1))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder, learning_rate=recipe.rate, warmup_steps=0.1, num_train_epochs=1, seed=seed,
                per_device_train_batch_size=BATCH // processes, per_device_eval_batch_size=2 * BATCH, use_cpu=True,
                train_sampling_strategy="group_by_length" if recipe.grouped else "random",
                bf16=precision == "bfloat16", save_strategy="no", logging_steps=5, report_to="none", disable_tqdm=True,
                ddp_backend="gloo" if processes > 1 else None, ddp_find_unused_parameters=False,
            ),
            train_dataset=train, processing_class=tokenizer, data_collator=collate,
        )  # fmt: skip
        seconds = timed(trainer.train, device)
        peak = peak_mib()
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if int(os.environ.get("RANK", 0)):
        return
    lengths = np.array(train["length"])
    result = {
        "seed": seed, "reviews": reviews, "processes": processes, "precision": precision, "seconds": seconds,
        "tokens": int(lengths.sum()), "computed_tokens": int(sum(computed)) * processes, "peak_mib": peak,
        "matrix_rate": rates, "needed_flops": flops(model, lengths),
    }  # fmt: skip
    if test_reviews:
        rows, lengths = test.remove_columns("length"), np.array(test["length"])
        # All are judged in the fast format, so that only the training differs.
        with torch.autocast("cpu", getattr(torch, profile.precision), enabled=profile.precision != "float32"):
            right = right_answers(model, rows, lengths, tokenizer)
        result["right"] = "".join(map(str, right.tolist()))  # one text, so that the file stays readable
    Path(out).write_text(json.dumps(result), encoding="utf-8")


def right_answers(model, rows, lengths, tokenizer):
    """Which rows are answered rightly, 1 or 0 each; padding changes no answer, so it is kept small for every recipe."""
    import numpy as np
    import torch
    from transformers import DataCollatorWithPadding

    collator = DataCollatorWithPadding(tokenizer)
    right = np.zeros(len(rows), dtype=int)
    order = np.argsort(lengths, kind="stable")
    with torch.inference_mode():
        for start in range(0, len(order), 2 * BATCH):
            places = order[start : start + 2 * BATCH].tolist()
            batch = collator([rows[place] for place in places])
            right[places] = (model.eval()(**batch).logits.argmax(dim=1) == batch["labels"]).int()
    return right


def summary(runs: list[dict]) -> dict[str, dict]:
    """Means over the seeds of each recipe, and its differences to `c`.

    Returns:
        name -> seconds, reviews and real tokens a second, padding (share), accuracy (share), peak memory (MiB), the
        share of the matrix rate that real tokens use, how many times the seconds of `c`, and the points of accuracy
        above those of `c` with their 95% half-width, over the same reviews.
    """
    import numpy as np

    recipes = {}
    ours = {run["seed"]: run for run in runs if run["recipe"] == "c"}

    def right_in(run: dict) -> np.ndarray:
        return np.array(list(run["right"]), dtype=int)

    for name in dict.fromkeys(run["recipe"] for run in runs):
        own = [run for run in runs if run["recipe"] == name]
        seconds = [run["seconds"] for run in own]
        right = np.concatenate([right_in(run) for run in own])
        recipes[name] = {
            "words": RECIPES[name].words,
            "precision": own[0]["precision"],
            "seconds": float(np.mean(seconds)),
            "seconds_each": seconds,
            "reviews_per_second": float(np.mean([run["reviews"] / run["seconds"] for run in own])),
            "tokens_per_second": float(np.mean([run["tokens"] / run["seconds"] for run in own])),
            "padding": 1 - sum(run["tokens"] for run in own) / sum(run["computed_tokens"] for run in own),
            "accuracy": float(right.mean()),
            "accuracy_half_width": float(1.96 * right.std() / np.sqrt(len(right))),
            "peak_mib": max(run["peak_mib"] for run in own),
            "share_of_matrix_rate": float(np.mean(
                [run["needed_flops"] / run["seconds"] / run["matrix_rate"][run["precision"]] for run in own]
            )),
        }  # fmt: skip
        both = [run for run in own if run["seed"] in ours]
        if both:
            gap = np.concatenate([right_in(ours[run["seed"]]) - right_in(run) for run in both])
            ratios = [run["seconds"] / ours[run["seed"]]["seconds"] for run in both]
            recipes[name] |= {
                "times_the_seconds_of_c": float(np.mean(ratios)),
                "c_minus_this_points": float(100 * gap.mean()),
                "half_width_points": float(196 * gap.std() / np.sqrt(len(gap))),
            }
    return recipes


def as_text(results: dict) -> str:
    """A line for each recipe."""
    lines = []
    for name, row in results["recipes"].items():
        lines.append(
            f"{name:<13} {row['seconds']:7.1f} s  {row['reviews_per_second']:6.2f} reviews/s  "
            f"{row['tokens_per_second']:6.0f} tokens/s  padding {row['padding']:4.0%}  accuracy {row['accuracy']:.3f} "
            f"± {row['accuracy_half_width']:.3f}  {row['peak_mib']:5.0f} MiB  "
            f"{row['share_of_matrix_rate']:.0%} of the matrix rate in {row['precision']}"
        )
        if "times_the_seconds_of_c" in row and name != "c":
            lines.append(
                f"{'':<13} {row['times_the_seconds_of_c']:.1f} times the seconds of c; c is right "
                f"{row['c_minus_this_points']:+.1f} ± {row['half_width_points']:.1f} points more often"
            )
    return "\n".join(lines)


def draw(results: dict) -> None:
    """The README's figure: seconds for each recipe."""
    from utils import plots

    rows = list(results["recipes"].values())
    fig, ax = plots.figure(1.9)
    names = [f"{row['words']} ({100 * row['accuracy']:.1f}% right)" for row in rows]
    colors = [plots.BLUE if row["words"] == OURS.words else plots.GREY for row in rows]
    plots.bars(ax, names, [row["seconds"] for row in rows], colors=colors, text="{:.0f}")
    ax.set_xlabel(f"seconds for {results['reviews']:,} reviews")
    fig.suptitle(f"{rows[0]['times_the_seconds_of_c']:.0f} times faster than the ten lines, by the same Trainer")
    fig.savefig(PICTURE, metadata={"Software": None})


if __name__ == "__main__":
    if sys.argv[1:2] == [RUN]:
        asked = json.loads(sys.argv[2])
        measure(Recipe(**asked.pop("recipe")), **asked)
    else:
        run_program(main)
