"""Start a model from an earlier one of its family that has another vocabulary.

All weights but the tokens' are taken over as they are. A token that the earlier vocabulary has keeps its vector; one
that it lacks starts as the mean of the pieces that it had for it (Hewitt 2021, "Initializing new word embeddings").
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from utils.errors import CourseError

WEIGHTS = "model.safetensors"
CLASSES = {"bert": AutoModelForMaskedLM, "gpt2": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM}


def identity(folder: Path) -> str:
    """sha256 of the weights in a model's folder.

    Raises:
        CourseError: the folder has none.
    """
    if not (folder / WEIGHTS).is_file():
        raise CourseError(f"{folder} has no {WEIGHTS}. Give --start a folder that holds mini-bert, mini-gpt, mini-t5.")
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def load(folder: Path):
    """A model in float32, ready to be measured, and its tokenizer."""
    kind = CLASSES[AutoConfig.from_pretrained(folder).model_type]
    return kind.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def take_over(model: torch.nn.Module, tokenizer, folder: Path) -> None:
    """Give `model` the weights of an earlier one of the same family and size.

    Args:
        model: new; changed in place.
        tokenizer: of `model`.
        folder: the earlier model and its tokenizer, as `from_pretrained` reads them.

    Raises:
        CourseError: the two differ in more than their vocabularies.
    """
    earlier, earlier_tokenizer = load(folder)
    pieces = _pieces(tokenizer, earlier_tokenizer)
    old, new = earlier.state_dict(), model.state_dict()
    if old.keys() != new.keys() or any(old[name].shape[1:] != new[name].shape[1:] for name in new):
        raise CourseError(f"{folder} holds a model of another family or size; --start needs one that differs in words.")
    for name, weight in new.items():
        if len(weight) == len(tokenizer):  # a row for each token
            weight.copy_(torch.stack([old[name][ids].mean(dim=0) for ids in pieces]))
        else:
            weight.copy_(old[name])


def _pieces(tokenizer, earlier) -> list[list[int]]:
    """For each entry of the new vocabulary, in the order of its ids, the ids of its pieces in the earlier one."""
    known = earlier.get_vocab()
    model = earlier.backend_tokenizer.model
    ids = []
    for entry in tokenizer.convert_ids_to_tokens(range(len(tokenizer))):
        if entry in known:
            ids.append([known[entry]])
        else:
            ids.append([piece.id for piece in model.tokenize(entry.removeprefix("##"))])
    return ids
