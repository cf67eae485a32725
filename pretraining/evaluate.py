"""What the three models can do, measured on held-out texts, beside what counting can do.

Each measure takes a model and its tokenizer, whatever its vocabulary, so an earlier model is measured the same way.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from pretraining import bert, loop, t5, tasks, text
from pretraining.facts import FACTS
from pretraining.ngrams import ORDER, KneserNey
from utils import translation
from utils.intervals import paired_difference
from utils.machine import fast_precision
from utils.minimal_pairs import pairs

REVIEWS = 400  # of the validation films
WINDOW = loop.BLOCK  # tokens that a model was trained to see at once


def held_out_reviews() -> list[str]:
    """400 reviews of the validation films."""
    everything = text.reviews("validation")
    return [review for review, _ in everything[:: len(everything) // REVIEWS]]


def held_out_introductions() -> list[str]:
    """The 200 Wikipedia introductions."""
    return [introduction.text for introduction in text.introductions("validation")]


def perplexity_per_word(model, tokenizer, documents: list[str]) -> dict[str, list[float]]:
    """mini-gpt, a unigram and a 5-gram model on the same texts: exp(nats / words), words told by white space.

    Each token is guessed from at least 119 tokens before it, where the stream has them.

    Returns:
        Name -> [perplexity, lower and upper end of its 95% interval], bootstrapped over the texts.
    """
    words = np.array([len(document.split()) for document in documents])
    end = tokenizer.eos_token_id
    tokens = np.concatenate([[end], loop.stream(tokenizer, documents, end)]).astype(np.int64)
    starts = np.concatenate([[0], np.flatnonzero(tokens[1:] == end)[:-1] + 1])  # of each review among the guesses
    nats = {"mini-gpt": _gpt_nats(model, torch.from_numpy(tokens))}
    training = loop.stream(tokenizer, text.documents("train"), end)
    for name, order in (("unigram", 1), ("5-gram", 5)):
        padded = np.concatenate([np.full(order - 1, end), tokens])
        counted = KneserNey(training, len(tokenizer), order)
        scores = counted.log_probabilities(
            np.stack([padded[place : len(padded) - order + 1 + place] for place in range(order - 1)], axis=1)
            if order > 1 else np.zeros((len(tokens), 0), np.int64),
            tokens,
        )  # fmt: skip
        nats[name] = -scores[1:]
    draws = np.random.default_rng(0).integers(len(words), size=(2000, len(words)))
    perplexities = {}
    for name, each in nats.items():
        per_review = np.add.reduceat(each, starts)
        bootstrapped = np.exp(per_review[draws].sum(axis=1) / words[draws].sum(axis=1))
        low, high = np.quantile(bootstrapped, [0.025, 0.975])
        perplexities[name] = [float(np.exp(per_review.sum() / words.sum())), float(low), float(high)]
    return perplexities


@torch.inference_mode()
def _gpt_nats(model, tokens: torch.Tensor) -> np.ndarray:
    """Loss of each token but the first, shape (tokens - 1,)."""
    half = (WINDOW - 1) // 2  # mini-gpt was trained on 239 inputs
    losses = []
    for start in range(0, len(tokens) - 1, half):
        window = tokens[max(0, start - half) : start + half + 1]
        new = min(half, len(tokens) - 1 - start)
        logits = model(window[None, :-1]).logits[0, -new:].float()
        losses.append(F.cross_entropy(logits, window[-new:], reduction="none"))
    return torch.cat(losses).numpy()


def guesses_at_masks(
    model, tokenizer, documents: list[str], positions: int = 1000
) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Share of hidden tokens guessed right at once and within five: mini-bert and what counting can do.

    mini-bert guesses 15% of the tokens of unseen texts, all masked together, and then `positions` of
    them masked one at a time. The 5-gram models guess the same single tokens: from the four tokens before, as language
    models do, or from both sides, where each candidate is scored by all five 5-grams that it would stand in.

    Returns:
        Name -> shares, and, in points with the ends of its 95% interval, by how much mini-bert is ahead of the 5-grams
        from both sides on the same tokens.
    """
    rows, masked, places = tokens_to_hide(tokenizer, documents, positions)
    shares = {"mini-bert, 15% masked": _shares(_ranks_at_masks(model, tokenizer, rows, masked))}
    ranks_alone = ranks_one_by_one(model, tokenizer, rows, places)
    shares["mini-bert, one masked"] = _shares(ranks_alone)

    training = loop.stream(tokenizer, text.documents("train"), tokenizer.sep_token_id)
    flat = rows.numpy().ravel()
    frequent = np.argsort(-np.bincount(training, minlength=len(tokenizer)), kind="stable")
    shares["unigram"] = _shares(np.argsort(frequent)[flat[places]])
    counted = KneserNey(training, len(tokenizer))
    candidates = np.arange(len(tokenizer))
    ranks = {"5-gram, left side": [], "5-gram, both sides": []}
    for place in places:
        around = np.tile(flat[place - 4 : place + 5], (len(candidates), 1))
        around[:, 4] = candidates
        each = [counted.log_probabilities(around[:, end - 4 : end], around[:, end]) for end in range(4, 9)]
        for name, scores in zip(ranks, (each[0], sum(each)), strict=True):
            ranks[name].append(int((scores > scores[flat[place]]).sum()))
    lead = paired_difference(ranks_alone < 1, np.array(ranks["5-gram, both sides"]) < 1)
    shares |= {name: _shares(np.array(values)) for name, values in ranks.items()}
    return shares, [lead.value, lead.low, lead.high]


def tokens_to_hide(tokenizer, documents: list[str], positions: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Windows of the documents' tokens, which 15% to hide together, and `positions` of those to hide one at a time.

    Returns:
        Ids and a mask, both of shape (windows, 240), and places in the flattened windows, shape (positions,).
    """
    tokens = loop.stream(tokenizer, documents, tokenizer.sep_token_id).astype(np.int64)
    rows = torch.from_numpy(tokens[: len(tokens) // WINDOW * WINDOW].reshape(-1, WINDOW))
    generator = torch.Generator().manual_seed(0)
    masked = (torch.rand(rows.shape, generator=generator) < bert.SELECTED) & (rows != tokenizer.sep_token_id)
    places = np.flatnonzero(masked.numpy().ravel())
    places = places[(places % WINDOW >= ORDER) & (places % WINDOW < WINDOW - ORDER)]
    return rows, masked, np.sort(np.random.default_rng(0).choice(places, positions, replace=False))


def ranks_one_by_one(model, tokenizer, rows: torch.Tensor, places: np.ndarray) -> np.ndarray:
    """For each of the places of `tokens_to_hide`, hidden alone, how many tokens the model holds for likelier."""
    alone = torch.zeros(len(places), WINDOW, dtype=torch.bool)
    alone[torch.arange(len(places)), torch.from_numpy(places % WINDOW)] = True
    return _ranks_at_masks(model, tokenizer, rows[places // WINDOW], alone)


@torch.inference_mode()
def _ranks_at_masks(model, tokenizer, rows: torch.Tensor, masked: torch.Tensor) -> np.ndarray:
    """For each masked token, how many others the model holds for likelier."""
    ranks = []
    for chunk, hidden in zip(rows.split(32), masked.split(32), strict=True):
        seen = torch.where(hidden, tokenizer.mask_token_id, chunk)
        logits = model(bert.between_ends(seen, tokenizer)).logits[:, 1:-1][hidden]
        ranks.append((logits > logits.gather(1, chunk[hidden][:, None])).sum(dim=1))
    return torch.cat(ranks).numpy()


def _shares(ranks: np.ndarray) -> dict[str, float]:
    return {"top 1": float((ranks < 1).mean()), "top 5": float((ranks < 5).mean()), "tokens": len(ranks)}


@dataclass(frozen=True)
class Blank:
    """A word of a text, what stands before and after it; `source` numbers the text."""

    before: str
    word: str
    after: str
    source: int


def blanks(documents: list[str], tokenizers: list, number: int, around: int = 60) -> list[Blank]:
    """Words to be guessed that are one token in each of several vocabularies, so that one measure fits all of them.

    Args:
        documents: `number` blanks are spread evenly over them.
        tokenizers: of the models to be compared; lower-casing.
        number: of blanks, where the documents have so many.
        around: words that are shown on either side.
    """
    vocabularies = [tokenizer.get_vocab() for tokenizer in tokenizers]
    rng = np.random.default_rng(0)
    found = []
    for source, document in enumerate(documents):
        words = [
            word
            for word in re.finditer(r"(?<![\w'-])[A-Za-z]+(?![\w'-])", document)
            if all(word[0].lower() in vocabulary for vocabulary in vocabularies)
        ]
        per_document = (number - len(found)) // (len(documents) - source)
        for place in sorted(rng.permutation(len(words))[:per_document]):
            before, after = document[: words[place].start()], document[words[place].end() :]
            near = (
                re.search(rf"(?:\S+\s+){{0,{around}}}\S*$", before)[0],
                re.match(rf"\S*(?:\s+\S+){{0,{around}}}", after)[0],
            )
            found.append(Blank(near[0], words[place][0].lower(), near[1], source))
    return found


@torch.inference_mode()
def words_filled(model, tokenizer, given: list[Blank]) -> np.ndarray:
    """For each blank, how many tokens mini-bert holds for likelier than the word; shape (blanks,)."""
    ranks = []
    for start in range(0, len(given), 32):
        chunk = given[start : start + 32]
        texts = [f"{blank.before}{tokenizer.mask_token}{blank.after}" for blank in chunk]
        encoded = tokenizer(texts, padding=True, truncation=True, max_length=WINDOW, return_tensors="pt")
        logits = model(**encoded).logits[encoded["input_ids"] == tokenizer.mask_token_id]
        right = torch.tensor(tokenizer.convert_tokens_to_ids([blank.word for blank in chunk]))
        ranks.append((logits > logits.gather(1, right[:, None])).sum(dim=1))
    return torch.cat(ranks).numpy()


def facts_known(model, tokenizer) -> list[tuple[str, list[str], bool]]:
    """For each of the twenty facts: the sentence, the model's best five, and whether a right one is among them."""
    known = []
    for fact in FACTS:
        guesses = top_guesses(model, tokenizer, fact.sentence)
        known.append((fact.sentence, guesses, bool(set(fact.answers) & set(guesses))))
    return known


@torch.inference_mode()
def top_guesses(model, tokenizer, sentence: str, number: int = 5) -> list[str]:
    """A masked language model's best tokens for the [MASK] in a sentence, the best first."""
    encoded = tokenizer(sentence.replace("[MASK]", tokenizer.mask_token), return_tensors="pt")
    logits = model(**encoded).logits[encoded["input_ids"] == tokenizer.mask_token_id][0]
    return tokenizer.convert_ids_to_tokens(logits.topk(number).indices.tolist())


def grammar(score) -> dict[str, tuple[int, int]]:
    """Minimal pairs judged rightly: phenomenon -> (right, pairs); `score` gives a sentence's log-likelihood."""
    results = {}
    for name, sentences in pairs(more=True).items():
        right = sum(score(good) > score(bad) for good, bad in sentences)
        results[name] = (right, len(sentences))
    return results


@torch.inference_mode()
def log_likelihood(model, tokenizer, sentence: str) -> float:
    """ln p(sentence) under mini-gpt, begun and ended by <|endoftext|>; the sum over its tokens."""
    end = tokenizer.eos_token_id
    ids = torch.tensor([[end, *tokenizer(sentence)["input_ids"], end]])
    return -F.cross_entropy(model(ids[:, :-1]).logits[0].float(), ids[0, 1:], reduction="sum").item()


@torch.inference_mode()
def pseudo_log_likelihood(model, tokenizer, sentence: str) -> float:
    """Sum over the tokens of ln p(token | all others) under mini-bert, each masked in turn (Salazar et al. 2020).

    With a word's piece, the word's later pieces are masked too, so that they do not give it away (Kauf and Ivanova
    2023, arXiv 2305.10588).
    """
    encoded = tokenizer(sentence)
    ids = torch.tensor(encoded["input_ids"])
    words = encoded.word_ids()
    places = [place for place, word in enumerate(words) if word is not None]
    rows = ids.repeat(len(places), 1)
    for row, place in enumerate(places):
        for later in range(place, len(words)):
            if words[later] == words[place]:
                rows[row, later] = tokenizer.mask_token_id
    logits = model(rows).logits.float().log_softmax(dim=-1)
    return sum(logits[row, place, ids[place]].item() for row, place in enumerate(places))


@torch.inference_mode()
def write(model, tokenizer, inputs: list[str], max_new_tokens: int = 32) -> list[str]:
    """What mini-t5 writes for each input: greedy, special tokens left out."""
    written = []
    for start in range(0, len(inputs), 128):
        batch = tokenizer(
            inputs[start : start + 128], truncation=True, max_length=t5.LIMIT, padding=True, return_tensors="pt"
        )
        output = model.generate(**batch, max_new_tokens=max_new_tokens, do_sample=False)
        written += tokenizer.batch_decode(output, skip_special_tokens=True)
    return written


def exact_matches(model, tokenizer, number: int = 500) -> dict[str, tuple[int, int]]:
    """Translations of test items that are right to the letter: language -> (right, items)."""
    matches = {}
    for language in translation.LANGUAGES:
        items = dict(itertools.islice(translation.pairs("test", language, seed=1), 4 * number))  # once each
        items = dict(itertools.islice(items.items(), number))
        answers = write(model, tokenizer, [translation.prefix(language) + english for english in items])
        matches[language] = (sum(a == b for a, b in zip(answers, items.values(), strict=True)), len(items))
    return matches


def samples(model, tokenizer, number: int) -> list[str]:
    """Texts that mini-gpt writes from nothing, at temperature 0.8 and top-p 0.9, seeded, unpicked."""
    torch.manual_seed(0)
    start = torch.full((number, 1), tokenizer.eos_token_id)
    written = model.generate(
        start, attention_mask=torch.ones_like(start), do_sample=True, temperature=0.8, top_p=0.9, top_k=0,
        max_new_tokens=80, pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return tokenizer.batch_decode(written, skip_special_tokens=True)


def words_known() -> set[str]:
    """The words of the training text, lower-cased: letters, with an apostrophe inside."""
    return {word for document in text.documents("train") for word in words_of(document)}


def words_of(document: str) -> list[str]:
    """The words of a text, lower-cased, hyphens taken as gaps; what a digit or another mark touches is none."""
    return re.findall(r"(?<![\w.@/])[^\W\d_]+(?:['’][^\W\d_]+)?(?![\w@/])", document.lower())


def words_invented(written: list[str], known: set[str]) -> list[list[str]]:
    """For each text, its words that the training text does not have; a last word that may be cut off does not count."""
    invented = []
    for sample in written:
        whole = re.sub(r"\w+$", "", sample)
        invented.append([word for word in words_of(whole) if word not in known])
    return invented


@torch.inference_mode()
def greedy_repetition(model, tokenizer, prompts: int = 30, run: int = 4) -> tuple[int, int]:
    """Greedy continuations of held-out reviews' first eight words that say four words in a row twice, of how many."""
    repeated = 0
    for review in held_out_reviews()[:prompts]:
        given = tokenizer(" ".join(review.split()[:8]), return_tensors="pt")
        output = model.generate(**given, do_sample=False, max_new_tokens=80, pad_token_id=tokenizer.eos_token_id)
        words = words_of(tokenizer.decode(output[0], skip_special_tokens=True))
        runs = [tuple(words[start : start + run]) for start in range(len(words) - run + 1)]
        repeated += len(set(runs)) < len(runs)
    return repeated, prompts


def sentiment_as_text(model, tokenizer) -> tuple[int, int]:
    """Reviews of the validation films whose label mini-t5 writes rightly, and how many there are."""
    return _right(model, tokenizer, "sentiment", tasks.examples_of("sentiment", "review", "validation"))


def titles(model, tokenizer) -> dict[str, tuple[int, int]]:
    """Titles of held-out introductions, right to the letter but for capitals: mini-t5's, and those of a rule.

    Only introductions in which their title stands. The rule takes what stands before *is*, *are*, *was* or *were*, a
    comma or a bracket, without an article.
    """
    pairs = tasks.examples_of("title", "introduction", "validation")
    by_rule = sum(title_by_rule(source).lower() == title.lower() for source, title in pairs)
    return {"mini-t5": _right(model, tokenizer, "title", pairs), "words before *is*": (by_rule, len(pairs))}


def title_by_rule(introduction: str) -> str:
    """What an introduction's first sentence begins with."""
    start = re.split(r",|\s\(|\s(?:is|are|was|were)\b", introduction, maxsplit=1)[0]
    return re.sub(r"^(?:The|An?)\s", "", start)


def titles_written(model, tokenizer, number: int = 10) -> list[tuple[str, str]]:
    """The first held-out introductions' titles: (what mini-t5 writes, Wikipedia's)."""
    pairs = tasks.examples_of("title", "introduction", "validation")[:number]
    written = write(model, tokenizer, [f"title: {tasks.head_and_tail(source)}" for source, _ in pairs])
    return [(answer, title) for answer, (_, title) in zip(written, pairs, strict=True)]


def topics(model, tokenizer) -> dict[str, tuple[int, int]]:
    """Subjects of held-out introductions and topics of held-out articles that mini-t5 writes rightly."""
    return {
        kind: _right(model, tokenizer, "topic", tasks.examples_of("topic", kind, "validation"))
        for kind in ("introduction", "article")
    }


@torch.inference_mode()
def cost_of_a_wrong_input(model, tokenizer) -> float:
    """By how much the loss on taken-out spans grows (nats) when each row is given another row's input.

    Near 0, the decoder ignores its encoder and is a language model of its targets.
    """
    tokens = loop.stream(tokenizer, held_out_reviews(), tokenizer.eos_token_id).astype(np.int64)
    rows = torch.from_numpy(tokens[: 64 * 120].reshape(64, 120))
    batch = t5.batch_of(rows, tokenizer, torch.Generator().manual_seed(0))
    wrong = batch | {"input_ids": batch["input_ids"].roll(1, dims=0)}
    return (t5.loss_of(model, wrong) - t5.loss_of(model, batch)).item()


def kinds_of_answers(model, tokenizer, number: int = 40) -> dict[str, tuple[int, int]]:
    """Does the prefix decide? Answers of the kind that the prefix asks for: "prefix, kind of text" -> (right, texts).

    Under sentiment: and topic: one of the words that stand there in training; under title: none of them, and something;
    under translate English to …: neither, and not the English either.
    """
    closed = {task: tasks.answers(task) for task in ("sentiment", "topic")}
    anything = closed["sentiment"] | closed["topic"]
    counts = {}
    for task, kinds in tasks.SOURCES.items():
        for kind in kinds:
            sources = [source for source, _ in tasks.examples_of(task, kind, "validation")[:number]]
            written = write(model, tokenizer, [f"{task}: {tasks.head_and_tail(source)}" for source in sources])
            right = [
                answer in closed[task] if task in closed else answer and answer not in anything for answer in written
            ]
            counts[f"{task}, {kind}"] = (sum(map(bool, right)), len(sources))
    for language in translation.LANGUAGES:
        items = itertools.islice(translation.pairs("test", language, seed=2), 3 * number)
        items = [(english, other) for english, other in items if english != other][:number]
        written = write(model, tokenizer, [translation.prefix(language) + english for english, _ in items])
        right = [answer not in {"", english} | anything for answer, (english, _) in zip(written, items, strict=True)]
        counts[f"translate to {translation.LANGUAGES[language]}, measure"] = (sum(right), number)
    return counts


def _right(model, tokenizer, task: str, pairs: list[tuple[str, str]]) -> tuple[int, int]:
    written = write(model, tokenizer, [f"{task}: {tasks.head_and_tail(source)}" for source, _ in pairs])
    return sum(a.lower() == b.lower() for a, (_, b) in zip(written, pairs, strict=True)), len(pairs)


def sentiment_with_a_head(folder: Path, epochs: int = 2) -> tuple[int, int]:
    """The same, for mini-bert with a classification head fine-tuned on all training reviews, cut the same way."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, dtype=torch.float32, attn_implementation=loop.attention()
    )
    bfloat16 = fast_precision("cpu")[0] == "bfloat16"

    def rows(split: str) -> list[dict]:
        reviews = text.reviews(split)
        cut = [tasks.head_and_tail(review) for review, _ in reviews]
        ids = tokenizer(cut, truncation=True, max_length=t5.LIMIT, verbose=False)["input_ids"]
        return [{"input_ids": row, "labels": label} for row, (_, label) in zip(ids, reviews, strict=True)]

    with tempfile.TemporaryDirectory() as unused:
        args = TrainingArguments(
            output_dir=unused, num_train_epochs=epochs, per_device_train_batch_size=32, learning_rate=3e-4,
            per_device_eval_batch_size=64, warmup_steps=0.1, bf16=bfloat16, use_cpu=True, save_strategy="no",
            report_to="none", seed=0,
        )  # fmt: skip
        trainer = Trainer(
            model=model, args=args, train_dataset=rows("train"), data_collator=DataCollatorWithPadding(tokenizer)
        )
        trainer.train()
        answers = trainer.predict(rows("validation"))
    return int((answers.predictions.argmax(axis=1) == answers.label_ids).sum()), len(answers.label_ids)


def filled_spans(model, tokenizer, number: int = 10) -> list[tuple[str, str, str]]:
    """Held-out sentences with a span taken out: (input, what mini-t5 writes, what stood there)."""
    rng = np.random.default_rng(0)
    examples = []
    for review, _ in text.reviews("validation")[::97]:
        words = review.split(". ")[0].split()
        if not 8 <= len(words) <= 30:
            continue
        place = int(rng.integers(2, len(words) - 4))
        # As in training, a text ends with a gap; without it, mini-t5 takes the sentence for a review and judges it.
        given = " ".join([*words[:place], "<extra_id_0>", *words[place + 2 :], "<extra_id_1>"])
        examples.append((given, " ".join(words[place : place + 2])))
        if len(examples) == number:
            break
    encoded = tokenizer([given for given, _ in examples], padding=True, return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(**encoded, max_new_tokens=12, do_sample=False)
    answers = [re.findall(r"<extra_id_0>\s*(.*?)\s*(?:<|$)", answer) for answer in tokenizer.batch_decode(output)]
    return [(given, (answer or [""])[0], was) for (given, was), answer in zip(examples, answers, strict=True)]
