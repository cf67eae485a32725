"""Does this tokenizer belong to this model? Called once, before training or answering, it catches silent mismatches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

PLAIN_ENGLISH = (
    "I have seen this film many times, and I still like it. The story is simple, the actors are very good, and the end "
    "is one of the best that I have ever seen. If you have the time, you should watch it with your friends."
)
ROUND_TRIP = "A plain sentence, with 2 numbers."
FEW_ADDED = 1000  # more ids than the table has rows by fewer than this: tokens were added; by more: another tokenizer
SPARE_ROWS, SPARE_SHARE = 1024, 0.04  # tables are padded to round sizes; a larger surplus needs an explanation
GUESSING = 0.85  # a loss above this share of ln(vocabulary) on plain English says that the model cannot read it


@dataclass(frozen=True)
class Finding:
    """Something that speaks against a pair of model and tokenizer.

    Attributes:
        problem: what is wrong, with the numbers.
        remedy: what to do.
        loud: would it have raised an error by itself (on a CPU), sooner or later?
    """

    problem: str
    remedy: str
    loud: bool


def check_tokenizer_matches(model, tokenizer) -> list[Finding]:
    """What speaks against using `tokenizer` with `model`; an empty list if nothing does.

    Looks at the size of the embedding table, the special ids, the tokenizer's class for the model's type, a round trip,
    and, where the model guesses tokens, its loss on plain English, which tells two vocabularies of one class and size
    apart. It cannot see a wrong vocabulary of the right class and size under a model that guesses no tokens.

    Args:
        model: a transformers model with token embeddings.
        tokenizer: a transformers tokenizer.

    Returns:
        Findings, the loud ones first.
    """
    findings = [*_sizes(model, tokenizer), *_classes(model, tokenizer), *_special_ids(model, tokenizer)]
    findings += _round_trip(tokenizer)
    if not any(finding.loud for finding in findings):  # the loss cannot be computed with ids beyond the table
        findings += _loss(model, tokenizer)
    return sorted(findings, key=lambda finding: not finding.loud)


def _sizes(model, tokenizer):
    rows = model.get_input_embeddings().weight.shape[0]
    ids = max(tokenizer.get_vocab().values(), default=-1) + 1
    own = f"Load the tokenizer from where the model came from: {_origin(model)}."
    if rows < ids < rows + FEW_ADDED:
        yield Finding(
            f"The tokenizer gives ids up to {ids - 1:,}, the model's table has {rows:,} rows: tokens were added.",
            "Call model.resize_token_embeddings(len(tokenizer)), then train: the new rows know nothing yet.",
            loud=True,
        )
    elif ids > rows:
        yield Finding(
            f"The tokenizer gives ids up to {ids - 1:,}, the model's table has {rows:,} rows.", own, loud=True
        )
    elif rows - ids > max(SPARE_ROWS, SPARE_SHARE * rows):
        yield Finding(f"The tokenizer knows {ids:,} ids, the model's table has {rows:,} rows.", own, loud=False)


def _classes(model, tokenizer):
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    wanted = TOKENIZER_MAPPING_NAMES.get(model.config.model_type)
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted  # releases before 5 name a slow and a fast one
    given = type(tokenizer).__name__
    generic = {"PreTrainedTokenizer", "TokenizersBackend", None}
    if {_plain(wanted), _plain(given)} & generic or _plain(wanted) == _plain(given):
        return
    yield Finding(
        f"A model of the type {model.config.model_type} usually goes with a {_plain(wanted)}; this is a {given}.",
        f"Load the tokenizer from where the model came from: {_origin(model)}.",
        loud=False,
    )


def _special_ids(model, tokenizer):
    for name in ("pad", "bos", "eos", "cls", "sep"):
        wanted, given = (getattr(source, f"{name}_token_id", None) for source in (model.config, tokenizer))
        if isinstance(wanted, int) and given is not None and wanted != given:
            yield Finding(
                f"The model's {name} token is {wanted}, the tokenizer's {given}.",
                f"If you set it on purpose, set model.config.{name}_token_id too; else load the model's own tokenizer.",
                loud=False,
            )
    added = len(tokenizer("")["input_ids"])
    takes_ends = model.config.model_type in {"bert", "distilbert", "roberta", "electra", "t5", "mt5", "deberta-v2"}
    if takes_ends and added == 0:
        yield Finding(
            f"The tokenizer puts no special tokens around a text; a {model.config.model_type} was trained with them.",
            "Do not pass add_special_tokens=False, and use the model's own tokenizer.",
            loud=False,
        )


def _round_trip(tokenizer):
    ids = tokenizer(ROUND_TRIP, add_special_tokens=False)["input_ids"]
    back = tokenizer.decode(ids)
    if "".join(back.lower().split()) != "".join(ROUND_TRIP.lower().split()):
        yield Finding(
            f"{ROUND_TRIP!r} comes back from the tokenizer as {back!r}.",
            "Its vocabulary is empty, damaged or of another kind, or a setting such as do_lower_case was changed: "
            "load it again from where it came from, without options.",
            loud=False,
        )


def _loss(model, tokenizer):
    import torch

    if model.config.is_encoder_decoder or model.get_output_embeddings() is None:
        return
    ids = tokenizer(PLAIN_ENGLISH, return_tensors="pt")["input_ids"].to(model.device)
    if ids.shape[1] < len(PLAIN_ENGLISH.split()):
        return  # it lost words, which the round trip has told
    rows = model.get_input_embeddings().weight.shape[0]
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            loss = _plain_english_loss(model, tokenizer, ids)
    finally:
        model.train(training)
    if not loss < GUESSING * math.log(rows):
        yield Finding(
            f"On plain English the model's loss is {loss:.1f} nats; blind guessing among its tokens has "
            f"{math.log(rows):.1f}.",
            f"The ids mean something else to the model, or it is untrained. Its own tokenizer: {_origin(model)}.",
            loud=False,
        )


def _plain_english_loss(model, tokenizer, ids):
    import torch

    if tokenizer.mask_token_id is None:
        return model(input_ids=ids, labels=ids).loss
    # every sixth token hidden, one batch of six, so that each is hidden once
    places = torch.arange(1, ids.shape[1] - 1)
    hidden = torch.stack([torch.isin(torch.arange(ids.shape[1]), places[start::6]) for start in range(6)]).to(
        ids.device
    )
    seen = torch.where(hidden, tokenizer.mask_token_id, ids)
    return model(input_ids=seen, labels=torch.where(hidden, ids, -100)).loss


def _plain(name: str | None) -> str | None:
    return name.removesuffix("Fast") if name else None


def _origin(model) -> str:
    name = model.config._name_or_path
    if not name:
        return "the folder or hub id that it was loaded from"
    return f"the folder {Path(name).name}" if Path(name).is_dir() else f"AutoTokenizer.from_pretrained({name!r})"
