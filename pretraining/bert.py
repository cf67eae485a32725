"""mini-bert: hide 15% of the tokens, guess them from both sides (Devlin et al. 2018, arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForMaskedLM

from pretraining import loop
from utils.console import run_program

SELECTED, MASKED, RANDOM = 0.15, 0.8, 0.1
SELECTED_EARLY = 0.4
NOTE = "Until the last quarter of the run, 40% were selected."
LAYERS = 4
IGNORED = -100  # the label of a token that is not to be guessed


def mask_tokens(
    input_ids: torch.Tensor, tokenizer, generator: torch.Generator, share: float = SELECTED
) -> tuple[torch.Tensor, torch.Tensor]:
    """BERT's objective: which tokens to hide, and what to put in their place.

    Args:
        input_ids: shape (rows, length), special tokens included; they are never selected.
        tokenizer: mini-bert's, for its special ids.
        generator: source of chance.
        share: of the tokens that are selected.

    Returns:
        The ids that the model sees and the labels, both of shape (rows, length): of the selected ones, 80% become
        [MASK], 10% a random token, 10% stay; all other labels are -100.
    """
    special = torch.isin(input_ids, torch.tensor(tokenizer.all_special_ids))
    selected = (torch.rand(input_ids.shape, generator=generator) < share) & ~special
    labels = torch.where(selected, input_ids, IGNORED)
    dice = torch.rand(input_ids.shape, generator=generator)
    random_ids = torch.randint(len(tokenizer), input_ids.shape, generator=generator)
    seen = torch.where(selected & (dice < MASKED), tokenizer.mask_token_id, input_ids)
    seen = torch.where(selected & (dice >= MASKED) & (dice < MASKED + RANDOM), random_ids, seen)
    return seen, labels


def batch_of(ids: torch.Tensor, tokenizer, generator: torch.Generator) -> loop.Batch:
    """[CLS] and [SEP] around each row, then the masks; tensors of shape (rows, length + 2)."""
    seen, labels = mask_tokens(between_ends(ids, tokenizer), tokenizer, generator)
    return {"input_ids": seen, "labels": labels}


def early_batch_of(ids: torch.Tensor, tokenizer, generator: torch.Generator) -> loop.Batch:
    """The same with 40% selected: more guesses for hardly more arithmetic (Wettig et al. 2022, arXiv 2202.08005).

    The last quarter of a run has 15% again (Ankner et al. 2023, arXiv 2305.15096). After 390 s of one core from the
    same start, the held-out loss at 15% was 3.65 on reviews and 4.46 on introductions when all steps had 15%, 3.56 and
    4.32 when the first three quarters had 30% (125 steps both), 3.54 and 4.21 when they had 50% (149 steps).
    """
    seen, labels = mask_tokens(between_ends(ids, tokenizer), tokenizer, generator, SELECTED_EARLY)
    return {"input_ids": seen, "labels": labels}


def between_ends(ids: torch.Tensor, tokenizer) -> torch.Tensor:
    """Each row between [CLS] and [SEP]: from shape (rows, length) to (rows, length + 2)."""
    first, last = (torch.full((len(ids), 1), token) for token in (tokenizer.cls_token_id, tokenizer.sep_token_id))
    return torch.cat([first, ids, last], dim=1)


def loss_of(model: BertForMaskedLM, batch: loop.Batch) -> torch.Tensor:
    """Mean cross-entropy (nats) at the selected positions; only they go through the head, which saves its time."""
    hidden = model.bert(batch["input_ids"]).last_hidden_state
    selected = batch["labels"] != IGNORED
    return F.cross_entropy(model.cls(hidden[selected]).float(), batch["labels"][selected])


def new_model(tokenizer) -> BertForMaskedLM:
    """4 layers of width 256, positions that start as sines. No dropout: the masks are new in each epoch."""
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=1024, max_position_embeddings=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation=loop.attention(),
    )  # fmt: skip
    model = BertForMaskedLM(config)
    with torch.no_grad():
        model.bert.embeddings.position_embeddings.weight.copy_(0.1 * sines(config.max_position_embeddings, 256))
    return model


def sines(positions: int, width: int) -> torch.Tensor:
    """Sines and cosines of each position (Vaswani et al. 2017, section 3.5), shape (positions, width).

    From random positions and with all lengths mixed, mini-bert guessed by little more than frequency (held-out loss
    6.00 after 2,000 steps); from sines, with short sequences first, it had 4.41 after 1,250.
    """
    angles = torch.arange(positions)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


OBJECTIVE = loop.Objective("mini-bert", new_model, batch_of, loss_of, "[SEP]", early_batch_of)

if __name__ == "__main__":
    run_program(lambda: loop.main(OBJECTIVE, __doc__))
