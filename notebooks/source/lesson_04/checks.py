"""Checks of the exercises of lesson 04: amounts of labels, steps, weights and of what is forgotten.

Words of each hint stand in tests/wrong_answers/lesson_04.py, which tries every one.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import torch

from utils.checks import check, exercise
from utils.checks.answers import Hint, entries, hint_if, listed, number, require

__all__ = ["check"]  # the exercise notebook imports it from here, and with it come these checks

BOTH = "query", "value"
SHAPES = {
    "encoder": (384, 6, 8, BOTH),
    "rank 16": (384, 6, 16, BOTH),
    "queries only": (384, 6, 8, BOTH[:1]),
    "bert-base": (768, 12, 8, BOTH),
}
RATES = 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2


@exercise(
    "04.1",
    "How many weights does LoRA train?",
    "a dict with a number of weights for each network",
    function=False,
    stronger="Look at the drawing: the width goes into A, as many numbers as the rank come out of it, and B makes the "
    "width of these. Count both matrices, then all of a layer, then all layers.",
    why="A and B grow in proportion to the width and the rank; the matrices beside them grow with the width squared.",
)
def weights_of_lora(answer, rng) -> None:
    weights = {name: number(count, f"{name!r}") for name, count in entries(answer, SHAPES).items()}
    truth = {name: trained_by_peft(*shape) for name, shape in SHAPES.items()}
    for name, (width, layers, rank, beside) in SHAPES.items():
        got, right = weights[name], truth[name]
        hint_if(got == right + 2 * (width + 1), f"{name!r}: you counted the head as well; it is left out here.")
        hint_if(
            got == width * width * layers * len(beside),
            f"{name!r} would train whole matrices. How many numbers come out of A?",
        )
        hint_if(
            got in (right + layers * len(beside) * (rank + width), right + layers * len(beside) * width),
            f"{name!r}: you gave A and B a bias; they have none.",
        )
        hint_if(got in (right // layers, right // layers // 2), f"{name!r}: you counted one layer. All have them.")
        hint_if(
            got in (rank * rank * layers * len(beside), 2 * rank * rank * layers * len(beside)),
            f"{name!r}: your matrices have the rank on both sides. What goes into A?",
        )
    hint_if(
        2 * weights["encoder"] == truth["encoder"] and weights["queries only"] == truth["queries only"],
        "'encoder': as many as for the queries only. Beside what else do A and B stand there?",
    )
    hint_if(
        2 * weights["encoder"] == truth["encoder"],
        "'encoder': half of the weights. How many thin matrices stand beside one matrix?",
    )
    require(weights["encoder"] == truth["encoder"], "'encoder' is off. What shapes do the two thin matrices have?")
    hint_if(weights["queries only"] == truth["encoder"], "'queries only': here nothing stands beside the values.")
    hint_if(
        weights["rank 16"] in (truth["encoder"], 4 * truth["encoder"]),
        "'rank 16': go back to the two thin matrices. Which side of each does the rank change?",
    )
    hint_if(
        weights["bert-base"] == 8 * truth["encoder"], "'bert-base': does a thin matrix grow with the width squared?"
    )
    hint_if(
        weights["bert-base"] in (truth["encoder"], 2 * truth["encoder"]),
        "'bert-base': two things differ from 'encoder', the width and the number of layers.",
    )
    wrong = [name for name in SHAPES if weights[name] != truth[name]]
    hint_if(wrong, f"{shown_names(wrong)}: off. What changes from 'encoder', and which sides does it change?")


def trained_by_peft(width: int, layers: int, rank: int, beside: tuple[str, ...]) -> int:
    """The weights of all A and B, counted by peft on a network without values."""
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(hidden_size=width, num_hidden_layers=layers))
        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=rank, target_modules=list(beside)))
    return sum(values.numel() for name, values in model.named_parameters() if "lora" in name)


def shown_names(names: list[str]) -> str:
    """Names of entries, for a hint."""
    return ", ".join(map(repr, names))


@exercise(
    "04.2",
    "A learning rate that forgets",
    "a function of measured, before and allowed",
    stronger="First keep the tuples that lose at most `allowed`: `before` minus what is left. If there are some, the "
    "best task among them decides; if none is, the smallest of these numbers does. Then the smallest rate.",
    why="The task alone cannot say what is forgotten: measure both, and say beforehand how much may be lost.",
)
def choose_rate(function, rng) -> None:
    for _ in range(3):
        rates = np.sort(rng.choice(RATES, 6, replace=False)).tolist()
        tasks = np.sort(rng.choice(np.arange(60, 95), 6, replace=False)).tolist()
        before, most = int(rng.integers(70, 85)), int(rng.integers(4, 9))

        def chosen(lost, places, rates=rates, tasks=tasks, before=before, most=most):
            rows = [(rates[n], tasks[places[n]], before - lost[n]) for n in (4, 2, 1, 0, 3, 5)]
            return place_of(function(rows, before, most), rates)

        got = chosen([0, most - 1, 1, most + 2, most + 5, most + 20], (1, 3, 2, 4, 5, 0))
        hint_if(
            got == 4,
            f"Of these rates you take the best for the task. It loses {most + 5} points of neighbours, and {most} are "
            "allowed.",
        )
        hint_if(
            got == 0,
            "You take the rate that forgets least, or the smallest. Some points may be lost: which rate within that "
            "does the task best?",
        )
        hint_if(
            got in (3, 5),
            f"Neighbours were {before} before, and {most} points may be lost. At your rate more are lost. How do you "
            "count the loss?",
        )
        require(got == 1, "Your rate keeps enough, but another one that does is better at the task.")

        got = chosen([0, most - 1, 1, most, most + 5, most + 20], (1, 3, 2, 4, 5, 0))
        hint_if(got == 1, f"You leave out a rate that loses exactly {most} points. The text says “at most”.")
        require(got == 3, f"One of the rates loses exactly {most} points. Which rates are there to choose from?")

        got = chosen([0, most - 1, 1, -most - 2, most + 5, most + 20], (1, 3, 2, 4, 5, 0))
        require(
            got == 3,
            f"At one of the rates neighbours have *gained* {most + 2} points. You treat it as if they were lost.",
        )

        got = chosen([0, most - 1, 1, most + 2, 0, most + 20], (1, 3, 3, 4, 3, 0))
        require(
            got == 1,
            "Three rates that keep enough are equally good at the task. Which of them is asked for?",
        )

        got = chosen([most + more for more in (3, 1, 1, 2, 4, 9)], (0, 1, 2, 3, 5, 4))
        hint_if(got == 4, "Where every rate loses more than allowed you take the best task. What decides there?")
        hint_if(got == 0, "Where every rate loses more than allowed you take the smallest. What decides there?")
        hint_if(
            got == 2, "Every rate loses more than allowed, and two lose equally little. Which of these is asked for?"
        )
        require(got == 1, "Every rate loses more than allowed. Which one is asked for then?")


def place_of(got, rates: list[float]) -> int:
    """The place of the chosen rate among the rates."""
    hint_if(isinstance(got, list), "Expected one rate, got several values: give back the learning rate alone.")
    require(number(got, "the rate") in rates, f"Expected one of the rates that were measured, got {got:g}.")
    return rates.index(got)


@exercise(
    "04.3",
    "Steps of a run",
    "a function of labels, batch and epochs",
    stronger="Count the steps of one epoch first: full batches, and one more if sentences are left. Only then "
    "multiply by the epochs. Warm-up is a tenth of that product, rounded up.",
    why="With batches of the same size, a quarter of the sentences makes about a quarter of the steps of an epoch.",
)
def steps(function, rng) -> None:
    for _ in range(3):
        for draw in (with_rest, without_rest, below_one_batch):
            labels, batch, epochs = draw(rng)
            given = f"{labels} labels in batches of {batch}, {epochs} epochs:"
            pair = function(labels, batch, epochs)
            hint_if(isinstance(pair, int | float), "Expected two numbers, all steps and the warm-up, got one.")
            pair = listed(pair, "all steps and the warm-up", 2)
            got, warm = number(pair[0], "all steps"), number(pair[1], "the warm-up")
            full, of_epoch = labels // batch, -(-labels // batch)
            of_run = of_epoch * epochs
            tenth = -(-of_run // 10)
            if got != of_run:
                hint_if((got, warm) == (tenth, of_run), "The numbers are right, in the wrong order.")
                hint_if(got == of_epoch, f"{given} these are the steps of one epoch. How many does the run make?")
                hint_if(
                    full >= of_epoch and got in ((full + 1) * epochs, full * epochs + 1),
                    f"{given} nothing is left over at the end of an epoch, and you add a batch.",
                )
                hint_if(got == full * epochs, f"{given} what is left over at the end of an epoch is a batch too.")
                hint_if(
                    got in (-(-labels * epochs // batch), labels * epochs / batch),
                    f"{given} you come to {got:g}. Where must you round, so that no batch reaches into the next epoch?",
                )
                hint_if(got == full * epochs + 1, f"{given} you add one step for the run. How often is something left?")
                hint_if(got in (of_run + tenth, of_run - tenth), "Warm-up steps are among the steps of the run.")
                raise Hint(f"{given} you come to {got:g} steps. How many batches has one epoch?")
            if warm != tenth:
                hint_if(
                    not (of_run % 10) and warm == tenth + 1,
                    f"{given} a tenth of the steps is a whole number here, and needs no rounding.",
                )
                hint_if(
                    warm in (of_run // 10, of_run / 10, round(of_run / 10)),
                    f"{given} a tenth of the steps is no whole number here. Which way is it rounded?",
                )
                hint_if(
                    warm in (-(-of_epoch // 10), epochs * -(-of_epoch // 10)),
                    f"{given} you take a tenth of an *epoch*. A tenth of what is asked for?",
                )
                raise Hint(f"{given} the run has {of_run} steps. Are {warm:g} a tenth of them, rounded up?")


def with_rest(rng) -> tuple[int, int, int]:
    """Labels, batch and epochs: roundings of an epoch and of the run differ, and so do those of the warm-up."""
    while True:
        batch, epochs = int(rng.choice([8, 16, 32])), int(rng.integers(3, 10))
        full, rest = int(rng.integers(4, 40)), int(rng.integers(1, batch // 2))
        of_run = (full + 1) * epochs
        of_epochs = epochs * -(-(full + 1) // 10)
        if rest * epochs > batch and of_run % 10 in (1, 2, 3, 4) and -(-of_run // 10) != of_epochs:
            return full * batch + rest, batch, epochs


def without_rest(rng) -> tuple[int, int, int]:
    """Labels, batch and epochs: nothing is left over, and a tenth of the steps is a whole number."""
    while True:
        batch, epochs, full = int(rng.choice([8, 16, 32])), int(rng.integers(3, 10)), int(rng.integers(4, 40))
        of_run = full * epochs
        if of_run % 10 == 0 and math.ceil(0.1 * of_run) == of_run // 10:  # 0.1 * 70 is a little above 7
            return full * batch, batch, epochs


def below_one_batch(rng) -> tuple[int, int, int]:
    """Labels, batch and epochs: fewer labels than a batch holds."""
    batch = int(rng.choice([8, 16, 32]))
    return int(rng.integers(1, batch // 2)), batch, int(rng.integers(3, 10))


@exercise(
    "04.4",
    "Freeze and count",
    "a function of sizes and frozen",
    stronger="Collect what the names of frozen groups begin with: one beginning for the embeddings, and one for each "
    "frozen layer, its number between two dots. Add up the sizes of the groups whose names begin with none of them.",
    why="A name that contains another freezes too much in silence: count the trained weights after freezing.",
)
def trained_weights(function, rng) -> None:
    for layers, frozen in ((int(rng.integers(12, 16)), int(rng.integers(2, 5))), (4, 1), (6, 0), (3, 3)):
        sizes = sizes_of(layers, rng)
        got = number(function(sizes, frozen), "the trained weights")
        where = f"With {layers} layers and frozen = {frozen}:"
        of_layer = [sum(size for name, size in sizes.items() if f".layer.{n}." in name) for n in range(layers)]
        embedded = sum(size for name, size in sizes.items() if "embeddings" in name)
        above = sum(sizes.values()) - embedded - sum(of_layer)
        right = above + sum(of_layer[frozen:])
        if got == right:
            continue
        hint_if(got == sum(sizes.values()) - right, f"{where} these are the *frozen* weights. Asked are the others.")
        hint_if(got == sum(sizes.values()), f"{where} you count all weights, and freeze nothing.")
        hint_if(got <= len(sizes), f"{where} you count names, or give a share. How many weights are in each group?")
        hint_if(got == right + embedded, f"{where} the embeddings are frozen too. Look at how their names begin.")
        hint_if(got in (right - above, sum(of_layer[frozen:])), f"{where} pooler and classifier are trained as well.")
        hint_if(got == above + sum(of_layer[: layers - frozen]), f"{where} you freeze the *upper* layers.")
        hint_if(
            got == above + sum(of_layer[frozen + 1 :]), f"{where} one layer too many is frozen. Numbers start at 0."
        )
        hint_if(
            frozen > 0 and got == above + of_layer[0] + sum(of_layer[frozen + 1 :]),
            f"{where} layer 0 is trained. Numbers start at 0.",
        )
        alike = [n for n in range(layers) if any(str(n).startswith(str(lower)) for lower in range(frozen))]
        extra = sum(of_layer[n] for n in alike if n >= frozen)
        hint_if(
            extra > 0 and got in (right - extra, right - extra + embedded),
            f"{where} layer {alike[-1]} is frozen too. What has its name in common with that of a lower one?",
        )
        parts = [size for name, size in sizes.items() if "embeddings" in name]
        sums = {sum(some) for count in range(1, len(parts)) for some in combinations(parts, count)}
        hint_if(got - right in sums, f"{where} some of the embeddings are trained, such as their LayerNorm.")
        raise Hint(f"{where} you come to {got:,.0f}. Which groups are not trained, and what do their names begin with?")


def sizes_of(layers: int, rng) -> dict[str, int]:
    """Names of the weights of a classifier with so many layers, from the library, each with a made-up size."""
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(num_hidden_layers=layers))
    return {name: int(rng.integers(1_000, 1_000_000)) for name, _ in model.named_parameters()}


@exercise(
    "04.5",
    "Labels that pretraining saves",
    "a function of budgets, pretrained and counting",
    stronger="The goal is one accuracy: the last of `counting`. Go through the budgets from the smallest until the "
    "pretrained network reaches the goal, and divide the largest budget by the one you stopped at.",
    why="Only some budgets were measured: a budget between this one and the next smaller one may do as well.",
)
def labels_saved(function, rng) -> None:
    for _ in range(3):
        budgets, pretrained, counting, reached = curves(rng)
        largest, enough, goal = budgets[-1], budgets[reached], counting[-1]
        factor = largest / enough
        got = number(function(budgets, pretrained, counting), "the factor")

        def is_(value, got=got):
            return math.isclose(got, value, rel_tol=1e-6)

        if not is_(factor):
            hint_if(is_(enough), "This is a number of labels. How many times as many was counting words given?")
            hint_if(is_(largest - enough), "This is how many labels fewer. Asked is how many *times* as many.")
            hint_if(is_(enough / largest), "The other way round: which of the two budgets is the larger?")
            hint_if(got in (largest // enough, round(factor)), "The factor need not be a whole number.")
            hint_if(is_(largest / budgets[reached + 1]), "“At least as good”: an equal accuracy is good enough.")
            hint_if(
                is_(largest / budgets[2]),
                "You compare both at the same budget. The goal is one accuracy: which one?",
            )
            hint_if(
                is_(largest / budgets[1]),
                "Your goal is the accuracy of the *smallest* budget. Which one is asked for?",
            )
            hint_if(is_(1), "With the largest budget the goal is reached. Do fewer labels reach it as well?")
            hint_if(
                got == 0,
                f"With {enough} labels the goal of {goal}% is reached. Do you look at the right line, and at every "
                "budget before you give up?",
            )
            raise Hint(
                f"You come to {got:g}, for pretrained {pretrained} and counting {counting}. Draw both lines: where "
                "does a level line from the end of counting words meet the other one?",
            )

        dipping = [*pretrained[: reached + 1], goal - 2, *pretrained[reached + 2 :]]
        got = number(function(budgets, dipping, counting), "the factor")
        require(
            is_(factor, got),
            "Here the pretrained line reaches the goal, dips below it and may rise again. Which budget is asked for?",
        )

        bent = [*counting[:-2], goal + 1, goal]
        got = number(function(budgets, [*pretrained[:-1], goal + 9], bent), "the factor")
        require(
            is_(factor, got),
            "Counting words dips at its end here. Is the goal its highest accuracy, or the one with the largest "
            "budget?",
        )

        sinking = [*pretrained[:-1], goal - 1]
        got = number(function(budgets, sinking, counting), "the factor")
        require(
            is_(factor, got),
            "The pretrained line reaches the goal and ends below it here. Has a budget done it or not?",
        )

        below = [min(accuracy, goal - 1) for accuracy in pretrained]
        got = number(function(budgets, below, counting), "the factor")
        require(got == 0, f"No budget reaches the goal here, and you give back {got:g}. What was to be given back?")


def curves(rng) -> tuple[list[int], list[int], list[int], int]:
    """Seven budgets, two lines of accuracies, and the place where the pretrained one equals the end of the other.

    Place 0 is where counting words is ahead, 1 where its beginning is reached, 2 where it is overtaken.
    """
    reached = int(rng.integers(3, 5))
    enough, largest = 1, 1
    while largest % enough == 0:
        budgets = [int(rng.integers(20, 60))]
        while len(budgets) < 7:
            budgets.append(int(budgets[-1] * rng.uniform(2, 5)))
        enough, largest = budgets[reached], budgets[-1]
    counting = (int(rng.integers(54, 58)) + np.cumsum([0, *rng.integers(2, 5, 6)])).tolist()
    goal = counting[-1]
    pretrained = [counting[0] - 2, counting[0] + 1, counting[2] + 1, goal - 2, goal + 4, goal + 5, goal + 6]
    pretrained[reached : reached + 2] = goal, goal + 2
    return budgets, pretrained, counting, reached
