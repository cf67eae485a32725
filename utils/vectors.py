"""Texts as vectors of a frozen encoder."""

from __future__ import annotations

import numpy as np


def mean_vectors(profile, tokenizer, rows: list[list[int]]) -> np.ndarray:
    """For each text the mean of its token vectors in the last layer, special tokens included.

    Args:
        profile: its `encoder`, `device` and `precision` are used.
        tokenizer: the encoder's; it pads.
        rows: n lists of token ids.

    Returns:
        Shape (n, width), float32.
    """
    import torch
    from tqdm.auto import tqdm
    from transformers import AutoModel

    device, fast = profile.device, profile.precision != "float32"
    encoder = AutoModel.from_pretrained(profile.encoder, dtype=torch.float32).to(device).eval()
    order = np.argsort([len(ids) for ids in rows], kind="stable")  # similar lengths together: less padding
    vectors = np.empty((len(rows), encoder.config.hidden_size), dtype=np.float32)
    short = getattr(torch, profile.precision) if fast else torch.bfloat16
    with torch.inference_mode(), torch.autocast(device, short, enabled=fast):
        for start in tqdm(range(0, len(rows), 16), desc="vectors", leave=False):
            chosen = order[start : start + 16]
            batch = tokenizer.pad({"input_ids": [rows[row] for row in chosen]}, return_tensors="pt").to(device)
            hidden = encoder(**batch).last_hidden_state.float()
            mask = batch["attention_mask"][..., None]
            vectors[chosen] = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
    return vectors
