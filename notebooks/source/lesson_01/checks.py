"""Checks of the exercises of lesson 01: who looks where, and objectives.

Words of each hint stand in tests/wrong_answers/lesson_01.py, which tries every one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from utils.assets import small_model
from utils.checks import check, exercise
from utils.checks.answers import Hint, entries, hint_if, listed, numbers, require

__all__ = ["check"]  # the exercise notebook imports it from here, and with it come these checks

LENGTH, CHANGED = 6, 3  # of exercise 1


@exercise(
    "01.1",
    "Who notices a change?",
    "a dict with a list of positions for each family",
    function=False,
    stronger="Ask for each family: which positions may look at position 3, directly or through several layers? Only "
    "these can notice. The pictures of section 3 show who looks where.",
    why="In these three networks, exactly those positions notice a change that may look at where it happens.",
)
def positions_that_notice(answer, rng) -> None:
    families = entries(answer, ("BERT", "GPT", "T5 encoder"))
    positions = {name: set(listed(places, name)) for name, places in families.items()}
    for name, places in positions.items():
        require(
            all(isinstance(place, int) and 0 <= place < LENGTH for place in places),
            f"Positions go from 0 to {LENGTH - 1}; some in the list of {name} are not among these.",
        )
    require(
        all(CHANGED in places for places in positions.values()),
        "The changed token has another vector itself: its position belongs in every list.",
    )
    truth = {name: moved(name, rng) for name in positions}
    gpt = positions["GPT"]
    before = set(range(CHANGED))
    hint_if(gpt == {CHANGED}, "GPT: the changed token is seen by later ones too. Which positions look at position 3?")
    hint_if(
        gpt & before and set(range(CHANGED + 1, LENGTH)) <= gpt,
        "GPT: can position 0 look at position 3? Think of the causal mask.",
    )
    require(gpt == truth["GPT"], "GPT: “to the left” says where a position looks, not where its change is noticed.")
    require(positions["BERT"] == truth["BERT"], "BERT: no attention weight of its picture in section 3 was exactly 0.")
    require(positions["T5 encoder"] == truth["T5 encoder"], "T5's *encoder* reads. Only its decoder has a causal mask.")


@cache
def reader(family: str):
    """The course's small model of a family, as far as it reads."""
    from transformers import AutoModel

    folder = {"BERT": "mini-bert", "GPT": "mini-gpt", "T5 encoder": "mini-t5"}[family]
    model = AutoModel.from_pretrained(small_model(folder)).eval()
    return model.encoder if family == "T5 encoder" else model


def moved(family: str, rng) -> set[int]:
    """The positions whose last vector changes when a token in the middle does, measured on the course's model."""
    model = reader(family)
    ids, others = torch.from_numpy(rng.choice(np.arange(200, 2000), (2, LENGTH), replace=False))
    changed = torch.where(torch.arange(LENGTH) == CHANGED, others, ids)
    with torch.inference_mode():
        difference = (model(ids[None]).last_hidden_state - model(changed[None]).last_hidden_state)[0].norm(dim=-1)
    return set(torch.nonzero(difference > 1e-3 * difference.max()).flatten().tolist())


@exercise(
    "01.2",
    "A loss that asks for the wrong token",
    "a function of logits and ids",
    stronger="The logits of a position are to be compared with the id one place further on. The last logits have "
    "nothing to be compared with, and no logits have to predict the first id.",
    why="The text is its own label, one place further on. The library does this inside, so do not do it twice.",
)
def next_token_loss(function, rng) -> None:
    logits = torch.from_numpy(rng.normal(size=(7, 11)).astype(np.float32)) * 3
    ids = torch.from_numpy(rng.integers(0, 11, 7))
    array = numbers(function(logits, ids), "the loss")
    require(array.size == 1, f"A loss is one number, the mean over the tokens; yours has {array.size}.")
    got = float(array.ravel()[0])

    def is_(theirs, labels, reduction="mean"):
        return abs(got - F.cross_entropy(theirs, labels, reduction=reduction).item()) < 1e-4

    hint_if(is_(logits, ids), "Each position is asked for its own token, which it has seen. What must it guess?")
    hint_if(is_(logits[1:], ids[:-1]), "Each position is asked for the token *before* it. Shift the other way.")
    hint_if(is_(logits[:-2], ids[2:]), "Each position is asked for the token after the next one: shifted twice.")
    hint_if(is_(logits[:-1], ids[1:], "sum"), "This is the sum over the tokens; the loss is their mean.")
    rolled = torch.roll(ids, -1)
    hint_if(
        is_(logits, rolled),
        "The last position is asked for the *first* token. Nothing follows it, so leave it out.",
    )
    hint_if(is_(logits[:-1].softmax(-1), ids[1:]), "The shift is right, but `cross_entropy` takes logits as they are.")
    summed = F.cross_entropy(logits[:-1], ids[1:], reduction="sum").item()
    require(abs(got - summed / len(ids)) > 1e-4, "The shift is right. How many guesses are there to take the mean of?")
    require(is_(logits[:-1], ids[1:]), "Which token is each position asked for? Write them down for a row of three.")


@exercise(
    "01.3",
    "Masking, written by you",
    "a function of ids, special, mask_id, size and share",
    stronger="Draw a number in [0, 1) for each token and compare it with the share: that selects. Draw again to "
    "divide the selected ones: 0.8, and half of the rest. Labels are -100 where nothing is selected.",
    why="Every selected token has a label, also those still in sight: the model never knows which these are.",
)
def mask_tokens(function, rng) -> None:
    size, mask_id, share = 1000, 4, 0.3
    ids = torch.from_numpy(rng.integers(5, size, (40, 500)))
    ids[:, 0], ids[:, -1] = 2, 3
    special = ids < 5
    pair = function(ids, special, mask_id, size, share)
    require(isinstance(pair, list) and len(pair) == 2, "Expected two tensors, what is seen and the labels.")
    seen = numbers(pair[0], "seen", tuple(ids.shape))
    labels = numbers(pair[1], "labels", tuple(ids.shape))
    ids, special = ids.numpy(), special.numpy()
    asked, ordinary = labels != -100, ~special
    hint_if(
        (asked.all()), "Every token has a label. Where nothing is to be guessed it is -100, which the loss ignores."
    )
    require(asked.any(), "No token has a label. What must the model guess?")
    hint_if((labels[asked] == mask_id).any(), "A label is the token that stood there, not the one that hides it.")
    require((labels[asked] == ids[asked]).all(), "A label is the token that stood there before; some of yours are not.")
    hint_if(asked[special].any(), "Special tokens have labels too. They carry no text: leave them out.")
    require(
        (seen[~asked] == ids[~asked]).all(),
        "Some tokens change and have no label: nobody asks the model what stood there.",
    )
    rate = asked[ordinary].mean()
    hidden, same = (seen == mask_id)[asked].mean(), (seen == ids)[asked].mean()
    require(
        hidden < 0.99,
        "All selected tokens become [MASK]. A tenth should stay, a tenth become another token. Do you draw a new "
        "number to divide them?",
    )
    hint_if(
        same <= 0.01 and abs(rate - share) >= 0.01, "Tokens that stay as they are have no label. They need one as well."
    )
    require(
        abs(rate - share) < 0.02,
        f"{100 * rate:.0f}% of the ordinary tokens have a label; expected {100 * share:.0f}%.",
    )
    require(abs(hidden - 0.8) < 0.02, f"{100 * hidden:.0f}% of the selected tokens become [MASK]; expected 80%.")
    require(
        abs(same - 0.18) > 0.02,
        "18% of the selected tokens stay as they are; expected 10%. A tenth of *all* selected ones is swapped, not "
        "a tenth of what is left.",
    )
    require(abs(same - 0.1) < 0.02, f"{100 * same:.0f}% of the selected tokens stay as they are; expected 10%.")
    others = seen[asked & (seen != mask_id) & (seen != ids)]
    require(len(np.unique(others)) > 100, "The other tokens are drawn from few. Draw them from the whole vocabulary.")


@exercise(
    "01.4",
    "Top-p",
    "a function of probabilities and p",
    stronger="Sort downwards and add up (`cumsum`). A token is kept as long as the *likelier ones before it* have "
    "not reached p. Put the kept ones back at their places and divide by their sum.",
    why="The token that crosses p is kept, so that at least one always is; what is left adds up to 1 again.",
)
def keep_top_p(function, rng) -> None:
    for p in (0.15, 0.5, 0.9):
        chances = torch.from_numpy(rng.dirichlet(np.full(12, 0.5))).float()
        while (chances.sort(descending=True).values.cumsum(0) - p).abs().min() < 0.01:  # too near for rounding
            chances = torch.from_numpy(rng.dirichlet(np.full(12, 0.5))).float()
        got = function(chances, p)
        hint_if(
            (isinstance(got, np.ndarray) and got.dtype.kind == "f" and np.isnan(got).any()),
            f"With p = {p} you keep no token, and divide 0 by 0. The token that crosses p belongs to the kept ones.",
        )
        got = numbers(got, "the probabilities", (12,))
        chances = chances.numpy()
        order = np.argsort(-chances)
        needed = int((np.cumsum(chances[order]) < p).sum()) + 1
        tokens = set(order[:needed].tolist())
        right = np.where(np.isin(np.arange(12), order[:needed]), chances, 0)
        yours = set(np.flatnonzero(got > 0).tolist())
        if yours != tokens:
            hint_if(
                yours == set(np.flatnonzero(chances >= p).tolist()),
                "You compare each probability with p. It is their sum, the likeliest first, that must reach p.",
            )
            hint_if(
                yours == set(order[: needed - 1].tolist()),
                "The kept tokens do not reach p: the one that crosses it belongs to them.",
            )
            hint_if(
                yours == set(range(needed)),
                "The right number is kept, at the wrong places: put them back in the order of the vocabulary.",
            )
            raise Hint(
                f"With p = {p} you keep {len(yours)} tokens; the smallest set of the likeliest ones that reaches p "
                f"has {needed}. Do you keep the likeliest?",
            )
        require(abs(got.sum() - 1) < 1e-4, "The kept probabilities must add up to 1 again.")
        require(
            np.allclose(got, right / right.sum(), atol=1e-5),
            "The kept tokens are right, but not how they share the 1: each keeps its proportion.",
        )


@exercise(
    "01.5",
    "Gaps and sentinels",
    "a function of tokens and spans",
    stronger="Go through the spans with `enumerate`. To the source add what stands between the last gap and this "
    "one, then the sentinel; to the target the sentinel, then what is taken out. At the end, the rest and "
    "one more sentinel.",
    why="Each sentinel stands once in the source and once in the target, and one more closes the target.",
)
def corrupt(function, rng) -> None:
    for _ in range(4):
        length = int(rng.integers(9, 14))
        tokens = [f"t{place}" for place in range(length)]
        cuts = sorted(rng.choice(np.arange(1, length), 4, replace=False).tolist())
        spans = [(cuts[0], cuts[1]), (cuts[2], cuts[3])]
        pair = function(tokens, spans)
        require(isinstance(pair, list) and len(pair) == 2, "Expected two lists, source and target.")
        source, target = listed(pair[0], "the source"), listed(pair[1], "the target")
        gap_1, gap_2, end = (f"<extra_id_{place}>" for place in range(3))
        first, second = tokens[cuts[0] : cuts[1]], tokens[cuts[2] : cuts[3]]
        wanted = [*tokens[: cuts[0]], gap_1, *tokens[cuts[1] : cuts[2]], gap_2, *tokens[cuts[3] :]]
        answer = [gap_1, *first, gap_2, *second]
        hint_if(gap_1 not in source and gap_2 in source, "The first sentinel is <extra_id_0>: counting starts at 0.")
        hint_if(
            gap_2 not in source and gap_1 in source,
            "Each gap has a sentinel of its own: 0 for the first, 1 for the second.",
        )
        require(
            source.count("<extra_id_0>") + source.count("<extra_id_1>") == 2,
            "In the source, a sentinel stands in each gap, one for the whole gap.",
        )
        hint_if(
            source == wanted[: len(wanted) - (length - cuts[3])] and cuts[3] != length,
            "What stands behind the last gap is missing from the source.",
        )
        require(
            source == wanted,
            f"For the spans {spans}, your source is off: {shown_row(source)}. Which token is the first after the gap "
            f"({cuts[0]}, {cuts[1]})?",
        )
        hint_if(target == answer, "The target needs one more sentinel at its end, to say that this is all.")
        hint_if(
            target in ([*first, *second], [*first, *second, end]),
            "In the target, each run needs its sentinel in front.",
        )
        require(target == [*answer, end], f"For the spans {spans}, your target is off: {shown_row(target)}")


def shown_row(tokens: list) -> str:
    """The tokens in a row, for a hint."""
    return " ".join(map(str, tokens))[:150]
