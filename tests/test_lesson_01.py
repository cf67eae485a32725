"""The code that students read in lesson 01, taken out of the committed notebooks."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from notebooks.source.lesson_01 import cards, measures
from pretraining import t5, vocabulary
from pretraining.tasks import head_and_tail
from tools.notebooks.files import ROOT
from utils import assets, claims
from utils.minimal_pairs import right_is_likelier
from utils.senses import SENSES

SCRAP = ["The film is good and the actors are good.", "The film is bad, and I was bored by the end of it."] * 40


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary.wordpiece(SCRAP)


@pytest.mark.parametrize("seed", range(1, 6))
def test_masking_is_the_library_s_to_the_token(from_lesson, tokenizer, seed):
    (mask_tokens,) = from_lesson("01", "mask_tokens", torch=torch)
    rows = tokenizer(SCRAP[:8], padding=True, return_tensors="pt")["input_ids"].repeat(20, 1)
    library = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=seed)
    wanted = library([{"input_ids": row} for row in rows])
    seen, labels = mask_tokens(rows, tokenizer, torch.Generator().manual_seed(seed))
    assert torch.equal(seen, wanted["input_ids"])
    assert torch.equal(labels, wanted["labels"])
    special = torch.isin(rows, torch.tensor(tokenizer.all_special_ids))
    assert (labels[special] == -100).all()
    assert (labels != -100).any()


@pytest.fixture(scope="module")
def gpt():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=60, n_positions=32, n_embd=16, n_layer=2, n_head=2)).eval()


def test_next_token_losses_are_the_library_s(from_lesson, gpt):
    (losses_of,) = from_lesson("01", "next_token_losses", F=torch.nn.functional)
    ids = torch.randint(60, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        losses = losses_of(gpt, ids)
        assert losses.shape == (3, 11)
        assert losses.mean().item() == pytest.approx(gpt(ids, labels=ids).loss.item(), abs=1e-6)
        probabilities = gpt(ids).logits.softmax(dim=-1)
    assert losses[1, 4].item() == pytest.approx(-math.log(probabilities[1, 4, ids[1, 5]]), abs=1e-5)


@pytest.mark.parametrize("length", [7, 30, 120, 240])
def test_span_corruption_is_that_of_mini_t5(from_lesson, length):
    _, corrupt_spans = from_lesson("01", "random_lengths", "corrupt_spans", np=np)
    ids, sentinels = list(range(100, 100 + length)), list(range(20))
    for seed in range(10):
        source, target = corrupt_spans(ids, sentinels, np.random.default_rng(seed))
        assert (source, target) == t5.corrupt_spans(ids, sentinels, np.random.default_rng(seed))
        spans = {}
        for token in target:  # put each span back in the place of its sentinel
            if token < 20:
                spans[token] = []
            else:
                spans[max(spans)].append(token)
        assert [back for token in source for back in (spans[token] if token < 20 else [token])] == ids
        assert sum(map(len, spans.values())) == max(1, round(0.15 * length))


def test_the_library_shifts_t5_s_labels_as_the_lesson_does():
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )).eval()  # fmt: skip
    ids, labels = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[8, 9, 1]])
    shifted = model._shift_right(labels)
    assert shifted.tolist() == [[0, 8, 9]]
    with torch.inference_mode():
        logits = model(ids, decoder_input_ids=shifted).logits
        wanted = model(ids, labels=labels).loss
    assert torch.nn.functional.cross_entropy(logits[0], labels[0]).item() == pytest.approx(wanted.item(), abs=1e-6)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.5), (0.8, 0.9)])
def test_bending_is_the_library_s(from_lesson, temperature, top_p):
    (bend,) = from_lesson("01", "bend", torch=torch)
    logits = 3 * torch.randn(200, generator=torch.Generator().manual_seed(2))
    scores = TemperatureLogitsWarper(temperature)(None, logits[None])
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    assert bend(logits, temperature, top_p) == pytest.approx(scores[0].softmax(dim=-1).numpy(), abs=1e-6)


def test_repeated_runs_are_counted(from_lesson):
    (repeated,) = from_lesson("01", "repeated")
    assert repeated("a b c d e f g") == 0
    assert repeated("too short") == 0
    assert repeated("a b c d a b c d") == pytest.approx(20)
    assert repeated("no no no no no no") == pytest.approx(100 * 2 / 3)
    assert repeated("a b c d " + "x " * 50, words=4) == 0


def test_both_ends_keeps_what_mini_t5_learned_to_read(from_lesson):
    (both_ends,) = from_lesson("01", "both_ends")
    text = " ".join(map(str, range(250)))
    assert both_ends(text) == " ".join(map(str, [*range(25), *range(175, 250)]))
    assert both_ends(text) == head_and_tail(text)
    assert both_ends("a  short\ntext") == "a  short\ntext"


def hits(right, of=200):
    """`of` outcomes, the first `right` of them true, so that two such sets differ where they must."""
    return np.arange(of) < right


def sides_of(bert=0.5, gpt=0.0, encoder=0.5, decoder=0.0, right=0.5):
    left = {"BERT": bert, "GPT": gpt, "T5 encoder": encoder, "T5 decoder": decoder}
    left = {name: np.array([change, 5 * change]) for name, change in left.items()}
    return left, {name: np.full(2, right) for name in left}


def sides(both=100, left=40, more=45, right=30):
    return {"both sides": hits(both), "the left side": hits(left), "twice as much": hits(more), "right": hits(right)}


def repeats(excess, noise=5):
    sampled = np.random.default_rng(0).normal(20, noise, 40)
    return {"greedy": sampled + np.random.default_rng(1).normal(excess, noise, 40), "sampled": sampled}


def tasks(translated=180, copied=5, elsewhere=60, sentiment=170, majority=106, strays=1):
    return *map(hits, (translated, copied, elsewhere, sentiment, majority)), hits(strays, 40)


def published(german, french, *rouge):
    names = ["English to German, BLEU", "English to French, BLEU", "ROUGE-1", "ROUGE-2", "ROUGE-L"]
    return {name: (points, 0.0) for name, points in zip(names, (german, french, *rouge), strict=True)}


def senses(bottom, top, stop):
    """Shares of eight words at three layers, and of the full stop."""
    spread = np.linspace(-0.1, 0.1, 8)[:, None]
    word = np.array([bottom, top, top]) + spread * np.array([1, -1, 0.5])
    return {"the word": word, "the full stop": np.array([bottom, stop, stop]) + 0 * spread}


def agrees(near, far):
    return {"BERT, side by side": hits(near, 20), "BERT, another noun between": hits(far, 60), "GPT": hits(0, 20)}


def words(share, spread, between_spaces=None):
    """Texts of 100 words, of which a share is asked for; another share of those between spaces."""

    def of_texts(share):
        return 100 * share + 100 * spread * np.linspace(-1, 1, 20), np.full(20, 100)

    both = {"words and marks": of_texts(share), "words between spaces": of_texts(between_spaces or share)}
    return both | {"mini-bert": of_texts(0.18)}


NETWORK = torch.nn.Linear(9, 9)
SIZES = dict.fromkeys(("bert", "gpt", "t5"), "a model")
HOLDS, DEPENDS, FAILS, OPEN = claims.HOLDS, claims.DEPENDS, claims.FAILS, claims.OPEN
CASES = [
    ("01.1", cards.looks_both_ways, (SIZES, *sides_of()), HOLDS),
    ("01.1", cards.looks_both_ways, (SIZES, *sides_of(bert=1e-6)), DEPENDS),
    ("01.1", cards.looks_both_ways, (SIZES, *sides_of(gpt=0.01)), DEPENDS),
    ("01.1", cards.looks_both_ways, (SIZES, *sides_of(bert=0, gpt=1, encoder=0, decoder=1)), FAILS),
    ("01.1", cards.looks_both_ways, (SIZES, *sides_of(right=0)), FAILS),
    ("01.2", cards.reads_at_once, (SIZES, 1e-5), HOLDS),
    ("01.2", cards.reads_at_once, (SIZES, 50.0), FAILS),
    ("01.3", cards.guesses_words, (words(0.177, 0.001),), FAILS),
    ("01.3", cards.guesses_words, (words(0.157, 0.001),), HOLDS),
    ("01.3", cards.guesses_words, (words(0.16, 0.02),), OPEN),
    ("01.3", cards.guesses_words, (words(0.157, 0.001, between_spaces=0.18),), DEPENDS),
    ("01.4", cards.uses_both_sides, (SIZES, sides()), HOLDS),
    ("01.4", cards.uses_both_sides, (SIZES, sides(both=46)), OPEN),
    ("01.4", cards.uses_both_sides, (SIZES, sides(right=130)), DEPENDS),
    ("01.4", cards.uses_both_sides, (SIZES, sides(both=15)), FAILS),
    ("01.5", cards.guesses_the_next_word, (SIZES, hits(60), hits(40), "films"), HOLDS),
    ("01.5", cards.guesses_the_next_word, (SIZES, hits(41), hits(40), "films"), OPEN),
    ("01.5", cards.guesses_the_next_word, (SIZES, hits(20), hits(40), "films"), FAILS),
    ("01.6", cards.greedy_repeats, ("a model", repeats(40)), HOLDS),
    ("01.6", cards.greedy_repeats, ("a model", repeats(0)), OPEN),
    ("01.6", cards.greedy_repeats, ("a model", repeats(-10)), FAILS),
    ("01.7", cards.does_several_tasks, (SIZES, *tasks()), HOLDS),
    ("01.7", cards.does_several_tasks, (SIZES, *tasks(strays=20)), OPEN),
    ("01.7", cards.does_several_tasks, (SIZES, *tasks(strays=40)), DEPENDS),
    ("01.7", cards.does_several_tasks, (SIZES, *tasks(elsewhere=190)), DEPENDS),  # deaf to the prefix
    ("01.7", cards.does_several_tasks, (SIZES, *tasks(translated=2, copied=60, sentiment=40, strays=40)), FAILS),
    ("01.8", cards.led_when_it_came_out, (published(-1.7, -0.4, 0.05, 1.25, 0.06),), DEPENDS),
    ("01.8", cards.led_when_it_came_out, (published(1.7, 0.4, 0.05, 1.25, 0.06),), HOLDS),
    ("01.8", cards.led_when_it_came_out, (published(-1.7, 0.4, -0.05, 0.3, 0.06),), FAILS),
    ("01.9", cards.classifies_better, ({"BERT-base": 79.6, "GPT-1": 75.1},), HOLDS),
    ("01.9", cards.classifies_better, ({"BERT-base": 75.1, "GPT-1": 79.6},), FAILS),
    ("01.10", cards.understands_context, (NETWORK, senses(0.4, 0.9, 0.6)), HOLDS),
    ("01.10", cards.understands_context, (NETWORK, senses(0.4, 0.9, 1.0)), DEPENDS),
    ("01.10", cards.understands_context, (NETWORK, senses(0.4, 0.4, 0.4)), OPEN),
    ("01.10", cards.understands_context, (NETWORK, senses(0.6, 0.3, 0.6)), FAILS),
    ("01.11", cards.knows_the_subject, (SIZES, agrees(19, 50)), HOLDS),
    ("01.11", cards.knows_the_subject, (SIZES, agrees(19, 15)), DEPENDS),
    ("01.11", cards.knows_the_subject, (SIZES, agrees(19, 30)), OPEN),
    ("01.11", cards.knows_the_subject, (SIZES, agrees(1, 15)), FAILS),
]  # fmt: skip


@pytest.mark.parametrize(("id", "card", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(monkeypatch, tmp_path, id, card, numbers, verdict):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    card(
        SimpleNamespace(name="test", bert="bert", gpt="gpt", t5="t5", encoder="encoder", small_encoder="small"),
        *numbers,
    )
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_each_card_of_the_committed_lessons_is_turned_above(cards_are_turned):
    turned = [(id, numbers, verdict) for id, _, numbers, verdict in CASES]
    assert len(cards_are_turned("01", turned)) >= 11


def test_each_sense_has_four_sentences_with_the_word_once():
    for word, senses in SENSES.items():
        assert [len(texts) for texts in senses] == [4, 4]
        for text in (*senses[0], *senses[1]):
            assert text.lower().rstrip(".").replace(",", "").split().count(word) == 1, text


def test_changes_are_split_at_the_first_token_that_differs():
    old = {"GPT": (["a", "b", "c"], torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]))}
    new = {"GPT": (["a", "x", "c", "d"], torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]))}
    left, right = measures.changes(old, new)
    assert left["GPT"].tolist() == [0]
    assert right["GPT"].tolist() == [50, 100]


def test_gpt_looks_at_nothing_on_the_right():
    folder = assets.small_model("mini-gpt")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    weights, looking, looked_at = measures.attention_weights(model, tokenizer, "A good film.")
    assert weights.shape[2:] == (len(looking), len(looked_at)) == (4, 4)
    assert not np.triu(weights, 1).any()
    assert weights.sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_a_word_is_asked_if_one_of_its_pieces_is_selected(tokenizer):
    rows = tokenizer(["The film is zzz", "The end"], padding=True)
    asked, words = measures.words_asked(rows)
    assert words.tolist() == [4, 2]
    masks = np.random.default_rng(0).random((4000, len(rows["input_ids"][0]))) < 0.15
    of_words = rows.word_ids(0)
    counted = [len({of_words[place] for place in np.flatnonzero(mask)} - {None}) for mask in masks]
    assert asked[0] == pytest.approx(np.mean(counted), abs=0.05)


class RepeatsTheTokenBefore:
    """A stand-in for a BERT: at each position it guesses the token on its left."""

    device = "cpu"

    def __call__(self, ids):
        return SimpleNamespace(logits=torch.nn.functional.one_hot(ids.roll(1, dims=1), 100).float())


def test_a_hidden_token_is_asked_from_each_context():
    special = SimpleNamespace(cls_token_id=2, sep_token_id=3, mask_token_id=4)
    filled = measures.blanks_filled(RepeatsTheTokenBefore(), special, [[2, *[50] * 100, 3]] * 3 + [[2, 50, 3]])
    right = {name: found.tolist() for name, found in filled.items()}
    assert right == {name: [bool(before)] * 3 for name, (before, _) in measures.CONTEXTS.items()}


def test_the_right_form_is_asked_at_its_place():
    folders = {name: assets.small_model(name) for name in ("mini-bert", "mini-gpt")}
    for name, kind in (("mini-bert", AutoModelForMaskedLM), ("mini-gpt", AutoModelForCausalLM)):
        model = kind.from_pretrained(folders[name]).eval()
        tokenizer = AutoTokenizer.from_pretrained(folders[name])
        pair = ("The films are good.", "The films is good.")
        assert right_is_likelier(model, tokenizer, [pair]) == [True]
        assert right_is_likelier(model, tokenizer, [pair[::-1]]) == [False]
        assert right_is_likelier(model, tokenizer, [("One film.", "One two three films.")]) == []


def test_the_pairs_are_told_apart_as_section_5_says():
    told = []
    for name in ("mini-bert", "mpnet-blanks"):
        numbers = json.loads((ROOT / "models" / name / "numbers.json").read_text(encoding="utf-8"))
        right, pairs = numbers["minimal pairs"]["subject and verb, another noun between"]
        assert pairs == 60
        told.append(right)
    assert told == [18, 57]
