"""Lesson 04: its trainings on tiny models, what was measured beforehand, and the verdicts of its cards."""

import ast
import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from notebooks.source.lesson_04 import cards, costs, neighbours
from notebooks.source.lesson_04.runs import (
    ARMS,
    BASE_FROZEN,
    BASE_TUNED,
    EPOCHS,
    FEW,
    LABELS,
    MINI_FROZEN,
    RANDOM,
    SEARCH,
    SEEDS,
    SMALL_FROZEN,
    SMALL_TUNED,
    STARTS,
    WORDS,
    Runs,
    weights_of_mini,
)
from tests.conftest import cells_of, parsed, planned
from utils import claims
from utils.intervals import Number

METHODS = ("all", "random start", "upper half", "LoRA")


def letters():
    """A tokenizer that gives each letter an id."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.WordLevel({piece: id for id, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT, saved."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=30, max_position_embeddings=64, **sizes))
    folder = tmp_path_factory.mktemp("tiny")
    model.bert.save_pretrained(folder)
    return folder


def part(size, rng):
    """Texts whose letters tell their label."""
    labels = (np.arange(size) % 2).tolist()
    texts = ["".join(rng.choice(list("abcdef" if label else "opqrst"), rng.integers(3, 12))) for label in labels]
    return texts, labels


@pytest.fixture
def runs(folder, tmp_path, monkeypatch):
    """The lesson's runs, on a tiny network and made-up texts."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    tiny, rng = Runs.__new__(Runs), np.random.default_rng(0)
    arithmetic = {"use_cpu": True}
    tiny.profile = SimpleNamespace(device="cpu", small_encoder=str(folder), arithmetic=arithmetic, name="test")
    tiny.tokenizer = letters()
    tiny.train, tiny.validation, tiny.test = part(100, rng), part(20, rng), part(60, rng)
    texts, labels = part(50, rng)
    tiny.__dict__["headlines"] = texts, [f"topic {label}" for label in labels]
    return tiny


@pytest.mark.parametrize("method", METHODS)
def test_each_method_runs_and_trains_what_it_says(runs, monkeypatch, method):
    kept, new_trainer = [], Runs.new_trainer

    def watched(self, model, *how):
        kept.append((model, {name: values.detach().clone() for name, values in model.named_parameters()}))
        return new_trainer(self, model, *how)

    monkeypatch.setattr(Runs, "new_trainer", watched)
    found = runs.run(method, 64, 0, 1e-2, 3, told=True)
    assert [len(found[key]) for key in ("validation", "right", "neighbours", "topics")] == [20, 60, 50, 50]
    assert set(found["right"]) <= {0, 1}
    assert json.loads(json.dumps(found)) == found
    ((model, before),) = kept
    moved = {name for name, values in model.named_parameters() if not torch.equal(values, before[name])}
    allowed = {
        "all": lambda name: True, "random start": lambda name: True,
        "upper half": lambda name: not any(part in name for part in ("embeddings", "layer.0.", "layer.1.")),
        "LoRA": lambda name: "lora_" in name or "classifier.modules_to_save" in name,
    }[method]  # fmt: skip
    assert moved == {name for name in before if allowed(name)}


def test_the_lora_of_the_lesson_is_that_of_its_runs():
    """The configuration that students read has the keywords of the one that was measured."""
    (shown,) = (node for cell in cells_of("04", "LoraConfig") for node in calls(cell.source, "LoraConfig"))
    (used,) = calls(inspect.getsource(inspect.getmodule(Runs)), "LoraConfig")
    assert {one.arg: ast.literal_eval(one.value) for one in shown.keywords} == {
        one.arg: ast.literal_eval(one.value) for one in used.keywords
    }


def calls(source: str, name: str) -> list[ast.Call]:
    nodes = (node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call))
    return [node for node in nodes if isinstance(node.func, ast.Name) and node.func.id == name]


def test_lora_starts_as_the_pretrained_network_and_merges_into_it(runs):
    ids = torch.tensor(letters()(["abc", "opq"])["input_ids"])
    plain = BertModel.from_pretrained(runs.profile.small_encoder).eval()
    lora = runs.new_model("LoRA", 0).eval()
    with torch.inference_mode():
        body = lora.get_base_model().base_model
        assert torch.allclose(body(input_ids=ids).last_hidden_state, plain(input_ids=ids).last_hidden_state)
    trainer = runs.new_trainer(lora, runs.drawn(64, 0), 0, 1e-2, 2)
    trainer.train()
    with torch.inference_mode():
        expected = lora.eval()(input_ids=ids).logits
        assert torch.allclose(lora.merge_and_unload()(input_ids=ids).logits, expected, atol=1e-5)


def test_what_is_right_is_in_the_order_of_the_test_sentences(runs, monkeypatch):
    models, new_model = [], Runs.new_model
    monkeypatch.setattr(Runs, "new_model", lambda *how: models.append(new_model(*how)) or models[-1])
    found = runs.run("all", 100, 0, 1e-2, 4)
    with torch.inference_mode():
        for row, label, right in zip(runs.rows(runs.test[0]), runs.test[1], found["right"], strict=True):
            logits = models[0].eval()(input_ids=torch.tensor([row])).logits
            assert int(logits.argmax().item() == label) == right
    assert sum(found["right"]) > 50


def test_the_same_run_gives_the_same_and_another_seed_does_not(runs):
    weights = []
    for seed in (0, 0, 1):
        model = runs.new_model("all", seed)
        runs.new_trainer(model, runs.drawn(32, seed), seed, 1e-3, 1).train()
        weights.append(model.classifier.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("labels", "seed"), [(5, 0), (50, 3)])
def test_the_same_seed_draws_the_same_sentences_and_more_labels_hold_fewer(runs, labels, seed):
    assert len(runs.drawn(labels, seed)[0]) == labels
    assert runs.drawn(labels, seed) == runs.drawn(labels, seed)
    assert runs.drawn(2 * labels, seed)[0][:labels] == runs.drawn(labels, seed)[0]
    assert runs.drawn(labels, seed + 1) != runs.drawn(labels, seed)


@pytest.mark.parametrize("labels", [0, 1, -3, 101])
def test_a_budget_outside_the_data_is_one_clear_line(runs, labels):
    with pytest.raises(ValueError, match=rf"^Expected between 2 and 100 labels, got {labels}\.$"):
        runs.drawn(labels, 0)


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_one_clear_line(runs, rate):
    with pytest.raises(ValueError, match=r"^Expected a learning rate above 0, got .*\.$"):
        runs.run("all", 10, 0, rate, 1)


def test_vectors_are_means_over_real_tokens(runs):
    body, texts = BertModel.from_pretrained(runs.profile.small_encoder).eval(), ["abcd", "k", "mnopqrst"]
    for text, found in zip(texts, runs.vectors(body, runs.rows(texts)), strict=True):
        with torch.inference_mode():
            states = body(torch.tensor(letters()([text])["input_ids"])).last_hidden_state
        assert found == pytest.approx(states[0].mean(dim=0).numpy(), abs=1e-5)


def test_headlines_of_one_topic_are_neighbours_where_vectors_tell_them(runs, monkeypatch):
    topics = np.array([topic == "topic 1" for topic in runs.headlines[1]])
    told = np.eye(2)[topics.astype(int)] + np.random.default_rng(0).normal(0, 0.01, (50, 2))
    monkeypatch.setattr(Runs, "vectors", lambda *_: told.astype(np.float32))
    assert all(map(all, runs.headlines_told(None).values()))
    noise = np.random.default_rng(1).normal(size=(50, 9)).astype(np.float32)
    monkeypatch.setattr(Runs, "vectors", lambda *_: noise.copy())
    assert all(0.2 < np.mean(found) < 0.8 for found in runs.headlines_told(None).values())


def test_a_neighbour_is_the_nearest_of_those_without_a_common_word(capsys):
    sentences = ["a romantic film", "the romance of it", "a witty comedy", "not the dull one", "the"]
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.2], [0, 1], [0.5, 1]])
    pairs = neighbours.pairs_without_shared_words(sentences, vectors)
    assert (0, 1) not in pairs  # "romantic" and "romance" begin alike
    assert pairs[0] == (1, 2)
    assert {place for pair in pairs for place in pair} == {0, 1, 2, 3, 4}
    assert len(pairs) == len(set(pairs))
    neighbours.show(pairs, sentences, [1, 1, 1, 0, 0], most=1)
    assert capsys.readouterr().out == "+ the romance of it\n+ a witty comedy\n\n"


def test_sentences_that_all_share_a_word_have_no_neighbour():
    assert neighbours.pairs_without_shared_words(["good film", "bad film", "film"], np.eye(3)) == []


def test_what_a_step_needs_shrinks_with_what_is_frozen(runs):
    models = {method: runs.new_model(method, 0) for method in METHODS}
    of_method = costs.measured(models, SimpleNamespace(unk_token_id=9), "cpu")
    everything, upper, lora = (of_method[method] for method in ("all", "upper half", "LoRA"))
    assert upper.activations < everything.activations
    assert lora.trained < upper.trained < everything.trained == everything.weights
    assert everything.optimizer == 2 * everything.gradients == 2 * everything.held
    assert lora.activations > upper.activations
    assert everything.memory == pytest.approx(4 * everything.held + everything.activations)


def test_what_else_the_machine_does_for_a_while_hits_the_steps_of_all_methods_alike(runs, monkeypatch):
    clock, asked = [0.0], []

    def read_clock():  # slow for half of the steps: at first, then quick
        asked.append(None)
        clock[0] += 5.0 if len(asked) <= costs.STEPS * 2 else 1.0
        return clock[0]

    monkeypatch.setattr(costs.time, "perf_counter", read_clock)
    models = {method: runs.new_model(method, 0) for method in ("all", "LoRA")}
    of_method = costs.measured(models, SimpleNamespace(unk_token_id=9), "cpu")
    assert of_method["all"].step == of_method["LoRA"].step == 1.0


def test_the_table_of_costs_says_the_rate_of_what_has_one(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: shown.append(content["text/plain"]))
    cost = costs.Cost(10, 100, 0.1, 1, 0, 0, 0, 0.1)
    costs.show({"frozen": cost, "LoRA": cost}, {"frozen": "70%", "LoRA": "74%"}, {"LoRA": 3e-3})
    costs.show({"frozen": cost}, {"frozen": "70%"})
    assert "| best learning rate | none | 0.003 |\n| right | 70% | 74% |" in shown[0]
    assert "rate" not in shown[1]


def test_reading_keeps_nothing_for_a_backward_pass(runs):
    body = BertModel.from_pretrained(runs.profile.small_encoder)
    cost = costs.measured({"frozen": body}, SimpleNamespace(unk_token_id=9), "cpu", reading=("frozen",))["frozen"]
    assert (cost.trained, cost.gradients, cost.optimizer, cost.activations) == (17, 0, 0, 0)
    assert cost.memory == cost.held


def test_results_of_mini_bert_are_kept_under_its_weights(runs):
    assert runs._of("small") == {"encoder": "small"}
    assert runs._of("mini") == {"encoder": "mini", "weights": weights_of_mini()}


@pytest.fixture(scope="module")
def lesson():
    """The names that the cells of the plan define, under `embedded`."""
    with planned("04") as (_, names):
        yield names


def test_all_that_comes_with_the_course_is_from_this_code_and_data(lesson):
    from notebooks.source.lesson_04.beforehand import from_beforehand

    wanted = from_beforehand(lesson)
    experiments = lesson["runs"].experiments
    keys = {experiments._key(function, one) for function, runs in wanted.items() for one in runs}
    assert keys == set(experiments.beforehand)


def test_every_rate_is_the_best_on_validation_sentences_of_the_same_seeds(lesson):
    runs = lesson["runs"]
    for arm, (method, labels, epochs, rates) in ARMS.items():
        found = runs.searched(arm)
        assert set(found) == set(rates)
        assert {one["seed"] for one in runs.search(arm)} == set(STARTS if arm == "random start" else SEARCH)
        assert found[runs.best_rate(arm)] == max(found.values())
        reported = runs.final(arm, labels)
        assert {(one["method"], one["rate"], one["epochs"]) for one in reported} == {
            (method, runs.best_rate(arm), epochs)
        }
        more = SEEDS if arm in ("all", "one epoch") else SEARCH
        assert [one["seed"] for one in reported] == list(STARTS if arm == "random start" else more)


def test_the_sentences_are_apart_and_half_of_each_label(lesson):
    runs = lesson["runs"]
    for texts, labels in (runs.validation, runs.test):
        assert 2 * sum(labels) == len(labels) == len(texts)
        assert not set(texts) & set(runs.train[0])
    assert len(runs.test[0]) >= 1066


def outcomes(share, seeds=5, items=1000):
    """Right answers in %, a share of them."""
    return 100.0 * (np.random.default_rng(0).random((seeds, items)) < share)


def cost(trained, step, memory):
    return costs.Cost(trained, 100, step, memory, 0, 0, 0, trained)


class Told:
    """Stands in for `Runs` before a card: made-up outcomes of the best rate and of ten times it."""

    def __init__(self, at_best=0.5, at_larger=0.3):
        self.profile, self.run, self.at = PROFILE, None, {1e-4: at_best, 1e-3: at_larger}
        self.task = {1e-6: 51.0, 1e-5: 58.0, 1e-4: 73.0, 1e-3: 50.0}

    def plotted(self):
        names = BASE_FROZEN, BASE_TUNED, SMALL_TUNED, SMALL_FROZEN, MINI_FROZEN, WORDS
        return {name: dict.fromkeys((FEW, LABELS, 1000, 4000), ()) for name in names}

    def origin(self, *asked):
        return ORIGIN

    def searched(self, arm):
        return self.task

    def best_rate(self, arm):
        return 1e-4

    def search(self, arm):
        return []

    def final(self, arm, labels):
        return []

    def asked_after(self, rate, key):
        return outcomes(self.at[rate])


def lines(base, words, small=None):
    """Outcomes of the lines that 04.1 reads; the seeds differ in number. `small`: of the two smaller encoders."""
    others = {SMALL_TUNED: {LABELS: outcomes(0.7)}, RANDOM: {1000: outcomes(0.6, 3)}}
    others |= {name: {LABELS: outcomes(small or base)} for name in (SMALL_FROZEN, MINI_FROZEN)}
    return {BASE_FROZEN: {LABELS: outcomes(base)}, WORDS: {4000: outcomes(words, 10), 1000: outcomes(0.6)}, **others}


def with_fifty(frozen, tuned, small_frozen, small_tuned):
    shares = {BASE_FROZEN: frozen, BASE_TUNED: tuned, SMALL_FROZEN: small_frozen, SMALL_TUNED: small_tuned, WORDS: 0.5}
    return {name: {FEW: outcomes(share, 10 if "frozen" in name else 3)} for name, share in shares.items()}


PROFILE = SimpleNamespace(name="test", small_encoder="small", encoder="base", bert="mini")
ORIGIN = claims.Origin(1, 9, seeds=5)
BEFORE = {key: (np.random.default_rng(0).random(1000) < 0.8).tolist() for key in ("topics", "neighbours")}
CARDS = {
    "04.1": lambda *shares: cards.saves_labels(Told(), lines(*shares)),
    "04.2": lambda *shares: cards.destroys(Told(*shares), BEFORE),
    "04.3": lambda one, three: cards.one_epoch(Told(), outcomes(one), outcomes(three)),
    "04.4": lambda step, memory: cards.saves_training(
        PROFILE, {"all": cost(100, 1.0, 100), "LoRA": cost(1, step, memory)},
        {"all": outcomes(0.8), "LoRA": outcomes(0.7)}),
    "04.5": lambda *shares: cards.freeze_and_read(Told(), with_fifty(*shares)),
    "04.6": lambda last, *below: cards.read_the_last(
        PROFILE, np.stack([outcomes(share) for share in (0.6, *below, last)], axis=1),
        np.stack([outcomes(0.5)], axis=1)),
    "04.7": lambda lost, half: cards.destroys_grammar(
        PROFILE, "mini-bert", {1e-4: Number(0, -1, 1), 3e-3: Number(lost, lost - half, lost + half)}, 1e-4, 3),
}  # fmt: skip
HOLDS, DEPENDS, FAILS, OPEN = claims.HOLDS, claims.DEPENDS, claims.FAILS, claims.OPEN
CASES = [
    ("04.1", (0.75, 0.6), HOLDS),
    ("04.1", (0.75, 0.65, 0.5), DEPENDS),
    ("04.1", (0.6, 0.75), FAILS),
    ("04.1", (0.7, 0.7), OPEN),
    ("04.2", (0.79, 0.3), HOLDS),
    ("04.2", (0.5, 0.3), DEPENDS),
    ("04.2", (0.5, 0.79), FAILS),
    ("04.2", (0.7, 0.7), OPEN),
    ("04.3", (0.75, 0.75), HOLDS),
    ("04.3", (0.6, 0.75), FAILS),
    ("04.4", (0.05, 5), HOLDS),
    ("04.4", (0.6, 5), FAILS),
    ("04.5", (0.85, 0.6, 0.85, 0.6), HOLDS),
    ("04.5", (0.85, 0.6, 0.6, 0.85), DEPENDS),
    ("04.5", (0.6, 0.85, 0.65, 0.65), FAILS),
    ("04.5", (0.7, 0.7, 0.7, 0.7), OPEN),
    ("04.6", (0.75, 0.65), HOLDS),
    ("04.6", (0.65, 0.75), FAILS),
    ("04.6", (0.75, 0.65, 0.85), FAILS),
    ("04.6", (0.75, 0.65, 0.75), OPEN),
    ("04.7", (30, 5), HOLDS),
    ("04.7", (5, 2), FAILS),
    ("04.7", (11, 5), OPEN),
]


@pytest.mark.parametrize(("id", "numbers", "verdict"), CASES)
def test_the_verdict_of_a_card_turns_with_its_numbers(monkeypatch, tmp_path, id, numbers, verdict):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda *bundle, **how: None)
    CARDS[id](*numbers)
    (claim,) = claims.ledger("test")
    assert (claim.id, claim.verdict) == (id, verdict)


def test_each_card_of_the_committed_lesson_is_turned_above(cards_are_turned):
    assert len(cards_are_turned("04", CASES)) >= 7


def test_the_label_figure_comes_within_the_first_three_cells():
    code = [cell for cell in cells_of("04") if cell.source.strip()][1:4]
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)


def test_the_trained_epochs_and_budgets_are_those_of_the_text(lesson):
    assert EPOCHS == {50: 10, 200: 3}
    assert (FEW, LABELS) == (50, 200)


def test_the_luckiest_network_of_one_epoch_equals_the_average_of_three(lesson):
    once, thrice = (lesson["runs"].results(lesson["runs"].run, lesson["runs"].final(arm, 200))
                    for arm in ("one epoch", "all"))  # fmt: skip
    assert len(once) == len(thrice) == 20
    assert abs(once.mean(axis=1).max() - thrice.mean()) < 1


def test_lora_has_three_seeds(lesson):
    assert len(lesson["runs"].results(lesson["runs"].run, lesson["runs"].final("LoRA", 200))) == 3


def test_the_rates_and_steps_that_the_text_names_are_those_of_the_runs(lesson):
    runs = lesson["runs"]
    assert (runs.best_rate("one epoch"), runs.best_rate("all")) == (3e-4, 1e-4)
    assert runs.best_rate("LoRA") == pytest.approx(30 * runs.best_rate("all"))
    base = runs.final_base(50)[0]
    assert (base["rate"], base["epochs"], base["epochs"] * -(-50 // 8)) == (3e-5, 10, 70)
