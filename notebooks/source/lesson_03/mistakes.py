"""Wrong and right pairs of model and tokenizer for lesson 03, written before the guard was tried on them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from utils import assets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOUD, SILENT, HARMLESS = "an error", "silent", "changes nothing"
SAME = 0.999  # cosine of two vectors of a text: rounding alone stays above


def wrong_tokenizers(profile) -> dict[str, PreTrainedTokenizerBase]:
    """Five tokenizers that somebody might pass to the small encoder: words -> tokenizer."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    def own(**options):
        return AutoTokenizer.from_pretrained(profile.small_encoder, **options)

    no_ends, with_new_piece = own(), own()
    no_ends.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])  # $A: the text alone
    with_new_piece.add_tokens(["<br />"])  # the line break of IMDB's reviews
    return {
        "GPT-2's tokenizer": AutoTokenizer.from_pretrained(profile.gpt2_tokenizer),
        f"{Path(profile.t5).name}'s tokenizer": AutoTokenizer.from_pretrained(profile.t5),
        "[CLS] and [SEP] left out": no_ends,
        "capitals kept": own(do_lower_case=False),
        "<br /> added, table not enlarged": with_new_piece,
    }


def try_each(profile, texts: list[str], classifier) -> dict[str, str]:
    """Let each wrong tokenizer cut the texts for the small encoder; print what happens, compared with the right one.

    Args:
        profile: its `small_encoder` reads, on the CPU, where an id beyond the table is a clear error.
        texts: to be judged.
        classifier: judges the encoder's vectors.

    Returns:
        Mistake -> LOUD, SILENT (the vectors change) or HARMLESS (they do not).
    """
    import numpy as np
    from transformers import AutoTokenizer

    from utils.vectors import mean_vectors

    own = AutoTokenizer.from_pretrained(profile.small_encoder)

    def read(tokenizer) -> tuple[np.ndarray, np.ndarray]:
        ids = tokenizer(texts, truncation=True, max_length=100)["input_ids"]
        found = mean_vectors(profile, own, ids, encoder=profile.small_encoder, device="cpu")
        return found / np.linalg.norm(found, axis=1, keepdims=True), classifier.predict(found)

    expected, verdicts = read(own)
    outcomes = {}
    print(f"{'tokenizer':<33} {'what happens':<15} verdicts that change")
    for mistake, tokenizer in wrong_tokenizers(profile).items():
        try:
            found, other_verdicts = read(tokenizer)
        except IndexError:
            outcomes[mistake] = LOUD
            print(f"{mistake:<33} IndexError")
            continue
        alike = (found * expected).sum(axis=1)
        outcomes[mistake] = SILENT if alike.min() < SAME else HARMLESS
        print(f"{mistake:<33} {outcomes[mistake]:<15} {(verdicts != other_verdicts).mean():.0%}")
    return outcomes


def exchanged(tokenizer, first: str, second: str) -> PreTrainedTokenizerBase:
    """A copy of a WordPiece tokenizer in which two pieces have each other's id."""
    vocab = tokenizer.get_vocab()
    vocab[first], vocab[second] = vocab[second], vocab[first]
    return type(tokenizer)(vocab=vocab)


def unseen_mistakes(folders: dict[str, str]) -> dict[str, tuple]:
    """Fifteen mistakes that people make or may make, others than those above: words -> model and tokenizer.

    Args:
        folders: "encoder", "BERT", "GPT" and "T5" -> where the model and its tokenizer lie.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    encoder, bert, gpt, t5 = (pair[0] for pair in _loaded(folders).values())

    def own(kind: str, **options):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folders[kind], **options)

    def renumbered(tokenizer, order: list[str]):
        return type(tokenizer)(vocab={piece: number for number, piece in enumerate(order)})

    def learned(trainer, model, **special):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.train_from_iterator(_reviews(), trainer)
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)

    wordpiece, bert_own, gpt_own = own("encoder"), own("BERT"), own("GPT")
    pieces = sorted(wordpiece.get_vocab(), key=wordpiece.get_vocab().get)
    letters = [piece for piece in pieces if len(piece.removeprefix("##")) == 1]
    plain = random.Random(0).sample(pieces[1000:], len(pieces) - 1000)
    ends = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    padded = own("GPT")
    padded.add_special_tokens({"pad_token": "[PAD]"})
    endless = own("T5")
    endless.backend_tokenizer.post_processor = gpt_own.backend_tokenizer.post_processor
    return {
        "the first line of the vocabulary's file was lost: all ids one too small": (
            encoder, renumbered(wordpiece, [*pieces[1:], "[PAD]"])
        ),
        "the vocabulary's file was sorted anew": (encoder, renumbered(wordpiece, sorted(pieces))),
        "the ordinary pieces of the vocabulary were shuffled": (encoder, renumbered(wordpiece, pieces[:1000] + plain)),
        "two lines of the file changed places: good and bad": (encoder, exchanged(wordpiece, "good", "bad")),
        "accents kept under an uncased model": (encoder, own("encoder", strip_accents=False)),
        "[CLS] and [SEP] exchanged": (encoder, own("encoder", cls_token="[SEP]", sep_token="[CLS]")),
        "padding as unknown token": (encoder, own("encoder", unk_token="[PAD]")),
        "a vocabulary of letters": (encoder, renumbered(wordpiece, [*special, *letters])),
        "a vocabulary of whole words, learned on the reviews": (
            encoder,
            learned(trainers.WordLevelTrainer(vocab_size=30_000, special_tokens=special, show_progress=False),
                    models.WordLevel(unk_token="[UNK]"), **ends),
        ),
        "[MASK] and [UNK] exchanged under lesson 01's BERT": (
            bert, own("BERT", mask_token="[UNK]", unk_token="[MASK]")
        ),
        "two pieces of lesson 01's BERT exchanged: the and a": (bert, exchanged(bert_own, "the", "a")),
        "BERT's tokenizer for lesson 01's GPT": (gpt, bert_own),
        "a BPE of its own size, learned on the reviews, for lesson 01's GPT": (
            gpt,
            learned(trainers.BpeTrainer(vocab_size=len(gpt_own), special_tokens=["<|endoftext|>"], show_progress=False),
                    models.BPE(), eos_token="<|endoftext|>"),
        ),
        "a new padding token for lesson 01's GPT, [PAD], table not resized": (gpt, padded),
        "lesson 01's T5 without the end of its texts, </s>": (t5, endless),
    }  # fmt: skip


def right_pairs(folders: dict[str, str]) -> dict[str, tuple]:
    """Six pairs that belong together: words -> model and tokenizer."""
    from transformers import AutoModelForSequenceClassification

    pairs = _loaded(folders)
    wordpiece = pairs["encoder"][1]
    classifier = AutoModelForSequenceClassification.from_pretrained(folders["encoder"], num_labels=2)
    encoder = type(pairs["encoder"][0]).from_pretrained(folders["encoder"])
    grown = type(wordpiece).from_pretrained(folders["encoder"])
    grown.add_tokens(["<br />"])
    encoder.resize_token_embeddings(len(grown))
    return pairs | {"a new head": (classifier, wordpiece), "a piece added, table resized": (encoder, grown)}


def _loaded(folders: dict[str, str]) -> dict[str, tuple]:
    from transformers import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
    )

    classes = {
        "encoder": AutoModel, "BERT": AutoModelForMaskedLM, "GPT": AutoModelForCausalLM, "T5": AutoModelForSeq2SeqLM
    }  # fmt: skip
    return {
        name: (model.from_pretrained(folders[name]), AutoTokenizer.from_pretrained(folders[name]))
        for name, model in classes.items()
    }


def _reviews() -> list[str]:
    from datasets import load_dataset

    return list(load_dataset(str(assets.imdb()))["train"].shuffle(seed=0).select(range(200))["text"])
