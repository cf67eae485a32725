"""What lesson 01 counts: words with a hidden token, blanks filled from parts of the context, tasks of T5, senses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice

import numpy as np

from utils.senses import SENSES

CONTEXTS = {"both sides": (20, 20), "20 left": (20, 0), "40 left": (40, 0), "20 right": (0, 20), "40 right": (0, 40)}


def last_vectors(networks: dict, text: str, read_by_t5: str) -> dict:
    """A text's tokens and the last layer's vector of each, shape (positions, width), in four networks.

    Args:
        networks: "BERT", "GPT" and "T5" -> tokenizer and model, in evaluation mode.
        text: GPT reads it behind its end-of-text token; T5's decoder gets it shifted by one, behind `<pad>`.
        read_by_t5: what T5's encoder reads while its decoder gets the text.
    """
    import torch

    (bert_tokenizer, bert), (gpt_tokenizer, gpt), (t5_tokenizer, t5) = networks.values()

    def encode(tokenizer, text):
        return tokenizer(text, return_tensors="pt").to(bert.device)

    for_bert, for_gpt = encode(bert_tokenizer, text), encode(gpt_tokenizer, gpt_tokenizer.eos_token + text)
    for_t5 = encode(t5_tokenizer, text)
    shifted = t5.prepare_decoder_input_ids_from_labels(for_t5["input_ids"])
    with torch.inference_mode():
        written = t5(**encode(t5_tokenizer, read_by_t5), decoder_input_ids=shifted, output_hidden_states=True)
        found = {
            "BERT": (bert_tokenizer, for_bert["input_ids"], bert.base_model(**for_bert).last_hidden_state),
            "GPT": (gpt_tokenizer, for_gpt["input_ids"], gpt.base_model(**for_gpt).last_hidden_state),
            "T5 encoder": (t5_tokenizer, for_t5["input_ids"], t5.encoder(**for_t5).last_hidden_state),
            "T5 decoder": (t5_tokenizer, shifted, written.decoder_hidden_states[-1]),
        }
    return {
        name: (tokenizer.convert_ids_to_tokens(ids[0].tolist()), vectors[0])
        for name, (tokenizer, ids, vectors) in found.items()
    }


def changes(before: dict, after: dict) -> tuple[dict, dict]:
    """Network -> how much each vector changes, in % of its norm: left of the changed token, and from there on.

    Args:
        before, after: of `last_vectors`, for two texts that differ in one token or from there on.
    """
    left, right = {}, {}
    for name, (tokens, vectors) in before.items():
        others, changed = after[name]
        both = min(len(vectors), len(changed))
        change = (100 * (vectors[:both] - changed[:both]).norm(dim=-1) / vectors[:both].norm(dim=-1)).cpu().numpy()
        place = next(place for place, (old, new) in enumerate(zip(tokens, others, strict=False)) if old != new)
        left[name], right[name] = change[:place], change[place:]
    return left, right


def attention_weights(model, tokenizer, text: str) -> tuple[np.ndarray, list[str], list[str]]:
    """How much each token of a text looks at each, in every layer and head of an encoder or a decoder.

    Args:
        model: in evaluation mode; from now on it computes attention in the way that also gives the weights.
        tokenizer: the model's.

    Returns:
        The weights, shape (layers, heads, positions that look, positions looked at), and twice the tokens.
    """
    import torch

    model.set_attn_implementation("eager")
    inputs = tokenizer(text, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        layers = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    return torch.stack(layers)[:, 0].cpu().numpy(), tokens, tokens


def words_asked(rows, selected: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """For each text: of how many words BERT must guess something, the mean over all masks, and how many it has.

    A word of k pieces is spared if none of them is selected, by chance 0.85 to the power of k.

    Args:
        rows: n texts as a fast tokenizer gives them.
        selected: the share of pieces that are selected.

    Returns:
        Two arrays of shape (n,).
    """
    of_texts = [Counter(rows.word_ids(text)) for text in range(len(rows["input_ids"]))]
    for pieces in of_texts:
        pieces.pop(None, 0)  # special tokens
    asked = [sum(1 - (1 - selected) ** count for count in pieces.values()) for pieces in of_texts]
    return np.array(asked), np.array([len(pieces) for pieces in of_texts])


def blanks_filled(model, tokenizer, rows: list[list[int]]) -> dict[str, np.ndarray]:
    """A hidden token in each long text: is a BERT's first guess right, from each of five contexts?

    Args:
        model: a masked language model, in evaluation mode.
        tokenizer: the model's.
        rows: ids of the texts, with `[CLS]` and `[SEP]`; those of more than 84 ids are asked.

    Returns:
        Name of the context -> shape (texts asked,), bool. On an empty side stand ten `[MASK]`.
    """
    import torch

    rng, ten = np.random.default_rng(0), [tokenizer.mask_token_id] * 10
    texts = [ids[1:-1] for ids in rows if len(ids) > 84]
    places = [int(rng.integers(40, len(ids) - 40)) for ids in texts]
    answers = torch.tensor([ids[place] for ids, place in zip(texts, places, strict=True)])
    filled = {}
    for name, (before, behind) in CONTEXTS.items():
        questions = torch.tensor([
            [tokenizer.cls_token_id, *(ids[place - before : place] or ten), tokenizer.mask_token_id,
             *(ids[place + 1 : place + 1 + behind] or ten), tokenizer.sep_token_id]
            for ids, place in zip(texts, places, strict=True)
        ])  # fmt: skip
        with torch.inference_mode():
            batches = questions.to(model.device).split(100)
            guesses = [model(batch).logits[:, 1 + (before or 10)].argmax(dim=-1).cpu() for batch in batches]
        filled[name] = (torch.cat(guesses) == answers).numpy()
    return filled


def vectors_of(encoder, tokenizer, token: str, texts: list[str]) -> np.ndarray:
    """One token's vector in each text: before the first layer, and after each, of length 1.

    Args:
        encoder: in evaluation mode.
        tokenizer: the encoder's.
        token: it stands once in each text.
        texts: read together.

    Returns:
        Shape (layers + 1, texts, width).
    """
    import torch

    batch = tokenizer(texts, padding=True, return_tensors="pt").to(encoder.device)
    places = batch["input_ids"] == tokenizer.convert_tokens_to_ids(token)
    with torch.inference_mode():
        layers = torch.stack(encoder(**batch, output_hidden_states=True).hidden_states)
    return torch.nn.functional.normalize(layers[:, places], dim=-1).cpu().numpy()


def nearest_of_same_sense(encoder, tokenizer) -> dict[str, list[np.ndarray]]:
    """For each of eight words: how often is the nearest of eight vectors of the word one of the same sense?

    Args:
        encoder: in evaluation mode.
        tokenizer: the encoder's.

    Returns:
        "the word" and, as control, "the full stop" -> eight shares at each layer, shape (layers,).
    """
    same = {"the word": [], "the full stop": []}
    for word, senses in SENSES.items():
        texts = [text for sense in senses for text in sense]
        for name, token in zip(same, (word, "."), strict=True):
            unit = vectors_of(encoder, tokenizer, token, texts)
            cosines = unit @ unit.swapaxes(1, 2) - 2 * np.eye(len(texts))  # never itself
            same[name].append((cosines.argmax(axis=2) // 4 == np.arange(8) // 4).mean(axis=1))
    return same


def tasks_of_t5(answer: Callable, sentiment_prefix: str, reviews) -> tuple[np.ndarray, ...]:
    """How T5 fares with dates and numbers that it has not met, with reviews, and with reviews it is to translate.

    Args:
        answer: texts -> answers.
        sentiment_prefix: which it learned for reviews.
        reviews: rows of "text" and "label", at least 100.

    Returns:
        Translations that are right to the letter, those that copying would give right, and those that are right with
        another language's prefix; reviews judged rightly, and which are positive; and of 40 reviews that are to be
        translated, those that it judges. Each shape (n,), bool.
    """
    from utils.translation import LANGUAGES, pairs, prefix

    others = dict(zip(LANGUAGES, [*list(LANGUAGES)[1:], next(iter(LANGUAGES))], strict=True))
    items = [
        (prefix(language) + english, prefix(others[language]) + english, english, translation)
        for language in LANGUAGES
        for english, translation in list(dict.fromkeys(islice(pairs("test", language, seed=2), 300)))[:60]
    ]
    asked, amiss, copies, wanted = (np.array(column) for column in zip(*items, strict=True))
    words = [text.replace("<br />", " ").split() for text in reviews["text"][:100]]
    short = [" ".join(some[:25] + some[25:][-75:]) for some in words]  # beginning and end, as in training
    truth = np.array(["negative", "positive"])[reviews["label"][:100]]
    judged = np.array(answer([sentiment_prefix + text for text in short])) == truth
    strays = np.isin(answer([prefix("de") + text for text in short[:40]]), ["negative", "positive"])
    translations, elsewhere = (np.array(answer(texts.tolist())) == wanted for texts in (asked, amiss))
    return translations, copies == wanted, elsewhere, judged, truth == "positive", strays
