"""The model cards and the page that compares the three models: templates over numbers and logs, and figures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from scipy.stats import binomtest

from utils import plots
from utils.minimal_pairs import ACROSS

FAMILIES = {
    "mini-bert": {
        "kind": "an encoder (`BertForMaskedLM`)",
        "objective": "masked tokens: 15% selected, of those 80% become `[MASK]`, 10% a random token, 10% stay",
        "vocabulary": "WordPiece, lower-cased",
        "loading": "AutoModelForMaskedLM",
        "color": plots.BLUE,
    },
    "mini-gpt": {
        "kind": "a causal decoder (`GPT2LMHeadModel`)",
        "objective": "the next token",
        "vocabulary": "byte-level BPE",
        "loading": "AutoModelForCausalLM",
        "color": plots.ORANGE,
    },
    "mini-t5": {
        "kind": "an encoder and a decoder (`T5ForConditionalGeneration`)",
        "objective": "span corruption (15%, mean length 3), then a mixture of tasks told by their prefixes",
        "vocabulary": "Unigram, 32 sentinels",
        "loading": "AutoModelForSeq2SeqLM",
        "color": plots.GREEN,
    },
}

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def write(models: Path, name: str) -> None:
    """README.md and the curves in the model's folder."""
    folder, model = models / name, read(models / name)
    fig, ax = plots.figure(2.6)
    _curve(ax, model)
    fig.suptitle(f"{name}: held-out loss falls to {model['log'][-1]['held_out_loss']:.2f} nats per guessed token")
    fig.savefig(folder / "curve.png")
    if model["tasks"]:
        _curve_of_tasks(model["tasks"]).savefig(folder / "tasks.png")
    (folder / "README.md").write_text(TEMPLATES.get_template("card.md.jinja").render(model), encoding="utf-8")


def write_overview(models: Path) -> None:
    """models/README.md and curves.png: what the published models share and where they differ.

    Raises:
        ValueError: the models have seen the text a different number of times.
    """
    published = [read(models / name) for name in FAMILIES if (models / name / "numbers.json").exists()]
    if len({model["numbers"]["epochs"] for model in published}) > 1:
        raise ValueError("The models have seen the text a different number of times; give the three the same --epochs.")
    fig, ax = plots.figure(3.0)
    for model in published:
        _curve(ax, model)
    ax.legend(fontsize=9)
    fig.suptitle("The same text, three objectives: their losses count different guesses")
    fig.savefig(models / "curves.png")
    tables = {model["name"]: comparison(model) for model in published}
    text = TEMPLATES.get_template("overview.md.jinja").render(models=published, tables=tables)
    (models / "README.md").write_text(text, encoding="utf-8")


def read(folder: Path) -> dict:
    """What the templates need of a published model; `tasks` and `earlier` are None where it has none."""
    tasks, earlier = folder / "tasks.csv", folder / "earlier.json"
    return {
        "name": folder.name,
        "family": FAMILIES[folder.name],
        "numbers": json.loads((folder / "numbers.json").read_text(encoding="utf-8")),
        "vocab_size": json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"],
        "log": read_log(folder / "log.csv"),
        "tasks": read_log(tasks) if tasks.exists() else None,
        "earlier": json.loads(earlier.read_text(encoding="utf-8")) if earlier.exists() else None,
    }


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log.csv as numbers."""
    with open(path, newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def share(right: int, total: int) -> str:
    """A share in per cent with its 95% interval (Wilson)."""
    interval = binomtest(right, total).proportion_ci(method="wilson")
    return f"{right / total:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def comparison(model: dict) -> list[tuple[str, ...]]:
    """Rows of one measure each: its name, the earlier model's value if there is one, the model's."""
    columns = [measures(numbers) for numbers in (model["earlier"], model["numbers"]) if numbers]
    return [(name, *(column.get(name, "–") for column in columns)) for name in columns[-1]]


def measures(numbers: dict) -> dict[str, str]:
    """The measures of a model, by name, each with its 95% interval where it has one."""
    rows = {}
    for kind, scores in numbers.get("masked tokens", {}).items():
        for name in ("mini-bert, one masked", "5-gram, both sides"):
            top, total = scores[name]["top 1"], scores[name]["tokens"]
            rows[f"{kind}, one token masked: {name.partition(',')[0]} right at once"] = share(round(top * total), total)
        lead, low, high = numbers["lead over 5-grams"][kind]
        rows[f"{kind}: mini-bert minus 5-grams from both sides"] = f"{lead:+.1f} points ({low:+.1f} to {high:+.1f})"
        words = numbers["words"][kind]
        rows[f"{kind}, one word masked that both vocabularies have: right at once"] = share(
            words["top 1"], words["words"]
        )
        rows[f"{kind}, the same words: within five"] = share(words["top 5"], words["words"])
    for kind, values in numbers.get("perplexity per word", {}).items():
        for name in ("mini-gpt", "5-gram"):
            value, low, high = values[name]
            rows[f"{kind}, perplexity per word: {name}"] = f"{value:,.0f} ({low:,.0f} to {high:,.0f})"
    if "minimal pairs" in numbers:
        pairs = numbers["minimal pairs"]
        rows["minimal pairs"] = share(*(sum(column) for column in zip(*pairs.values(), strict=True)))
        rows["of these, agreement across another noun (whole sentences scored)"] = share(*pairs[ACROSS])
    if "facts" in numbers:
        known = [right for _, _, right in numbers["facts"]]
        rows["facts of its text, within five"] = f"{sum(known)} of {len(known)}"
    if "invented words" in numbers:
        invented = numbers["invented words"]
        rows["samples without an invented word"] = f"{sum(not words for words in invented)} of {len(invented)}"
        rows["greedy texts that repeat four words"] = "{} of {}".format(*numbers["greedy repetition"])
    for language, counts in numbers.get("translation", {}).items():
        rows[f"English to {language}, right to the letter"] = share(*counts)
    for writer, counts in numbers.get("titles", {}).items():
        rows[f"titles of introductions: {writer}"] = share(*counts)
    for kind, counts in numbers.get("topics", {}).items():
        rows[f"topic of an {kind}"] = share(*counts)
    if "sentiment" in numbers:
        rows["sentiment of reviews"] = share(*numbers["sentiment"])
    if "kinds of answers" in numbers:
        counts = numbers["kinds of answers"].values()
        rows["answers of the prefix's kind, on pairs of prefix and text met in training"] = share(
            *(sum(column) for column in zip(*counts, strict=True))
        )
    if "cost of a wrong input" in numbers:
        rows["spans: what another row's input costs (nats)"] = f"{numbers['cost of a wrong input']:.2f}"
    return rows


TEMPLATES.filters["as"] = format  # {{ 0.25|as(".1%") }}
TEMPLATES.globals["share"] = share


def _curve(ax, model: dict) -> None:
    characters = [row["characters"] / 1e6 for row in model["log"]]
    losses = [row["held_out_loss"] for row in model["log"]]
    ax.plot(characters, losses, color=model["family"]["color"], linewidth=2, label=model["name"])
    ax.set(xlabel="characters seen (millions)", ylabel="held-out loss (nats)")


def _curve_of_tasks(log: list[dict[str, float]]):
    steps, losses = [row["step"] for row in log], [row["held_out_loss"] for row in log]
    fig, ax = plots.figure(2.4)
    ax.plot(steps, losses, color=plots.GREEN, linewidth=2)
    ax.set(xlabel="steps on the tasks", ylabel="held-out loss (nats)", ylim=(0, None))
    lowest, step = min(zip(losses, steps, strict=True))
    fig.suptitle(f"The tasks: held-out loss {losses[-1]:.2f}, lowest {lowest:.2f} at step {step:.0f}")
    return fig
