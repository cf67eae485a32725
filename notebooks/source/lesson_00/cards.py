"""Lesson 00's card and its figure."""

from __future__ import annotations

import numpy as np

from utils import claims, plots
from utils.intervals import over_seeds, smallest


def show_digits(images, digits, read: dict[str, np.ndarray], inverted: str) -> None:
    """A row of digits for each way to prepare them, as an eye sees them, with the network's answer below each.

    Args:
        images: shape (n, 64), the digits as they are stored, from 0 to 16.
        digits: shape (at least n,), what they are; other answers are red.
        read: way -> labels, shape (at least n,).
        inverted: the way that is drawn dark on white.
    """
    fig, axes = plots.figure(1.35 * len(read), rows=len(read), columns=len(images))
    for row, (way, labels) in zip(axes, read.items(), strict=True):
        for ax, image, digit, label in zip(row, images, digits, labels, strict=False):
            picture = 16 - image if way == inverted else image
            ax.imshow(picture.reshape(8, 8), cmap="gray", vmin=0, vmax=16, interpolation="bicubic")
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"“{label}”", color=plots.BLACK if label == digit else plots.RED, weight="bold")
            ax.spines[:].set_visible(True)
        row[0].set_ylabel(way, fontsize=9)
    for ax, digit in zip(axes[0], digits, strict=False):
        ax.set_title(str(digit))
    fig.suptitle("Above, the digit; below each picture, what the network says (in colour: wrong)")
    said = "; ".join(f"{way}: {', '.join(map(str, labels[: len(images)]))}" for way, labels in read.items())
    plots.show(
        fig, f"The digits {', '.join(map(str, digits[: len(images)]))} in three rows. What the network says: {said}."
    )


def must_match(profile, right: dict[str, np.ndarray]) -> None:
    """00.1: each other preparation is read worse than the one of training.

    Args:
        profile: the profile in use.
        right: way -> whether each image was read rightly by networks of several starts, shape (starts, images); the
            first way is the one of training.
    """
    matching, *others = right
    points = {way: 100 * np.asarray(hits, dtype=float) for way, hits in right.items()}
    gains = {way: over_seeds(points[matching] - points[way], " points") for way in others}
    weaker = next(way for way, gain in gains.items() if gain is smallest(gains))
    claims.record(
        "00.1",
        "Preprocessing must match what the model was trained with.",
        tests={f"{way}, it is read worse": gain.above(0) for way, gain in gains.items()},
        on="the way in which it differs",
        number={f"fewer digits read right if {weaker}": gains[weaker]},
        context={f"lost, {way}": gain for way, gain in gains.items()},
        model="8 × 8 digits, networks with one hidden layer of 32",
        origin=claims.Origin(yours=len(points[matching]), seeds=len(points[matching])),
        source="Measured with pixels, one kind of network; the interval is for other starts and other images of "
        "these writers. Some networks normalise inside: their model cards say so",
        profile=profile.name,
    )
