"""Typical wrong answers to the exercises of lesson 01, each with words of the hint that it must get."""

import torch
import torch.nn.functional as F


def notices(bert=range(6), gpt=(3, 4, 5), t5=range(6)):
    return {"BERT": list(bert), "GPT": list(gpt), "T5 encoder": list(t5)}


def masked(select=0.3, hide=0.8, swap=0.1, specials=False, label_all=False, mask_labels=False, unasked=False):
    def mask_tokens(ids, special, mask_id, size, share):
        selected = torch.rand(ids.shape) < select
        selected = selected if specials else selected & ~special
        fate = torch.rand(ids.shape)
        seen = torch.where(selected & (fate < hide), mask_id, ids)
        seen = torch.where(selected & (fate >= hide) & (fate < hide + swap), torch.randint(size, ids.shape), seen)
        labels = torch.where(selected, mask_id if mask_labels else ids, -100)
        if unasked:
            labels = torch.where(seen == mask_id, labels, -100)
        return seen, ids if label_all else labels

    return mask_tokens


def each_above(probabilities, p):
    kept = torch.where(probabilities >= p, probabilities, 0.0)
    return kept / kept.sum().clamp_min(1e-9)


def without_the_crossing(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    ordered = torch.where(ordered.cumsum(0) < p, ordered, 0.0)
    return torch.zeros_like(ordered).scatter(0, order, ordered / ordered.sum().clamp_min(1e-9))


def not_scaled(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    return torch.zeros_like(ordered).scatter(0, order, torch.where(ordered.cumsum(0) - ordered < p, ordered, 0.0))


def in_sorted_order(probabilities, p):
    ordered = probabilities.sort(descending=True).values
    ordered = torch.where(ordered.cumsum(0) - ordered < p, ordered, 0.0)
    return ordered / ordered.sum()


def gaps(close=True, same=False, fronts=True, rest=True, each=False):
    def corrupt(tokens, spans):
        source, target, place = [], [], 0
        for number, (start, end) in enumerate(spans):
            sentinel = "<extra_id_0>" if same else f"<extra_id_{number}>"
            source += [*tokens[place:start], *[sentinel] * (end - start if each else 1)]
            target += [*[sentinel] * fronts, *tokens[start:end]]
            place = end
        return source + (tokens[place:] if rest else []), target + [f"<extra_id_{len(spans)}>"] * close

    return corrupt


def unguarded(probabilities, p):
    ordered, order = probabilities.sort(descending=True)
    ordered = torch.where(ordered.cumsum(0) < p, ordered, 0.0)
    return torch.zeros_like(ordered).scatter(0, order, ordered / ordered.sum())


def counted_from_one(tokens, spans):
    source, target = gaps()(tokens, spans)
    later = {f"<extra_id_{number}>": f"<extra_id_{number + 1}>" for number in range(9)}
    return [later.get(token, token) for token in source], [later.get(token, token) for token in target]


WRONG = [
    ("01.1", notices(gpt=[0, 1, 2, 3]), "not where its change is noticed"),
    ("01.1", notices(gpt=[3]), "Which positions look at position 3"),
    ("01.1", notices(gpt=range(6)), "causal mask"),
    ("01.1", notices(t5=[3, 4, 5]), "Only its decoder has a causal mask"),
    ("01.1", notices(bert=[0, 1, 2, 3]), "BERT"),
    ("01.1", notices(gpt=[4, 5]), "belongs in every list"),
    ("01.1", notices(gpt=[4, 5, 6]), "from 0 to 5"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits, ids), "its own token"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[1:], ids[:-1]), "Shift the other way"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[:-2], ids[2:]), "shifted twice"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="sum"), "is their mean"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits, ids.roll(-1)), "the *first* token"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="none"), "A loss is one number"),
    ("01.3", masked(label_all=True), "Every token has a label"),
    ("01.3", masked(hide=1.0, swap=0.0), "All selected tokens become [MASK]"),
    ("01.3", masked(specials=True), "Special tokens"),
    ("01.3", masked(mask_labels=True), "not the one that hides it"),
    ("01.3", masked(unasked=True), "change and have no label"),
    ("01.3", masked(select=0.15), "expected 30%"),
    ("01.3", masked(swap=0.2), "stay as they are; expected 10%"),
    ("01.4", each_above, "compare each probability with p"),
    ("01.4", without_the_crossing, "the one that crosses it"),
    ("01.4", not_scaled, "add up to 1 again"),
    ("01.4", in_sorted_order, "order of the vocabulary"),
    ("01.5", gaps(close=False), "one more sentinel"),
    ("01.5", gaps(same=True), "a sentinel of its own"),
    ("01.5", gaps(fronts=False), "needs its sentinel in front"),
    ("01.5", gaps(rest=False), "behind the last gap"),
    ("01.5", gaps(each=True), "one for the whole gap"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[:-1].softmax(-1), ids[1:]), "takes logits as they are"),
    ("01.2", lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="sum") / len(ids), "How many guesses"),
    ("01.3", masked(swap=0.02), "A tenth of *all* selected ones"),
    ("01.4", unguarded, "divide 0 by 0"),
    ("01.5", counted_from_one, "counting starts at 0"),
]
