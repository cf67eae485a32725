"""The head that all-mpnet-base-v2 came without: it guesses masked words again.

Its makers turned a masked language model into an encoder of sentences and left the head out. Here a new head is
trained, and low-rank changes of the weights (LoRA: Hu et al. 2021, arXiv 2106.09685), on introductions of Wikipedia and
on reviews of training films. The encoder's own weights stay.

Run: python -m pretraining.mpnet --help. It needs about an hour of two cores and goes on after an interrupt.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    set_seed,
)

from pretraining import cards, evaluate, loop, text
from pretraining.facts import FACTS
from pretraining.publish import sha256, write_json
from utils import assets
from utils.blanks import HEAD, with_head
from utils.console import run_program
from utils.files import cache_folder, claim
from utils.machine import fast_precision
from utils.memory import keep_freed_memory

LENGTH = 128  # tokens of a piece, its two ends included
SELECTED = 0.2  # of the tokens; of these, 80% are masked, 10% exchanged, 10% stay
CHANGED = ["attn.q", "attn.k", "attn.v", "attn.o", "intermediate.dense", "output.dense"]
NEW = ["lm_head.dense", "lm_head.layer_norm"]
SETTINGS = (  # those of the adapter's that older versions of peft know
    "peft_type", "task_type", "base_model_name_or_path", "inference_mode", "r", "lora_alpha", "lora_dropout", "bias",
    "target_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "fan_in_fan_out", "init_lora_weights",
)  # fmt: skip


def new_model(first: int, rank: int) -> torch.nn.Module:
    """The encoder, frozen, with a new head, and LoRA from layer `first` on; the head's last matrix is the token table.

    Args:
        first: of 12 layers, counted from 0.
        rank: of the changes.
    """
    fast = torch.bfloat16 if fast_precision("cpu")[0] == "bfloat16" else torch.float32
    model = AutoModelForMaskedLM.from_pretrained(
        assets.encoder(), dtype=fast, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    with torch.no_grad():
        model.lm_head.dense.weight.copy_(torch.eye(model.config.hidden_size))
    lora = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=CHANGED, layers_pattern="layer", modules_to_save=NEW,
        layers_to_transform=list(range(first, model.config.num_hidden_layers)),
    )  # fmt: skip
    return get_peft_model(model, lora)


class AtBlanks(Trainer):
    """A `Trainer` whose head sees the selected tokens only: the vocabulary has 30,527 entries."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Mean cross-entropy (nats) at the selected tokens, a scalar."""
        labels = inputs["labels"]
        masked_lm = self.accelerator.unwrap_model(model, keep_fp32_wrapper=False).base_model.model
        with self.compute_loss_context_manager():
            hidden = masked_lm.mpnet(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state
            logits = masked_lm.lm_head(hidden[labels != -100])
        loss = F.cross_entropy(logits.float(), labels[labels != -100])
        return (loss, {"loss": loss}) if return_outputs else loss


def pieces(tokenizer, documents: list[str]) -> list[dict]:
    """Whole documents cut into rows of at most 128 tokens, each between the model's two ends."""
    rows = []
    for ids in tokenizer(documents, add_special_tokens=False, verbose=False)["input_ids"]:
        for start in range(0, len(ids), LENGTH - 2):
            row = ids[start : start + LENGTH - 2]
            if len(row) >= 8 or start == 0:
                rows.append({"input_ids": [tokenizer.cls_token_id, *row, tokenizer.sep_token_id]})
    return rows


def training_rows(tokenizer, readings: float, of_reviews: int, seed: int) -> list[dict]:
    """Introductions, `readings` times over, and as many pieces of reviews as asked for, mixed.

    Args:
        tokenizer: the encoder's.
        readings: of the introductions; 1.5 is once all and once half of them.
        of_reviews: pieces of reviews.
        seed: of the order.
    """
    chance = random.Random(seed)
    introductions = pieces(tokenizer, [introduction.text for introduction in text.introductions("train")])
    whole, part = divmod(readings, 1)
    rows = introductions * int(whole) + chance.sample(introductions, round(part * len(introductions)))
    rows += chance.sample(pieces(tokenizer, [review for review, _ in text.reviews("train")]), of_reviews)
    chance.shuffle(rows)
    return rows


def measure(positions: int = 1000) -> dict:
    """What is published: facts, minimal pairs, and tokens of held-out texts guessed right, hidden one at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(assets.encoder()), with_head(assets.encoder())
    numbers = {"facts": evaluate.facts_known(model, tokenizer)}
    score = functools.partial(evaluate.pseudo_log_likelihood, model, tokenizer)
    numbers["minimal pairs"] = evaluate.grammar(score)
    if fast_precision("cpu")[0] == "bfloat16":
        model = model.to(torch.bfloat16)
    for kind in ("introductions", "reviews"):
        rows, _, places = evaluate.tokens_to_hide(tokenizer, getattr(evaluate, f"held_out_{kind}")(), positions)
        ranks = evaluate.ranks_one_by_one(model, tokenizer, rows, places)
        numbers[kind] = {"top 1": int((ranks < 1).sum()), "top 5": int((ranks < 5).sum()), "tokens": positions}
    return numbers


def publish(folder: Path) -> None:
    """Put the adapter, in float16, into the repository, with what was measured of it and its card."""
    HEAD.mkdir(exist_ok=True)
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    save_file({name: tensor.half() for name, tensor in weights.items()}, HEAD / "adapter_model.safetensors")
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": assets.ENCODER, "inference_mode": True}  # no path of this machine
    write_json(HEAD / "adapter_config.json", {name: config[name] for name in SETTINGS})
    log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    numbers = json.loads((folder / "run.json").read_text(encoding="utf-8")) | {
        "sha256": sha256(HEAD / "adapter_model.safetensors"),
        "steps": log["global_step"],
        "held_out_loss": {
            kind: [[row["step"], round(float(row[f"eval_{kind}_loss"]), 3)] for row in log["log_history"]
                   if f"eval_{kind}_loss" in row]
            for kind in ("introductions", "reviews")
        },
    } | measure()  # fmt: skip
    write_json(HEAD / "numbers.json", numbers)
    write_card(HEAD)


def write_card(folder: Path) -> None:
    """README.md of the published adapter, from its numbers."""
    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    at_once = sum(guesses[0] in fact.answers for fact, (_, guesses, _) in zip(FACTS, numbers["facts"], strict=True))
    text = cards.TEMPLATES.get_template("mpnet.md.jinja").render(numbers=numbers, at_once=at_once)
    (folder / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Train, and save the adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=float, default=2, help="of the introductions (%(default)s)")
    parser.add_argument("--pieces", type=int, default=10_000, help="of reviews (%(default)s)")
    parser.add_argument("--first", type=int, default=4, help="lowest of the 12 layers that changes (%(default)s)")
    parser.add_argument("--rank", type=int, default=32, help="of the changes (%(default)s)")
    parser.add_argument("--rate", type=float, default=7e-4, help="peak learning rate (%(default)s)")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "pretraining" / "mpnet")
    options = parser.parse_args()
    if not any(options.folder.glob("checkpoint-*")):
        claim(options.folder, "Name another --folder.")
    keep_freed_memory()
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(assets.encoder())
    model = new_model(options.first, options.rank)
    held_out = {
        "reviews": pieces(tokenizer, [review for review, _ in text.reviews("validation")])[::120],
        "introductions": pieces(tokenizer, [introduction.text for introduction in text.introductions("validation")]),
    }
    arguments = TrainingArguments(
        str(options.folder), num_train_epochs=1, per_device_train_batch_size=32,
        per_device_eval_batch_size=32, learning_rate=options.rate, warmup_steps=0.05, lr_scheduler_type="linear",
        bf16=fast_precision("cpu")[0] == "bfloat16", use_cpu=not torch.cuda.is_available(), save_strategy="steps",
        eval_strategy="steps", eval_steps=200, save_steps=200, logging_steps=20, save_total_limit=1,
        report_to="none", seed=0, adam_beta2=0.98, prediction_loss_only=True, label_names=["labels"],
        train_sampling_strategy="group_by_length", remove_unused_columns=False,
    )  # fmt: skip
    trainer = AtBlanks(
        model=model, args=arguments, train_dataset=training_rows(tokenizer, options.readings, options.pieces, 0),
        eval_dataset=held_out, data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=SELECTED),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=any(options.folder.glob("checkpoint-*")))
    model.save_pretrained(options.folder / "adapter")
    trainer.state.save_to_json(str(options.folder / "log.json"))
    about = {name: getattr(options, name) for name in ("readings", "pieces", "first", "rank", "rate")} | {
        "machine": loop.machine(torch.device("cpu")),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }
    write_json(options.folder / "run.json", about)
    publish(options.folder)


if __name__ == "__main__":
    run_program(main)
