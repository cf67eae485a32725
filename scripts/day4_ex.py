"""Fine-tune a pretrained encoder on movie reviews: the script of lesson 02 as a program.

Under the `embedded` profile it needs no network; under `full` it fine-tunes bert-base-uncased on all of IMDB.
An interrupted training goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.console import positive, run_program, seed
from utils.environment import begin
from utils.errors import CourseError
from utils.files import user_path

LABELS = ["neg", "pos"]  # their names, in the order of their numbers
INSTEAD = "Give --output another folder."
HEAD_SHARE = 4  # one token in four is taken from the head of a review that is too long (Sun et al. 2019)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    options = parse(arguments)
    try:
        profile = begin(options.profile, uses=["encoder", "imdb"])
        given = {name: value for name, value in vars(options).items() if value is not None}
        fields = {field.name for field in dataclasses.fields(profile)} - {"name"}
        profile = dataclasses.replace(profile, **{name: given[name] for name in fields & given.keys()})
        print(result_line(*fine_tune(profile, options.epochs, options.seed, options.output), options.output))
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. Give the same command again to go on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Options of the command line; None where the profile decides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=("embedded", "full"), help="instead of the one that the machine suggests")
    parser.add_argument("--train-size", type=positive(int), help="reviews to fine-tune on (profile)")
    parser.add_argument(
        "--validation-size", type=positive(int), help="reviews to measure on after each epoch (profile)"
    )
    parser.add_argument("--test-size", type=positive(int), help="reviews for the final measurement (profile)")
    parser.add_argument("--max-length", type=positive(int), help="tokens of a review that the model sees (profile)")
    parser.add_argument(
        "--frozen-parts", type=int, choices=range(14), metavar="N",
        help="parts that keep their weights, from below: the embeddings, then layers (profile)",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=positive(float), help="peak learning rate (profile)")
    parser.add_argument(
        "--epochs", type=positive(int), default=1, help="passes over the training reviews (%(default)s)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the sample, the new layer and the order (%(default)s)")
    parser.add_argument(
        "--output", type=user_path, default=Path("build/day4_ex"), help="folder of the model (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.max_length is not None and not 8 <= options.max_length <= 512:
        parser.error(f"--max-length is {options.max_length}; expected 8 to 512, the encoder's limit")
    return options


def head_and_tail(batch: dict, tokenizer, max_length: int) -> dict:
    """Token ids of each text: the head and the tail of those that are too long, between [CLS] and [SEP].

    Args:
        batch: `text`, a list of n strings.
        tokenizer: the encoder's.
        max_length: tokens to keep, the two special ones included.

    Returns:
        `input_ids`, n lists of at most `max_length` ids, and `length`, how many each has.
    """
    room = max_length - 2
    head = room // HEAD_SHARE
    tail = room - head
    pieces = tokenizer(batch["text"], add_special_tokens=False, verbose=False)["input_ids"]
    shortened = [ids if len(ids) <= room else ids[:head] + ids[len(ids) - tail :] for ids in pieces]
    input_ids = [[tokenizer.cls_token_id, *ids, tokenizer.sep_token_id] for ids in shortened]
    return {"input_ids": input_ids, "length": [len(ids) for ids in input_ids]}


def new_model(
    encoder: str, seed: int, attention: str | None, frozen_parts: int, dropout: bool = False, lean: bool = True
):
    """A pretrained encoder with a new head for two labels.

    Args:
        encoder: folder of the encoder.
        seed: of the head.
        attention: `attn_implementation`; None for the library's choice.
        frozen_parts: parts that keep their weights, from below: the embeddings, then layers.
        dropout: as in pretraining; else none.
        lean: without work that nothing needs, see `utils.lean`.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, set_seed

    from utils.lean import make_lean

    set_seed(seed)
    no_dropout = {} if dropout else {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder,
        num_labels=2,
        id2label=dict(enumerate(LABELS)),
        label2id={name: number for number, name in enumerate(LABELS)},
        dtype=torch.float32,
        attn_implementation=attention,
        **no_dropout,
    )
    if lean:
        make_lean(model)
    for part in [model.base_model.embeddings, *model.base_model.encoder.layer][:frozen_parts]:
        part.requires_grad_(False)
    return model


def fine_tune(profile, epochs: int, seed: int, output: Path) -> tuple[int, int]:
    """Fine-tune, save the model and its tokenizer to `output`; returns right answers and test reviews."""
    from datasets import load_dataset
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

    from utils.files import claim, filled
    from utils.memory import within_memory
    from utils.resume import run_folder, unfinished
    from utils.splits import with_validation

    claim(output, INSTEAD)
    imdb = load_dataset(profile.imdb)
    names = getattr(imdb["train"].features["label"], "names", None)
    if names != LABELS:
        raise CourseError(f"The labels of the reviews are named {names}; the lessons take {LABELS} for granted.")
    if "validation" not in imdb:
        imdb = with_validation(imdb)
    tokenizer = AutoTokenizer.from_pretrained(profile.encoder)

    def take(split: str, size: int | None):
        rows = imdb[split].shuffle(seed=seed)
        if size is not None and size > len(rows):
            raise CourseError(f"{size} {split} reviews were asked for, but there are {len(rows)}. Ask for fewer.")
        rows = rows if size is None else rows.select(range(size))
        options = {"tokenizer": tokenizer, "max_length": profile.max_length}
        return rows.map(head_and_tail, batched=True, remove_columns=["text"], fn_kwargs=options)

    train, validation = take("train", profile.train_size), take("validation", profile.validation_size)
    test = take("test", profile.test_size)

    model = new_model(profile.encoder, seed, profile.attention, profile.frozen_parts)
    args = TrainingArguments(
        output_dir=run_folder(f"day4_ex-{profile.name}"),
        eval_strategy="epoch",
        learning_rate=profile.learning_rate,
        per_device_train_batch_size=profile.batch_size,
        gradient_accumulation_steps=profile.accumulation,
        num_train_epochs=epochs,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,
        train_sampling_strategy="group_by_length",
        bf16=profile.precision == "bfloat16",
        fp16=profile.precision == "float16",
        use_cpu=profile.device == "cpu",
        accelerator_config={"non_blocking": True},
        save_strategy="steps",
        save_steps=0.1,
        save_total_limit=1,
        logging_steps=25,
        report_to="none",
        disable_tqdm=False,
        seed=seed,
    )
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=32),  # few sizes: memory is used again
        compute_metrics=lambda outputs: {
            "accuracy": float((outputs.predictions.argmax(1) == outputs.label_ids).mean())
        },
    )
    within_memory(trainer, lambda: trainer.train(resume_from_checkpoint=unfinished(trainer)))
    answers = trainer.predict(test)  # answers and labels come in the same, grouped order
    with filled(output, INSTEAD) as folder:
        trainer.save_model(folder)
    return int((answers.predictions.argmax(axis=1) == answers.label_ids).sum()), len(test)


def result_line(right: int, total: int, output: Path) -> str:
    """Accuracy with its 95% interval (Wilson), and where the model is."""
    from scipy.stats import binomtest

    interval = binomtest(right, total).proportion_ci(method="wilson")
    return (
        f"accuracy {right / total:.3f} (95% interval {interval.low:.3f} to {interval.high:.3f}) "
        f"on {total:,} test reviews; model in {output}"
    )


if __name__ == "__main__":
    run_program(main)
