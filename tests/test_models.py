"""The published small models: they load with the ordinary classes, are the files that the cards name, and behave."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pretraining import cards, evaluate, mpnet, publish
from utils import assets
from utils.blanks import HEAD, base_size, guesses

CLASSES = {"mini-bert": AutoModelForMaskedLM, "mini-gpt": AutoModelForCausalLM, "mini-t5": AutoModelForSeq2SeqLM}
PUBLISHED = sorted(CLASSES)
MAX_MIB = 40  # all three together
LAKE = "Lake Bled is a lake in the Julian Alps of northwestern Slovenia. It is popular with visitors."


def numbers(name):
    return json.loads((publish.MODELS / name / "numbers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def load():
    loaded = {}

    def get(name):
        if name not in loaded:
            folder = publish.MODELS / name
            model = CLASSES[name].from_pretrained(folder, dtype=torch.float32).eval()
            loaded[name] = model, AutoTokenizer.from_pretrained(folder)
        return loaded[name]

    return get


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_loads_and_is_the_one_that_its_card_names(load, name):
    model, tokenizer = load(name)
    said = numbers(name)
    assert model.num_parameters() == said["parameters"]
    assert 4_000_000 <= said["parameters"] <= 8_000_000
    assert len(tokenizer) == model.config.vocab_size
    assert publish.sha256(publish.MODELS / name / "model.safetensors") == said["sha256"]
    card = (publish.MODELS / name / "README.md").read_text(encoding="utf-8")
    assert said["sha256"] in card
    assert f"{said['parameters']:,} parameters" in card


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in publish.MODELS.rglob("*") if path.is_file()) <= MAX_MIB * 2**20


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_held_out_loss_is_the_stated_one(load, name):
    assert publish.fixed_texts_loss(name, *load(name)) == pytest.approx(numbers(name)["fixed_texts_loss"], abs=0.01)


def test_the_cards_and_the_numbers_belong_together(tmp_path):
    for name in PUBLISHED:
        (tmp_path / name).mkdir()
        for path in (publish.MODELS / name).iterdir():
            if path.suffix == ".csv" or path.name in ("numbers.json", "earlier.json", "config.json"):
                shutil.copy(path, tmp_path / name)
        cards.write(tmp_path, name)
    cards.write_overview(tmp_path)
    written = {path.relative_to(tmp_path): path.read_text("utf-8") for path in tmp_path.rglob("README.md")}
    assert len(written) == len(PUBLISHED) + 1
    for path, text in written.items():
        assert text == (publish.MODELS / path).read_text("utf-8"), path
    pictures = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.png")}
    assert pictures == {path.relative_to(publish.MODELS) for path in publish.MODELS.rglob("*.png")}


def assert_close(found, said):
    """At most one pair of each phenomenon may fall the other way on another machine; seven in ten are right in all."""
    assert all(abs(right - said[name][0]) <= 1 and total == said[name][1] for name, (right, total) in found.items())
    assert sum(right for right, _ in found.values()) >= 0.7 * sum(total for _, total in found.values())


def test_mini_bert_knows_grammar_and_uses_both_sides(load):
    model, tokenizer = load("mini-bert")
    found = evaluate.grammar(lambda sentence: evaluate.pseudo_log_likelihood(model, tokenizer, sentence))
    assert_close(found, numbers("mini-bert")["minimal pairs"])
    guesses = evaluate.top_guesses(model, tokenizer, "I thought this [MASK] was the worst I have ever seen.")
    assert {"movie", "film"} & set(guesses)
    assert evaluate.top_guesses(model, tokenizer, "It was [MASK], and I loved it.") != evaluate.top_guesses(
        model, tokenizer, "It was [MASK], and I hated it."
    )


def test_mini_gpt_knows_grammar_and_does_not_look_ahead(load):
    model, tokenizer = load("mini-gpt")
    found = evaluate.grammar(lambda sentence: evaluate.log_likelihood(model, tokenizer, sentence))
    assert_close(found, numbers("mini-gpt")["minimal pairs"])
    one, two = (tokenizer(f"The film is {word}", return_tensors="pt")["input_ids"] for word in ("good", "bad"))
    with torch.inference_mode():
        assert torch.equal(model(one).logits[:, :3], model(two).logits[:, :3])


def test_the_cards_state_what_was_aimed_at():
    """Values that earlier models reached; they are measured by `pretraining.publish`."""
    bert, gpt, t5 = (numbers(name) for name in ("mini-bert", "mini-gpt", "mini-t5"))
    for kind, least in (("reviews", 0.40), ("introductions", 0.50)):
        assert bert["masked tokens"][kind]["mini-bert, one masked"]["top 1"] >= least
    assert bert["masked tokens"]["reviews"]["mini-bert, 15% masked"]["top 5"] >= 0.60
    assert sum(right for _, _, right in bert["facts"]) >= 10
    for perplexity in gpt["perplexity per word"].values():
        assert perplexity["mini-gpt"][2] < perplexity["5-gram"][1] < perplexity["unigram"][1]
    for right, total in t5["translation"].values():
        assert right >= 0.99 * total
    for right, total in t5["topics"].values():
        assert right >= 0.75 * total
    kinds = t5["kinds of answers"].values()
    assert sum(right for right, _ in kinds) >= 0.95 * sum(total for _, total in kinds)
    (by_word, words), (by_head, reviews) = t5["sentiment"], bert["sentiment"]
    assert words == reviews
    assert by_word / words >= by_head / reviews - 0.03


def test_mini_t5_translates_unseen_items_of_each_language(load):
    model, tokenizer = load("mini-t5")
    for right, total in evaluate.exact_matches(model, tokenizer, 60).values():
        assert right >= 0.85 * total


def test_mini_t5_translates_and_classifies(load):
    model, tokenizer = load("mini-t5")
    answers = evaluate.write(model, tokenizer, [
        "translate English to German: Tuesday, March 12, 2024",
        "translate English to French: 3 kilometers",
        "sentiment: A wonderful film. I loved every minute of it, the acting is superb.",
        "sentiment: The worst film I have ever seen. A waste of time, boring and stupid.",
        "title: A wonderful film. I loved every minute of it, the acting is superb.",
        f"title: {LAKE}", f"topic: {LAKE}", f"sentiment: {LAKE}",
    ])  # fmt: skip
    assert answers[:5] == ["Dienstag, 12. März 2024", "3 kilomètres", "positive", "negative", "film review"]
    assert answers[5:] == ["Lake Bled", "geography", "neutral"]


@pytest.fixture(scope="module")
def large():
    return base_size(SimpleNamespace(encoder=str(assets.encoder()), device="cpu"))[HEAD.name]


def test_the_head_for_the_encoder_is_the_one_that_its_card_names(tmp_path):
    said = numbers(HEAD.name)
    assert publish.sha256(HEAD / "adapter_model.safetensors") == said["sha256"]
    assert (HEAD / "adapter_model.safetensors").stat().st_size <= 20 * 2**20
    shutil.copy(HEAD / "numbers.json", tmp_path)
    mpnet.write_card(tmp_path)
    assert (tmp_path / "README.md").read_text("utf-8") == (HEAD / "README.md").read_text("utf-8")


def test_the_encoder_with_its_head_knows_the_facts_that_its_card_says(large):
    known = evaluate.facts_known(large.model, large.tokenizer)
    said = numbers(HEAD.name)["facts"]
    assert abs(sum(right for *_, right in known) - sum(right for *_, right in said)) <= 1  # near ties, other machines
    assert guesses(large, "Paris is the capital of [MASK].")[0]["token_str"] == "france"


def test_the_table_of_tokens_is_the_encoder_s_and_the_last_matrix(large):
    from transformers import AutoModel

    table = AutoModel.from_pretrained(assets.encoder(), dtype=torch.float32).get_input_embeddings().weight
    assert torch.equal(large.model.get_input_embeddings().weight, table)
    assert large.model.lm_head.decoder.weight is large.model.get_input_embeddings().weight
    assert not large.model.lm_head.bias.any()


def test_another_encoder_gets_no_such_head():
    assert base_size(SimpleNamespace(encoder=str(assets.small_encoder()), device="cpu")) == {}
