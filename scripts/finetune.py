"""Fine-tune a pretrained encoder on labelled texts: lesson 02's script as a program, for a file of your own too.

Without --data it takes the film reviews of lesson 02. An interrupted training goes on when the same command is given
again. The result stands beside those of counting words and of always giving the most frequent label.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.console import positive, run_program, seed
from utils.environment import begin
from utils.errors import CourseError
from utils.files import claim, filled, user_path

LEAST_STEPS = 50  # between two checkpoints: each takes 1.3 GB and seconds
INSTEAD = "Give --output another folder."


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    options = parse(arguments)
    try:
        claim(options.output, INSTEAD)
        own = None if options.data is None else labelled(options)  # its faults are told before anything is loaded
        profile = begin(options.profile, uses=["encoder"] if own else ["encoder", "imdb"], show=not own)
        rows, names = own or reviews(profile, options.seed)
        train = limited(rows["train"], options.train_size or profile.train_size, options.train_size, options.seed)
        test = limited(rows["test"], options.test_size or profile.test_size, options.test_size, options.seed)
        if own:  # the banner tells of film reviews
            print(f"{Path(profile.encoder).name} learns from {len(train[0]):,} texts; {len(test[0]):,} are for the end")
        given = fine_tune(profile, train, test, names, options)
        print(result(train, test, names, given) + f"; model in {options.output}")
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
    parser.add_argument("--data", type=user_path, metavar="FILE", help="labelled texts: .csv, .tsv, .jsonl, .parquet")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="of the texts (%(default)s)")
    parser.add_argument("--label", default="label", metavar="COLUMN", help="of the labels (%(default)s)")
    parser.add_argument("--group", metavar="COLUMN", help="of what stays on one side of the split, such as the film")
    parser.add_argument("--profile", choices=("embedded", "full"), help="instead of the one that the machine suggests")
    parser.add_argument("--train-size", type=positive(int), help="texts to fine-tune on, at most (profile)")
    parser.add_argument("--test-size", type=positive(int), help="texts to measure on, at most (profile)")
    parser.add_argument("--max-length", type=positive(int), help="tokens of a text that the model sees (profile)")
    parser.add_argument("--learning-rate", type=positive(float), help="peak learning rate (profile)")
    parser.add_argument("--epochs", type=positive(int), default=1, help="passes over the texts (%(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of the sample, the new layer and the order (%(default)s)")
    parser.add_argument(
        "--output", type=user_path, default=Path("build/finetuned"), help="folder of the model (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.max_length is not None and not 8 <= options.max_length <= 512:
        parser.error(f"--max-length is {options.max_length}; expected 8 to 512, the encoder's limit")
    return options


def labelled(options: argparse.Namespace) -> tuple[dict[str, tuple[list[str], np.ndarray]], list[str]]:
    """The file's texts and labels, as train and test, and the labels' names."""
    from utils.tables import read_labelled, split

    rows = read_labelled(options.data, options.text, options.label, options.group)
    if rows.dropped:
        print(f"{rows.dropped:,} rows left out: their text stands in an earlier row.")
    parts = dict(zip(("train", "test"), split(rows, seed=options.seed), strict=True))
    return {name: ([rows.texts[row] for row in part], rows.labels[part]) for name, part in parts.items()}, rows.names


def reviews(profile, seed: int) -> tuple[dict[str, tuple[list[str], np.ndarray]], list[str]]:
    """The profile's film reviews, shuffled, as `labelled` gives them."""
    from datasets import load_dataset

    imdb = load_dataset(profile.imdb)
    names = getattr(imdb["train"].features["label"], "names", None)
    if names is None:
        raise CourseError("The labels of the reviews have no names; the lessons take neg and pos for granted.")
    parts = {name: imdb[name].shuffle(seed=seed) for name in ("train", "test")}
    return {name: (list(rows["text"]), np.array(rows["label"])) for name, rows in parts.items()}, names


def limited(rows: tuple[list[str], np.ndarray], most: int, asked: int | None, seed: int):
    """A draw of at most `most` texts with their labels.

    Raises:
        CourseError: more were asked for than there are.
    """
    texts, labels = rows
    if asked is not None and asked > len(texts):
        raise CourseError(f"{asked} texts were asked for, but there are {len(texts)}. Ask for fewer.")
    drawn = np.random.default_rng(seed).permutation(len(texts))[:most]
    return [texts[row] for row in drawn], labels[drawn]


def fine_tune(profile, train, test, names: list[str], options: argparse.Namespace) -> np.ndarray:
    """Fine-tune, save the model and its tokenizer; returns the labels given to the test texts, shape (texts,)."""
    from datasets import Dataset
    from transformers import AutoTokenizer

    from utils.finetuning import answers, new_trainer
    from utils.memory import within_memory
    from utils.resume import run_folder, unfinished

    length = options.max_length or profile.max_length
    tokenizer = AutoTokenizer.from_pretrained(profile.encoder, model_max_length=length, truncation_side="left")

    def rows(part) -> Dataset:
        table = Dataset.from_dict({"text": part[0], "label": part[1].tolist()})
        return table.map(lambda batch: tokenizer(batch["text"], truncation=True), batched=True, remove_columns=["text"])

    steps = options.epochs * -(-len(train[0]) // profile.batch_size)
    trainer = new_trainer(
        profile.encoder,
        rows(train),
        tokenizer,
        names,
        options.seed,
        output_dir=run_folder(f"finetune-{profile.name}"),
        learning_rate=options.learning_rate or profile.learning_rate,
        per_device_train_batch_size=profile.batch_size,
        per_device_eval_batch_size=32,
        num_train_epochs=options.epochs,
        warmup_steps=0.1,
        train_sampling_strategy="group_by_length",
        save_strategy="steps" if steps > LEAST_STEPS else "no",
        save_steps=max(LEAST_STEPS, steps // 10),
        save_total_limit=1,
        logging_steps=5,
        disable_tqdm=False,
        **profile.arithmetic,
    )

    def train_on():
        return trainer.train(resume_from_checkpoint=unfinished(trainer))

    if profile.device == "cuda":
        within_memory(trainer, train_on)  # holds a copy of the weights
    else:
        train_on()
    given = answers(trainer, list(rows(test)["input_ids"]))
    with filled(options.output, INSTEAD) as folder:
        trainer.save_model(folder)
    return given


def result(train, test, names: list[str], answers: np.ndarray) -> str:
    """Accuracy with its interval, the two baselines, and by how much counting words is beaten on the same texts."""
    from utils.finetuning import counting_words
    from utils.intervals import paired_difference, share

    texts, truth = test
    counted = counting_words().fit(*train).predict(texts) == truth
    frequent = int(np.bincount(train[1]).argmax())
    right = answers == truth
    return (
        f"accuracy {share(right)} on {len(truth):,} test texts after {len(train[0]):,} labelled ones; counting words "
        f"{share(counted)}, so {paired_difference(right, counted)} more; always {names[frequent]!r} "
        f"{share(truth == frequent)}"
    )


if __name__ == "__main__":
    run_program(main)
