"""Models that fill blanks: mini-bert, and lesson 02's encoder with the head that was trained for it here."""

from __future__ import annotations

from pathlib import Path

from utils import assets

HEAD = assets.MODELS / "mpnet-blanks"


def fillers(profile, fill) -> dict:
    """Name -> "fill-mask" pipeline: mpnet-blanks, where the profile has all-mpnet-base-v2, and `fill`.

    Args:
        profile: the machine's.
        fill: the pipeline of `profile.bert`.
    """
    return base_size(profile) | {Path(profile.bert).name: fill}


def base_size(profile) -> dict:
    """all-mpnet-base-v2, which came without a head, with `models/mpnet-blanks`; {} where the profile does without it.

    Args:
        profile: the machine's. Under `full`, and on small machines, `encoder` is another model.

    Returns:
        Its name -> a "fill-mask" pipeline.
    """
    from transformers import AutoTokenizer, pipeline

    if Path(profile.encoder).name != assets.ENCODER:
        return {}
    model, tokenizer = with_head(profile.encoder), AutoTokenizer.from_pretrained(profile.encoder)
    return {HEAD.name: pipeline("fill-mask", model=model, tokenizer=tokenizer, device=profile.device)}


def with_head(encoder: str | Path):
    """The encoder in a folder and `models/mpnet-blanks`, merged: `MPNetForMaskedLM`, float32, in evaluation mode."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForMaskedLM

    headless = AutoModelForMaskedLM.from_pretrained(encoder, dtype=torch.float32)
    return PeftModel.from_pretrained(headless, HEAD).merge_and_unload().eval()


def guesses(filler, text: str, **how) -> list[dict]:
    """What a pipeline guesses for the [MASK] in a text, whatever its own sign for a blank is.

    Args:
        filler: a "fill-mask" pipeline.
        text: with one [MASK].
        how: of the pipeline, such as `top_k`.

    Returns:
        The best first: "token_str", "score" and others.
    """
    return filler(text.replace("[MASK]", filler.tokenizer.mask_token), **how)
