"""What programs share that fine-tune: the trainer has what they ask for, and answers lie beside the right texts."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer

from utils import assets
from utils.finetuning import answers, counting_words, new_trainer

FOLDER = str(assets.small_model("mini-bert"))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 4000, size).tolist() for size in rng.integers(2, 30, 40)]
    return Dataset.from_dict({"input_ids": ids, "label": [0, 1, 2, 1] * 10})


def trainer_of(rows, tmp_path, **options):
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    return new_trainer(
        FOLDER, rows, tokenizer, ["a", "b", "c"], output_dir=tmp_path, use_cpu=True, save_strategy="no",
        per_device_eval_batch_size=4, disable_tqdm=True, **options,
    )  # fmt: skip


def test_answers_are_laid_beside_the_right_texts_though_batches_are_grouped(rows, tmp_path):
    trainer = trainer_of(rows, tmp_path, train_sampling_strategy="group_by_length")
    found = answers(trainer, list(rows["input_ids"]))
    model = trainer.model.eval()
    with torch.inference_mode():
        alone = [model(input_ids=torch.tensor([ids])).logits.argmax().item() for ids in rows["input_ids"]]
    assert len(set(alone)) > 1
    assert found.tolist() == alone


def test_labels_have_their_names_both_ways_and_dropout_is_what_was_asked_for(rows, tmp_path):
    config = trainer_of(rows, tmp_path, dropout=0.2).model.config
    assert config.id2label == {0: "a", 1: "b", 2: "c"}
    assert config.label2id == {"a": 0, "b": 1, "c": 2}
    assert config.attention_probs_dropout_prob == 0.2


def test_the_seed_makes_the_head_and_the_weights_come_from_the_file_or_not(rows, tmp_path):
    first, again, other, random = (
        trainer_of(rows, tmp_path, **options).model.state_dict()
        for options in ({"seed": 1}, {"seed": 1}, {"seed": 2}, {"seed": 1, "pretrained": False})
    )
    head, word = "classifier.weight", "bert.embeddings.word_embeddings.weight"
    assert torch.equal(first[head], again[head])
    assert not torch.equal(first[head], other[head])
    assert torch.equal(first[word], other[word])
    assert not torch.equal(first[word], random[word])


def test_counting_words_learns_from_words():
    counter = counting_words().fit(["good film", "bad film"] * 5, [1, 0] * 5)
    assert counter.predict(["a good one", "a bad one"]).tolist() == [1, 0]
