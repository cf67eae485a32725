"""mini-t5: text to text (Raffel et al. 2019, arXiv 1910.10683).

First span corruption: spans of the text are taken out and must be written (section 3.1.4; 15%, mean length 3). Then the
mixture of `pretraining.tasks`, each told by its prefix, and span corruption still.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import T5Config, T5ForConditionalGeneration

from pretraining import loop, tasks, text
from pretraining.bert import IGNORED
from pretraining.vocabulary import SENTINELS
from utils.console import run_program

CORRUPTED, MEAN_SPAN = 0.15, 3
ROWS = {"translate": 120, "sentiment": 40, "title": 40, "topic": 40}  # examples in a batch of a task
LIMIT = 240  # tokens of an input
LAYERS = 2  # of the encoder, and as many of the decoder


def corrupt_spans(ids: list[int], sentinels: list[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """T5's objective: take spans out, put a sentinel in the place of each, write what was taken after its sentinel.

    Args:
        ids: a text's token ids.
        sentinels: ids of <extra_id_0>, <extra_id_1>, …
        rng: source of chance.

    Returns:
        Input and target: "A <extra_id_0> C" and "<extra_id_0> B <extra_id_1>" for the text "A B C".
    """
    taken = max(1, round(CORRUPTED * len(ids)))
    spans = max(1, round(taken / MEAN_SPAN))
    lengths = zip(_cut(len(ids) - taken, spans, rng), _cut(taken, spans, rng), strict=True)
    source, target = [], []
    place = 0
    for sentinel, (before, span) in zip(sentinels, lengths, strict=False):
        source += [*ids[place : place + before], sentinel]
        target += [sentinel, *ids[place + before : place + before + span]]
        place += before + span
    return source + ids[place:], [*target, sentinels[spans]]


def _cut(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """Lengths of `parts` pieces of at least 1 that add up to `total`, all ways equally likely."""
    ends = np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False))
    return np.diff([0, *ends, total]).tolist()


def batch_of(ids: torch.Tensor, tokenizer, generator: torch.Generator) -> loop.Batch:
    """Inputs and labels of shape (rows, length), </s> at the end of each; all rows are equally long."""
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    sentinels = tokenizer.convert_tokens_to_ids([f"<extra_id_{number}>" for number in range(SENTINELS)])
    rows = [corrupt_spans(row, sentinels, rng) for row in ids.tolist()]
    end = tokenizer.eos_token_id
    return {
        "input_ids": torch.tensor([[*source, end] for source, _ in rows]),
        "labels": torch.tensor([[*target, end] for _, target in rows]),
    }


def loss_of(model: T5ForConditionalGeneration, batch: loop.Batch) -> torch.Tensor:
    """Mean cross-entropy (nats) of the target's tokens; the model shifts them to the right for its decoder."""
    labels = batch["labels"]
    decoder_input_ids = model._shift_right(labels)
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    logits = model(**inputs, decoder_input_ids=decoder_input_ids, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)


def new_model(tokenizer) -> T5ForConditionalGeneration:
    """2 layers of encoder and 2 of decoder, width 256; with `d_ff` 768 they weigh what 4 layers of the others do."""
    config = T5Config(
        vocab_size=len(tokenizer), d_model=256, d_kv=64, d_ff=768, num_layers=LAYERS, num_decoder_layers=LAYERS,
        num_heads=4, dropout_rate=0.0, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id, attn_implementation="eager",
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


OBJECTIVE = loop.Objective("mini-t5", new_model, batch_of, loss_of, separator="</s>")


class Tasks:
    """The supervised mixture: batches of one task each.

    Args:
        split: "train" or "validation".
        seed: of the order.
    """

    def __init__(self, split: str, tokenizer, seed: int) -> None:
        self.split, self.tokenizer, self.seed = split, tokenizer, seed

    def batch(self, task: str, number: int) -> loop.Batch:
        """A batch of one task; `number` decides its content. Padding has the label -100."""
        rng = random.Random(hash((self.seed, number)))
        sources, targets = zip(*tasks.examples(task, self.split, rng, ROWS[task]), strict=True)
        inputs = self.tokenizer(list(sources), truncation=True, max_length=LIMIT, padding=True, return_tensors="pt")
        labels = self.tokenizer(list(targets), padding=True, return_tensors="pt")
        labels = torch.where(labels["attention_mask"] == 1, labels["input_ids"], IGNORED)
        return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": labels}


def learn_tasks(model, tokenizer, recipe: loop.Recipe, folder: Path, steps: int) -> T5ForConditionalGeneration:
    """Train on the mixture, from the weights that span corruption gave, or go on with it."""
    training, unseen = (Tasks(split, tokenizer, recipe.seed) for split in ("train", "validation"))
    documents = text.documents("train", text.READINGS)
    tokens = loop.stream(tokenizer, documents, tokenizer.eos_token_id)

    def batch_at(step: int) -> loop.Batch:
        number = hash((recipe.seed, 1, step))
        (task,) = random.Random(number).choices(list(tasks.MIXTURE), list(tasks.MIXTURE.values()))
        if task == "corrupt":
            ids = loop.blocks_at(tokens, step, recipe)
            return batch_of(ids, tokenizer, torch.Generator().manual_seed(number))
        return training.batch(task, step)

    held_out = [unseen.batch(task, number) for task in tasks.MIXTURE if task != "corrupt" for number in range(3)]
    return loop.run(
        "mini-t5, tasks", model, loss_of, batch_at, held_out, steps, recipe, folder,
        characters_per_token=sum(map(len, documents)) / len(tokens),
    )  # fmt: skip


def tasks_folder(folder: Path, epochs: float) -> Path:
    """Where the second part is kept that went on from `epochs` passes of the first."""
    return folder / f"tasks-after-{epochs:g}-epochs"


def main() -> None:
    """Both parts, or what is left of them."""
    options = loop.parse(__doc__, lambda parser: parser.add_argument(
        "--task-steps", type=int, default=2400, help="steps on the mixture of tasks (%(default)s)"
    ))  # fmt: skip
    name = OBJECTIVE.name
    folder, recipe = options.folder / name, loop.recipe_of(options, name)
    earlier = options.start / name if options.start else None
    model, tokenizer = loop.pretrain(OBJECTIVE, recipe, folder, earlier)
    recipe = replace(recipe, learning_rate=recipe.learning_rate / 2)
    learn_tasks(model, tokenizer, recipe, tasks_folder(folder, options.epochs), options.task_steps)


if __name__ == "__main__":
    run_program(main)
