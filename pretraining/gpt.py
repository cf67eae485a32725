"""mini-gpt: guess the next token from those before it (Radford et al. 2018, 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from pretraining import loop
from utils.console import run_program

LAYERS = 4


def batch_of(ids: torch.Tensor, tokenizer, generator: torch.Generator) -> loop.Batch:
    """The text as it is: the next token is the label, so nothing is drawn."""
    return {"input_ids": ids}


def loss_of(model: GPT2LMHeadModel, batch: loop.Batch) -> torch.Tensor:
    """Mean cross-entropy (nats) of each token but the first, given those before it."""
    input_ids = batch["input_ids"]
    logits = model(input_ids[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), input_ids[:, 1:].flatten())


def new_model(tokenizer) -> GPT2LMHeadModel:
    """4 layers of width 256."""
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=256, n_embd=256, n_layer=LAYERS, n_head=4,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own formula, computed in one piece
        embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        attn_implementation=loop.attention(),
    )  # fmt: skip
    return GPT2LMHeadModel(config)


OBJECTIVE = loop.Objective("mini-gpt", new_model, batch_of, loss_of, separator="<|endoftext|>")

if __name__ == "__main__":
    run_program(lambda: loop.main(OBJECTIVE, __doc__))
