"""The runs of lesson 05: one small task, nine arms that learn it, and what each of them has forgotten afterwards.

The lesson shows the functions that make groups, schedule and stairs; a test holds those against the ones here.
Run beforehand by: python -m notebooks.source.lesson_05.beforehand rates, then runs
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from utils import assets, claims
from utils.errors import CourseError
from utils.experiments import Experiments
from utils.files import ROOT
from utils.resume import run_folder

RESULTS = Path(__file__).parent / "results"
LABELS, EPOCHS, BATCH, DECAY, DIVISOR = 64, 4, 8, 0.01, 2.6
LONGEST, LONGEST_TO_LEARN = 24, 16  # tokens of a sentence; short ones, so that a run takes seconds
HEADLINES = 50  # of each topic
SEEDS = tuple(range(20))
SEEDS_OF_RATES = tuple(range(10))  # of the runs at each rate that was tried
YOURS = ("plain", "all three recipes")  # whose first seed is run on the reader's machine
RECIPES = {  # arm -> schedule, divisor of the rate from each part to the one below, is it unfrozen gradually?
    "plain": ("constant", 1.0, False),
    "linear decay": ("linear", 1.0, False),
    "slanted triangle": ("slanted", 1.0, False),
    "discriminative rates": ("constant", DIVISOR, False),
    "gradual, one schedule": ("linear", 1.0, True),
    "gradual, a triangle per stage": ("stages", 1.0, True),
    "all three recipes": ("stages", DIVISOR, True),
}
LARGER = "plain, ten times its rate"  # to see what the rate does alone
FULL = dict(zip(RECIPES, (3e-5, 3e-5, 3e-5, 1e-4, 1e-4, 1e-4, 1e-3), strict=True))  # for bert-base; not searched


def chosen_rates(profile) -> dict[str, float]:
    """Arm -> learning rate: under `embedded` that of `beforehand.py`'s rule; plain also with a larger one."""
    rates = FULL
    if profile.name != "full":
        rows = json.loads((RESULTS / "rates.json").read_text(encoding="utf-8"))["runs"]
        best = {arm: max((row for row in rows if row["arm"] == arm), key=_mean_accuracy) for arm in RECIPES}
        rates = {arm: row["rate"] for arm, row in best.items()}
    return rates | {LARGER: float(f"{10 * rates['plain']:.1g}")}  # as such a rate is written in the files


def searched(profile, arm: str) -> dict[float, np.ndarray]:
    """Rate -> right validation sentences of each seed, in %, by which the arm's rate was chosen; `full` has none."""
    if profile.name == "full":
        return {}
    rows = json.loads((RESULTS / "rates.json").read_text(encoding="utf-8"))["runs"]
    return {row["rate"]: 100 * np.array(row["validation"]) for row in rows if row["arm"] == arm}


def configurations(profile, seeds, yours: bool | None = None) -> list[dict]:
    """What to run; with `yours` True or False, only the runs of the reader's machine or only the others."""
    runs = []
    for seed in seeds:
        for arm, rate in chosen_rates(profile).items():
            if yours is None or yours == (seed == SEEDS[0] and arm in YOURS):
                runs.append({"arm": "plain" if arm == LARGER else arm, "rate": rate, "seed": seed})
    return runs


def by_rate(profile, arms, seeds) -> list[dict]:
    """What to run to see each arm at every rate that was tried for it: by seed, then arm, then rising rate."""
    chosen = chosen_rates(profile)
    own = {arm: {chosen[arm]} | ({chosen[LARGER]} if arm == "plain" else set()) for arm in arms}
    rates = {arm: sorted(own[arm] | set(searched(profile, arm))) for arm in arms}
    return [{"arm": arm, "rate": rate, "seed": seed} for seed in seeds for arm in arms for rate in rates[arm]]


def _mean_accuracy(row: dict) -> float:
    return float(np.mean(row["validation"]))


class SentenceClassifier(torch.nn.Module):
    """An encoder, and a linear layer on the mean of its token vectors, for which this encoder was made."""

    def __init__(self, folder: str, attention: str = "eager") -> None:
        from transformers import AutoModel

        super().__init__()
        no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.encoder = AutoModel.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention, add_pooling_layer=False, **no_dropout
        )
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, 2)
        self.config = self.encoder.config

    def vectors(self, input_ids, attention_mask):
        """The mean of each text's token vectors. Shape (texts, width)."""
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1)
        return (tokens * mask).sum(dim=1) / mask.sum(dim=1)

    def forward(self, input_ids, attention_mask):
        """Scores of the two labels. Shape (texts, 2)."""
        return self.head(self.vectors(input_ids, attention_mask))


def depth_of(name, layers):
    """0 for the embeddings, 1 to `layers` for the layers, layers + 1 for the head."""
    if "embeddings." in name:
        return 0
    return 1 + int(name.split(".layer.")[1].split(".")[0]) if ".layer." in name else layers + 1


def groups_by_depth(model, rate, divisor, decay=0.01):
    """Two groups of weights for each depth, with and without weight decay, with the rate of their depth."""
    layers, groups = model.config.num_hidden_layers, {}
    for name, weight in model.named_parameters():
        decayed = not (name.endswith("bias") or "LayerNorm" in name)
        groups.setdefault((depth_of(name, layers), decayed), []).append(weight)
    return [
        {"params": weights, "lr": rate / divisor ** (layers + 1 - depth), "weight_decay": decay * decayed}
        for (depth, decayed), weights in sorted(groups.items())
    ]


def slanted_triangular(step, steps, cut_frac=0.1, ratio=32):
    """Factor of the learning rate at a step (Howard and Ruder 2018, section 3.2), never below 1 / ratio."""
    cut = max(1, math.floor(steps * cut_frac))
    p = step / cut if step < cut else 1 - (step - cut) / max(1, steps - cut)
    return (1 + max(0, p) * (ratio - 1)) / ratio


def unfreeze(model, epoch, epochs):
    """Gradients for the head alone in the first epoch, for all in the last, evenly in between."""
    layers = model.config.num_hidden_layers
    lowest = round((layers + 1) * (1 - epoch / (epochs - 1)))
    for name, weight in model.named_parameters():
        weight.requires_grad_(depth_of(name, layers) >= lowest)


def scheduler_of(schedule: str, optimizer, steps: int, stage: int):
    """A schedule over so many steps; "stages" begins a new slanted triangle after each `stage` steps."""
    from transformers import get_linear_schedule_with_warmup

    if schedule == "linear":
        return get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * steps), steps)
    factor = {
        "constant": lambda step: 1.0,
        "slanted": lambda step: slanted_triangular(step, steps),
        "stages": lambda step: slanted_triangular(step % stage, stage),
    }[schedule]
    return LambdaLR(optimizer, factor)


class Runs:
    """The task, its arms, and their results, which are kept, see `utils.experiments`.

    Args:
        profile: its `small_encoder`, `device` and `attention` are used.
    """

    def __init__(self, profile) -> None:
        from datasets import load_dataset
        from transformers import AutoTokenizer, DataCollatorWithPadding

        self.profile = profile
        self.tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
        self.collator = DataCollatorWithPadding(tokenizer=self.tokenizer)
        self.texts, self.rows = {}, {}
        for part, sentences in load_dataset(str(assets.rotten_tomatoes())).items():
            longest = LONGEST_TO_LEARN if part == "train" else LONGEST
            ids = self.tokenizer(list(sentences["text"]))["input_ids"]
            short = [number for number, row in enumerate(ids) if len(row) <= longest]
            self.texts[part] = [sentences[number]["text"] for number in short]
            labels = sentences["label"]
            self.rows[part] = [{"input_ids": ids[number], "labels": labels[number]} for number in short]
        articles = load_dataset(str(assets.bbc()))["train"].to_pandas()
        chosen = articles.groupby("topic").head(HEADLINES)
        self.topics = chosen["topic"].to_numpy()
        headlines = self.tokenizer(list(chosen["headline"]), truncation=True, max_length=32)["input_ids"]
        self.headlines = [{"input_ids": ids} for ids in headlines]
        weights = hashlib.sha256((Path(profile.small_encoder) / "model.safetensors").read_bytes()).hexdigest()
        data = [weights, self.rows, self.headlines, self.topics.tolist(), RECIPES, EPOCHS, BATCH, DECAY]
        code = [SentenceClassifier, depth_of, groups_by_depth, slanted_triangular, unfreeze, scheduler_of]
        code += [Runs.learn, Runs.scores, Runs.topics_found, Runs.drawn]
        self.experiments = Experiments("05", profile, data, code, beforehand=RESULTS / "runs.json")

    def run(self, arm: str, rate: float, seed: int, labels: int = LABELS, judged: str = "test") -> dict:
        """Learn from so many sentences, be judged on others; by the test, also on the topics of headlines."""
        model = self.learn(arm, rate, seed, labels)
        rows = self.rows[judged]
        truth = np.array([row["labels"] for row in rows])
        right = self.scores(model, rows).argmax(axis=1) == truth
        result = {"right": right.astype(int).tolist()}
        return result | {"topics": self.topics_found(model).astype(int).tolist()} if judged == "test" else result

    def learn(self, arm: str, rate: float, seed: int, labels: int) -> SentenceClassifier:
        """The lesson's loop, without validation."""
        from transformers import set_seed

        schedule, divisor, gradual = RECIPES[arm]
        set_seed(seed)
        model = SentenceClassifier(self.profile.small_encoder, self.profile.attention).to(self.profile.device)
        loader = DataLoader(
            [self.rows["train"][number] for number in self.drawn(seed, labels)],
            batch_size=BATCH, shuffle=True, generator=torch.Generator().manual_seed(seed), collate_fn=self.collator,
        )  # fmt: skip
        optimizer = torch.optim.AdamW(groups_by_depth(model, rate, divisor, DECAY), fused=True)
        scheduler = scheduler_of(schedule, optimizer, EPOCHS * len(loader), len(loader))
        model.train()
        for epoch in range(EPOCHS):
            if gradual:
                unfreeze(model, epoch, EPOCHS)
            for batch in loader:
                batch = batch.to(self.profile.device)
                answers = batch.pop("labels")
                loss = torch.nn.functional.cross_entropy(model(**batch), answers)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        return model

    def drawn(self, seed: int, labels: int) -> np.ndarray:
        """Numbers of the training sentences that a seed learns from."""
        return np.random.default_rng(seed).permutation(len(self.rows["train"]))[:labels]

    @torch.inference_mode()
    def scores(self, model, rows: list[dict], vectors: bool = False) -> np.ndarray:
        """Scores, or the vectors themselves, in the order of the rows."""
        model.eval()
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]["input_ids"]))
        found = []
        for start in range(0, len(order), 50):
            batch = self.collator([{"input_ids": rows[number]["input_ids"]} for number in order[start : start + 50]])
            batch = batch.to(self.profile.device)
            found.append((model.vectors if vectors else model)(**batch).float().cpu().numpy())
        return np.concatenate(found)[np.argsort(order)]

    def topics_found(self, model) -> np.ndarray:
        """Is each headline nearest to the mean of the *other* headlines of its topic? Shape (headlines,), bool."""
        vectors = self.scores(model, self.headlines, vectors=True)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        names = sorted(set(self.topics))
        member = self.topics[:, None] == np.array(names)
        sums = member.T.astype(float) @ vectors
        cosines = np.empty(member.shape)
        for number, vector in enumerate(vectors):
            means = sums - member[number][:, None] * vector
            cosines[number] = means @ vector / np.linalg.norm(means, axis=1)
        return member[np.arange(len(vectors)), cosines.argmax(axis=1)]

    def results(self, seeds=SEEDS) -> dict[str, dict[str, np.ndarray]]:
        """Arm -> "right" and "topics", outcomes of shape (seeds, items); what is missing is run."""
        arms = list(chosen_rates(self.profile))
        found = self.experiments.run(self.run, configurations(self.profile, seeds), "runs")
        return {
            arm: {what: np.array([run[what] for run in found[place :: len(arms)]], dtype=bool) for what in found[0]}
            for place, arm in enumerate(arms)
        }

    def at_each_rate(self, arms, seeds=SEEDS_OF_RATES) -> dict[str, dict[float, dict[str, np.ndarray]]]:
        """Arm -> rate, the lowest first -> "right" and "topics", as `results` has them; what is missing is run."""
        asked = by_rate(self.profile, arms, seeds)
        found: dict = {arm: {} for arm in arms}
        for run, result in zip(asked, self.experiments.run(self.run, asked, "rates"), strict=True):
            found[run["arm"]].setdefault(run["rate"], []).append(result)
        return {
            arm: {
                rate: {what: np.array([run[what] for run in of_seeds], dtype=bool) for what in of_seeds[0]}
                for rate, of_seeds in rates.items()
            }
            for arm, rates in found.items()
        }

    def counting_words(self, seeds=SEEDS, labels: int = LABELS) -> np.ndarray:
        """Outcomes of counting words, learned from the same sentences. Shape (seeds, test sentences), bool."""
        from utils.finetuning import counting_words

        truth, outcomes = np.array([row["labels"] for row in self.rows["test"]]), []
        for seed in seeds:
            chosen = self.drawn(seed, labels)
            texts = [self.texts["train"][number] for number in chosen]
            labels_of = [self.rows["train"][number]["labels"] for number in chosen]
            counter = counting_words(class_weight="balanced").fit(texts, labels_of)
            outcomes.append(counter.predict(self.texts["test"]) == truth)
        return np.array(outcomes)

    def topics_before(self) -> np.ndarray:
        """`topics_found` of the encoder as it was pretrained."""
        model = SentenceClassifier(self.profile.small_encoder, self.profile.attention).to(self.profile.device)
        return self.topics_found(model)

    def origin(self, *arms: str, seeds=SEEDS) -> claims.Origin:
        """How many runs of these arms, or of all, are from this machine, and how many came with the course."""
        names = [arm for _ in seeds for arm in chosen_rates(self.profile)]
        runs = configurations(self.profile, seeds)
        asked = [run for name, run in zip(names, runs, strict=True) if name in arms or not arms]
        here = sum(not self.experiments.is_beforehand(self.run, run) for run in asked)
        return claims.Origin(yours=here, beforehand=len(asked) - here, seeds=len(seeds))


def losses_of_script(profile, processes: int, *arguments: str) -> list[float]:
    """Train with `scripts/several_processes.py` on so many processes; the loss of each step.

    Raises:
        CourseError: the program failed; with its last words.
    """
    scripts = ROOT / "scripts"
    folder = run_folder(f"05-{processes}-processes") / "model"
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(scripts / "two_processes.yaml")]
    command = [sys.executable, *(launch if processes > 1 else []), str(scripts / "several_processes.py")]
    environment = os.environ | ({"COURSE_PROFILE": "full"} if profile.name == "full" else {})
    if torch.cuda.device_count() < processes:
        environment["CUDA_VISIBLE_DEVICES"] = ""  # two processes cannot share one GPU: all runs take the CPU
    if profile.quick:
        arguments = ("--sentences", "64", *arguments)
    done = subprocess.run(
        [*command, "--output", str(folder), *arguments], capture_output=True, text=True, timeout=300, env=environment
    )
    if done.returncode != 0:
        raise CourseError(f"{command} ended with {done.returncode}. Its last words: {done.stderr.strip()[-300:]}")
    return json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]
