"""What the loopback hub serves: untrained models of the real architectures under the real names, and a small IMDB."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path) -> None:
    """Write `folder/OWNER/NAME/…` for the course's four repositories.

    The tokenizers are real ones: bert-base-uncased's WordPiece, GPT-2's BPE, and mini-t5's Unigram. The reviews are
    real too, cut to their first words, in the archive's order.
    """
    import torch
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForMaskedLM,
        GPT2Config,
        GPT2LMHeadModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    from utils import assets, hub

    tokenizers = {
        hub.BERT: AutoTokenizer.from_pretrained(assets.small_encoder()),
        hub.GPT2: AutoTokenizer.from_pretrained(assets.gpt2_tokenizer()),
        hub.T5: AutoTokenizer.from_pretrained(assets.small_model("mini-t5")),
    }
    sizes = {repository: len(tokenizer) for repository, tokenizer in tokenizers.items()}
    torch.manual_seed(0)
    models = {
        hub.BERT: BertForMaskedLM(BertConfig(
            vocab_size=sizes[hub.BERT], hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
            intermediate_size=32,
        )),
        hub.GPT2: GPT2LMHeadModel(GPT2Config(vocab_size=sizes[hub.GPT2], n_embd=20, n_layer=2, n_head=5)),
        hub.T5: T5ForConditionalGeneration(T5Config(
            vocab_size=sizes[hub.T5], d_model=16, d_kv=8, d_ff=32, num_layers=3, num_decoder_layers=1, num_heads=2,
            decoder_start_token_id=0,
        )),
    }  # fmt: skip
    for repository, model in models.items():
        tokenizers[repository].model_max_length = 1024 if repository is hub.GPT2 else 512
        model.save_pretrained(folder / repository.name)
        tokenizers[repository].save_pretrained(folder / repository.name)
    _write_reviews(folder / hub.IMDB.name / "plain_text")


def _write_reviews(folder: Path) -> None:
    from datasets import concatenate_datasets, load_dataset

    from utils import assets

    folder.mkdir(parents=True)
    reviews = load_dataset(str(assets.imdb()))
    train = concatenate_datasets([reviews["train"], reviews["validation"]])
    for split, rows, size in (("train", train, TRAIN), ("test", reviews["test"], TEST)):
        rows, half, middle = rows.sort("label"), size // 2, len(rows) // 2
        chosen = [*range(half), *range(middle, middle + half)]  # the first of each label
        _write(rows.select(chosen), folder, split)
    # The real one has it too: 50,000 reviews without labels, of which the course reads none.
    _write(reviews["test"].select(range(8)), folder, "unsupervised")


def _write(reviews, folder: Path, split: str) -> None:
    short = reviews.map(lambda review: {"text": " ".join(review["text"].split()[:WORDS])})
    short.to_parquet(folder / f"{split}-00000-of-00001.parquet")


WORDS, TRAIN, TEST = 100, 6000, 1000
