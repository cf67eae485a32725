"""The three vocabularies, learned from the training text: WordPiece, byte-level BPE, Unigram, 6,144 entries each.

The entries are learned with the `tokenizers` library and handed to transformers' own tokenizer classes, so that
`AutoTokenizer.from_pretrained` needs no code of ours.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from utils.assets import MODELS

SIZE = 6144
MAX_LENGTH = 256
SENTINELS = 32
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GPT_SPECIAL = "<|endoftext|>"


def wordpiece(texts: Iterable[str]):
    """mini-bert's tokenizer: lower-cased WordPiece like bert-base-uncased's."""
    from transformers import BertTokenizer

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=SIZE, special_tokens=BERT_SPECIAL, limit_alphabet=128, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=learner.get_vocab(), do_lower_case=True, model_max_length=MAX_LENGTH)


def byte_level_bpe(texts: Iterable[str]):
    """mini-gpt's tokenizer: byte-level BPE like GPT-2's; every text can be written, none is lost."""
    from transformers import GPT2Tokenizer

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=[GPT_SPECIAL], initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    merges = [tuple(merge) for merge in learned["merges"]]
    return GPT2Tokenizer(vocab=learned["vocab"], merges=merges, model_max_length=MAX_LENGTH)


def unigram(texts: Iterable[str]):
    """mini-t5's tokenizer: Unigram with 32 sentinels; digits stand alone, so that numbers can be copied."""
    from transformers import T5Tokenizer

    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation(),
    ])  # fmt: skip
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE - SENTINELS, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    entries = [(piece, score) for piece, score in json.loads(learner.to_str())["model"]["vocab"]]
    entries += [(f"<extra_id_{number}>", 0.0) for number in reversed(range(SENTINELS))]
    return T5Tokenizer(vocab=entries, extra_ids=SENTINELS, model_max_length=MAX_LENGTH)


def load_or_learn(name: str, folder: Path):
    """The tokenizer of "mini-bert", "mini-gpt" or "mini-t5": the run's own, the published one, or learned anew.

    The `tokenizers` library breaks ties between equally frequent pieces differently from run to run, so a run that is
    to be the same again needs the same vocabulary.
    """
    from transformers import AutoTokenizer

    from pretraining import tasks, text
    from utils import translation

    for known in (folder, MODELS / name):
        if (known / "tokenizer_config.json").exists():
            tokenizer = AutoTokenizer.from_pretrained(known)
            if len(tokenizer) != SIZE:
                continue
            tokenizer.save_pretrained(folder)
            return tokenizer
    texts = text.documents("train", text.READINGS)
    if name == "mini-t5":  # its prefixes and the letters of three languages must be in the vocabulary too
        for language in translation.LANGUAGES:
            items = itertools.islice(translation.pairs("train", language, seed=0), 20_000)
            texts = texts + [f"{translation.prefix(language)}{english} {other}" for english, other in items]
        texts = texts + [f"sentiment: title: topic: {answer}" for answer in sorted(tasks.answers("topic"))] * 100
        texts = texts + ["sentiment: positive negative neutral"] * 100
    tokenizer = {"mini-bert": wordpiece, "mini-gpt": byte_level_bpe, "mini-t5": unigram}[name](texts)
    tokenizer.save_pretrained(folder)
    return tokenizer
