"""Make `models/` from what was trained: weights in float16, tokenizer, measurements, model cards.

Run after the three scripts: python -m pretraining.publish
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import torch
from transformers import AutoTokenizer

from pretraining import bert, cards, evaluate, gpt, t5, text
from utils import translation
from utils.assets import MODELS
from utils.console import run_program
from utils.files import cache_folder
from utils.intervals import paired_difference

OBJECTIVES = {module.OBJECTIVE.name: module.OBJECTIVE for module in (bert, gpt, t5)}
FIXED_TEXTS = 8  # held-out reviews whose loss a test measures again
HEADLINES = 200
MAX_LENGTH = 239  # tokens that each model has seen at once


def main() -> None:
    """Publish the models that are named, or all, and write the page that compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(OBJECTIVES)}; all by default")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "pretraining", help="of the checkpoints")
    options = parser.parse_args()
    for name in options.names or OBJECTIVES:
        model, tokenizer = trained(name, options.folder / name)
        save(model, tokenizer, MODELS / name)
        shutil.copyfile(options.folder / name / "log.csv", MODELS / name / "log.csv")
        if name == "mini-t5":
            tasks = t5.tasks_folder(options.folder / name, epochs(MODELS / name / "log.csv"))
            shutil.copyfile(tasks / "log.csv", MODELS / name / "tasks.csv")
        numbers = {
            "parameters": model.num_parameters(),
            "sha256": sha256(MODELS / name / "model.safetensors"),
            "epochs": epochs(MODELS / name / "log.csv"),
        }
        model, tokenizer = load(name)  # what is measured is what is published: rounded to float16
        numbers |= {"fixed_texts_loss": fixed_texts_loss(name, model, tokenizer)} | MEASURES[name](model, tokenizer)
        (MODELS / name / "numbers.json").write_text(
            json.dumps(numbers, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        cards.write(MODELS, name)
    cards.write_overview(MODELS)


def trained(name: str, folder: Path):
    """The model and tokenizer of a finished run; mini-t5's is that of its tasks."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    model = OBJECTIVES[name].new_model(tokenizer)
    state = _finished(folder / "checkpoint.pt")
    if name == "mini-t5":
        state = _finished(t5.tasks_folder(folder, state["epochs"]) / "checkpoint.pt")
    model.load_state_dict(state["model"])
    return model, tokenizer


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


def load(name: str):
    """A published model in float32, ready to be measured, and its tokenizer."""
    kind = type(OBJECTIVES[name].new_model(AutoTokenizer.from_pretrained(MODELS / name)))
    model = kind.from_pretrained(MODELS / name, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(MODELS / name)


def epochs(log: Path) -> float:
    """How often the training text was seen, from the last row of a log."""
    return round(cards.read_log(log)[-1]["characters"] / sum(map(len, text.documents("train"))), 1)


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


def measure_bert(model, tokenizer) -> dict:
    """Guesses at masks beside counting, and grammatical minimal pairs."""
    return {
        "masked tokens": evaluate.guesses_at_masks(model, tokenizer),
        "minimal pairs": evaluate.grammar(lambda sentence: evaluate.pseudo_log_likelihood(model, tokenizer, sentence)),
        "sentiment": evaluate.sentiment_with_a_head(MODELS / "mini-bert"),
    }


def measure_gpt(model, tokenizer) -> dict:
    """Perplexity per word beside counting, minimal pairs, and thirty samples as they came."""
    return {
        "perplexity per word": evaluate.perplexity_per_word(model, tokenizer),
        "minimal pairs": evaluate.grammar(lambda sentence: evaluate.log_likelihood(model, tokenizer, sentence)),
        "samples": evaluate.samples(model, tokenizer, 30),
    }


def measure_t5(model, tokenizer) -> dict:
    """Translations right to the letter, sentiment as a word, headlines beside lead sentences, filled spans."""
    articles = text.articles("test")[:HEADLINES]
    headlines = evaluate.write(model, tokenizer, [f"summarize: {article.body}" for article in articles])
    wanted = [article.headline for article in articles]
    scores = {
        "mini-t5": evaluate.rouge(headlines, wanted),
        "lead sentence": evaluate.rouge([article.body.split(". ")[0] for article in articles], wanted),
    }
    gaps = {kind: paired_difference(*(score[kind] for score in scores.values()), scale=1) for kind in scores["mini-t5"]}
    return {
        "translation": {
            translation.LANGUAGES[language]: matches
            for language, matches in evaluate.exact_matches(model, tokenizer).items()
        },
        "sentiment": evaluate.sentiment_as_text(model, tokenizer),
        "headlines": {
            name: {kind: float(each.mean()) for kind, each in score.items()} for name, score in scores.items()
        },
        "headlines, mini-t5 minus lead sentence": {kind: [gap.value, gap.low, gap.high] for kind, gap in gaps.items()},
        "losses by task": {
            task: [_task_loss(model, t5.Tasks(split, tokenizer, 0), task) for split in ("train", "validation")]
            for task in t5.MIXTURE
            if task != "corrupt"
        },
        "headlines written": list(zip(headlines, wanted, strict=True))[:10],
        "spans filled": evaluate.filled_spans(model, tokenizer),
    }


@torch.inference_mode()
def _task_loss(model, tasks: t5.Tasks, task: str, batches: int = 3) -> float:
    return sum(t5.loss_of(model, tasks.batch(task, number)).item() for number in range(batches)) / batches


MEASURES = {"mini-bert": measure_bert, "mini-gpt": measure_gpt, "mini-t5": measure_t5}


if __name__ == "__main__":
    run_program(main)
