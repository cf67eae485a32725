"""The guard finds what is wrong with a pair of model and tokenizer, and nothing where nothing is."""

import itertools

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
)

from utils import assets
from utils.tokenizer_guard import check_tokenizer_matches

KINDS = {
    "mini-bert": AutoModelForMaskedLM, "mini-gpt": AutoModelForCausalLM, "mini-t5": AutoModelForSeq2SeqLM,
    "all-MiniLM-L6-v2": AutoModel,
}  # fmt: skip


def folder(name):
    return assets.small_encoder() if name == "all-MiniLM-L6-v2" else assets.small_model(name)


@pytest.fixture(scope="module")
def models():
    return {name: kind.from_pretrained(folder(name), dtype=torch.float32) for name, kind in KINDS.items()}


def tokenizer(name):
    return AutoTokenizer.from_pretrained(folder(name))


def tiny_bert(rows, kind=BertModel, config=BertConfig):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    if kind is DistilBertModel:
        sizes = {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}
    return kind(config(vocab_size=rows, **sizes))


@pytest.mark.parametrize("name", KINDS)
def test_a_model_and_its_own_tokenizer_pass(models, name):
    assert check_tokenizer_matches(models[name], tokenizer(name)) == []


@pytest.mark.parametrize(("model", "other"), list(itertools.permutations(KINDS, 2)))
def test_every_wrong_pair_of_the_course_is_found(models, model, other):
    found = check_tokenizer_matches(models[model], tokenizer(other))
    assert found
    assert all(finding.problem and finding.remedy for finding in found)
    too_large = len(tokenizer(other)) > models[model].get_input_embeddings().weight.shape[0]
    assert found[0].loud is too_large


def usual_pairs():
    """Right pairs in which something was changed on purpose."""
    minilm = tokenizer("all-MiniLM-L6-v2")
    yield "padded table", tiny_bert(30_592), minilm
    yield "distilbert", tiny_bert(30_522, DistilBertModel, DistilBertConfig), minilm
    classifier = AutoModelForSequenceClassification.from_pretrained(folder("mini-bert"), num_labels=2)
    yield "with a new head", classifier, tokenizer("mini-bert")
    gpt, gpt_tokenizer = AutoModelForCausalLM.from_pretrained(folder("mini-gpt")).float(), tokenizer("mini-gpt")
    gpt_tokenizer.pad_token = gpt_tokenizer.eos_token
    yield "pad is eos", gpt, gpt_tokenizer
    bert, bert_tokenizer = AutoModelForMaskedLM.from_pretrained(folder("mini-bert")).float(), tokenizer("mini-bert")
    bert_tokenizer.add_tokens(["colour_of_magic", "film_noir"])
    bert.resize_token_embeddings(len(bert_tokenizer))
    yield "added and resized", bert, bert_tokenizer


@pytest.mark.parametrize("case", range(5))
def test_usual_changes_raise_no_alarm(case):
    name, model, own = list(usual_pairs())[case]
    assert check_tokenizer_matches(model, own) == [], name


def test_added_tokens_without_rows_are_loud_and_the_remedy_is_to_resize(models):
    own = tokenizer("mini-bert")
    own.add_tokens(["film_noir"])
    (finding,) = check_tokenizer_matches(models["mini-bert"], own)
    assert finding.loud
    assert "resize_token_embeddings" in finding.remedy
    with pytest.raises(IndexError):
        models["mini-bert"](**own("A film_noir.", return_tensors="pt"))


def test_another_vocabulary_of_the_same_class_and_size_is_found_by_the_loss(models):
    vocabulary = tokenizer("mini-bert").get_vocab()
    words = [word for word in sorted(vocabulary, key=vocabulary.get) if not word.startswith("[")]
    shuffled = np.random.default_rng(0).permutation(words)
    other = BertTokenizer(
        vocab={**vocabulary, **{str(word): vocabulary[old] for word, old in zip(shuffled, words, strict=True)}}
    )
    (finding,) = check_tokenizer_matches(models["mini-bert"], other)
    assert "loss" in finding.problem
    assert not finding.loud


def test_a_cased_vocabulary_under_an_uncased_model_is_found():
    vocabulary = dict(itertools.islice(tokenizer("all-MiniLM-L6-v2").get_vocab().items(), 100_000))
    cased = BertTokenizer(
        vocab={word: number for word, number in vocabulary.items() if number < 28_996}, do_lower_case=False
    )
    found = check_tokenizer_matches(tiny_bert(30_522), cased)
    assert "28,996 ids" in found[0].problem


def test_an_empty_tokenizer_is_found():
    """What `GPT2Tokenizer` becomes when it is given an empty vocabulary; releases before 5 took files here."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=500, n_embd=8, n_layer=1, n_head=2))
    found = check_tokenizer_matches(model, GPT2Tokenizer(vocab={"<|endoftext|>": 0}, merges=[]))
    assert any("comes back" in finding.problem for finding in found)


def test_a_wrong_padding_id_is_found(models):
    own = tokenizer("mini-bert")
    own.pad_token = "[UNK]"
    (finding,) = check_tokenizer_matches(models["mini-bert"], own)
    assert "pad token is 0, the tokenizer's 1" in finding.problem


def test_missing_special_tokens_are_found(models):
    from tokenizers.processors import TemplateProcessing

    own = tokenizer("mini-bert")
    own.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    found = check_tokenizer_matches(models["mini-bert"], own)
    assert any("no special tokens around" in finding.problem for finding in found)


def test_an_untrained_model_is_named_as_one_of_two_possibilities():
    own = tokenizer("mini-gpt")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=len(own), n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    ))  # fmt: skip
    (finding,) = check_tokenizer_matches(model, own)
    assert "untrained" in finding.remedy
    assert model.training  # left as it was
