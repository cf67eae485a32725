"""The sentences that lesson 02 puts to the test: what is asked of the numbers, and the card that shows the verdict.

02.2 stands in the lesson, 02.3 in `deeper_hard_to_beat`. Both are about the 1,000 test reviews and the runs that came
with the course, see `beforehand`.
"""

from __future__ import annotations

from pathlib import Path

from notebooks.source.lesson_02.beforehand import right_beforehand
from utils import claims
from utils.intervals import Number, over_seeds, share

LABELS = 500
LITTLE = 5  # points: above guessing, next to nothing
MODEL = "all-mpnet-base-v2, 109 million weights"


def beats_counting_words(profile, yours: Number, labels: int) -> None:
    """02.2. `yours`: points more than counting words, in this machine's one run, with so many labels."""
    tuned, counted = (right_beforehand(start, LABELS) for start in ("fine-tuning", "counting words"))
    gain = over_seeds(100 * (tuned.astype(float) - counted), " points")
    small = over_seeds(100 * (right_beforehand("small encoder", LABELS).astype(float) - counted), " points")
    claims.record(
        "02.2",
        f"With {LABELS} labels, fine-tuned all-mpnet-base-v2 beats counting words.",
        tests={"right more often on the same reviews": gain.above(0)},
        number={"lead over counting words": gain},
        context={
            "fine-tuning": over_seeds(100 * tuned, "%"),
            "counting words": over_seeds(100 * counted, "%"),
            "the small encoder instead, minus counting words": small,
            f"in your one run, {Path(profile.encoder).name} with {labels} labels": yours,
        },
        model=MODEL,
        origin=claims.Origin(beforehand=2 * len(tuned), seeds=len(tuned)),
        source="192 tokens of a review for the encoder, whole reviews for counting words; 1,000 test reviews, taken as "
        "independent though films have several; each seed draws the reviews to learn from",
        profile=profile.name,
    )


def teaches_next_to_nothing(profile) -> None:
    """02.3. Each random start, judged as it is; beside them, the same training of the pretrained weights."""
    starts, tuned = (right_beforehand(start, LABELS) for start in ("random start", "fine-tuning"))
    best = max((share(run) for run in starts), key=lambda number: number.value)
    claims.record(
        "02.3",
        f"At fine-tuning's learning rate, one short training from random weights on {LABELS} labels taught next to "
        f"nothing, in each of {len(starts)} runs.",
        tests={f"each of {len(starts)} runs ends less than {LITTLE} points above guessing": best.below(50 + LITTLE)},
        number={f"right after a random start, the best of {len(starts)} (guessing: 50%)": best},
        context={"more, from pretrained weights": over_seeds(100 * (tuned.astype(float) - starts), " points")},
        model=MODEL,
        origin=claims.Origin(beforehand=len(starts), seeds=len(starts)),
        source="192 tokens of a review, 1,000 test reviews, half of them positive; the interval is for other reviews: "
        "three runs say little about other seeds",
        profile=profile.name,
    )
