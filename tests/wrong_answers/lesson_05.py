"""Typical wrong answers to the exercises of lesson 05, each with words of the hint that it must get."""

import math

import torch

LINE, SLANTED = [0, 0.5, 1, 0.5, 0], [0.031, 0.516, 1, 0.516, 0.031]


def factors(linear=LINE, slanted=SLANTED):
    return {"linear": linear, "slanted triangular": slanted}


def descent(
    clear="after", sign=-1, extra=0, loss="mean", start=0.0, bias=False, clip=False, give=lambda weights: weights
):
    def fit(x, y, rate, steps):
        x = torch.cat([x, torch.ones(len(x), 1)], dim=1) if bias else x
        weights = torch.full((x.shape[1],), start, requires_grad=True)
        for _ in range(steps + extra):
            errors = (x @ weights - y).square()
            value = {"mean": errors.mean(), "sum": errors.sum(), "half": errors.mean() / 2}[loss]
            value.backward()
            if clear == "before the step":
                weights.grad.zero_()
            if clip:
                torch.nn.utils.clip_grad_norm_([weights], 1.0)
            with torch.no_grad():
                weights += sign * rate * weights.grad
            if clear == "after":
                weights.grad.zero_()
        return give((weights[:-1] if bias else weights).detach())

    return fit


def with_adam(x, y, rate, steps):
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW([weights], lr=rate)
    for _ in range(steps):
        (x @ weights - y).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return weights


def geometric(root, up=False, depths=2):
    """Divided downwards from the head, or multiplied upwards from the embeddings."""

    def rates(layers, top, bottom):
        divisor, last = root(layers, top / bottom), layers + depths - 1
        return [bottom * divisor**depth if up else top / divisor ** (last - depth) for depth in range(last + 1)]

    return rates


def subtracted(layers, top, bottom):
    return [bottom + (top - bottom) * depth / (layers + 1) for depth in range(layers + 2)]


def head_first(layers, top, bottom):
    return [top * (bottom / top) ** (place / (layers + 1)) for place in range(layers + 2)]


def wave(fall, rise=lambda step, warmup: step / warmup, until=lambda step, warmup: step < warmup):
    def cosine(step, steps, warmup):
        if until(step, warmup):
            return rise(step, warmup)
        return fall((step - warmup) / (steps - warmup), step, steps, warmup)

    return cosine


def half(share, *_):
    return (1 + math.cos(math.pi * share)) / 2


def combined(weigh=lambda size: size, divide=lambda sizes: sum(sizes)):
    def average(gradients, sizes):
        return sum(weigh(size) * one for one, size in zip(gradients, sizes, strict=True)) / divide(sizes)

    return average


def shares_of_a_mean(gradients, sizes):
    return sum(size * one / (sum(sizes) * bool(size)) for one, size in zip(gradients, sizes, strict=True))


def means_undone_by_dividing(gradients, sizes):
    return sum(one / size for one, size in zip(gradients, sizes, strict=True))


def options(
    rate=lambda name, head: 1e-3 if head else 1e-4, decay=lambda name, plain: 0.0 if plain else 0.01, drop="", layers=6
):
    """Name -> [rate, decay] of an optimizer for a BERT classifier; None for the names with `drop` in them."""
    from notebooks.source.lesson_05.checks import is_head, names_of_bert

    found = dict.fromkeys(names_of_bert(layers))
    for name in found:
        if not drop or drop not in name:
            found[name] = [rate(name, is_head(name)), decay(name, name.endswith("bias") or "LayerNorm" in name)]
    return found


WRONG = [
    ("05.1", factors(linear=[1, 0.95, 0.9, 0.45, 0]), "What does warm-up mean"),
    ("05.1", factors(linear=[0, 0.5, 1, 0.45, 0]), "linear: at step 55 you count the fall from step 0"),
    ("05.1", factors(linear=[1 / 32, 0.5, 1, 0.5, 1 / 32]), "belongs to the other schedule"),
    ("05.1", factors(linear=[0, 0.5, 1, 0.5, 1 / 32]), "belongs to the other schedule"),
    ("05.1", factors(linear=[0, 0.5, 1, 0, 0]), "linear: it is already down"),
    ("05.1", factors(linear=[0.1, 0.6, 1, 0.5, 0]), "linear: step 0 is off"),
    ("05.1", factors(linear=[0, 0.05, 0.1, 0.55, 1]), "linear: step 10 is off"),
    ("05.1", factors(linear=[0, 1, 1, 0.5, 0]), "linear: step 5 is off"),
    ("05.1", factors(linear=[0, 0.5, 1, 0.5, 0.1]), "linear: step 100 is off"),
    ("05.1", factors(linear=[0, 0.5, 1, 1, 0]), "linear: step 55 is off"),
    ("05.1", factors(slanted=LINE), "put p = 0 into the formula"),
    ("05.1", factors(slanted=[1 / 32, 0.5, 1, 0.5, 1 / 32]), "0.5 is p"),
    ("05.1", factors(slanted=[1 / 32, 0.516, 1, 0.467, 1 / 32]), "triangular: at step 55 you count the fall"),
    ("05.1", factors(slanted=[1 / 32, 0.516, 1, 1 / 32, 1 / 32]), "triangular: it is already down"),
    ("05.1", factors(slanted=[1, 16.5, 32, 16.5, 1]), "lies between 0 and 1"),
    ("05.1", factors(SLANTED, LINE), "mixed up"),
    ("05.1", factors(slanted=[]), "5 items"),
    ("05.2", descent(clear="never"), "gradients of all steps before it"),
    ("05.2", descent(clear="before the step"), "still 0"),
    ("05.2", descent(sign=1), "you climb"),
    ("05.2", descent(extra=-1), "your loop takes"),
    ("05.2", descent(extra=1), "your loop takes"),
    ("05.2", descent(loss="sum"), "*sum* of the squared errors"),
    ("05.2", descent(loss="half"), "half as long"),
    ("05.2", descent(start=1.0), "Where do they start"),
    ("05.2", descent(bias=True), "There is a bias"),
    ("05.2", descent(give=lambda weights: weights[:, None]), "the weights to have the shape"),
    ("05.2", descent(give=lambda weights: None), "Is a `return` missing"),
    ("05.2", with_adam, "This is Adam or AdamW"),
    ("05.3", geometric(lambda layers, span: span ** (1 / layers)), "where does top lead"),
    ("05.3", geometric(lambda layers, span: span ** (1 / (layers + 2))), "where does top lead"),
    ("05.3", geometric(lambda layers, span: span ** (1 / layers), up=True), "where does top lead"),
    ("05.3", geometric(lambda layers, span: span / (layers + 1)), "where does top lead"),
    ("05.3", geometric(lambda layers, span: span), "A single division"),
    ("05.3", geometric(lambda layers, span: 2.6), "ULMFiT's 2.6"),
    ("05.3", geometric(lambda layers, span: span ** (1 / (layers - 1 or 1)), depths=0), "one for each layer"),
    ("05.3", geometric(lambda layers, span: span ** (1 / layers), depths=1), "the head or the embeddings have none"),
    ("05.3", subtracted, "the same *amount*"),
    ("05.3", head_first, "Which end has depth 0"),
    ("05.3", lambda layers, top, bottom: [bottom, *[top] * (layers + 1)], "changes from depth to depth"),
    ("05.3", lambda layers, top, bottom: [top] * (layers + 2), "nothing is divided"),
    ("05.4", lambda step, steps, warmup: half(step / steps), "There is no warm-up"),
    ("05.4", lambda step, steps, warmup: half((step - warmup) / (steps - warmup)), "There is no warm-up"),
    ("05.4", wave(lambda share, step, steps, warmup: half(step / steps)), "jumps at the end of the warm-up"),
    ("05.4", wave(lambda share, step, steps, warmup: half((step - warmup) / steps)), "does not get down to 0"),
    ("05.4", wave(lambda share, *_: math.cos(math.pi * share)), "falls to -1"),
    ("05.4", wave(lambda share, *_: 1 + math.cos(math.pi * share)), "starts at 2"),
    ("05.4", wave(lambda share, *_: half(2 * share)), "a whole wave"),
    ("05.4", wave(lambda share, *_: math.cos(math.pi * share / 2)), "a quarter of a wave"),
    ("05.4", wave(lambda share, *_: 1 - share), "a straight line"),
    ("05.4", wave(lambda share, *_: (1 + math.cos(180 * share)) / 2), "wrong angle"),
    ("05.4", wave(lambda share, *_: (1 + math.cos(share)) / 2), "wrong angle"),
    ("05.4", wave(half, rise=lambda step, warmup: (step + 1) / warmup), "a step ahead"),
    ("05.4", wave(half, rise=lambda step, warmup: 1), "Which share of the rise"),
    ("05.4", wave(half, rise=lambda step, warmup: step / (warmup + 1)), "Which share of the rise"),
    ("05.4", wave(lambda share, step, steps, warmup: half((step - warmup - 1) / (steps - warmup - 1))),
     "is that your share"),
    ("05.4", wave(half, until=lambda step, warmup: step <= warmup), "stops with ZeroDivisionError"),
    ("05.4", wave(half, lambda step, warmup: step / max(1, warmup), lambda step, warmup: step <= warmup),
     "there is no rise"),
    ("05.5", combined(lambda size: 1, len), "mean over the processes"),
    ("05.5", combined(lambda size: 1, lambda sizes: 1), "add up the means"),
    ("05.5", combined(divide=lambda sizes: 1), "*sum* of all losses"),
    ("05.5", combined(divide=len), "number of processes"),
    ("05.5", combined(lambda size: 1), "what you add up are means"),
    ("05.5", combined(lambda size: max(1, size), lambda sizes: sum(max(1, size) for size in sizes)),
     "where one has none"),
    ("05.5", combined(lambda size: 1 / max(1, size), lambda sizes: sum(1 / size for size in sizes if size)),
     "Small parts weigh more"),
    ("05.5", lambda gradients, sizes: gradients, "the gradient to have the shape"),
    ("05.5", shares_of_a_mean, "where a process had no sentence to hold finite"),
    ("05.5", means_undone_by_dividing, "You divide by the size"),
    ("05.2", descent(clip=True), "You clip the gradients"),
    ("05.4", wave(lambda share, *_: math.cos(math.pi * share) / 2), "order of adding and halving"),
    ("05.4", wave(lambda share, *_: 1 + math.cos(math.pi * share) / 2), "order of adding and halving"),
    ("05.4", wave(lambda share, *_: (1 + math.cos(math.radians(math.pi * share))) / 2), "wrong angle"),
    ("05.6", options(rate=lambda name, head: 1e-4 if head else 1e-3), "the wrong way round"),
    ("05.6", options(rate=lambda name, head: 1e-3), "one rate"),
    ("05.6", options(rate=lambda name, head: 1e-3 if "classifier" in name else 1e-4), "The pooler"),
    ("05.6", options(rate=lambda name, head: 1e-4 if ".layer." in name else 1e-3), "The embeddings"),
    ("05.6", options(rate=lambda name, head: 1e-3 if head else 1e-5), "Is it part of the head"),
    ("05.6", options(decay=lambda name, plain: 0.01), "default is 0.01"),
    ("05.6", options(decay=lambda name, plain: 0.0), "Nothing is decayed"),
    ("05.6", options(decay=lambda name, plain: 0.01 if plain else 0.0), "on the wrong weights"),
    ("05.6", options(decay=lambda name, plain: 0.0 if name.endswith("bias") else 0.01), "scales of layer"),
    ("05.6", options(decay=lambda name, plain: 0.0 if name.endswith("LayerNorm.weight") else 0.01), "biases are"),
    ("05.6", options(decay=lambda name, plain: 0.0 if plain and "embeddings" not in name else 0.01), "Is it a bias"),
    ("05.6", options(drop="bias"), "They are all of biases"),
    ("05.6", options(drop="classifier"), "They are all of the head"),
    ("05.6", options(drop="embeddings"), "are in no group"),
    ("05.6", options(drop=".layer.5."), "16 tensors are in no group"),
    ("05.6", options() | {"no weight of this model": [1e-3, 0.0]}, "not this model's"),
]  # fmt: skip
