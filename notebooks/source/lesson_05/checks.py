"""Checks of the exercises of lesson 05: the loop, its schedules, its rates, and several processes.

Words of each hint stand in tests/wrong_answers/lesson_05.py, which tries every one.
"""

from __future__ import annotations

import numpy as np
import torch

from utils.checks import check, exercise
from utils.checks.answers import Hint, entries, hint_if, listed, number, numbers, require

__all__ = ["check"]  # the exercise notebook imports it from here, and with it come these checks

STEPS, AT, WARMUP, RATIO = 100, (0, 5, 10, 55, 100), 10, 32  # of exercise 1


@exercise(
    "05.1",
    "Two schedules",
    "a dict with a list of five numbers for each schedule",
    function=False,
    stronger="Say for each step which share of the rise is done, or which share of the fall is left. For the linear "
    "schedule this share is the factor. For the slanted triangle it is p: put it into the formula.",
    why="The slanted triangle is linear warm-up and decay with a lowest rate of 1/32 of the highest instead of 0.",
)
def factors_of_schedules(answer, rng) -> None:
    factors = {}
    for name, values in entries(answer, ("linear", "slanted triangular")).items():
        what = f"the list of {name}"
        factors[name] = numbers(listed(values, what, len(AT)), what, (len(AT),))
        require(
            bool(((factors[name] >= 0) & (factors[name] <= 1)).all()),
            f"{name}: a factor of the *highest* rate lies between 0 and 1; some of yours do not.",
        )
    linear, slanted = factors["linear"], factors["slanted triangular"]
    shares = np.array(linear_factors())
    raised = (1 + shares * (RATIO - 1)) / RATIO
    hint_if((near(linear, raised).all() and near(slanted, shares).all()), "The two schedules are mixed up.")
    judge_line("linear", linear, shares)
    judge_line("slanted triangular", slanted, raised)


def linear_factors() -> list[float]:
    """The factors of the library's linear schedule at the steps of exercise 1."""
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    factors = []
    for _ in range(STEPS + 1):
        factors.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return [factors[step] for step in AT]


def near(first, second, off: float = 0.01) -> np.ndarray:
    """Where two arrays are no further apart than that, and a little for rounding."""
    return np.abs(np.asarray(first) - np.asarray(second)) <= off + 1e-6


def judge_line(name: str, factors: np.ndarray, truth: np.ndarray) -> None:
    """Raise a `Hint` at the first of the five factors that is off."""
    start, rising, highest, falling, end = near(factors, truth).tolist()
    low = truth[0]
    hint_if(near(factors[0], 1), f"{name}: step 0 has no highest rate yet. What does warm-up mean?")
    if not (start and end):
        hint_if(
            low <= 0 and (near(factors[0], 1 / RATIO) or near(factors[-1], 1 / RATIO)),
            f"{name}: a ratio belongs to the other schedule. Read in section 1 where this one starts and ends.",
        )
        hint_if(
            low != 0 and (near(factors[0], 0) or near(factors[-1], 0)),
            f"{name}: put p = 0 into the formula of section 3. What is left of the highest rate?",
        )
    require(start, f"{name}: step 0 is off. How much of the rise is done before the first step?")
    require(highest, f"{name}: step {WARMUP} is off. The rise is over there; which factor has it led to?")
    hint_if(
        low != 0 and (near(factors[1], 0.5, 0.005) or near(factors[3], 0.5, 0.005)),
        f"{name}: 0.5 is p at steps 5 and 55. What does the formula make of p?",
    )
    require(rising, f"{name}: step 5 is off. The rise is a straight line; how much of it is done?")
    from_zero = low + (1 - low) * (1 - AT[3] / STEPS)
    hint_if(
        near(factors[3], from_zero, 0.005),
        f"{name}: at step 55 you count the fall from step 0. At which step does it begin?",
    )
    hint_if(near(factors[3], low), f"{name}: it is already down at step 55. Over how many steps does it fall?")
    require(falling, f"{name}: step 55 is off. Which share of the falling steps is over there?")
    require(end, f"{name}: step 100 is off. Where does the fall end?")


@exercise(
    "05.2",
    "A loop that never settles",
    "a function of x, y, rate and steps",
    stronger="`backward` does not replace the gradient that is there, it adds to it. Look at the last lines of "
    "section 1's loop: what does it do after each step? (Clipping and schedule are not wanted "
    "here.)",
    why="`backward` adds to the gradients: without clearing, each step goes along the sum of all gradients so far.",
)
def fit(function, rng) -> None:
    for _ in range(3):
        rows, count, steps = int(rng.integers(16, 25)), int(rng.integers(2, 5)), int(rng.integers(4, 9))
        x = rng.normal(size=(rows, count)).astype(np.float32)
        y = (x @ (rng.choice([-1, 1], count) * rng.uniform(1, 2, count)) + 3).astype(np.float32)
        rate = float(rng.uniform(0.02, 0.05))
        got = numbers(function(torch.from_numpy(x), torch.from_numpy(y), rate, steps), "the weights", (count,))

        def is_(*args, got=got, x=x, y=y, **options):
            wanted = descended(x, y, *args, **options)
            return bool(np.abs(got - wanted).max() < 1e-3 * np.abs(wanted).max())

        if is_(rate, steps):
            continue
        hint_if(
            is_(rate, steps, keep=1.0),
            "Each step still carries the gradients of all steps before it. What does `backward` do with a gradient "
            "that is already there?",
        )
        require(
            bool((got != 0).any()),
            f"After {steps} steps the weights are still 0. Which gradient does the optimizer find at its step?",
        )
        hint_if(is_(-rate, steps), "The loss grows from step to step: you climb. Which way does the gradient point?")
        for other in (steps - 1, steps + 1):
            hint_if(is_(rate, other), f"Asked for {steps} steps, your loop takes {other}.")
        hint_if(is_(rate * rows, steps), "You descend the *sum* of the squared errors. Which loss is asked for?")
        hint_if(
            is_(rate / 2, steps),
            "Your steps are half as long as asked. Is it the mean of the squares, or half of it?",
        )
        hint_if(is_(rate, steps, constant=True), "There is a bias beside your weights; none is asked for.")
        for adaptive in (torch.optim.Adam, torch.optim.AdamW):
            hint_if(
                np.allclose(got, adapted(x, y, rate, steps, adaptive), rtol=1e-3),
                "This is Adam or AdamW, which divide the gradient by its usual size. Which descent is asked for?",
            )
        hint_if(
            is_(rate, steps, longest=1.0),
            "You clip the gradients, as the lesson's loop does. Plain descent does not.",
        )
        start = numbers(function(torch.from_numpy(x), torch.from_numpy(y), rate, 0), "the weights", (count,))
        require(bool((start == 0).all()), "After 0 steps your weights are not 0. Where do they start?")
        raise Hint(f"After {steps} steps your weights are off. Work out the first step by hand for one row.")


def descended(
    x, y, rate: float, steps: int, keep: float = 0.0, constant: bool = False, longest: float = np.inf
) -> np.ndarray:
    """Weights after gradient descent on the mean squared error.

    `keep` is how much of the old gradients is kept, `longest` the length to which gradients are clipped.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    x = np.column_stack([x, np.ones(len(x))]) if constant else x
    weights, gradient = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for _ in range(steps):
        gradient = keep * gradient + 2 * x.T @ (x @ weights - y) / len(x)
        gradient = gradient * min(1.0, longest / max(np.linalg.norm(gradient), 1e-12))
        weights = weights - rate * gradient
    return weights[:-1] if constant else weights


def adapted(x, y, rate: float, steps: int, optimizer_class: type[torch.optim.Optimizer]) -> np.ndarray:
    """Weights after so many steps of another optimizer."""
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = optimizer_class([weights], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (torch.from_numpy(x) @ weights - torch.from_numpy(y)).square().mean().backward()
        optimizer.step()
    return weights.detach().numpy()


@exercise(
    "05.3",
    "A rate for each layer",
    "a function of layers, top and bottom",
    stronger="Count how many times you divide on the way from the head to the embeddings. Dividing that often by "
    "the divisor is dividing once by top / bottom: so the divisor is a root of it.",
    why="What a divisor does depends on how many layers it passes: look at the lowest rate, not at the divisor.",
)
def rates(function, rng) -> None:
    for layers in (12, int(rng.integers(3, 9)), 1):
        top = float(10 ** rng.uniform(-4, -2))
        bottom = top / float(rng.uniform(20, 200))
        got = listed(function(layers, top, bottom), "the rates")
        depths = layers + 2
        hint_if(len(got) == layers, f"Your list has {layers} rates, one for each layer. What else has weights?")
        hint_if(len(got) == layers + 1, f"Your list has {layers + 1} rates: the head or the embeddings have none.")
        got = numbers(listed(got, "the rates", depths), "the rates", (depths,))

        def is_(wanted, got=got):
            return bool(np.allclose(got, wanted, rtol=1e-3, atol=0))

        right = np.geomspace(bottom, top, depths)
        if is_(right):
            continue
        require(bool((got > 0).all()), "Some rates are 0 or below. Dividing never leads there; do you subtract?")
        hint_if(is_(right[::-1]), "The head comes first in your list. Which end has depth 0?")
        hint_if(
            is_(np.linspace(bottom, top, depths)),
            "Your rates grow by the same *amount* from depth to depth. What does dividing keep the same?",
        )
        steps = got[1:] / got[:-1]
        require(
            bool(np.ptp(steps) < 0.01 * steps.max()),
            "The divisor changes from depth to depth; it should be one and the same. (Do you round the rates?)",
        )
        hint_if(np.isclose(steps[0], 1, rtol=1e-3), "All depths get the same rate: nothing is divided.")
        hint_if(
            np.isclose(steps[0], 2.6, rtol=1e-3),
            "You divide by ULMFiT's 2.6. Here the divisor follows from top and bottom.",
        )
        hint_if(
            np.isclose(steps[0], top / bottom, rtol=1e-3),
            "A single division already takes you from top to bottom. How many are there on the way?",
        )
        raise Hint(
            f"With {layers} layers the same divisor is used throughout, but your rates go from {got[0]:.2g} to "
            f"{got[-1]:.2g} instead of {bottom:.2g} to {top:.2g}. Divided {layers + 1} times by yours, where does "
            "top lead?",
        )


@exercise(
    "05.4",
    "A cosine schedule",
    "a function of step, steps and warmup",
    stronger="First ask whether the step belongs to the warm-up. If not, count the steps since its end and divide "
    "by how many steps the fall has in all: that is the share, from 0 to 1. Only then comes the cosine.",
    why="A factor is an ordinary function of the step: try it at its ends before you hand it to `LambdaLR`.",
)
def cosine(function, rng) -> None:
    for warm in (True, False, True):
        steps = int(rng.integers(20, 31))
        warmup = int(rng.integers(4, 10)) if warm else 0
        step = np.arange(steps + 1)
        got = np.array([number(function(place, steps, warmup), "the factor") for place in step.tolist()])
        share = (step - warmup) / (steps - warmup)
        rise = step / max(1, warmup)
        right = np.array(library_cosine(steps, warmup))

        def is_(fall, rise=rise, got=got, step=step, warmup=warmup):
            return bool(np.abs(got - np.where(step < warmup, rise, fall)).max() < 1e-4)

        if is_(right):
            continue
        where = f"With {steps} steps and warm-up {warmup}"
        early, late = step < warmup, step >= warmup
        rising = bool(near(got, right, 1e-4)[early].all())
        over_all = half_wave(step / steps)
        hint_if(
            not rising and (near(got, over_all, 1e-4).all() or near(got, half_wave(share), 1e-4).all()),
            "There is no warm-up: your factor is a cosine from step 0 on. What happens before step `warmup`?",
        )
        hint_if(
            is_(over_all),
            "Your fall is counted from step 0 and jumps at the end of the warm-up. Where does the falling part "
            "begin, and how long is it?",
        )
        hint_if(
            is_(half_wave((step - warmup) / steps)),
            "Your factor does not get down to 0. How many steps does the falling part have?",
        )
        hint_if(
            is_(np.cos(np.pi * share)),
            "Your factor falls to -1, so the learning rate turns negative. Where should it end?",
        )
        hint_if(is_(1 + np.cos(np.pi * share)), "Your fall starts at 2. What should the factor be at its start?")
        hint_if(is_(half_wave(2 * share)), "Your factor is back at 1 at the end: a whole wave instead of half.")
        hint_if(
            is_(np.cos(np.pi * share / 2)),
            "Yours is a quarter of a wave: it ends steeply instead of levelling off. Try the given formula at the "
            "middle of the fall.",
        )
        hint_if(is_(1 - share), "Your fall is a straight line. That is the linear schedule.")
        require(
            not is_(half_wave(180 * share / np.pi)) and not is_(half_wave(share / np.pi)),
            "Your cosine gets the wrong angle. In which unit does `math.cos` take it, and what is half a turn?",
        )
        if not rising:
            hint_if(
                near(got, (step + 1) / max(1, warmup), 1e-4)[early].all(),
                "Your warm-up is a step ahead. What should the factor be at step 0?",
            )
            at = int(np.flatnonzero(early & ~near(got, right, 1e-4))[0])
            raise Hint(f"{where}, step {at} gives {got[at]:.3g}. Which share of the rise is done there?")
        hint_if(
            not warmup and not near(got[0], 1),
            "Where `warmup` is 0 there is no rise: at step 0 the factor is already 1.",
        )
        for wave in (np.cos(np.pi * share) / 2, 1 + np.cos(np.pi * share) / 2):
            hint_if(is_(wave), "The share is right. Look once more at the order of adding and halving.")
        require(
            not is_(half_wave(np.radians(share))) and not is_(half_wave(share / 180)),
            "Your cosine gets the wrong angle. In which unit does `math.cos` take it, and what is half a turn?",
        )
        at = int(np.flatnonzero(late & ~near(got, right, 1e-4))[0])
        raise Hint(
            f"{where}, your factor at step {at} is {got[at]:.3g}. At that step {at - warmup} of the {steps - warmup} "
            "falling steps are over: is that your share?",
        )


def half_wave(share) -> np.ndarray:
    """From 1 at 0 down to 0 at 1."""
    return (1 + np.cos(np.pi * np.asarray(share))) / 2


def library_cosine(steps: int, warmup: int) -> list[float]:
    """The factors of the library's cosine schedule at the steps from 0 to `steps`."""
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    (factor,) = get_cosine_schedule_with_warmup(optimizer, warmup, steps).lr_lambdas
    return [factor(step) for step in range(steps + 1)]


@exercise(
    "05.5",
    "Several processes, unequal parts",
    "a function of gradients and sizes",
    stronger="Undo each process's mean: its gradient times its size is the sum over its sentences. Add up these "
    "sums, then make one mean of it for all sentences.",
    why="A mean of means is sure to be the mean of all only where the parts are equal, as `split_batches` makes them.",
)
def average(function, rng) -> None:
    for empty in (False, True, True):
        count = int(rng.integers(3, 6))
        shape = (int(rng.integers(2, 5)), int(rng.integers(6, 9)))
        sizes = rng.choice(np.arange(2, 13), count, replace=False).tolist()
        if empty:
            sizes[int(rng.integers(count))] = 0
        weights = torch.from_numpy(rng.normal(size=shape))
        parts = [torch.from_numpy(rng.normal(size=(size, shape[1])) + place) for place, size in enumerate(sizes)]
        gradients = [gradient_of_mean(weights, part) for part in parts]
        what = "the gradient where a process had no sentence" if empty else "the gradient"
        got = numbers(function([gradient.float() for gradient in gradients], sizes), what, shape)
        right = gradient_of_mean(weights, torch.cat(parts)).numpy()

        def is_(wanted, got=got):
            return bool(np.abs(got - np.asarray(wanted)).max() < 1e-3 * np.abs(np.asarray(wanted)).max())

        if is_(right):
            continue
        hint_if(
            empty,
            "Right where all processes have sentences, but not where one has none. Does it count as if it had one?",
        )
        means = np.stack([gradient.numpy() for gradient in gradients])
        total = sum(sizes)
        hint_if(
            is_(means.mean(axis=0)),
            "You take the mean over the processes. Does a sentence of a large part count as much as one of a small "
            "part?",
        )
        hint_if(is_(means.sum(axis=0)), "You add up the means of the processes. What is asked for is a mean again.")
        hint_if(is_(right * total), "This is the gradient of the *sum* of all losses. What is missing for the mean?")
        hint_if(
            is_(right * total / count),
            "The weighted sum is there, but you divide by the number of processes. Over how many *sentences* is the "
            "mean?",
        )
        hint_if(
            is_(means.sum(axis=0) / total),
            "You divide by the number of sentences, but what you add up are means. How do you get the sums back?",
        )
        inverse = np.array([1 / size for size in sizes])
        hint_if(
            is_(np.tensordot(inverse / inverse.sum(), means, 1)),
            "Small parts weigh more than large ones in yours. Which should weigh more?",
        )
        for size_of in (np.array(sizes), np.array(sizes) / total):
            divided = (means / size_of.reshape(-1, *[1] * (means.ndim - 1))).sum(axis=0)
            hint_if(is_(divided), "You divide by the size. Should a larger part count less, or more?")
        raise Hint(
            f"With the sizes {sizes} the gradient is off. Try the example by hand: 2 for each of 3 sentences, 6 for "
            "one.",
        )


def gradient_of_mean(weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The gradient of a mean loss over the rows, zeros where there is none. The loss of a row is a sum of squares."""
    if len(rows) == 0:
        return torch.zeros_like(weights)
    weights = weights.clone().requires_grad_()
    (rows @ weights.T).square().sum(dim=1).mean().backward()
    return weights.grad


HEAD, REST, DECAYED = 1e-3, 1e-4, 0.01  # of exercise 6


@exercise(
    "05.6",
    "Groups for a real model",
    "what `options_by_name` reads off your optimizer",
    function=False,
    stronger="Go through `model.named_parameters()` once and ask two questions of each name: does it belong to the "
    "head, as `depth_of` in section 2 decides? Is it decayed, as `is_decayed` decides? Each pair of answers makes a "
    "group.",
    why="An optimizer sees groups of weights, not layers: names are all that says which weight is which.",
)
def groups_of_a_model(answer, rng) -> None:
    layers = {name.split(".layer.")[1].split(".")[0] for name in answer if ".layer." in name}
    names = names_of_bert(len(layers))
    hint_if("no weight of this model" in answer, "Your optimizer has weights that are not this model's. Made anew?")
    options = {name: numbers(listed(pair, name, 2), name, (2,)) for name, pair in answer.items() if pair is not None}
    missing = [name for name in names if name not in options]
    if missing:
        parts = {"the head": [*map(is_head, missing)], "biases": [name.endswith("bias") for name in missing]}
        where = next((f" They are all of {part}." for part, hits in parts.items() if all(hits)), "")
        raise Hint(f"{len(missing)} tensors are in no group, such as {missing[0]}; they would never move.{where}")
    rates = {name: pair[0] for name, pair in options.items()}
    decays = {name: pair[1] for name, pair in options.items()}
    heads, rest = [name for name in names if is_head(name)], [name for name in names if not is_head(name)]

    def all_have(values, some, wanted):
        return all(abs(values[name] - wanted) < 1e-9 for name in some)

    hint_if(all_have(rates, heads, REST) and all_have(rates, rest, HEAD), "The two rates are the wrong way round.")
    hint_if(len(set(rates.values())) == 1, "All groups have one rate. Where does a group get its own?")
    pooler = [name for name in heads if "pooler" in name]
    hint_if(
        all_have(rates, pooler, REST),
        "The pooler has the rate of the rest. What lies above the last layer belongs to the head.",
    )
    embeddings = [name for name in rest if "embeddings." in name]
    hint_if(all_have(rates, embeddings, HEAD), "The embeddings have the head's rate. On which end do they lie?")
    wrong = [name for name in names if abs(rates[name] - (HEAD if is_head(name) else REST)) >= 1e-9]
    if wrong:
        raise Hint(f"The rate of {wrong[0]} is {rates[wrong[0]]:g}. Is it part of the head?")
    plain = [name for name in names if name.endswith("bias") or "LayerNorm" in name]
    others = [name for name in names if name not in plain]
    hint_if(
        all_have(decays, names, DECAYED),
        "Everything is decayed: AdamW's own default is 0.01. A group without decay must say so.",
    )
    hint_if(all_have(decays, names, 0), "Nothing is decayed. Which weights should be?")
    hint_if(all_have(decays, plain, DECAYED) and all_have(decays, others, 0), "The decay is on the wrong weights.")
    scales = [name for name in plain if name.endswith("LayerNorm.weight")]
    hint_if(all_have(decays, scales, DECAYED), "The scales of layer normalisation are decayed. What are their names?")
    biases = [name for name in plain if name.endswith("bias")]
    hint_if(all_have(decays, biases, DECAYED), "The biases are decayed. What do their names end with?")
    wrong = [name for name in names if abs(decays[name] - (0 if name in plain else DECAYED)) >= 1e-9]
    if wrong:
        raise Hint(f"The weight decay of {wrong[0]} is {decays[wrong[0]]:g}. Is it a bias, or a scale?")


def is_head(name: str) -> bool:
    """Does a weight of a BERT classifier lie above the last layer?"""
    return ".layer." not in name and "embeddings." not in name


def names_of_bert(layers: int) -> list[str]:
    """The names of all weights of a BERT classifier."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 4, "vocab_size": 8}
    model = BertForSequenceClassification(BertConfig(num_hidden_layers=layers, **sizes))
    return [name for name, _ in model.named_parameters()]
