"""The sentences that lesson 02 puts to the test: what is asked of the numbers, and the card that shows the verdict.

Both are about the 1,000 test reviews and the runs that came with the course, see `beforehand`.
"""

from __future__ import annotations

from pathlib import Path

from notebooks.source.lesson_02.beforehand import right_beforehand
from utils import claims
from utils.intervals import Number, over_seeds

LABELS = 500
LITTLE = 5  # points: above guessing, next to nothing
MODEL = "all-mpnet-base-v2, 109 million weights"


def beats_counting_words(profile, yours: Number, labels: int) -> None:
    """02.2. `yours`: points more than counting words, in this machine's one run, with so many labels."""
    tuned, counted = (right_beforehand(start, LABELS) for start in ("fine-tuning", "counting words"))
    gain = over_seeds(100 * (tuned.astype(float) - counted), " points")
    claims.record(
        "02.2",
        f"With {LABELS} labels, a fine-tuned encoder beats counting words.",
        tests={"right more often on the same reviews": gain.above(0)},
        number={"right, minus counting words": gain},
        context={
            "fine-tuning": over_seeds(100 * tuned, "%"),
            "counting words": over_seeds(100 * counted, "%"),
            f"in your one run, {Path(profile.encoder).name} with {labels} labels": yours,
        },
        model=MODEL,
        origin=claims.Origin(beforehand=2 * len(tuned), seeds=len(tuned)),
        source="192 tokens of each review, 1,000 test reviews; each seed draws the reviews to learn from",
        profile=profile.name,
    )


def teaches_next_to_nothing(profile) -> None:
    """02.3. Three random starts, judged as they are; beside them, the same training of the pretrained weights."""
    starts, tuned = (right_beforehand(start, LABELS) for start in ("random start", "fine-tuning"))
    at_random = over_seeds(100 * starts, "%")
    claims.record(
        "02.3",
        f"At fine-tuning's rate, one short training from random weights on {LABELS} labels teaches next to nothing.",
        tests={f"less than {LITTLE} points above guessing": at_random.below(50 + LITTLE)},
        number={"right after a random start": at_random},
        context={"more, from pretrained weights": over_seeds(100 * (tuned.astype(float) - starts), " points")},
        model=MODEL,
        origin=claims.Origin(beforehand=len(starts), seeds=len(starts)),
        source="192 tokens of each review, 1,000 test reviews; half of them are positive",
        profile=profile.name,
    )
