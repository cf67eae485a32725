"""Lesson 05's training loop on one process or on several, with Accelerate: what differs is marked.

One process:    python scripts/several_processes.py
Two processes:  accelerate launch --config_file scripts/two_processes.yaml scripts/several_processes.py
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.console import run_program
from utils.environment import begin
from utils.errors import CourseError
from utils.files import claim, filled, user_path

INSTEAD = "Give --output another folder."


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=320, help="labelled sentences to train on (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="sentences of a step, over all processes (%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the sentences (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="peak learning rate (%(default)s)")
    parser.add_argument(
        "--whole-batches", action="store_true", help="each process takes whole batches in turn, Accelerate's default"
    )
    parser.add_argument(
        "--output", type=user_path, default=Path("build/several_processes"), help="folder (%(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        train(options)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def train(options: argparse.Namespace) -> None:
    """Fine-tune the profile's BERT; the main process writes the model and the losses to `options.output`."""
    profile = begin(uses=["bert"])
    import torch
    from accelerate import Accelerator, DataLoaderConfiguration
    from datasets import load_dataset
    from torch.utils.data import DataLoader
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        get_linear_schedule_with_warmup,
        set_seed,
    )

    from utils import assets

    # Each process gets its part of every batch, and all draw the same order of the sentences.
    split = not options.whole_batches
    how = DataLoaderConfiguration(split_batches=split, use_seedable_sampler=True)  # different
    accelerator = Accelerator(cpu=profile.device == "cpu", dataloader_config=how)  # different

    train_part = load_dataset(str(assets.rotten_tomatoes()))["train"]
    check(options, len(train_part), accelerator.num_processes)
    if accelerator.is_main_process:  # the one that writes at the end
        claim(options.output, INSTEAD)
    tokenizer = AutoTokenizer.from_pretrained(profile.bert)
    rows = train_part.shuffle(seed=0).select(range(options.sentences))
    rows = rows.map(lambda part: tokenizer(part["text"], truncation=True, max_length=64), batched=True)
    rows = rows.rename_column("label", "labels").select_columns(["input_ids", "attention_mask", "labels"])
    set_seed(0)
    # Dropout differs from process to process.
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = AutoModelForSequenceClassification.from_pretrained(
        profile.bert, num_labels=2, dtype=torch.float32, **no_dropout
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    loader = DataLoader(rows, options.batch, shuffle=True, collate_fn=DataCollatorWithPadding(tokenizer))
    steps = options.epochs * len(loader)
    scheduler = get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * steps), steps)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)  # different

    losses = []
    for epoch in range(options.epochs):
        loader.set_epoch(epoch)  # different
        for batch in loader:
            loss = model(**batch).loss
            accelerator.backward(loss)  # different: the processes average their gradients
            accelerator.clip_grad_norm_(model.parameters(), 1.0)  # different
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            losses.append(accelerator.reduce(loss.detach(), "mean").item())  # different

    accelerator.wait_for_everyone()  # different
    if accelerator.is_main_process:  # different: one process writes
        with filled(options.output, INSTEAD) as folder:
            accelerator.unwrap_model(model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            result = {"processes": accelerator.num_processes, "losses": losses}
            (folder / "losses.json").write_text(json.dumps(result), encoding="utf-8")
        print(f"processes: {accelerator.num_processes}, steps: {len(losses)}, last loss: {losses[-1]:.4f}")
    # The model goes before its process group: the other way round, Gloo's thread and this one can wait for each other
    # for ever (seen in 2 of 67 runs; pytorch/pytorch#56297).
    model, optimizer, loader, scheduler = accelerator.free_memory(model, optimizer, loader, scheduler)
    accelerator.end_training()


def check(options: argparse.Namespace, sentences: int, processes: int) -> None:
    """Raise one clear line for a size or a rate that cannot be."""
    if not 1 <= options.sentences <= sentences:
        raise CourseError(f"--sentences is {options.sentences}; expected 1 to {sentences:,}, as many as there are.")
    if options.batch < 1 or options.batch % processes:
        raise CourseError(f"--batch is {options.batch}; expected a multiple of the {processes} processes.")
    if options.sentences % options.batch:
        raise CourseError(
            f"--sentences is {options.sentences}, --batch {options.batch}; expected whole batches, so that all "
            "processes have equal parts."
        )
    if options.epochs < 1 or not 0 < options.learning_rate < float("inf"):
        raise CourseError(
            f"--epochs is {options.epochs}, --learning-rate {options.learning_rate}; expected numbers above 0."
        )


if __name__ == "__main__":
    run_program(main)
