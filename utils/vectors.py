"""Texts as vectors of a frozen encoder."""

from __future__ import annotations

import numpy as np


def mean_vectors(profile, tokenizer, rows: list[list[int]], encoder=None, device: str | None = None) -> np.ndarray:
    """For each text the mean of its token vectors in the last layer, special tokens included.

    Args:
        profile: its `encoder`, `device` and `precision` are used.
        tokenizer: the encoder's; it pads.
        rows: n lists of token ids.
        encoder: another one: its folder, or a `PreTrainedModel` in memory.
        device: another one; on "cpu", an id beyond the table is an IndexError that says so.

    Returns:
        Shape (n, width), float32.

    Raises:
        IndexError: an id lies beyond the encoder's table, on a CPU.
    """
    import torch
    from tqdm.auto import tqdm
    from transformers import AutoModel

    device = device or profile.device
    fast = profile.precision != "float32" and device == profile.device
    model = encoder or profile.encoder
    if isinstance(model, str):
        model = AutoModel.from_pretrained(model, dtype=torch.float32)
    model = model.to(device).eval()
    order = np.argsort([len(ids) for ids in rows], kind="stable")  # similar lengths together: less padding
    vectors = np.empty((len(rows), model.config.hidden_size), dtype=np.float32)
    short = getattr(torch, profile.precision) if fast else torch.bfloat16
    with torch.inference_mode(), torch.autocast(device, short, enabled=fast):
        few = len(rows) <= 100  # no bar for what takes no time
        for start in tqdm(range(0, len(rows), 16), desc="vectors", leave=False, disable=few):
            chosen = order[start : start + 16]
            batch = tokenizer.pad({"input_ids": [rows[row] for row in chosen]}, return_tensors="pt").to(device)
            hidden = model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"][..., None]
            vectors[chosen] = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
    return vectors
