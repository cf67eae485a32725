"""The loop that the three objectives share: seeded, resumable, on a CPU or a GPU.

A batch is a function of the seed and the step alone, and so is the dropout of that step. So a run that was killed goes
on from its last checkpoint with the losses it would have had.

The learning rate warms up, stays, and falls to 0 over the last quarter (Hägele et al. 2024, arXiv 2405.18392). The
state before the fall is kept, so a longer run of the same recipe goes on from there instead of starting again.

A run starts from random weights, or from those of an earlier model of the family: see `pretraining.start`.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from pretraining import start, text, vocabulary
from pretraining.muon import Muon
from utils.errors import CourseError
from utils.files import cache_folder, claim, write_atomically
from utils.machine import fast_precision, processor
from utils.memory import keep_freed_memory

BLOCK = 240  # tokens; one block, two halves or eight eighths make the sequences of a batch
PARTS = (1, 2, 8)  # short sequences too, so that the models know what a short text looks like
PART_SHARES = (0.35, 0.5, 0.15)
SHORT_FIRST = 1000  # steps of eighths only: near tokens are learned first, and masked tokens leave their plateau sooner
CHECKPOINTS = ("checkpoint.pt", "stable.pt")
WARM_UP, FALL = 200, 0.25  # steps, share of all steps


@dataclass(frozen=True)
class Recipe:
    """What decides a run's result, beside its objective and its text.

    Attributes:
        epochs: passes over the training text; the three models have the same.
        blocks: blocks of 240 tokens in a batch.
        learning_rate: peak rate.
        weight_decay: decoupled, of the matrices.
        seed: of the weights, the order, the masks, the dropout.
        start: sha256 of the weights that the run starts from; empty for random ones.
    """

    epochs: float = 6
    blocks: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    seed: int = 0
    start: str = ""


Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """A family's way to learn from text.

    Attributes:
        name: of the model, for example "mini-bert".
        new_model: makes the untrained model for a tokenizer.
        batch_of: from token ids of shape (rows, length), a tokenizer and a source of chance to a batch.
        loss_of: mean loss of a batch, a scalar, in nats.
        separator: the token after each document.
        early_batch_of: takes the place of `batch_of` in training until the rate falls.
    """

    name: str
    new_model: Callable[[PreTrainedTokenizerBase], torch.nn.Module]
    batch_of: Callable[[torch.Tensor, PreTrainedTokenizerBase, torch.Generator], Batch]
    loss_of: Callable[[torch.nn.Module, Batch], torch.Tensor]
    separator: str
    early_batch_of: Callable[[torch.Tensor, PreTrainedTokenizerBase, torch.Generator], Batch] | None = None


def pretrain(
    objective: Objective, recipe: Recipe, folder: Path, earlier: Path | None = None
) -> tuple[torch.nn.Module, PreTrainedTokenizerBase]:
    """Train a family's model on the course's text, or go on with it; returns the model and its tokenizer.

    Args:
        objective: what to learn.
        recipe: how long and how fast.
        folder: of the tokenizer, the checkpoints and the log.
        earlier: folder of an earlier model of the family, whose weights `recipe.start` names; None for random weights.

    Raises:
        CourseError: the folder holds other files.
    """
    if not any((folder / file).is_file() for file in CHECKPOINTS):
        claim(folder, "Name another --folder.")
    tokenizer = vocabulary.load_or_learn(objective.name, folder / "tokenizer")
    separator = tokenizer.convert_tokens_to_ids(objective.separator)
    documents = text.documents("train", text.READINGS)
    tokens, held_out = (stream(tokenizer, part, separator) for part in (documents, text.documents("validation")))
    steps = round(recipe.epochs * steps_per_epoch(tokens, recipe))

    def chance(*number: int) -> torch.Generator:
        return torch.Generator().manual_seed(hash((recipe.seed, *number)))

    def batch_at(step: int) -> Batch:
        early = objective.early_batch_of if step < steps * (1 - FALL) else None
        return (early or objective.batch_of)(blocks_at(tokens, step, recipe), tokenizer, chance(step))

    rows = held_out[: len(held_out) // BLOCK * BLOCK].reshape(-1, BLOCK)[:: max(1, len(held_out) // BLOCK // 256)]
    blocks = torch.from_numpy(rows.astype(np.int64)).split(recipe.blocks)
    torch.manual_seed(recipe.seed)
    model = objective.new_model(tokenizer)
    if earlier is not None:
        start.take_over(model, tokenizer, earlier)
    model = run(
        objective.name,
        model,
        objective.loss_of,
        batch_at,
        [objective.batch_of(ids, tokenizer, chance(1, number)) for number, ids in enumerate(blocks)],
        steps,
        recipe,
        folder,
        characters_per_token=sum(map(len, documents)) / len(tokens),
    )
    return model, tokenizer


def run(
    name: str,
    model: torch.nn.Module,
    loss_of: Callable[[torch.nn.Module, Batch], torch.Tensor],
    batch_at: Callable[[int], Batch],
    held_out: list[Batch],
    steps: int,
    recipe: Recipe,
    folder: Path,
    characters_per_token: float,
    every: int = 250,
) -> torch.nn.Module:
    """Train `model` for `steps` steps, or go on to there; returns it with its final weights, in float32.

    Args:
        name: of the bar.
        model: as it starts; its weights are replaced when a checkpoint is found.
        loss_of: mean loss of a batch, a scalar, in nats.
        batch_at: the batch of a step, counted from 0; it depends on the step only. Tensors of shape (rows, length).
        held_out: batches to measure on, with their masks already drawn.
        steps: length of the whole run.
        recipe: see `Recipe`.
        folder: of checkpoint.pt, stable.pt (before the rate falls) and log.csv.
        characters_per_token: raw characters that a token stands for, for the log.
        every: steps between two measurements and checkpoints.
    """
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    # The exact weights stay in float32; a copy in the processor's fast format does the arithmetic.
    fast = torch.bfloat16 if fast_precision(device.type)[0] == "bfloat16" else torch.float32
    optimizers = make_optimizers(model, recipe, fast)
    folder.mkdir(parents=True, exist_ok=True)
    step, seconds, machines = _restore(folder, model, optimizers, steps, recipe, device)
    if machine(device) not in machines:
        machines.append(machine(device))
    started = time.monotonic() - seconds
    losses = []
    worker = copy.deepcopy(model).to(fast).train()
    pairs = list(zip(model.parameters(), worker.parameters(), strict=True))

    def forward(batch: Batch) -> torch.Tensor:
        return loss_of(worker, {key: value.to(device) for key, value in batch.items()})

    with tqdm(total=steps, initial=step, desc=name, unit="step", smoothing=0.02) as bar:
        while step < steps:
            torch.manual_seed(hash((recipe.seed, step)))  # the dropout of this step, also after a restart
            loss = forward(batch_at(step))
            loss.backward()
            for exact, copied in pairs:
                exact.grad, copied.grad = copied.grad.float(), None
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate_at(step, steps)
                optimizer.step()
            with torch.no_grad():
                for exact, copied in pairs:
                    copied.copy_(exact)
            losses.append(loss.item())
            step += 1
            bar.update()
            if step % every == 0 or step == steps:
                held_out_loss = evaluate(worker, forward, held_out)
                seconds = time.monotonic() - started
                rate = recipe.blocks * BLOCK * step / seconds
                bar.set_postfix_str(f"loss {np.mean(losses):.3f}, held out {held_out_loss:.3f}, {rate:,.0f} tokens/s")
                row = {
                    "step": step,
                    "tokens": step * recipe.blocks * BLOCK,
                    "characters": round(step * recipe.blocks * BLOCK * characters_per_token),
                    "seconds": round(seconds, 1),
                    "loss": round(float(np.mean(losses)), 4),
                    "held_out_loss": round(held_out_loss, 4),
                }
                _log(folder / "log.csv", row)
                losses = []
                state = _state(model, optimizers, step, steps, seconds) | {
                    "recipe": _same(recipe),
                    "epochs": recipe.epochs,
                    "machines": machines,
                }
                _save(state, folder / "checkpoint.pt")
                if step <= steps * (1 - FALL):
                    _save(state, folder / "stable.pt")
    return model


def attention() -> str:
    """The fused kernel, except in bfloat16 on a CPU, where its backward pass takes most of a step."""
    if torch.cuda.is_available() or fast_precision("cpu")[0] == "float32":
        return "sdpa"
    return "eager"


def machine(device: torch.device) -> str:
    """What a run's arithmetic is done on, in words, for the model's card."""
    precision, _ = fast_precision(device.type)
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name()} ({precision})"
    cores = {1: "one core"}.get(torch.get_num_threads(), f"{torch.get_num_threads()} cores")
    return f"{cores} of {processor()} ({precision})"


def make_optimizers(
    model: torch.nn.Module, recipe: Recipe, fast: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, AdamW for embeddings, biases and norms; both take the same learning rate.

    T5 is scaled otherwise than the two others. Its token table starts 50 times larger, so it takes steps ten times
    larger, and so do its position biases, which must grow from near 0 to tell near from far. It does not divide
    attention scores by 8, the root of a head's width; instead its queries start 8 times smaller, so they take steps 8
    times smaller. With the common step, its decoder had learned to read the encoder after 500 steps and lost it again:
    after 4,750, a wrong input raised the held-out loss by 0.04 nats only.
    """
    hidden, queries, tables, rest = [], [], [], []
    for name, parameter in model.named_parameters():
        if name == "shared.weight" or "relative_attention_bias" in name:
            tables.append(parameter)
        elif ".q." in name:
            queries.append(parameter)
        elif parameter.ndim == 2 and not any(part in name for part in TABLES):
            hidden.append(parameter)
        else:
            rest.append(parameter)
    rate = recipe.learning_rate
    groups = [{"params": hidden}, *([{"params": queries, "lr": rate / 8}] if queries else [])]
    muon = Muon(groups, lr=rate, weight_decay=recipe.weight_decay, dtype=fast)
    groups = [{"params": rest}, *({"params": [table], "lr": 10 * rate} for table in tables)]
    adamw = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    for optimizer in (muon, adamw):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adamw]


TABLES = ("embeddings", "wte", "wpe")  # looked up, not multiplied


def rate_at(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: warm-up, plateau, straight fall to 0."""
    warm_up, fall = min(WARM_UP, max(1, steps // 10)), max(1, round(FALL * steps))
    return min(1.0, (step + 1) / warm_up, (steps - step) / fall)


def blocks_at(tokens: np.ndarray, step: int, recipe: Recipe) -> torch.Tensor:
    """The token ids of a step: shape (rows, length), cut from one stream of tokens.

    In each epoch the stream is cut at another offset and its blocks come in another order; the sequences of a step are
    whole blocks, halves or eighths, and eighths only in the first thousand steps from random weights.
    """
    per_epoch = steps_per_epoch(tokens, recipe)
    epoch, place = divmod(step, per_epoch)
    rng = np.random.default_rng((recipe.seed, epoch))
    offset = rng.integers(BLOCK)
    order = rng.permutation((len(tokens) - offset) // BLOCK)[place * recipe.blocks : (place + 1) * recipe.blocks]
    rows = tokens[offset + order[:, None] * BLOCK + np.arange(BLOCK)]
    parts = PARTS[-1]
    if step >= SHORT_FIRST or recipe.start:
        parts = np.random.default_rng((recipe.seed, step, 1)).choice(PARTS, p=PART_SHARES)
    return torch.from_numpy(rows.reshape(-1, BLOCK // parts).astype(np.int64))


def steps_per_epoch(tokens: np.ndarray, recipe: Recipe) -> int:
    """Whole batches in one pass over the stream, whatever its offset."""
    return max(1, (len(tokens) // BLOCK - 1) // recipe.blocks)


def stream(tokenizer, documents: list[str], separator: int) -> np.ndarray:
    """All documents as one row of token ids with `separator` after each; shape (tokens,), uint16."""
    ids = tokenizer(documents, add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.array([*document, separator], dtype=np.uint16) for document in ids])


@torch.no_grad()
def evaluate(model, forward, batches: list[Batch]) -> float:
    """Mean of the batches' losses, dropout off."""
    model.eval()
    losses = [forward(batch).item() for batch in batches]
    model.train()
    return float(np.mean(losses))


def parse(description: str | None, add: Callable[[argparse.ArgumentParser], object] = lambda parser: None):
    """The command line that the three scripts share; `add` puts in what only one of them has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=Recipe.epochs, help="passes over the text (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate, help="peak rate (%(default)s)")
    parser.add_argument("--blocks", type=int, default=Recipe.blocks, help="of 240 tokens in a batch (%(default)s)")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="of weights, order and masks (%(default)s)")
    parser.add_argument(
        "--start", type=Path, help="folder with an earlier mini-bert, mini-gpt and mini-t5 to start from"
    )
    parser.add_argument(
        "--folder", type=Path, default=cache_folder() / "pretraining", help="of checkpoints and logs (%(default)s)"
    )
    add(parser)
    return parser.parse_args()


def recipe_of(options: argparse.Namespace, name: str) -> Recipe:
    """The recipe that a command line asks for, for the model `name`."""
    return Recipe(
        epochs=options.epochs,
        blocks=options.blocks,
        learning_rate=options.learning_rate,
        seed=options.seed,
        start=start.identity(options.start / name) if options.start else "",
    )


def main(objective: Objective, description: str | None) -> None:
    """The program of an objective that has one part."""
    options = parse(description)
    name = objective.name
    earlier = options.start / name if options.start else None
    pretrain(objective, recipe_of(options, name), options.folder / name, earlier)


def _state(model, optimizers, step: int, steps: int, seconds: float) -> dict:
    states = [optimizer.state_dict() for optimizer in optimizers]
    return {"model": model.state_dict(), "optimizers": states, "step": step, "steps": steps, "seconds": seconds}


def _same(recipe: Recipe) -> dict:
    """What two runs must share for one to go on with the other's weights: all but their length."""
    return {name: value for name, value in asdict(recipe).items() if name != "epochs"}


def _restore(folder: Path, model, optimizers, steps: int, recipe: Recipe, device) -> tuple[int, float, list[str]]:
    checkpoints = [folder / file for file in CHECKPOINTS if (folder / file).exists()]
    for path in checkpoints:
        state = torch.load(path, map_location=device, weights_only=True)
        if state["recipe"] != _same(recipe):
            raise CourseError(
                f"{folder} holds a run with {state['recipe']}, not {_same(recipe)}. Name another --folder."
            )
        # A checkpoint from the falling part of a run of another length is of no use to this one.
        if state["steps"] != steps and state["step"] > min(steps, state["steps"]) * (1 - FALL):
            continue
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        _forget_after(folder / "log.csv", state["step"])
        return state["step"], state["seconds"], state["machines"]
    if checkpoints:
        raise CourseError(
            f"{folder} holds a longer run than {steps} steps. Ask for more --epochs or name another --folder."
        )
    (folder / "log.csv").unlink(missing_ok=True)
    return 0, 0.0, []


def _save(state: dict, path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def _log(path: Path, row: dict) -> None:
    new = not path.exists() or not path.stat().st_size
    with open(path, "a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _forget_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    with open(path, newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["step"].isdigit() and int(row["step"]) <= step]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0] if rows else ())
    if rows:
        writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
