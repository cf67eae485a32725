"""The sentences that lesson 04 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from notebooks.source.lesson_04.runs import (
    BASE_FROZEN,
    BASE_TUNED,
    FEW,
    LABELS,
    MANY,
    MINI_FROZEN,
    MOST,
    RANDOM,
    SMALL_FROZEN,
    SMALL_TUNED,
    WORDS,
)
from utils import claims
from utils.intervals import Number, over_seeds

MARGIN = 3  # points that this lesson calls a small difference
MUCH = 10  # points of forgetting


def saves_labels(runs, right: dict[str, dict[int, np.ndarray]]) -> None:
    """04.1. `right`: what `Runs.lines` gives."""
    words, lines = right[WORDS][MOST], runs.plotted()
    frozen = (BASE_FROZEN, SMALL_FROZEN, MINI_FROZEN) if has_three_encoders(runs.profile) else (BASE_FROZEN,)
    ahead = {name: lead(right[name][LABELS], words) for name in frozen}
    claims.record(
        "04.1",
        f"A frozen encoder does more with {LABELS} labels than counting words with {MOST:,}.",
        tests={name.removesuffix(", frozen"): number.above(0) for name, number in ahead.items()},
        on="the encoder",
        number={f"frozen base encoder with {LABELS} labels, minus counting words with {MOST:,}": ahead[BASE_FROZEN]},
        context={f"{name}, the same": ahead[name] for name in frozen[1:]}
        | {
            f"small encoder, all trained, {LABELS} labels": over_seeds(right[SMALL_TUNED][LABELS], "%"),
            f"the same from a random start, {MANY:,} labels": over_seeds(right[RANDOM][MANY], "%"),
            f"counting words, {MANY:,} labels": over_seeds(right[WORDS][MANY], "%"),
            f"counting words, {MOST:,} labels": over_seeds(words, "%"),
        },
        model="the encoders of the figure" if runs.profile.name == "embedded" else runs.profile.encoder,
        origin=runs.origin(*(lines[name][LABELS] for name in ahead), lines[WORDS][MOST]),
        source="Sentences of Rotten Tomatoes; rates and C tuned on some of these seeds; differences over shared seeds; "
        "all seeds share nearly the same 4,000. Frozen, means over tokens are read; fine-tuned, the first token. "
        "More epochs might help the random start. Howard and Ruder 2018, arXiv 1801.06146",
        profile=runs.profile.name,
    )


def has_three_encoders(profile) -> bool:
    """Are base, small and mini encoder different networks? Under `full` all are bert-base-uncased."""
    return len({profile.encoder, profile.small_encoder, profile.bert}) == 3


def lead(first: np.ndarray, second: np.ndarray) -> Number:
    """Points by which the first is ahead, over the seeds that both have. Shapes (seeds, sentences), in %."""
    seeds = min(len(first), len(second))
    return over_seeds(first[:seeds] - second[:seeds], " points")


def destroys(runs, before: dict[str, list[int]]) -> None:
    """04.2. `before`: what `Runs.headlines_told` finds in the pretrained network."""
    task = runs.searched("all")
    best = runs.best_rate("all")
    larger = min((rate for rate in task if rate > 9.9 * best), default=max(task))
    rates = [rate for rate in task if best <= rate <= larger]
    lost = {
        (key, rate): over_seeds(100 * np.array(before[key]) - runs.asked_after(rate, key), " points")
        for key in ("topics", "neighbours") for rate in rates
    }  # fmt: skip
    claims.record(
        "04.2",
        "Too large a learning rate loses the headlines' topics; the best one for the task leaves them readable.",
        tests={
            f"{larger:.0e}, {larger / best:.0f} times the best, loses the topics": lost["topics", larger].above(MUCH),
            f"{best:.0e}, best for the task, keeps them for a linear classifier": lost["topics", best].below(MUCH),
        },
        on="the rate",
        number={f"topics lost at {larger:.0e}, {larger / best:.0f} times the best rate": lost["topics", larger]},
        context={
            f"topics told by a linear classifier, lost at {rate:.0e}": lost["topics", rate] for rate in rates
        }
        | {f"neighbours of the same topic, lost at {rate:.0e}": lost["neighbours", rate] for rate in rates},
        model=Path(runs.profile.small_encoder).name,
        origin=runs.origin((runs.run, [run for run in runs.search("all") if run["rate"] in rates])),
        source=f"Rates tuned on these seeds; the best were often nearly tied. Loses: a linear classifier tells over "
        f"{MUCH} points fewer topics of BBC headlines; nearest neighbours lose more. Sun et al. 2019, arXiv "
        "1905.05583: at 4e-4 bert-base does not converge",
        profile=runs.profile.name,
    )  # fmt: skip


def one_epoch(runs, one: np.ndarray, more: np.ndarray) -> None:
    """04.3. Right test sentences, in %, shape (seeds, sentences), each at its own best rate."""
    gain, arms = over_seeds(more - one, " points"), ("one epoch", "all")
    claims.record(
        "04.3",
        f"One single epoch is enough, also for {LABELS} labels.",
        tests={f"three epochs gain less than {MARGIN} points": gain.below(MARGIN)},
        number={"sentences right, three epochs minus one": gain},
        context={
            f"one epoch, at {runs.best_rate('one epoch'):.0e}": over_seeds(one, "%"),
            f"three epochs, at {runs.best_rate('all'):.0e}": over_seeds(more, "%"),
        },
        model=Path(runs.profile.small_encoder).name,
        origin=runs.origin(*((runs.run, runs.final(arm, LABELS)) for arm in arms)),
        source="Rates tuned on three of these seeds. Few labels need more steps: Zhang et al. 2020, arXiv "
        "2006.05987; Mosbach et al. 2020, arXiv 2006.04884",
        profile=runs.profile.name,
    )


def saves_training(profile, costs: dict, measured: dict[str, np.ndarray]) -> None:
    """04.4. `costs`: method -> `costs.Cost`; `measured`: method -> right test sentences, in %, (seeds, sentences)."""

    def saved(what: str) -> float:
        return 100 * (1 - getattr(costs["LoRA"], what) / getattr(costs["all"], what))

    claims.record(
        "04.4",
        "LoRA saves as much time as memory.",
        tests={f"as much of the time as of the memory, within {MUCH} points": saved("memory") - saved("step") < MUCH},
        number={f"saves {saved('step'):.0f}% of a step's time, {saved('memory'):.0f}% of its memory; "
                "difference": Number(saved("step") - saved("memory"), unit=" points")},
        context={
            "time of a step that it saves": Number(saved("step"), unit="%"),
            "memory for training that it saves": Number(saved("memory"), unit="%"),
            "what is stored for a task that it saves": Number(saved("stored"), unit="%"),
            "weights that it does not train": Number(saved("trained"), unit="%"),
            "accuracy that it loses to training all weights, shared seeds": lead(measured["all"], measured["LoRA"]),
        },
        model=Path(profile.small_encoder).name,
        origin=claims.MEASURED_HERE,
        source="A step of 16 sentences of 32 tokens, the fastest of ten here; on other machines, LoRA saved 17 to 44 "
        "points less of the time than of the memory. Memory is computed; accuracies came with the course. Rank 8, "
        "queries and values; Hu et al. 2021, arXiv 2106.09685",
        profile=profile.name,
    )  # fmt: skip


def freeze_and_read(runs, right: dict[str, dict[int, np.ndarray]]) -> None:
    """04.5. `right`: what `Runs.lines` gives."""
    pairs = {"base encoder": (BASE_FROZEN, BASE_TUNED), "small encoder": (SMALL_FROZEN, SMALL_TUNED)}
    if not has_three_encoders(runs.profile):  # base and small encoder are one
        del pairs["small encoder"]
    leads = {name: lead(*(right[line][FEW] for line in pair)) for name, pair in pairs.items()}
    names, lines = [name for pair in pairs.values() for name in pair], runs.plotted()
    claims.record(
        "04.5",
        f"With {FEW} labels, freeze the encoder: fine-tuning needs more.",
        tests={name: ahead.above(0) for name, ahead in leads.items()},
        on="the encoder",
        number={f"base encoder with {FEW} labels, fine-tuned minus frozen": -leads["base encoder"]},
        context={f"{name}, the same": -ahead for name, ahead in leads.items() if name != "base encoder"}
        | {name: over_seeds(right[name][FEW], "%") for name in (*names, WORDS)},
        model="all-mpnet-base-v2 and all-MiniLM-L6-v2" if runs.profile.name == "embedded" else runs.profile.encoder,
        origin=runs.origin(*(lines[name][FEW] for name in names)),
        source=f"Rates tuned on these seeds with {LABELS} labels (perhaps not the best with {FEW}), and C (its "
        "largest, 1000, for some). Peters et al. 2019, arXiv 1903.05987, compare both on larger sets",
        profile=runs.profile.name,
    )


def read_the_last(profile, by_layer, untrained) -> None:
    """04.6. Right test sentences, in %, of a pretrained and a random network: shape (seeds, layers + 1, sentences)."""
    last, layers = by_layer[:, -1], by_layer.shape[1]
    leads = {layer: over_seeds(last - by_layer[:, layer], " points") for layer in range(1, layers - 1)}
    below = leads.pop(layers - 2)
    claims.record(
        "04.6",
        "To classify opinions, read the encoder's last layer.",
        tests={"the last layer beats the layer below it": below.above(0)},
        number={"last layer, above the layer below": below},
        context={
            "last layer": over_seeds(last, "%"),
            "above the embeddings": over_seeds(last - by_layer[:, 0], " points"),
            "above that of one network with random weights": over_seeds(last - untrained[:, -1], " points"),
            **{f"above layer {layer}": lead for layer, lead in leads.items()},
        },
        model=Path(profile.small_encoder).name,
        origin=claims.Origin(yours=1, seeds=len(by_layer)),
        source=f"{LABELS} labels, logistic regression with the same C, 0.01, for all layers, not searched. Tenney "
        "et al. 2019, arXiv 1905.05950, on what BERT's layers know",
        profile=profile.name,
    )


def destroys_grammar(profile, model: str, lost: dict, best: float, seeds: int) -> None:
    """04.7. `lost`: rate -> points of minimal pairs that are told right no more; `best`: the best rate for the task."""
    larger = max(lost)
    claims.record(
        "04.7",
        f"Fine-tuned at the rate {larger:.0e}, {model.partition(',')[0]} loses much of its grammar under its original "
        "layer.",
        tests={f"at {larger:.0e}, more than {MUCH} points are lost": lost[larger].above(MUCH)},
        number={f"grammar lost at {larger:.0e}": lost[larger]},
        context={f"grammar lost at {rate:.0e}": number for rate, number in lost.items() if rate != larger}
        | {"best of these rates for the task": best},
        model=model,
        origin=claims.Origin(yours=seeds * len(lost), seeds=seeds),
        source="Sun et al. 2019, arXiv 1905.05583, section 5.3.3. The minimal pairs are this course's",
        profile=profile.name,
    )
