"""The sentences that lesson 01 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from utils import claims
from utils.intervals import Number, leave_one_out, mean, paired_difference, share, smallest

NOTICED, UNNOTICED = 0.1, 1e-3  # % of a vector's norm; rounding, where there is any, stays below the second
READS = ("BERT", "T5 encoder")
BEST_OF_T5 = {  # T5-11B, the best before it: Raffel et al. 2019, table 14
    "English to German, BLEU": (32.1, 33.8), "English to French, BLEU": (43.4, 43.8),
    "CNN/Daily Mail, ROUGE-1": (43.52, 43.47), "CNN/Daily Mail, ROUGE-2": (21.55, 20.30),
    "CNN/Daily Mail, ROUGE-L": (40.69, 40.63),
}  # fmt: skip
GLUE = {"BERT-base": 79.6, "GPT-1": 75.1}  # mean of the tasks, fine-tuned: Devlin et al. 2018, table 1
LEFT_ONLY = {  # a BERT that looks both ways, one that looks left; the same text, size and steps: table 5
    "MNLI": (83.9, 82.1), "QNLI": (84.9, 84.3), "MRPC": (86.5, 77.5), "SST-2": (92.6, 92.1)
}  # fmt: skip


def sizes(profile, bert, gpt, t5) -> dict[str, str]:
    """The profile's names of the three models -> name and size, as cards show them."""
    models = {profile.bert: bert, profile.gpt: gpt, profile.t5: t5}
    return {name: claims.with_size(name, model) for name, model in models.items()}


def looks_both_ways(profile, sizes: dict[str, str], left: dict, right: dict) -> None:
    """01.1. Network -> changes of the vectors left of the changed word, and from there on, in % of their norm."""
    claims.record(
        "01.1",
        "BERT looks both ways, GPT only to the left, T5 both ways in what it reads and to the left in what it writes.",
        tests={
            "BERT": min(left["BERT"].min(), right["BERT"].min()) > NOTICED,
            "GPT": left["GPT"].max() < UNNOTICED and right["GPT"].min() > NOTICED,
            "T5 reading": min(left["T5 encoder"].min(), right["T5 encoder"].min()) > NOTICED,
            "T5 writing": left["T5 decoder"].max() < UNNOTICED and right["T5 decoder"].min() > NOTICED,
        },
        on="the model",
        number={"largest change left of the changed word, GPT": Number(left["GPT"].max(), unit="%")},
        context={f"smallest change left of it, {name}": Number(left[name].min(), unit="%") for name in READS}
        | {"largest, T5 writing": Number(left["T5 decoder"].max(), unit="%")},
        model="; ".join(sizes.values()),
        origin=claims.MEASURED_HERE,
        source="Devlin et al. 2018; Radford et al. 2018; Raffel et al. 2019, section 2.1",
        profile=profile.name,
    )


def reads_at_once(profile, sizes: dict[str, str], apart: float) -> None:
    """01.2. `apart`: the largest difference of a logit, in % of the largest logit."""
    claims.record(
        "01.2",
        "One run over a text gives GPT what reading it word by word gives.",
        tests={"the same logits, to a thousandth": apart < 0.1},
        number={"largest difference between one run and word by word": Number(apart, unit="%")},
        model=sizes[profile.gpt],
        origin=claims.MEASURED_HERE,
        source="The mask that makes one run possible: Vaswani et al. 2017, section 3.2.3",
        profile=profile.name,
    )


def guesses_words(profile, asked: dict[str, tuple]) -> None:
    """01.3. What `measures.words_asked` gives for "words and marks", for "words between spaces" and for mini-bert."""

    def of_words(of_texts, words) -> Number:
        without = (of_texts.sum() - of_texts) / (words.sum() - words)
        return leave_one_out(100 * of_texts.sum() / words.sum(), 100 * without, "%")

    *shares, in_mini = (of_words(*found) for found in asked.values())
    parts = dict(zip(asked, shares, strict=False))
    (name, farthest) = max(parts.items(), key=lambda part: abs(part[1].value - 15))
    claims.record(
        "01.3",
        "BERT must guess 15% of the words.",
        tests={
            what: Number(found.value - 15, found.low - 15, found.high - 15).within(1) for what, found in parts.items()
        },
        on="what counts as a word",
        number={f"{name}, of which it must guess something (asked: 15%, give or take a point)": farthest},
        context={f"{what}, the same": found for what, found in parts.items() if what != name}
        | {f"the same, with {Path(profile.bert).name}'s tokenizer": in_mini},
        model=f"the tokenizer of {Path(profile.small_encoder).name}, BERT's own pieces",
        origin=claims.MEASURED_HERE,
        source="Devlin et al. 2018, section 3.1: 15% of the tokens. The mean over all masks; the interval is for other "
        "reviews. Its tokenizer splits at spaces and marks: don't is three",
        profile=profile.name,
    )


def uses_both_sides(profile, sizes: dict[str, str], hits: dict) -> None:
    """01.4. `hits`: "both sides" and the other contexts -> which hidden tokens were the first guess; shape (n,)."""
    gains = {name: paired_difference(hits["both sides"], hits[name]) for name in hits if name != "both sides"}
    claims.record(
        "01.4",
        "To fill a blank, BERT uses both sides.",
        tests={f"better than {name}": gain.above(0) for name, gain in gains.items()},
        on="the side",
        number={"blanks filled, from both sides minus from the best one side": smallest(gains)},
        context={f"from {name}": share(found) for name, found in hits.items()},
        model=sizes[profile.bert],
        origin=claims.MEASURED_HERE,
        source="Devlin et al. 2018. On an empty side stand ten [MASK], rare in training: part of the gain may be that. "
        "One training; intervals over blanks",
        profile=profile.name,
    )


def guesses_the_next_word(profile, sizes: dict[str, str], gpt, bert, films: str) -> None:
    """01.5. Which next words GPT and BERT guessed from the left side; shape (n,)."""
    gain = paired_difference(gpt, bert)
    claims.record(
        "01.5",
        "Of GPT and BERT, GPT is the better guesser of the next word.",
        tests={"GPT guesses the next word more often than BERT": gain.above(0)},
        number={"GPT minus BERT, next words guessed": gain},
        context={"GPT, left side": share(gpt), "BERT, left side": share(bert)},
        model=f"{sizes[profile.gpt]}; {sizes[profile.bert]}",
        origin=claims.MEASURED_HERE,
        source="This lesson's comparison: BERT asked in two ways, the better counts; common words only; one training "
        f"of each, interval over words; {films}",
        profile=profile.name,
    )


def greedy_repeats(profile, size: str, repeats: dict) -> None:
    """01.6. `repeats`: "greedy", "sampled" and others -> repeated runs of each text, in %."""
    excess = paired_difference(repeats["greedy"], repeats["sampled"], scale=1)
    claims.record(
        "01.6",
        "Always taking the likeliest token makes GPT repeat itself.",
        tests={"greedy repeats more than the same model does when it samples": excess.above(0)},
        number={"repeated runs of four words, greedy minus sampled": excess},
        context={f"texts with a repeated run, {name}": share(found > 0) for name, found in repeats.items()},
        model=size,
        origin=claims.MEASURED_HERE,
        source="Holtzman et al. 2019, arXiv 1904.09751. One training; interval over texts",
        profile=profile.name,
    )


def does_several_tasks(
    profile, sizes: dict[str, str], translations, copies, elsewhere, sentiments, majority, strays
) -> None:
    """01.7. Which answers are right, T5's and its baselines'; which reviews it judges though asked to translate."""
    done = {
        "translations": paired_difference(translations, copies),
        "sentiments": paired_difference(sentiments, majority),
    }
    claims.record(
        "01.7",
        f"{Path(profile.t5).name} does several tasks, told apart by a prefix.",
        tests={
            "it does several (dates and numbers; opinions)": smallest(done).above(0),
            "the prefix chooses the language": paired_difference(translations, elsewhere).above(0),
            "the prefix chooses whether to translate or judge a review": share(strays).below(50),
        },
        on="what is asked",
        number={f"of {len(strays)} reviews that it was to translate, judged instead": share(strays)},
        context={
            "translations right to the letter": share(translations),
            "right by copying": share(copies),
            "right with another language's prefix": share(elsewhere),
            "sentiments right": share(sentiments),
            "sentiments, above always the same": done["sentiments"],
        },
        model=sizes[profile.t5],
        origin=claims.MEASURED_HERE,
        source="Raffel et al. 2019, section 2.4. The language: better than with another one's prefix. One training; "
        "intervals over texts",
        profile=profile.name,
    )


def led_when_it_came_out(profile, published: dict[str, tuple[float, float]] = BEST_OF_T5) -> None:
    """01.8. `published`: contest and measure -> T5-11B, the best before it."""
    lead = {name: ours - best for name, (ours, best) in published.items()}
    claims.record(
        "01.8",
        "T5 led translation and summarization when it came out.",
        tests={
            "summarization (one data set, clearly only in ROUGE-2)": all(
                points > 0 for name, points in lead.items() if "ROUGE" in name
            ),
            "translation": all(points > 0 for name, points in lead.items() if "BLEU" in name),
        },
        on="the job",
        number={"English to German, BLEU, T5-11B minus the best before": lead["English to German, BLEU"]},
        context={f"{name}, T5-11B minus the best before": points for name, points in lead.items()},
        model="T5-11B, 11 billion weights",
        origin=claims.PUBLISHED,
        source="Raffel et al. 2019, table 14; English to Romanian is compared with the other direction there",
        profile=profile.name,
    )


def classifies_better(profile, glue: dict[str, float] = GLUE) -> None:
    """01.9. `glue`: "BERT-base" and "GPT-1" -> mean score."""
    claims.record(
        "01.9",
        "Fine-tuned, BERT-base classifies better than GPT-1, which is as large.",
        tests={"its mean score on GLUE is higher": glue["BERT-base"] > glue["GPT-1"]},
        number={"points of GLUE, BERT-base minus GPT-1": glue["BERT-base"] - glue["GPT-1"]},
        context={
            f"the same text, both ways and hidden tokens minus left to right, {task}": both - left
            for task, (both, left) in LEFT_ONLY.items()
        },
        model="BERT-base and GPT-1, 110 and 117 million weights",
        origin=claims.PUBLISHED,
        source="Devlin et al. 2018, table 1, BERT with more text; both ways against left, the same text: table 5",
        profile=profile.name,
    )


def understands_context(profile, encoder, same_sense: dict) -> None:
    """01.10. "the word" and "the full stop" -> share of the same sense; shape (words, layers), bottom first."""
    word, stop = (100 * np.array(shares) for shares in same_sense.values())
    above = word[:, 1:].mean(axis=1)  # of all layers alike, so that none is chosen
    gained, beyond = (mean(above - other, " points") for other in (word[:, 0], stop[:, 1:].mean(axis=1)))
    at_the_top = mean(word[:, -1] - stop[:, -1], " points")
    claims.record(
        "01.10",
        "A word's vectors tell its sense in context, better than those of a full stop, which has no sense.",
        tests={
            "more often of the same sense than at the bottom": gained.above(0),
            "and than the full stop": beyond.above(0),
        },
        on="what it is compared with",
        number={"of the same sense, word minus full stop, mean over the layers": beyond},
        context={
            "word minus full stop, last layer alone": at_the_top,
            "word minus itself at the bottom, mean over the layers": gained,
            "by chance": Number(300 / 7, unit="%"),
        }
        | {
            f"of the same sense, {what}, {place}": Number(shares[:, layer].mean(), unit="%")
            for what, shares in (("word", word), ("full stop", stop))
            for place, layer in (("at the bottom", 0), ("in the last layer", -1))
        },
        model=claims.with_size(profile.encoder, encoder),
        origin=claims.MEASURED_HERE,
        source=f"{len(word)} words, 8 sentences each, of this course; one training; means over all layers, so that "
        "none is chosen; intervals over words. Wiedemann et al. 2019",
        profile=profile.name,
    )


def knows_the_subject(profile, sizes: dict[str, str], right_is_likelier: dict[str, list[bool]]) -> None:
    """01.11. "BERT, side by side" and others -> for each pair of sentences, is the right one the likelier?"""
    found = {name: share(right) for name, right in right_is_likelier.items()}
    kinds = {name.removeprefix("BERT, "): share for name, share in found.items() if name.startswith("BERT, ")}
    near, far = kinds["side by side"], kinds["another noun between"]
    pairs = {name: f"{sum(right)} of {len(right)}" for name, right in right_is_likelier.items()}
    claims.record(
        "01.11",
        f"{Path(profile.bert).name} knows which noun a verb belongs to.",
        tests={kind: right.above(50) for kind, right in kinds.items()},
        on="what stands between",
        number={f"right form likelier, another noun between (side by side {near.value:.0f}%)": far},
        context={f"the right form is likelier, {name}: {pairs[name]} pairs": share for name, share in found.items()},
        model=sizes[profile.bert],
        origin=claims.MEASURED_HERE,
        source="Pairs of this course; one training of each, intervals over pairs; only the verb is asked, as in "
        "Goldberg 2019, where bert-base does well",
        profile=profile.name,
    )
