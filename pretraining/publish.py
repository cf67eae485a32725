"""Make `models/` from what was trained: weights in float16, tokenizer, measurements, model cards.

Run after the three scripts: python -m pretraining.publish --earlier FOLDER
The folder holds the models that stood in `models/` before; they are measured the same way and stand in one table.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import shutil
from pathlib import Path

import torch
from transformers import AutoTokenizer

from pretraining import bert, cards, evaluate, gpt, start, t5, tasks, text
from utils import translation
from utils.assets import MODELS
from utils.console import run_program
from utils.files import cache_folder

OBJECTIVES = {module.OBJECTIVE.name: module.OBJECTIVE for module in (bert, gpt, t5)}
FIXED_TEXTS = 8  # held-out reviews whose loss a test measures again
BLANKS = 1000  # words to be guessed
MAX_LENGTH = 239  # tokens that each model has seen at once


def main() -> None:
    """Publish the models that are named, or all, and write the page that compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(OBJECTIVES)}; all by default")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "pretraining", help="of the checkpoints")
    parser.add_argument("--earlier", type=Path, help="folder of the models to compare with, each with its numbers.json")
    options = parser.parse_args()
    for name in options.names or OBJECTIVES:
        model, tokenizer = trained(name, options.folder / name)
        save(model, tokenizer, MODELS / name)
        shutil.copyfile(options.folder / name / "log.csv", MODELS / name / "log.csv")
        if name == "mini-t5":
            shutil.copyfile(tasks_folder(options.folder / name) / "log.csv", MODELS / name / "tasks.csv")
        numbers = {
            "parameters": model.num_parameters(),
            "sha256": sha256(MODELS / name / "model.safetensors"),
            "epochs": epochs(MODELS / name / "log.csv"),
            "run": run(name, options.folder / name),
        }
        earlier = options.earlier / name if options.earlier else None
        model, tokenizer = start.load(MODELS / name)  # what is measured is what is published: rounded to float16
        numbers |= {"fixed_texts_loss": fixed_texts_loss(name, model, tokenizer)}
        numbers |= measure(name, MODELS / name, earlier) | extras(name, model, tokenizer)
        write_json(MODELS / name / "numbers.json", numbers)
        if earlier is not None:
            known = json.loads((earlier / "numbers.json").read_text(encoding="utf-8"))
            known = {"sentiment": known["sentiment"]} if "sentiment" in known else {}  # a head is trained for it
            write_json(MODELS / name / "earlier.json", known | measure(name, earlier, MODELS / name))
        cards.write(MODELS, name)
    cards.write_overview(MODELS)


def trained(name: str, folder: Path):
    """The model and tokenizer of a finished run; mini-t5's is that of its tasks."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    model = OBJECTIVES[name].new_model(tokenizer)
    state = _finished(folder / "checkpoint.pt")
    if name == "mini-t5":
        state = _finished(tasks_folder(folder) / "checkpoint.pt")
    model.load_state_dict(state["model"])
    return model, tokenizer


def run(name: str, folder: Path) -> dict:
    """What a card says of a run: its text, its start, its machines."""
    state = _finished(folder / "checkpoint.pt")
    machines = state["machines"]
    if name == "mini-t5":
        machines = machines + _finished(tasks_folder(folder) / "checkpoint.pt")["machines"]
    return {
        "text": text.DESCRIPTION,
        "characters": sum(map(len, text.documents("train", text.READINGS))),
        "start": state["recipe"]["start"],
        "machines": list(dict.fromkeys(machines)),
        "note": bert.NOTE if name == "mini-bert" else "",
        "mixture": tasks.MIXTURE if name == "mini-t5" else {},
        "tasks": tasks.DESCRIPTION if name == "mini-t5" else "",
        "knows": text.KNOWS,
        "rights": text.RIGHTS,
        "code": "",  # today's
    }


def tasks_folder(folder: Path) -> Path:
    """Where mini-t5 learned its tasks after the finished first part in `folder`."""
    return t5.tasks_folder(folder, _finished(folder / "checkpoint.pt")["epochs"])


def _finished(path: Path) -> dict:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["step"] < state["steps"]:
        raise SystemExit(f"{path} is at step {state['step']} of {state['steps']}; let the script finish first.")
    return state


def save(model, tokenizer, folder: Path) -> None:
    """Weights in float16, configuration and tokenizer, as `from_pretrained` reads them."""
    model.half().save_pretrained(folder)
    tokenizer.model_max_length = MAX_LENGTH  # later positions were never trained
    tokenizer.save_pretrained(folder)


def write_json(path: Path, numbers: dict) -> None:
    """Numbers that a person can read too."""
    path.write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def epochs(log: Path) -> float:
    """How often the training text was seen, from the last row of a log."""
    return round(cards.read_log(log)[-1]["characters"] / sum(map(len, text.documents("train", text.READINGS))), 1)


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@torch.inference_mode()
def fixed_texts_loss(name: str, model, tokenizer) -> float:
    """Mean loss (nats) of the objective on the first 120 tokens of eight held-out reviews, masks and spans seeded."""
    texts = [review for review, _ in text.reviews("validation")]
    ids = [tokenizer(review, add_special_tokens=False, verbose=False)["input_ids"][:120] for review in texts]
    rows = torch.tensor([row for row in ids if len(row) == 120][:FIXED_TEXTS])
    batch = OBJECTIVES[name].batch_of(rows, tokenizer, torch.Generator().manual_seed(0))
    return round(OBJECTIVES[name].loss_of(model, batch).item(), 4)


def measure(name: str, folder: Path, other: Path | None = None) -> dict:
    """What the table of `cards.write_overview` compares, of the model in a folder.

    Args:
        name: "mini-bert", "mini-gpt" or "mini-t5".
        folder: of the model and its tokenizer.
        other: of the model that it is compared with: words to be guessed are one token in both vocabularies.
    """
    model, tokenizer = start.load(folder)
    others = [AutoTokenizer.from_pretrained(other)] if other else []
    return MEASURES[name](model, tokenizer, others)


def measure_bert(model, tokenizer, others: list) -> dict:
    """Guesses at masks beside counting, words of both vocabularies, grammar, and facts."""
    numbers: dict = {"masked tokens": {}, "lead over 5-grams": {}, "words": {}}
    for kind, documents in TEXTS.items():
        shares, lead = evaluate.guesses_at_masks(model, tokenizer, documents())
        numbers["masked tokens"][kind], numbers["lead over 5-grams"][kind] = shares, lead
        ranks = evaluate.words_filled(model, tokenizer, evaluate.blanks(documents(), [tokenizer, *others], BLANKS))
        numbers["words"][kind] = {"top 1": int((ranks < 1).sum()), "top 5": int((ranks < 5).sum()), "words": len(ranks)}
    score = functools.partial(evaluate.pseudo_log_likelihood, model, tokenizer)
    return numbers | {"minimal pairs": evaluate.grammar(score), "facts": evaluate.facts_known(model, tokenizer)}


def measure_gpt(model, tokenizer, others: list) -> dict:
    """Perplexity per word beside counting, grammar, thirty samples as they came, and how it repeats itself."""
    score = functools.partial(evaluate.log_likelihood, model, tokenizer)
    samples = evaluate.samples(model, tokenizer, 30)
    return {
        "perplexity per word": {
            kind: evaluate.perplexity_per_word(model, tokenizer, documents()) for kind, documents in TEXTS.items()
        },
        "minimal pairs": evaluate.grammar(score),
        "samples": samples,
        "invented words": evaluate.words_invented(samples, evaluate.words_known()),
        "greedy repetition": evaluate.greedy_repetition(model, tokenizer),
    }


def measure_t5(model, tokenizer, others: list) -> dict:
    """Each task on held-out texts, and whether the prefix decides."""
    matches = evaluate.exact_matches(model, tokenizer)
    return {
        "translation": {translation.LANGUAGES[language]: counts for language, counts in matches.items()},
        "sentiment": evaluate.sentiment_as_text(model, tokenizer),
        "titles": evaluate.titles(model, tokenizer),
        "topics": evaluate.topics(model, tokenizer),
        "cost of a wrong input": evaluate.cost_of_a_wrong_input(model, tokenizer),
        "kinds of answers": evaluate.kinds_of_answers(model, tokenizer),
    }


def extras(name: str, model, tokenizer) -> dict:
    """What only the card of a new model shows."""
    if name == "mini-bert":
        return {"sentiment": evaluate.sentiment_with_a_head(MODELS / "mini-bert")}
    if name == "mini-gpt":
        return {}
    return {
        "losses by task": {
            task: [_task_loss(model, t5.Tasks(split, tokenizer, 0), task) for split in ("train", "validation")]
            for task in tasks.MIXTURE
            if task != "corrupt"
        },
        "titles written": evaluate.titles_written(model, tokenizer),
        "spans filled": evaluate.filled_spans(model, tokenizer),
    }


@torch.inference_mode()
def _task_loss(model, batches: t5.Tasks, task: str, number: int = 3) -> float:
    return sum(t5.loss_of(model, batches.batch(task, place)).item() for place in range(number)) / number


TEXTS = {"reviews": evaluate.held_out_reviews, "introductions": evaluate.held_out_introductions}
MEASURES = {"mini-bert": measure_bert, "mini-gpt": measure_gpt, "mini-t5": measure_t5}


if __name__ == "__main__":
    run_program(main)
