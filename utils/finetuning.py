"""What programs share that fine-tune an encoder: a new trainer, its answers in order, and the baseline beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def new_trainer(
    folder: str, rows, tokenizer, names: Sequence[str] = ("neg", "pos"), seed: int = 0, dropout: float = 0.0,
    pretrained: bool = True, collator=None, **arguments,
):  # fmt: skip
    """A `transformers.Trainer` for an encoder with a new head.

    Args:
        folder: of the encoder.
        rows: a `datasets.Dataset` with `input_ids` and `label`.
        tokenizer: the encoder's; it pads.
        names: of the labels, in the order of their numbers.
        seed: of the head and of the order of training.
        dropout: inside attention.
        pretrained: False for the same network from random weights.
        collator: forms batches; by default each is filled up to its longest row.
        arguments: of `TrainingArguments`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, Trainer, TrainingArguments, set_seed

    set_seed(seed)
    config = AutoConfig.from_pretrained(
        folder,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        attention_probs_dropout_prob=dropout,
    )
    if pretrained:
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32)
    else:
        model = AutoModelForSequenceClassification.from_config(config)
    args = TrainingArguments(seed=seed, report_to="none", **arguments)
    return Trainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer, data_collator=collator)


def answers(trainer, rows: list[list[int]]) -> np.ndarray:
    """The label that a trainer's model gives to each row of token ids; computed in batches of similar length.

    Returns:
        Shape (rows,), numbers of labels, in the order of the rows.
    """
    from datasets import Dataset

    order = np.argsort([len(ids) for ids in rows], kind="stable")
    trainer.args.train_sampling_strategy = "sequential"  # else the Trainer groups once more, and answers in its order
    logits = trainer.predict(Dataset.from_dict({"input_ids": [rows[row] for row in order]})).predictions
    labels = np.empty(len(rows), dtype=int)
    labels[order] = logits.argmax(axis=1)
    return labels


def counting_words(class_weight: str | None = None):
    """TF-IDF of words and pairs of words, and logistic regression, the baseline of the lessons.

    Args:
        class_weight: "balanced" where a test set has as many of each label: a small draw has more of one, and without
            it the baseline mostly answers with that.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, class_weight=class_weight)
    )
