"""The sentences that lesson 02 puts to the test: what is asked of the numbers, and the card that shows the verdict."""

from __future__ import annotations

import numpy as np

from utils import claims
from utils.intervals import over_seeds, paired_difference, share

LITTLE = 5  # points: above guessing, next to nothing


def beats_counting_words(profile, model, labels: int, ours, counted) -> None:
    """02.2. Which of the same test reviews fine-tuning and counting words judged rightly; shape (n,), bool."""
    gain = paired_difference(ours, counted)
    claims.record(
        "02.2",
        f"With {labels} labels, a fine-tuned encoder beats counting words.",
        tests={"right more often on the same reviews": gain.above(0)},
        number={"points more than counting words": gain},
        context={"fine-tuning": share(ours), "counting words": share(counted)},
        model=claims.with_size(profile.encoder, model),
        origin=claims.MEASURED_HERE,
        source=f"{labels} labels, {profile.max_length} tokens of each review; one training, interval over reviews",
        profile=profile.name,
    )


def teaches_next_to_nothing(profile, starts: np.ndarray, tuned: np.ndarray) -> None:
    """02.3. Which test reviews random starts, and the same training pretrained, judged rightly; (seeds, n), bool."""
    at_random = over_seeds(100 * starts, "%") if len(starts) > 1 else share(starts[0])
    lead = paired_difference(tuned[0], starts[0])  # the same labels, steps and test reviews
    claims.record(
        "02.3",
        "At fine-tuning's rate, one short training from random weights on 500 labels teaches next to nothing.",
        tests={
            f"from random weights, less than {LITTLE} points above guessing": at_random.below(50 + LITTLE),
            f"pretrained, more than {LITTLE} points better": lead.above(LITTLE),
        },
        on="the start",
        number={"points more, pretrained": lead},
        context={"from random weights": at_random, "pretrained": share(tuned[0])},
        model="all-mpnet-base-v2, 109 million weights",
        origin=claims.Origin(beforehand=len(starts) + 1, seeds=len(starts)),
        source=f"192 tokens, 1,000 test reviews; random starts: {len(starts)}, at the same rate; interval over reviews",
        profile=profile.name,
    )
