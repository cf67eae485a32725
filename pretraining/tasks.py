"""The tasks that mini-t5 learns by their prefixes, as (input, target) texts.

- "translate English to German: " (French, Romanian): dates, times, numbers and units;
- "sentiment: ": positive or negative for a review or a sentence about a film, neutral for what holds no opinion;
- "title: ": of an introduction, where it stands in its words; for other texts what they are, "film review" or
  "news report";
- "topic: ": the subject of an introduction or an article; "film" for reviews.

Every kind of text comes under every prefix that makes sense for it, so that the prefix decides and not the text.
"""

from __future__ import annotations

import itertools
import random
from functools import cache

from pretraining import text
from utils import translation
from utils.articles import Article

Pair = tuple[str, str]
# For mini-t5's card.
DESCRIPTION = (
    "Sentiment is `positive` or `negative` for reviews and sentences about films, `neutral` for other texts. A title "
    "is that of a Wikipedia introduction, where it stands in its words; reviews have `film review` there, articles "
    "`news report`. A topic is the subject group of an introduction, the topic of an article, `film` for a review."
)
MIXTURE = {"translate": 0.25, "sentiment": 0.25, "title": 0.3, "topic": 0.1, "corrupt": 0.1}  # shares of the steps
LABELS = ("negative", "positive")
NEUTRAL = "neutral"
REVIEW, REPORT = "film review", "news report"  # under title:, for texts that have no title in them
FILM, MEASURES = "film", "dates and numbers"  # under topic:
TOPICS = {"tech": "technology", "sports": "sport"}  # of BBC articles, in the words of the others
SOURCES = {  # shares of the kinds of text under a prefix
    "sentiment": {"review": 0.55, "sentence": 0.25, "introduction": 0.08, "article": 0.08, "measure": 0.04},
    "title": {"introduction": 0.85, "review": 0.05, "sentence": 0.05, "article": 0.05},
    "topic": {"introduction": 0.6, "article": 0.2, "review": 0.08, "sentence": 0.08, "measure": 0.04},
}


def examples(task: str, split: str, rng: random.Random, number: int) -> list[Pair]:
    """`number` (input, target) texts of a task, its prefix before each input.

    Args:
        task: "translate", "sentiment", "title" or "topic".
        split: "train" or "validation".
        rng: source of chance.
        number: of examples; for "translate" a multiple of 3.
    """
    if task == "translate":
        pairs = []
        for language in translation.LANGUAGES:
            stream = translation.pairs(split, language, seed=rng.randrange(2**31))
            for english, other in itertools.islice(stream, number // len(translation.LANGUAGES)):
                pairs.append((translation.prefix(language) + english, other))
        return pairs
    shares = SOURCES[task]
    pairs = []
    for kind in rng.choices(list(shares), list(shares.values()), k=number):
        source, target = rng.choice(examples_of(task, kind, split))
        pairs.append((f"{task}: {head_and_tail(source) if kind == 'review' else cut(source, rng)}", target))
    return pairs


@cache
def examples_of(task: str, kind: str, split: str) -> list[Pair]:
    """All (text, target) of a kind of text under a task's prefix.

    Args:
        task: "sentiment", "title" or "topic".
        kind: "review", "sentence", "introduction", "article" or "measure", a date, time, number or amount.
        split: "train", "validation", or "test" for all kinds but introductions.
    """
    if kind in ("review", "sentence"):
        labelled = text.reviews(split) if kind == "review" else text.sentences(split)
        fixed = {"title": REVIEW, "topic": FILM}
        return [(source, fixed.get(task, LABELS[label])) for source, label in labelled]
    if kind == "article":
        targets = {"sentiment": lambda article: NEUTRAL, "title": lambda article: REPORT, "topic": topic_of}
        return [(article.body, targets[task](article)) for article in text.articles(split)]
    if kind == "measure":
        items = itertools.islice(translation.pairs(split, "de", seed=0), 2000)
        return [(english, {"sentiment": NEUTRAL, "topic": MEASURES}[task]) for english, _ in items]
    introductions = text.introductions(split)
    if task == "title":
        return [(each.text, each.title) for each in introductions if each.title.lower() in each.text.lower()]
    if task == "topic":
        return [(each.text, each.subject) for each in introductions if each.subject]
    return [(each.text, NEUTRAL) for each in introductions]


def answers(task: str) -> set[str]:
    """What can be written under "sentiment" or "topic"."""
    if task == "sentiment":
        return {*LABELS, NEUTRAL}
    return {*text.SUBJECTS.values(), *map(topic_of, text.articles("train")), FILM, MEASURES}


def topic_of(article: Article) -> str:
    """Business, entertainment, politics, sport or technology."""
    return TOPICS.get(article.topic, article.topic)


def cut(source: str, rng: random.Random) -> str:
    """Both ends of a long text in 100 words, or now and then its first 25 or 50 words alone."""
    words = rng.choice((25, 50, 100, 100))
    return head_and_tail(source) if words == 100 else " ".join(source.split()[:words])


def head_and_tail(review: str, words: int = 100) -> str:
    """The first quarter and the last three quarters of `words` words; a shorter review as it is."""
    all_words = review.split()
    if len(all_words) <= words:
        return review
    head = words // 4
    return " ".join(all_words[:head] + all_words[len(all_words) - words + head :])
