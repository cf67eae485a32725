"""Start a model from an earlier one of its family that has fewer layers and another vocabulary.

Layers are repeated, and the repeated ones at first add nothing (Wu et al. 2024, arXiv 2401.02415): their last matrices
are 0, so the grown model answers as the small one did. A token that the earlier vocabulary lacks starts as the mean of
the pieces that it had for it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from utils.errors import CourseError

WEIGHTS = "model.safetensors"
CLASSES = {"bert": AutoModelForMaskedLM, "gpt2": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM}
LAYER = re.compile(r"\b(encoder\.layer|h|block)\.(\d+)\b")
LAST = re.compile(r"(output\.dense|c_proj|SelfAttention\.o|EncDecAttention\.o|DenseReluDense\.wo)\.(weight|bias)$")
NORM_AFTER = re.compile(r"\battention\.output\.LayerNorm\b")  # BERT's, which follow what a layer adds


def identity(folder: Path) -> str:
    """sha256 of the weights in a model's folder.

    Raises:
        CourseError: the folder has none.
    """
    if not (folder / WEIGHTS).is_file():
        raise CourseError(f"{folder} has no {WEIGHTS}. Give --start a folder that holds mini-bert, mini-gpt, mini-t5.")
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


@torch.no_grad()
def take_over(model: torch.nn.Module, tokenizer, folder: Path) -> None:
    """Give `model` the weights of an earlier one of the same family and width.

    Args:
        model: new, with as many layers or more; changed in place.
        tokenizer: of `model`.
        folder: the earlier model and its tokenizer, as `from_pretrained` reads them.
    """
    kind = CLASSES[AutoConfig.from_pretrained(folder).model_type]
    earlier = kind.from_pretrained(folder, dtype=torch.float32).state_dict()
    pieces = _pieces(tokenizer, AutoTokenizer.from_pretrained(folder))
    depths = {stack: _depth(earlier, stack) / _depth(model.state_dict(), stack) for stack in _stacks(earlier)}
    for name, weight in model.state_dict().items():
        found = LAYER.search(name)
        source, repeated = name, False
        if found:
            stack, number = name[: found.end(1)], int(found[2])
            place = int(number * depths[stack])
            repeated = number > 0 and int((number - 1) * depths[stack]) == place
            source = f"{stack}.{place}{name[found.end() :]}"
        if repeated and LAST.search(name):
            weight.zero_()
            continue
        if repeated:  # after it, the vectors are what the norm before it made of them, so it must have its scale
            source = NORM_AFTER.sub("output.LayerNorm", source)
        old = earlier[source]
        if old.shape != weight.shape:
            old = torch.stack([old[ids].mean(dim=0) for ids in pieces])
        weight.copy_(old)


def _stacks(weights: dict) -> set[str]:
    """ "transformer.h", or "encoder.block" and "decoder.block"."""
    return {name[: found.end(1)] for name in weights if (found := LAYER.search(name))}


def _depth(weights: dict, stack: str) -> int:
    return 1 + max(int(found[2]) for name in weights if name.startswith(stack) and (found := LAYER.search(name)))


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
