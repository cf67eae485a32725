"""The model cards and the page that compares the three models, written from numbers.json and the logs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from scipy.stats import binomtest

from utils import plots

FAMILIES = {
    "mini-bert": {
        "kind": "an encoder (`BertForMaskedLM`)",
        "objective": "masked tokens: 15% selected, of those 80% become `[MASK]`, 10% a random token, 10% stay",
        "vocabulary": "WordPiece, lower-cased",
        "learned_from": "the same text",
        "limits": "\nIt has seen one text at a time, so its second token type was never trained.",
        "loading": "AutoModelForMaskedLM",
        "script": "bert",
        "color": plots.BLUE,
    },
    "mini-gpt": {
        "kind": "a causal decoder (`GPT2LMHeadModel`)",
        "objective": "the next token",
        "vocabulary": "byte-level BPE",
        "learned_from": "the same text",
        "limits": "",
        "loading": "AutoModelForCausalLM",
        "script": "gpt",
        "color": plots.ORANGE,
    },
    "mini-t5": {
        "kind": "an encoder and a decoder (`T5ForConditionalGeneration`)",
        "objective": "span corruption (15%, mean length 3), then a mixture of tasks told by their prefixes",
        "vocabulary": "Unigram, 32 sentinels",
        "learned_from": "the same text and, for their letters, the tasks' prefixes and training translations",
        "limits": "\nIt translates dates, times, numbers and units, and nothing else.",
        "loading": "AutoModelForSeq2SeqLM",
        "script": "t5",
        "color": plots.GREEN,
    },
}

CARD = """\
---
license: other
language: en
---
# {name}

{name} is {kind} with {parameters:,} parameters, made for the course in this repository and small on purpose. The
models of `models/` learn from the same text. Wiring and objective are the main difference; the tokenizers differ too,
and mini-t5 then learned tasks with answers: see [the comparison](../README.md).

```python
model = {loading}.from_pretrained("models/{name}", dtype=torch.float32)  # stored in float16
```

- **Text**: the IMDB reviews of lesson 02's training films and four fifths of 2,089 BBC articles; {characters:.0f}
  million characters, {epochs:.1f} times. No review of a validation or test film, as far as `utils/splits.py` can tell.
- **Objective**: {objective}.
- **Vocabulary**: {vocabulary}, {size:,} entries, learned from {learned_from}.
- **Training**: {tokens:.0f} million tokens in {minutes:.0f} minutes, on one core of a CPU with fast bfloat16;
  `pretraining/` has the code. The first thousand steps see 30 tokens at a time, so the loss on 240 can stay high
  until they are over.

![{alt}](curve.png)

{tasks}{measured}
## Limits

It takes at most 239 tokens at once. It knows films, as the reviewers of IMDB wrote about them until 2011, and a little
news of 2004 and 2005, with the opinions and prejudices of both. It has seen a few million words and knows few facts.
It is for looking at how such models work, not for use.{limits}

## Make it again

```
python -m pretraining.{script} --epochs {epochs:g}
python -m pretraining.publish {name}
```

sha256 of `model.safetensors`: `{sha256}`

The reviews and articles belong to their authors; the texts are used for research and teaching, and none is stored here
but the lines quoted above.
"""


def write(models: Path, name: str) -> None:
    """README.md and curve.png in the model's folder."""
    folder = models / name
    numbers, log, family = _numbers(folder), read_log(folder / "log.csv"), FAMILIES[name]
    last = log[-1]
    alt = (
        f"Line chart of {name}'s loss on held-out text: from {log[0]['held_out_loss']:.2f} nats per guessed token "
        f"after {log[0]['tokens'] / 1e6:.0f} million tokens to {last['held_out_loss']:.2f} after "
        f"{last['tokens'] / 1e6:.0f} million."
    )
    fig, ax = plots.figure(2.6)
    _curve(ax, log, name)
    fig.suptitle(f"{name}: held-out loss falls to {last['held_out_loss']:.2f} nats per guessed token")
    fig.savefig(folder / "curve.png")
    text = CARD.format(
        name=name,
        alt=alt,
        tasks=_tasks(folder, numbers["losses by task"]) if (folder / "tasks.csv").exists() else "",
        measured=MEASURED[name](numbers),
        characters=last["characters"] / numbers["epochs"] / 1e6,
        tokens=last["tokens"] / 1e6,
        minutes=last["seconds"] / 60,
        size=json.loads((folder / "config.json").read_text())["vocab_size"],
        **{key: numbers[key] for key in ("parameters", "sha256", "epochs")},
        **{key: value for key, value in family.items() if key != "color"},
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def write_overview(models: Path) -> None:
    """models/README.md and curves.png: what the published models share and where they differ."""
    names = [name for name in FAMILIES if (models / name / "numbers.json").exists()]
    if len({_numbers(models / name)["epochs"] for name in names}) > 1:
        raise ValueError("The models have seen the text a different number of times; give the three the same --epochs.")
    fig, ax = plots.figure(3.0)
    rows, ends = [], []
    for name in names:
        numbers, log = _numbers(models / name), read_log(models / name / "log.csv")
        _curve(ax, log, name)
        last = log[-1]
        ends.append(f"{name} {last['held_out_loss']:.2f}")
        rows.append(
            f"| [{name}]({name}/README.md) | {numbers['parameters']:,} | {FAMILIES[name]['objective']} "
            f"| {last['tokens'] / 1e6:.1f} M | {last['characters'] / 1e6:.0f} M | {last['seconds'] / 60:.0f} min "
            f"| {last['held_out_loss']:.2f} |"
        )
    ax.legend(fontsize=9)
    fig.suptitle("The same text, three objectives: their losses count different guesses")
    fig.savefig(models / "curves.png")
    alt = f"Held-out loss in nats per guessed token against millions of characters seen; at the end: {', '.join(ends)}."
    (models / "README.md").write_text(OVERVIEW.format(rows="\n".join(rows), alt=alt), encoding="utf-8")


OVERVIEW = """\
# The small models

Made for this course by `pretraining/`: mini-bert, mini-gpt and mini-t5 learn from the same text, over the same number
of raw characters, with the same loop and nearly the same number of parameters. What differs is the wiring, the
objective and the tokenizer.

| Model | Parameters | Objective | Tokens seen | Characters seen | Time | Held-out loss |
|---|---|---|---|---|---|---|
{rows}

![{alt}](curves.png)

The losses must not be compared with each other: mini-bert guesses hidden tokens from both sides, mini-gpt every token
from the left, mini-t5 whole spans. mini-t5 then learned three tasks with answers; its row does not count them, its card
does. Times are those of one core of a CPU with fast bfloat16, beside other work.
"""


def _curve(ax, log: list[dict[str, float]], name: str) -> None:
    characters = [row["characters"] / 1e6 for row in log]
    losses = [row["held_out_loss"] for row in log]
    ax.plot(characters, losses, color=FAMILIES[name]["color"], linewidth=2, label=name)
    ax.set(xlabel="characters seen (millions)", ylabel="held-out loss (nats)")


def _bert(numbers: dict) -> str:
    found = numbers["masked tokens"]
    rows = "\n".join(
        f"| {name} | {_share(round(score['top 1'] * score['tokens']), score['tokens'])} "
        f"| {score['top 5']:.1%} | {score['tokens']:,} |"
        for name, score in found.items()
    )
    return (
        "## Measured on unseen films\n\nHidden tokens guessed right, at once and within five. The 5-gram models "
        "(modified Kneser-Ney, same training text)\nguess the tokens that mini-bert guesses one at a time.\n\n"
        "| | top 1 | top 5 | tokens |\n|---|---|---|---|\n"
        f"{rows}\n\n{_against_counting(found)}\n\n{_pairs(numbers, 'pseudo-log-likelihood')}\n"
        f"With a classification head, fine-tuned on all training reviews: {_share(*numbers['sentiment'])} of the\n"
        "validation reviews' sentiments right.\n"
    )


def _against_counting(found: dict) -> str:
    model, counting = (found[name]["top 1"] for name in ("mini-bert, one masked", "5-gram, both sides"))
    verdict = "less often than" if model < counting else "at least as often as"
    return f"On the same tokens mini-bert is right at once {verdict} 5-grams that count from both sides."


def _gpt(numbers: dict) -> str:
    perplexity = "\n".join(
        f"| {name} | {value:,.0f} ({low:,.0f} to {high:,.0f}) |"
        for name, (value, low, high) in numbers["perplexity per word"].items()
    )
    samples = "\n\n".join(
        f"{number}. {' '.join(sample.split())}" for number, sample in enumerate(numbers["samples"], 1)
    )
    return (
        "## Measured on unseen films\n\nPerplexity per word, words told by white space; in brackets 95% intervals, "
        "bootstrapped over\nthe reviews. The 5-gram model (modified Kneser-Ney) learned from the same text.\n\n"
        "| | perplexity |\n|---|---|\n"
        f"{perplexity}\n\n{_pairs(numbers, 'log-likelihood')}\n"
        "## Thirty samples, unpicked\n\nTemperature 0.8, top-p 0.9, up to 80 tokens each, from nothing.\n\n"
        f"{samples}\n\n"
    )


def _tasks(folder: Path, losses_by_task: dict) -> str:
    log = read_log(folder / "tasks.csv")
    steps, losses = [row["step"] for row in log], [row["held_out_loss"] for row in log]
    fig, ax = plots.figure(2.4)
    ax.plot(steps, losses, color=plots.GREEN, linewidth=2)
    ax.set(xlabel="steps on the tasks", ylabel="held-out loss (nats)", ylim=(0, None))
    lowest = min(log, key=lambda row: row["held_out_loss"])
    fig.suptitle(
        f"The tasks: held-out loss {losses[-1]:.2f}, lowest {lowest['held_out_loss']:.2f} at step {lowest['step']:.0f}"
    )
    fig.savefig(folder / "tasks.png")
    by_task = "\n".join(f"| {task} | {seen:.2f} | {unseen:.2f} |" for task, (seen, unseen) in losses_by_task.items())
    alt = f"Line chart of the held-out loss on tasks, from {losses[0]:.2f} to {losses[-1]:.2f} at step {steps[-1]:.0f}."
    return (
        f"Then {steps[-1]:,.0f} steps on a mixture of tasks, {log[-1]['seconds'] / 60:.0f} minutes on one core. Of the "
        "steps, 50% are translations (made\nfrom Babel's CLDR data; one item in ten is held out), 25% the sentiment of "
        "training reviews as a word, 15% the headlines\nof training articles, 10% span corruption still.\n\n"
        f"![{alt}](tasks.png)\n\nThe curve is the mean over the tasks. Losses at the end, per token of the answer:\n\n"
        f"| | on training items | on held-out items |\n|---|---|---|\n{by_task}\n\n"
        "Where the two are far apart, the training answers were learned by heart.\n\n"
    )


def _t5(numbers: dict) -> str:
    translation = "\n".join(
        f"| English to {language} | {_share(right, total)} | {total} |"
        for language, (right, total) in numbers["translation"].items()
    )
    headlines = "\n".join(
        f"| {name} | {score['rouge1']:.3f} | {score['rougeL']:.3f} |" for name, score in numbers["headlines"].items()
    )
    gap, low, high = numbers["headlines, mini-t5 minus lead sentence"]["rougeL"]
    verdict = (
        "The model is ahead." if low > 0 else
        "The lead sentence is the better headline by this measure." if high < 0 else "The difference may be chance."
    )  # fmt: skip
    written, spans = (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in numbers[kind])
        for kind in ("headlines written", "spans filled")
    )
    return (
        "## Translation\n\nDates, times, numbers and units from Babel's CLDR data; items that were never trained on, "
        "right to the letter.\n\n| | right | items |\n|---|---|---|\n"
        f"{translation}\n\n"
        f"## Sentiment as a word\n\n{_share(*numbers['sentiment'])} of the validation reviews right.\n\n"
        "## Headlines\n\nF1 against the BBC's own headlines, on unseen articles; the lead sentence is the baseline. "
        f"{verdict}\nROUGE-L of the model minus that of the lead sentence: {gap:+.3f} "
        f"(95% interval {low:+.3f} to {high:+.3f}).\n\n| | ROUGE-1 | ROUGE-L |\n|---|---|---|\n{headlines}\n\n"
        f"| mini-t5 | BBC |\n|---|---|\n{written}\n\n"
        "## Spans filled\n\nAs in training, a second gap ends each text; shown is what was written for the first.\n\n"
        f"| given | written | stood there |\n|---|---|---|\n{spans}\n\n"
    )


MEASURED = {"mini-bert": _bert, "mini-gpt": _gpt, "mini-t5": _t5}


def _pairs(numbers: dict, kind: str) -> str:
    found = numbers["minimal pairs"]
    rows = "\n".join(f"| {name} | {right} of {total} |" for name, (right, total) in found.items())
    right, total = (sum(values) for values in zip(*found.values(), strict=True))
    return (
        f"Grammatical minimal pairs (`utils/minimal_pairs.py`) judged rightly by {kind}: {_share(right, total)}. "
        "In the\npairs with another noun between, that noun's number asks for the wrong verb: a model that follows the "
        "nearest noun\ngets none right.\n\n"
        f"| phenomenon | right |\n|---|---|\n{rows}\n"
    )


def _share(right: int, total: int) -> str:
    interval = binomtest(right, total).proportion_ci(method="wilson")
    return f"{right / total:.1%} (95% interval {interval.low:.1%} to {interval.high:.1%})"


def _numbers(folder: Path) -> dict:
    return json.loads((folder / "numbers.json").read_text(encoding="utf-8"))


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log.csv as numbers."""
    with open(path, newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
