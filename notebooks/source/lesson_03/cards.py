"""The sentences that lesson 03 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from notebooks.source.lesson_03.mistakes import LOUD, SILENT
from utils import claims
from utils.intervals import Number, leave_one_out, mean, paired_difference, share, smallest

LITTLE = 0.2  # of what right ids are worth: what is left below that is called junk


def loses_nothing(profile, exact: dict[str, Number]) -> None:
    """03.1. `exact`: tokenizer -> share of reviews that come back to the letter."""
    claims.record(
        "03.1",
        "A tokenizer loses nothing: decoding gives the text back.",
        tests={name: found.value == 100 for name, found in exact.items()},
        on="the tokenizer",
        number={"reviews that come back to the letter, the worst of three": smallest(exact)},
        context={f"reviews that come back to the letter, {name}": found for name, found in exact.items()},
        model="tokenizers of bert-base-uncased, GPT-2 and, under embedded, mini-t5",
        origin=claims.MEASURED_HERE,
        source="Bytes can spell every text: Radford et al. 2019, section 2.2. This WordPiece lowercases, and it loses "
        "where spaces stood",
        profile=profile.name,
    )


def raises_an_error(profile, outcomes: dict[str, str], beyond) -> None:
    """03.2. `outcomes`: of `mistakes.try_each`; which sentences have an id beyond the table."""
    silent = [mistake for mistake, outcome in outcomes.items() if outcome == SILENT]
    claims.record(
        "03.2",
        "You will notice a wrong tokenizer: it raises an error.",
        tests={"every mistake that changes the output raises an error": not silent},
        number={f"mistakes that change the output in silence, of {len(outcomes)}": len(silent)},
        context={
            "mistakes that raise an error": list(outcomes.values()).count(LOUD),
            "sentences with a GPT-2 id beyond BERT's table": share(beyond),
        },
        model=Path(profile.small_encoder).name,
        origin=claims.MEASURED_HERE,
        source="The mistakes of lesson_03/mistakes.py, the authors' choice; one that is silent is enough",
        profile=profile.name,
    )


def is_junk(profile, hits: dict) -> None:
    """03.3. `hits`: what the classifier gets -> which of n sentences it judged right; half of them by one answer."""
    shares = {name: share(right) for name, right in hits.items()}
    own, foreign = "BERT's ids", "GPT-2's ids"
    right, wrong = (100 * np.asarray(hits[name], dtype=float) - 50 for name in (own, foreign))
    below, limit = mean(LITTLE * right - wrong, " points"), 50 + LITTLE * right.mean()
    claims.record(
        "03.3",
        "A classifier that learned from BERT's ids gives junk on GPT-2's ids.",
        tests={"GPT-2's ids keep less than a fifth of BERT's points above 50": below.above(0)},
        number={f"GPT-2's ids: {shares[foreign].value:.1f}% right, below junk's limit of {limit:.1f}% by": below},
        context=shares | {f"{own} minus counting words": paired_difference(hits[own], hits["counting words"])},
        model=Path(profile.small_encoder).name,
        origin=claims.MEASURED_HERE,
        source="By a classifier that learned from right ids; 50% is guessing, a fifth our choice. "
        "Of sentences whose GPT-2 ids all have a row in BERT's table. One training; intervals over sentences",
        profile=profile.name,
    )


def collapses(profile, model: str, spreads: dict, read: dict, most_frequent, finite: bool) -> None:
    """03.4. Ids -> spread of the articles' vectors, and without each; which topics were read off; right ids first."""
    (right, right_without), (wrong, wrong_without) = spreads.values()
    left = leave_one_out(100 * wrong / right, 100 * wrong_without / right_without, "%")
    gain = mean(100 * (list(read.values())[1].astype(float) - most_frequent), " points")
    claims.record(
        "03.4",
        "With the wrong ids, the matrix mathematically collapses.",
        tests={"to one vector: less than 1% of the spread of the vectors is left": not finite or left.below(1)},
        number={"spread of the texts' vectors that is left (collapse: below 1%)": left},
        context={f"topic right, {name}": share(hits) for name, hits in read.items()}
        | {"topics read off, more than always the most frequent, wrong ids": gain}
        | {f"mean cosine of two articles, {name}": Number(1 - each) for name, (each, _) in spreads.items()}
        | {"all outputs are numbers": finite},
        model=model,
        origin=claims.MEASURED_HERE,
        source=f"{len(most_frequent)} BBC articles; the interval covers other articles of the kind",
        profile=profile.name,
    )


def wins_back(profile, model: str, origin, gaps: dict[str, Number], of_starts: dict, source: str, margin=3.0) -> None:
    """03.5. `gaps`: "missing to the right ids" and others, in points; `of_starts`: start -> share of right answers."""
    claims.record(
        "03.5",
        f"Fine-tuning on the wrong ids wins back what they cost, to within {margin:.0f} points.",
        tests={
            f"less than {margin:.0f} points are missing to the right ids": gaps["missing to the right ids"].below(
                margin
            )
        },
        number={"missing to the right ids": gaps["missing to the right ids"]},
        context=of_starts | {name: gap for name, gap in gaps.items() if name != "missing to the right ids"},
        model=model,
        origin=origin,
        source=source,
        profile=profile.name,
    )


def finds_as_many(profile, compared: dict[str, bool], guarded: dict, alarms: dict, pairs: int) -> None:
    """03.6. Which mistakes are found by comparing with the original and by the guard; names of their false alarms."""
    by_comparing, by_guard = sum(compared.values()), sum(guarded.values())
    claims.record(
        "03.6",
        "A check of model and tokenizer alone finds as many mistakes as comparing with the model's own tokenizer.",
        tests={f"of these {len(compared)}, it finds no fewer": by_guard >= by_comparing},
        number={f"found by the guard, of these {len(compared)}": by_guard},
        context={
            "found by comparing": by_comparing,
            f"false alarms of comparing, of {pairs} right pairs": len(alarms["comparing"]),
            "false alarms of the guard": len(alarms["guard"]),
        },
        model="",
        origin=claims.MEASURED_HERE,
        source="The mistakes: notebooks/source/lesson_03/mistakes.py, the authors' choice; no such list is complete",
        profile=profile.name,
    )
