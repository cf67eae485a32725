"""The code that students read in lessons 00 and 01, taken out of the committed notebooks."""

import math

import numpy as np
import pytest
import torch
from transformers import (
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from pretraining import t5, vocabulary
from pretraining.tasks import head_and_tail
from utils import claims
from utils.intervals import Number, mean, paired_difference, share

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


def percent(value, half=2.0):
    return Number(value, value - half, value + half, "%")


def hits(right, of=200):
    """`of` outcomes, the first `right` of them true, so that two such sets differ where they must."""
    return np.arange(of) < right


def left(bert=0.5, gpt=0.0, encoder=0.5, decoder=0.0, shut=100.0):
    changes = {"BERT": bert, "GPT": gpt, "T5 encoder": encoder, "T5 decoder": decoder}
    return {"left": {name: np.array([change, 5 * change]) for name, change in changes.items()}, "shut": {"GPT": shut}}


def counts(tokens=15.1, masked=80.0, words=17.7):
    counted = {
        "tokens selected": percent(tokens), "of these, [MASK]": percent(masked), "of these, another token": percent(10),
        "of these, unchanged": percent(10),
    }  # fmt: skip
    return {"counted": counted, "words_touched": percent(words)}


def guesses(both=100, left=40, more=45, gpt=60, right=30):
    outcomes = {
        "BERT, both sides": hits(both), "BERT, left side": hits(left), "BERT, 40 words left": hits(more),
        "GPT, left side": hits(gpt), "BERT, right side": hits(right),
    }  # fmt: skip
    return {"hits": outcomes, "rates": {name: share(hit) for name, hit in outcomes.items()}, "known_films": "films"}


def repeats(greedy, low, high):
    found = {name: np.full(40, greedy) for name in ("greedy", "sampled", "reviewers")}
    return {"repeats": found, "excess": Number(greedy, low, high)}


def tasks(translated=180, copied=5, sentiment=170, headline=(0.05, 0.15), apart=39):
    low, high = headline
    return {
        "translated": hits(translated), "over_copying": paired_difference(hits(translated), hits(copied)),
        "sentiment": share(hits(sentiment)), "over_majority": paired_difference(hits(sentiment), hits(106)),
        "headline_gain": Number((low + high) / 2, low, high), "told_apart": share(hits(apart, 40)),
    }  # fmt: skip


def published(german, french, *rouge):
    names = ["English to German, BLEU", "English to French, BLEU", "ROUGE-1", "ROUGE-2", "ROUGE-L"]
    return {"lead": dict(zip(names, (german, french, *rouge), strict=True))}


def probes(bert, gpt, words=150):
    right = {"BERT": bert, "GPT": gpt, "bag of words": words}
    outcomes = {name: np.tile(hits(number), (5, 1)) for name, number in right.items()}
    rates = {name: mean(100 * hit.mean(axis=0), unit="%") for name, hit in outcomes.items()}
    return {"probe_hits": outcomes, "probe_rates": rates, "judged_labels": np.array([0, 1] * 100)}


HOLDS, IN_PART, FAILS, OPEN = claims.HOLDS, claims.IN_PART, claims.FAILS, claims.OPEN
CASES = [
    ("00.1", {"gains": {"one": Number(5, 2, 8), "other": Number(60, 50, 70)}}, HOLDS),
    ("00.1", {"gains": {"one": Number(5, 2, 8), "other": Number(1, -1, 3)}}, IN_PART),
    ("00.1", {"gains": {"one": Number(-5, -8, -2), "other": Number(-5, -8, -2)}}, FAILS),
    ("01.1", left(), HOLDS),
    ("01.1", left(bert=1e-6), IN_PART),
    ("01.1", left(gpt=1e-9), IN_PART),
    ("01.1", left(shut=99.0), IN_PART),
    ("01.1", left(bert=0, gpt=1, encoder=0, decoder=1), FAILS),
    ("01.2", {"apart": 1e-5, "gpt_ids": torch.zeros(1, 9)}, FAILS),
    ("01.2", {"apart": 50.0, "gpt_ids": torch.zeros(1, 9)}, HOLDS),
    ("01.3", counts(), IN_PART),
    ("01.3", counts(words=15.2, masked=99.9), HOLDS),
    ("01.3", counts(tokens=30), FAILS),
    ("01.4", guesses(), HOLDS),
    ("01.4", guesses(both=46), IN_PART),
    ("01.4", guesses(both=41, more=41, right=41), OPEN),
    ("01.4", guesses(right=100), IN_PART),
    ("01.4", guesses(both=15), FAILS),
    ("01.5", guesses(), HOLDS),
    ("01.5", guesses(gpt=41), OPEN),
    ("01.5", guesses(gpt=20), FAILS),
    ("01.6", repeats(48.0, 41, 55), HOLDS),
    ("01.6", repeats(0.0, -0.5, 0.5), FAILS),
    ("01.6", repeats(1.0, -1, 3), OPEN),
    ("01.7", tasks(), HOLDS),
    ("01.7", tasks(headline=(-0.05, 0.05)), IN_PART),
    ("01.7", tasks(translated=2, copied=60, sentiment=40, headline=(-0.2, -0.1), apart=0), FAILS),
    ("01.8", published(-1.7, -0.4, 0.05, 1.25, 0.06), IN_PART),
    ("01.8", published(1.7, 0.4, 0.05, 1.25, 0.06), HOLDS),
    ("01.8", published(-1.7, 0.4, -0.05, 0.3, 0.06), FAILS),
    ("01.9", probes(160, 170), IN_PART),
    ("01.9", probes(160, 90), HOLDS),
    ("01.9", probes(60, 170), FAILS),
]  # fmt: skip


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(verdict_of, id, numbers, verdict):
    scope = {"np": np, "share": share, "paired_difference": paired_difference, "Number": Number}
    assert verdict_of(id, scope | numbers) == verdict


def test_each_card_of_the_committed_lessons_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("00", CASES)) + len(cards_are_turned("01", CASES)) >= 8
