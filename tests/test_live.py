"""The live page's engine and panels in a browser: they say what the library says, and answer whatever is typed."""

import json
import random
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from shutil import copyfile

import pandas as pd
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BertConfig,
    GPT2Config,
    T5Config,
)

from tests.browser import chromium, watch
from tests.test_odd_text import ODD
from tools import live
from utils import assets, pieces, translation

ROOT = Path(__file__).parent.parent
ENGINE = sorted((ROOT / "site" / "static" / "live").iterdir())
PAGE = ROOT / "site" / "live.md"
SENTENCES = 20  # of each model; 200 gave the same when the page was made
CLOSE = 1e-4  # of logits
CLASSES = {"mini-bert": AutoModelForMaskedLM, "mini-gpt": AutoModelForCausalLM, "mini-t5": AutoModelForSeq2SeqLM}
LONG = 5000  # letters


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page without the site around it, where its scripts expect to be."""
    folder = tmp_path_factory.mktemp("live")
    scripts = folder / "_static" / "live"
    scripts.mkdir(parents=True)
    for path in ENGINE:
        copyfile(path, scripts / path.name)
    live.pack(scripts)
    html = "\n".join(re.findall(r"^<.*>$", PAGE.read_text("utf-8"), re.MULTILINE))
    (folder / "live.html").write_text(f"<!doctype html><html lang='en'><meta charset='utf-8'><body>{html}", "utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, folder):
    """The page, opened from disk; it complains about nothing and asks nobody else until the end."""
    page = browser.new_page()
    faults = watch(page, lambda url: url.startswith("file:"))
    page.goto((folder / "live.html").as_uri())
    yield page
    assert faults == []


@pytest.fixture(scope="module")
def tokenizers():
    return {name: AutoTokenizer.from_pretrained(path) for name, path in live.MODELS.items()}


@pytest.fixture(scope="module")
def models():
    return {name: kind.from_pretrained(live.MODELS[name], dtype=torch.float32).eval() for name, kind in CLASSES.items()}


@pytest.fixture(scope="module")
def reviews():
    return list(pd.read_parquet(assets.imdb() / "test.parquet")["text"].iloc[::20])


@pytest.fixture(scope="module")
def sentences(reviews):
    found = [one for text in reviews for one in re.split(r"(?<=[.!?]) +", text.replace("<br />", " "))]
    return [*random.Random(0).sample([one for one in found if 20 < len(one) < 200], SENTENCES - 1), reviews[0]]


def odd_texts(number):
    """Characters from anywhere in Unicode, unassigned ones and lone surrogates too; the same in every run."""
    rng = random.Random(0)
    blocks = [
        (0x20, 0x7E), (0x00, 0x1F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x8FF), (0x900, 0x97F),
        (0x2000, 0x206F), (0x2580, 0x259F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xD800, 0xDFFF),
        (0xE000, 0xE0FF), (0xFE00, 0xFEFF), (0xFF00, 0xFFFF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF),
        (0x20000, 0x2A6DF), (0x00, 0x10FFFF),
    ]  # fmt: skip
    for _ in range(number):
        chosen = rng.sample(blocks, rng.randint(1, 4))
        yield "".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(rng.randint(0, 60)))


def ask(page, code, *given):
    """What a function in the page gives; as JSON text, because lone surrogates do not pass otherwise."""
    answer = page.evaluate(f"given => JSON.stringify(({code})(...JSON.parse(given)))", json.dumps(given))
    return json.loads(answer)


# --- Tokenizers --------------------------------------------------------------------------------------------------


def test_texts_of_all_kinds_are_cut_as_by_the_library(page, tokenizers, reviews):
    edges = ["it\x85s\x85 x", "ΟΔΟΣ Σ İIı ß", "▁a▁▁b ▁", "don't DON'T we're", "[MASK]<extra_id_0>x<extra_id_31> </s>"]
    edges += ["x" * 100, "x" * 101, "x" * LONG, "a b " * (LONG // 4), "  \n\n x  y\t"]
    texts = [*(text[:LONG] for text in ODD.values()), *edges, *reviews[:150], *odd_texts(330)]
    assert len(texts) >= 500
    for name, tokenizer in tokenizers.items():
        found = ask(page, f"texts => texts.map(text => live.tokenizers['{name}'].encode(text))", texts)
        expected = [[number for _, number in pieces.cut(tokenizer, text)] for text in texts]
        wrong = [text for text, ids, own in zip(texts, expected, found, strict=True) if ids != own]
        assert wrong == [], name


def test_what_is_written_is_decoded_as_by_the_library(page, tokenizers, reviews):
    for name in ("mini-gpt", "mini-t5"):
        rows = [tokenizers[name](text)["input_ids"] for text in reviews[:20]]
        found = ask(page, f"rows => rows.map(ids => live.tokenizers['{name}'].decode(ids))", rows)
        assert found == tokenizers[name].batch_decode(rows, skip_special_tokens=True)


# --- Networks ----------------------------------------------------------------------------------------------------

RUN = """(name, rows) => rows.map(({ids, written, place}) => {
    const model = networks[name], {vectors} = model.read(ids)
    const x = written ? model.write(written, vectors).vectors : vectors, width = x.length / (written ?? ids).length
    const logits = model.guess(x.subarray(place * width, (place + 1) * width))
    return {logits: [...logits], five: live.candidates(logits, 1, 1).slice(0, 5).map(one => one.id)}
})"""


def load(page, scripts, into, simd=True):
    """Give the page an object of networks, by name, from some scripts, which its panels do not get."""
    assert page.evaluate("live.withSIMD")
    page.evaluate(
        """([into, simd]) => {
            [live.withSIMD, window[into], window.panels] = [simd, {}, live.receiveModel]
            live.receiveModel = (name, config, ...numbers) => {
                window[into][name] = live.network(config, live.unpack(...numbers))
            }
        }""",
        [into, simd],
    )
    for script in scripts:
        page.add_script_tag(url=script.as_uri())
    page.evaluate("() => { [live.withSIMD, live.receiveModel] = [true, panels] }")


@pytest.fixture(scope="module", params=["SIMD", "plain JavaScript"])
def networks(request, page, folder):
    """The page with the three models, computed in one of two ways."""
    scripts = [folder / "_static" / "live" / f"{name}.data.js" for name in live.MODELS]
    load(page, scripts, "networks", simd=request.param == "SIMD")
    return page


def rows_for(name, tokenizer, sentences):
    """What each model reads, and the place of the logits that are compared."""
    rng, rows = random.Random(0), []
    for text in sentences:
        ids = tokenizer(text, truncation=True, max_length=200)["input_ids"]
        row = {"ids": ids, "place": len(ids) - 1}
        if name == "mini-bert":
            row["place"] = rng.randrange(1, len(ids) - 1)
            ids[row["place"]] = tokenizer.mask_token_id
        if name == "mini-t5":
            row["written"] = [tokenizer.pad_token_id, *ids[:-1]]
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", live.MODELS)
def test_logits_are_pytorch_s_and_the_top_five_come_in_its_order(networks, models, tokenizers, sentences, name):
    rows = rows_for(name, tokenizers[name], sentences)
    found = ask(networks, RUN, name, rows)
    for row, own in zip(rows, found, strict=True):
        inputs = {"input_ids": torch.tensor([row["ids"]])}
        if name == "mini-t5":
            inputs["decoder_input_ids"] = torch.tensor([row["written"]])
        with torch.inference_mode():
            logits = models[name](**inputs).logits[0, row["place"]]
        assert (logits - torch.tensor(own["logits"])).abs().max() < CLOSE
        assert own["five"] == logits.topk(5).indices.tolist()


OTHER = {  # numbers that neither the kernel's four nor its sixteen divide, among them
    "mini-bert": BertConfig(
        vocab_size=1003, hidden_size=48, num_hidden_layers=3, num_attention_heads=6, intermediate_size=100,
        max_position_embeddings=40, initializer_range=0.3,
    ),
    "mini-gpt": GPT2Config(
        vocab_size=1003, n_embd=60, n_layer=1, n_head=5, n_inner=112, n_positions=40, activation_function="gelu_new",
        initializer_range=0.3,
    ),
    "mini-t5": T5Config(
        vocab_size=1003, d_model=48, d_kv=12, num_heads=3, d_ff=100, num_layers=3, num_decoder_layers=1,
        relative_attention_num_buckets=16, relative_attention_max_distance=20,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_models_of_other_sizes_run_too(page, tmp_path, monkeypatch, name):
    torch.manual_seed(0)
    model = CLASSES[name].from_config(OTHER[name]).eval().half()
    model.save_pretrained(tmp_path)
    monkeypatch.setitem(live.MODELS, name, tmp_path)
    script = tmp_path / "other.js"
    script.write_bytes(live.model_script(name))
    load(page, [script], "others")
    ids = torch.randint(1003, (1, 37))
    row = {"ids": ids[0].tolist(), "written": ids[0].tolist() if name == "mini-t5" else None, "place": 36}
    (own,) = ask(page, RUN.replace("networks", "others"), name, [row])
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if name == "mini-t5" else {})
    with torch.inference_mode():
        logits = model.float()(**inputs).logits[0, -1]
    assert logits.abs().max() > 1
    assert (logits - torch.tensor(own["logits"])).abs().max() < CLOSE * logits.abs().max()


def test_word_by_word_with_the_cache_is_one_run(networks, tokenizers):
    ids = tokenizers["mini-gpt"]("This movie was not what I expected at all.")["input_ids"]
    code = """ids => {
        const whole = networks["mini-gpt"].read(ids).vectors, width = whole.length / ids.length
        let step = {}
        return ids.map((id, place) => {
            step = networks["mini-gpt"].read([id], step.cache)
            return Math.max(...step.vectors.map((value, i) => Math.abs(value - whole[place * width + i])))
        })
    }"""
    assert max(ask(networks, code, ids)) < CLOSE


def test_distances_fall_into_t5_s_buckets(networks):
    from transformers.models.t5.modeling_t5 import T5Attention

    code = """side => {
        const model = networks["mini-t5"], bias = model.distances(side, side == "decoder")
        return Array.from({length: 601}, (_, i) => [bias(0, 300, i), bias(1, 300, i)])
    }"""
    for side in ("encoder", "decoder"):
        model = AutoModelForSeq2SeqLM.from_pretrained(live.MODELS["mini-t5"], dtype=torch.float32)
        table = getattr(model, side).block[0].layer[0].SelfAttention.relative_attention_bias.weight
        settings = {"num_buckets": table.shape[0], "max_distance": model.config.relative_attention_max_distance}
        steps = torch.arange(-300, 301)
        rows = T5Attention._relative_position_bucket(steps, bidirectional=side == "encoder", **settings)
        assert torch.equal(torch.tensor(ask(networks, code, side)), table[rows, :2].detach())


def test_a_seed_decides_what_is_drawn_and_top_p_what_may_be(page):
    code = """(seed, topP) => {
        const chance = live.seeded(seed), ranked = live.candidates([1, 3, 2, 0], 1, topP)
        return [ranked.map(one => one.kept), Array.from({length: 40}, () => live.draw(ranked, chance()).id)]
    }"""
    kept, drawn = ask(page, code, 1, 0.9)
    assert kept == [True, True, True, False]  # shares 64%, 24%, 9%, 3%
    assert set(drawn) == {0, 1, 2}
    assert ask(page, code, 1, 0.9) == [kept, drawn] != ask(page, code, 2, 0.9)
    assert set(ask(page, code, 1, 0.05)[1]) == {1}
    ranked = ask(page, "() => live.candidates([1, 3, 2], 0, 1)")
    assert [(one["id"], one["share"]) for one in ranked] == [(1, 1), (2, 0), (0, 0)]


# --- Panels ------------------------------------------------------------------------------------------------------


def panel(page, name):
    return page.locator(f"#live-{name}")


def said(page, name, words):
    """The lines of a panel, once they hold some words."""
    line = panel(page, name).get_by_role("status").filter(has_text=words).first
    line.wait_for(state="attached")
    return line.text_content()


def test_blanks_are_filled_as_by_the_library(page, models, tokenizers):
    box = panel(page, "blank")
    for word in ("wasted", "time"):
        box.get_by_role("group").get_by_role("button", name=word).click()
    said(page, "blank", "; ")
    inputs = tokenizers["mini-bert"]("I [MASK] my [MASK] on this movie.", return_tensors="pt")
    with torch.inference_mode():
        models["mini-bert"].set_attn_implementation("eager")
        done = models["mini-bert"](**inputs, output_attentions=True)
    places = (inputs["input_ids"][0] == tokenizers["mini-bert"].mask_token_id).nonzero()[:, 0]
    best = done.logits[0, places].topk(5).indices.flatten()
    assert box.locator(".live-label").all_inner_texts() == tokenizers["mini-bert"].convert_ids_to_tokens(best.tolist())
    box.get_by_label("Sentence").fill("I wasted my time on this movie. Never again.")
    assert box.get_by_role("group").locator("[aria-pressed=true]").all_inner_texts() == ["wasted", "time"]
    box.get_by_label("Sentence").fill("I wasted my time on this movie.")
    page.evaluate("new Promise(resume => requestAnimationFrame(() => setTimeout(resume)))")
    box.get_by_label("layer").select_option("2")
    box.get_by_label("head").select_option("3")
    box.get_by_role("button", name="movie").last.click()
    row = tokenizers["mini-bert"].convert_ids_to_tokens(inputs["input_ids"][0].tolist()).index("movie")
    weights = done.attentions[1][0, 2, row]
    line = said(page, "blank", "Layer 2, head 3: movie looks most at")
    most = tokenizers["mini-bert"].convert_ids_to_tokens(inputs["input_ids"][0].tolist())[weights.argmax()]
    assert f"at {most} ({weights.max():.0%})" in line


def test_the_same_seed_writes_the_same_and_stop_stops(page):
    box = panel(page, "write")
    texts = []
    for _ in range(2):
        box.get_by_role("button", name="Write on").click()
        said(page, "write", "Top-p keeps")
        texts.append(box.locator(".live-text").inner_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith("This movie was ")
    box.get_by_role("button", name="Write on").click()
    box.get_by_role("button", name="Stop").click()
    said(page, "write", "Stopped.")


def test_greedy_is_the_library_s_greedy(page, models, tokenizers):
    box = panel(page, "write")
    box.get_by_label("temperature").fill("0")
    said(page, "write", "Top-p keeps 1 of")
    box.get_by_role("button", name="Write on").click()
    said(page, "write", re.compile("It stops after 60 pieces|The text ended"))
    ids = tokenizers["mini-gpt"]("<|endoftext|>This movie was", return_tensors="pt")
    written = models["mini-gpt"].generate(**ids, max_new_tokens=60, do_sample=False, pad_token_id=0)
    expected = tokenizers["mini-gpt"].decode(written[0], skip_special_tokens=True)
    assert box.locator(".live-text").text_content() == expected


def test_t5_answers_as_the_library_does(page, models, tokenizers):
    questions = [
        translation.prefix(language) + english
        for language in translation.LANGUAGES
        for english, _ in islice(translation.pairs("test", language, seed=0), 5)
    ]
    questions += ["sentiment: A wonderful film.", "sentiment: A waste of time, boring and stupid.", "sentiment: "]
    box = panel(page, "tasks")
    for question in questions:
        prefix, _, text = question.partition(": ")
        box.get_by_label("Task").select_option(f"{prefix}:")
        box.get_by_label("Text").fill(text)
        inputs = tokenizers["mini-t5"](question, return_tensors="pt")
        written = models["mini-t5"].generate(**inputs, max_new_tokens=32, do_sample=False)
        answer = tokenizers["mini-t5"].decode(written[0], skip_special_tokens=True)
        assert said(page, "tasks", f"{question} → ") == f"{question} → {answer}"


def test_who_looks_where_is_lesson_01_s(page, models, tokenizers):
    from notebooks.source.lesson_01 import measures

    panel(page, "change").get_by_role("button", name="Compare").click()
    line = said(page, "change", "Left of the change")
    sentence = "The actors are good because the story is good."
    names = dict(zip(("BERT", "GPT", "T5"), live.MODELS, strict=True))
    networks = {name: (tokenizers[model], models[model]) for name, model in names.items()}
    before, after = (
        measures.last_vectors(networks, text, read_by_t5=sentence) for text in (sentence, sentence[:-5] + "bad.")
    )
    left, _ = measures.changes(before, after)
    bert, gpt, encoder, decoder = (f"{change.max():.0f}%" if change.max() else "0" for change in left.values())
    words = f"BERT {bert}, GPT {gpt}, T5's encoder {encoder}, T5's decoder {decoder}."
    assert line == f"Left of the change, vectors move by at most: {words}"
    assert gpt == decoder == "0"


def test_the_wrong_tokenizer_is_heard_as_in_lesson_03(page, tokenizers):
    ids = tokenizers["mini-gpt"]("What a beautiful and moving film.")["input_ids"]
    heard = " ".join(token for token, _ in pieces.heard(ids, tokenizers["mini-bert"]))
    assert said(page, "wrong", "hears") == f"mini-bert hears: {heard}"


@pytest.mark.parametrize("name", ODD)
def test_whatever_is_typed_there_is_an_answer_or_a_line(page, name):
    page.evaluate(
        """given => {
            const text = JSON.parse(given)
            for (const box of document.querySelectorAll("textarea, input[type=text]")) {
                box.value = text
                box.dispatchEvent(new Event("input"))
            }
        }""",
        json.dumps(ODD[name][:LONG]),
    )
    page.evaluate("new Promise(resume => requestAnimationFrame(() => setTimeout(resume)))")
    lines = page.get_by_role("status").all_text_contents()
    assert not [line for line in lines if re.search(r"undefined|NaN|null|not a function|Cannot|\n.*\n", line)]
    assert all(panel(page, which).get_by_role("status").first.text_content() for which in ("pieces", "blank", "change"))


def test_a_model_that_does_not_come_is_one_line_and_is_asked_for_again(browser, folder):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((folder / "live.html").as_uri())
        script = folder / "_static" / "live" / "mini-bert.data.js"
        script.rename(script.with_suffix(".gone"))
        try:
            panel(page, "blank").get_by_role("button", name="wasted").click()
            assert "try again" in said(page, "blank", "could not be loaded")
        finally:
            script.with_suffix(".gone").rename(script)
        panel(page, "blank").get_by_role("button", name="time").click()
        said(page, "blank", "First guess")


def test_from_a_server_it_works_too_and_loads_a_model_when_it_is_used(browser, folder):
    class Quiet(SimpleHTTPRequestHandler):
        # Some servers call every script UTF-8, the models' too.
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript; charset=utf-8"}

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with browser.new_context() as context:
            page = context.new_page()
            faults = watch(page, lambda url: url.startswith(address) and "favicon" not in url)
            asked = []
            page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
            page.goto(f"{address}live.html")
            said(page, "wrong", "hears")
            assert not [name for name in asked if name.startswith("mini-")]
            panel(page, "tasks").get_by_role("button", name="3:45 PM").click()
            said(page, "tasks", "→ 15:45")
            assert [name for name in asked if name.startswith("mini-")] == ["mini-t5.data.js"]
            assert [fault for fault in faults if "favicon" not in fault and "404" not in fault] == []
        server.shutdown()


# --- What is packed ----------------------------------------------------------------------------------------------


def test_a_model_that_the_page_cannot_run_is_one_line(monkeypatch):
    given = live.settings
    monkeypatch.setattr(live, "settings", lambda path: given(path) | {"is_gated_act": True})
    with pytest.raises(ValueError, match=r"models/mini-t5: the live page knows is_gated_act \(False,\), not True\."):
        live.model_script("mini-t5")


def test_engine_and_page_stay_small():
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in [*ENGINE, PAGE])
    assert lines <= 1200
