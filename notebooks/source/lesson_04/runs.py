"""The trainings of lesson 04, and what is asked of a network after each: by the same code for every method.

The lines of the libraries that decide stand in the lesson's own cells too; `tests/test_lesson_04.py` compares them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch

from utils import assets
from utils.articles import split_articles
from utils.claims import Origin
from utils.experiments import Experiments
from utils.files import ROOT
from utils.finetuning import answers, counting_words

LONGEST = 32  # tokens; longer sentences are left out, so that dozens of trainings take minutes
EACH = {"validation": 200, "test": 533}  # sentences of each label
FEW, LABELS, MANY, MOST = 50, 200, 1000, 4000
EPOCHS = {FEW: 10, LABELS: 3}  # of fine-tuning all weights
SEARCH, SEEDS = (0, 1, 2), tuple(range(20))  # to choose a rate on validation sentences; to report on test sentences
STARTS = (0, 1, 2, 3)  # of the random start, the dearest; at 3e-4, and half as many epochs, it learned nothing
STRENGTHS = (0.01, 0.1, 1, 10, 100, 1000)  # C of logistic regression
CHEAP = tuple(range(10))  # seeds of what needs no training of a network
WORDS, RANDOM = "counting words", "small encoder, random start"
BASE_FROZEN, SMALL_FROZEN, MINI_FROZEN = "base encoder, frozen", "small encoder, frozen", "mini encoder, frozen"
BASE_TUNED, SMALL_TUNED = "base encoder, all trained", "small encoder, all trained"
MINI = ROOT / "models" / "mini-bert"
ARMS = {  # method, labels and epochs with which its learning rate is chosen; rates, the likeliest first
    "all": ("all", LABELS, 3, (1e-4, 3e-4, 1e-3, 1e-5, 3e-5)),
    "LoRA": ("LoRA", LABELS, 3, (3e-3, 1e-3, 1e-2)),
    "upper half": ("upper half", LABELS, 3, (1e-4, 3e-4, 1e-3)),
    "one epoch": ("all", LABELS, 1, (3e-4, 1e-4, 1e-3)),
    "random start": ("random start", MANY, 6, (1e-4,)),
}
BASE_EPOCHS, BASE_RATES = {FEW: 10, LABELS: 3}, (3e-5, 1e-4, 1e-5)  # the rate is chosen for LABELS


class Runs:
    """Sentences of Rotten Tomatoes, and experiments on them.

    Attributes:
        profile: the `utils.profiles.Profile` in use.
        tokenizer: of its small encoder.
        train: (texts, labels) to draw from.
        validation, test: (texts, labels); as many of each label.
        experiments: keeps results, and reads those that came with the course.
    """

    def __init__(self, profile) -> None:
        from datasets import load_dataset
        from transformers import AutoTokenizer

        self.profile = profile
        self.tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
        sentences = load_dataset(str(assets.rotten_tomatoes()))
        parts = {name: self._short(part["text"], part["label"]) for name, part in sentences.items()}
        self.train = parts["train"]
        self.validation, self.test = (_balanced(*parts[name], each) for name, each in EACH.items())
        code = [self.drawn, self.rows, self.new_model, self.new_trainer, self.headlines_told, self.vectors, answers]
        self.experiments = Experiments(
            "04", profile, [self.train, self.validation, self.test, self.headlines], code,
            beforehand=ROOT / "notebooks/source/lesson_04/results/runs.json",
        )  # fmt: skip

    def _short(self, texts: Sequence[str], labels: Sequence[int]) -> tuple[list[str], list[int]]:
        ids = self.tokenizer(list(texts))["input_ids"]
        kept = [row for row, of_text in enumerate(ids) if len(of_text) <= LONGEST]
        return [texts[row] for row in kept], [labels[row] for row in kept]

    @cached_property
    def headlines(self) -> tuple[list[str], list[str]]:
        """Headlines of BBC articles and their topics, to ask what is forgotten."""
        articles = split_articles()["train"][:500]
        return [article.headline for article in articles], [article.topic for article in articles]

    def drawn(self, labels: int, seed: int) -> tuple[list[str], list[int]]:
        """So many labelled sentences, drawn by a seed; a larger number holds the smaller one."""
        texts, truth = self.train
        if not 2 <= labels <= len(texts):
            raise ValueError(f"Expected between 2 and {len(texts):,} labels, got {labels}.")
        chosen = np.random.default_rng(seed).permutation(len(texts))[:labels]
        return [texts[row] for row in chosen], [truth[row] for row in chosen]

    def rows(self, texts: Sequence[str], tokenizer=None) -> list[list[int]]:
        """Token ids of each text."""
        return (tokenizer or self.tokenizer)(list(texts), truncation=True, max_length=64)["input_ids"]

    def new_model(self, method: str, seed: int, folder: str = ""):
        """A classifier: "all", "upper half", "LoRA" or "random start" says what is trained and from where."""
        from peft import LoraConfig, get_peft_model
        from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed

        set_seed(seed)  # the new head is random
        folder = folder or self.profile.small_encoder
        options = {"num_labels": 2, "attention_probs_dropout_prob": 0.0}
        if method == "random start":
            return AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder, **options))
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **options)
        if method == "upper half":
            layers = model.base_model.encoder.layer
            for part in [model.base_model.embeddings, *layers[: len(layers) // 2]]:
                part.requires_grad_(False)
        if method == "LoRA":
            config = LoraConfig(
                task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"]
            )
            model = get_peft_model(model, config)
        return model

    def new_trainer(self, model, known, seed: int, rate: float, epochs: int, tokenizer=None):
        """Lesson 02's Trainer; the rate rises over a tenth of the steps, then falls to 0."""
        from datasets import Dataset
        from transformers import PrinterCallback, Trainer, TrainingArguments

        from utils.resume import run_folder

        if not 0 < rate < np.inf:
            raise ValueError(f"Expected a learning rate above 0, got {rate}.")
        texts, labels = known
        args = TrainingArguments(
            output_dir=run_folder("04-experiments"), learning_rate=rate, num_train_epochs=epochs, seed=seed,
            per_device_train_batch_size=8 if len(labels) < 1000 else 16, per_device_eval_batch_size=64,
            warmup_steps=0.1, save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
            **self.profile.arithmetic,
        )  # fmt: skip
        rows = Dataset.from_dict({"input_ids": self.rows(texts, tokenizer), "label": labels})
        trainer = Trainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer or self.tokenizer)
        trainer.remove_callback(PrinterCallback)  # no line for each run
        return trainer

    def run(
        self, method: str, labels: int, seed: int, rate: float, epochs: int, test: bool = True, told: bool = False
    ) -> dict:
        """Train once.

        Args:
            method: see `new_model`.
            labels, seed: see `drawn`; the seed is also that of the head and of the order.
            rate: the peak learning rate.
            epochs: passes over the sentences.
            test: are the test sentences asked, beside those for validation?
            told: are BBC headlines asked, to see what was forgotten?

        Returns:
            Which sentences were judged right, as lists of 0 and 1.
        """
        model = self.new_model(method, seed)
        trainer = self.new_trainer(model, self.drawn(labels, seed), seed, rate, epochs)
        trainer.train()
        judged = answers(trainer, self.rows(self.validation[0]))
        found = {"validation": _bits(judged == self.validation[1]), "stuck": bool(len(set(judged)) == 1)}
        if test:
            found["right"] = _bits(answers(trainer, self.rows(self.test[0])) == self.test[1])
        body = (model.get_base_model() if method == "LoRA" else model).base_model
        return found | (self.headlines_told(body) if told else {})

    def search(self, arm: str) -> list[dict]:
        """The configurations of `run` among which an arm's learning rate is chosen."""
        method, labels, epochs, rates = ARMS[arm]
        seeds = STARTS if arm == "random start" else SEARCH
        return [
            {"method": method, "labels": labels, "seed": seed, "rate": rate, "epochs": epochs,
             "test": rate == rates[0], "told": arm == "all"}
            for rate in rates for seed in seeds
        ]  # fmt: skip

    def searched(self, arm: str) -> dict[float, float]:
        """Learning rate -> share of right validation sentences in %, the mean over seeds; the smallest rate first."""
        return {rate: float(np.mean(of_seeds)) for rate, of_seeds in self.shown(arm, "validation").items()}

    def best_rate(self, arm: str) -> float:
        """The rule for every arm: the rate with the best mean on the validation sentences."""
        found = self.searched(arm)
        return max(found, key=found.get)

    def final(self, arm: str, labels: int, epochs: int = 0) -> list[dict]:
        """The configurations of `run` that are reported, at the arm's best rate."""
        method, _, usual, _ = ARMS[arm]
        more = arm in ("all", "one epoch") and labels == LABELS
        seeds = STARTS if arm == "random start" else SEEDS if more else SEARCH
        return [
            {"method": method, "labels": labels, "seed": seed, "rate": self.best_rate(arm), "epochs": epochs or usual,
             "test": True, "told": arm == "all" and labels == LABELS}
            for seed in seeds
        ]  # fmt: skip

    def results(self, function, configurations: list[dict], title: str = "runs") -> np.ndarray:
        """Which test sentences each run judged right, in %: shape (runs, sentences) of 0 and 100."""
        found = self.experiments.run(function, configurations, title)
        return 100 * np.array([result["right"] for result in found], dtype=float)

    def plotted(self) -> dict[str, dict[int, tuple]]:
        """For the figure of labels: name of a line -> labels -> (function, configurations)."""
        read = {
            name: {n: (function, self._read(function, n, seeds, **given)) for n in numbers}
            for name, (function, given, seeds, numbers) in self.readers().items()
        }
        tuned = {n: (self.run, self.final("all", n, epochs)) for n, epochs in EPOCHS.items()}
        start = {n: (self.run, self.final("random start", n)) for n in (LABELS, MANY)}
        base = {n: (self.tuned, self.final_base(n)) for n in BASE_EPOCHS}
        return {
            BASE_TUNED: base, BASE_FROZEN: read[BASE_FROZEN], SMALL_TUNED: tuned, SMALL_FROZEN: read[SMALL_FROZEN],
            MINI_FROZEN: read[MINI_FROZEN], RANDOM: start, WORDS: read[WORDS],
        }  # fmt: skip

    def readers(self) -> dict[str, tuple]:
        """Name of a line that trains no network -> function, which encoder, seeds, numbers of labels."""
        return {
            BASE_FROZEN: (self.frozen, self._of("base"), CHEAP[:5], (FEW, LABELS)),
            SMALL_FROZEN: (self.frozen, self._of("small"), CHEAP, (FEW, LABELS, MANY)),
            MINI_FROZEN: (self.frozen, self._of("mini"), CHEAP[:5], (FEW, LABELS)),
            WORDS: (self.counted, {}, CHEAP, (FEW, LABELS, MANY, MOST)),
        }

    def _read(self, function, labels: int, seeds: Sequence[int], **given) -> list[dict]:
        """The configurations that are reported, with the best C for so many labels."""
        C = self.best_c(function, labels, **given)
        return [given | {"labels": labels, "seed": seed, "C": C} for seed in seeds]

    def lines(self) -> dict[str, dict[int, np.ndarray]]:
        """For the figure of labels: name of a line -> labels -> outcomes as of `results`."""
        return {
            name: {n: self.results(*asked, title=name) for n, asked in line.items()}
            for name, line in self.plotted().items()
        }

    def shown(self, arm: str, key: str) -> dict[float, list[float]]:
        """For each rate of an arm, smallest first: one number of each seed, the mean of a result's list, in %."""
        found: dict[float, list[float]] = {}
        for one, result in zip(self.search(arm), self.experiments.run(self.run, self.search(arm), arm), strict=True):
            found.setdefault(one["rate"], []).append(100 * float(np.mean(result[key])))
        return dict(sorted(found.items()))

    def asked_after(self, rate: float, key: str) -> np.ndarray:
        """What is found of each headline after training all at a rate, in %: shape (seeds, headlines).

        `key` is "neighbours" or "topics", see `headlines_told`.
        """
        chosen = [one for one in self.search("all") if one["rate"] == rate]
        found = self.experiments.run(self.run, chosen, "forgotten")
        return 100 * np.array([result[key] for result in found], dtype=float)

    def neighbours_by_chance(self) -> float:
        """Of two different headlines, how often do both have the same topic? In %."""
        topics = np.array(self.headlines[1])
        alike = (topics[:, None] == topics).sum() - len(topics)
        return 100 * float(alike) / (len(topics) * (len(topics) - 1))

    def origin(self, *asked: tuple) -> Origin:
        """Where the results of (function, configurations) come from, for a card."""
        all_runs = [(function, one) for function, configurations in asked for one in configurations]
        beforehand = sum(self.experiments.is_beforehand(*run) for run in all_runs)
        fewest = min(len({one["seed"] for one in configurations}) for _, configurations in asked)
        return Origin(yours=len(all_runs) - beforehand, beforehand=beforehand, seeds=fewest)

    def beforehand(self) -> dict:
        """Function -> the configurations whose results come with the course."""
        runs = [one for arm in ARMS for one in self.search(arm)]
        runs += [one for arm in ARMS for one in self.final(arm, ARMS[arm][1])]
        lines = self.plotted()
        runs += [one for line in (SMALL_TUNED, RANDOM) for _, some in lines[line].values() for one in some]
        base = [one for some in self.rates_of_base().values() for one in some]
        base += [one for n in BASE_EPOCHS for one in self.final_base(n)]
        read = {self.tuned: base, self.frozen: [], self.counted: []}
        for name, (function, given, _, numbers) in self.readers().items():
            for n in numbers:
                read[function] += [one for some in self.strengths(function, n, **given).values() for one in some]
                read[function] += lines[name][n][1]
        return {self.run: [one for place, one in enumerate(runs) if one not in runs[:place]], **read}

    def headlines_told(self, body) -> dict:
        """For each headline: is the one with the nearest vector of the same topic? Does a linear reader tell its topic?

        The reader is fitted to four fifths of the headlines and asked about the last, in turn.
        """
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import cross_val_predict

        texts, topics = self.headlines
        vectors, topics = self.vectors(body, self.rows(texts)), np.array(topics)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -np.inf)
        read = cross_val_predict(RidgeClassifier(alpha=0.1), vectors, topics, cv=5)
        return {"neighbours": _bits(topics[cosines.argmax(axis=1)] == topics), "topics": _bits(read == topics)}

    @torch.inference_mode()
    def vectors(self, body, rows: list[list[int]], tokenizer=None) -> np.ndarray:
        """The mean of each text's token vectors in the last layer. Shape (texts, width)."""
        body.eval()
        order = np.argsort([len(ids) for ids in rows], kind="stable")
        found = np.empty((len(rows), body.config.hidden_size), dtype=np.float32)
        for start in range(0, len(rows), 64):
            chosen = order[start : start + 64]
            batch = (tokenizer or self.tokenizer).pad({"input_ids": [rows[row] for row in chosen]}, return_tensors="pt")
            batch = batch.to(body.device)
            states = body(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            mask = batch["attention_mask"][..., None]
            found[chosen] = ((states.float() * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
        return found

    def tuned(self, labels: int, seed: int, rate: float, epochs: int, test: bool = True) -> dict:
        """Fine-tune the base encoder, all weights; see `run`."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder_of("base"))
        model = self.new_model("all", seed, self.folder_of("base"))
        trainer = self.new_trainer(model, self.drawn(labels, seed), seed, rate, epochs, tokenizer)
        trainer.train()
        return self._judged(lambda asked: answers(trainer, self.rows(asked, tokenizer)), test)

    def rates_of_base(self) -> dict[float, list[dict]]:
        """Rate -> the configurations of `tuned` with which it is judged, on validation sentences."""
        given = {"labels": LABELS, "epochs": BASE_EPOCHS[LABELS]}
        return {
            rate: [given | {"seed": seed, "rate": rate, "test": rate == BASE_RATES[0]} for seed in SEARCH]
            for rate in BASE_RATES
        }

    def final_base(self, labels: int) -> list[dict]:
        """The configurations of `tuned` that are reported."""
        given = {"labels": labels, "epochs": BASE_EPOCHS[labels], "test": True}
        return [given | {"seed": seed, "rate": self._best(self.tuned, self.rates_of_base())} for seed in SEARCH]

    def frozen(self, encoder: str, labels: int, seed: int, C: float, test: bool = True, weights: str = "") -> dict:
        """Logistic regression on the frozen vectors of an encoder: "mini", "small" or "base".

        `weights` tells a training of the encoder from another, where that may change; the result is kept under it.
        """
        from sklearn.linear_model import LogisticRegression

        texts, known = self.drawn(labels, seed)
        reader = LogisticRegression(C=C, max_iter=2000).fit(self.read(encoder, tuple(texts)), known)
        return self._judged(lambda asked: reader.predict(self.read(encoder, tuple(asked))), test)

    def counted(self, labels: int, seed: int, C: float, test: bool = True) -> dict:
        """Counting words: TF-IDF and logistic regression."""
        words = counting_words(class_weight="balanced").set_params(logisticregression__C=C)
        words.fit(*self.drawn(labels, seed))
        return self._judged(words.predict, test)

    def _judged(self, predict, test: bool) -> dict:
        parts = {"validation": self.validation} | ({"right": self.test} if test else {})
        return {name: _bits(predict(texts) == np.array(truth)) for name, (texts, truth) in parts.items()}

    def strengths(self, function, labels: int, **given) -> dict[float, list[dict]]:
        """C -> the configurations of `frozen` or `counted` with which it is judged, on validation sentences."""
        return {
            C: [given | {"labels": labels, "seed": seed, "C": C, "test": False} for seed in SEARCH] for C in STRENGTHS
        }

    def best_c(self, function, labels: int, **given) -> float:
        """The same rule for logistic regression, whose C says how freely it fits the labels."""
        return self._best(function, self.strengths(function, labels, **given))

    def _best(self, function, tried: dict[float, list[dict]]) -> float:
        found = {
            value: np.mean([one["validation"] for one in self.experiments.run(function, some, "choices")])
            for value, some in tried.items()
        }
        return max(found, key=found.get)

    def _of(self, encoder: str) -> dict[str, str]:
        """Which encoder, for `frozen`: mini-bert is the course's own, and may be trained anew."""
        return {"encoder": encoder} | ({"weights": weights_of_mini()} if encoder == "mini" else {})

    def folder_of(self, encoder: str) -> str:
        """Of "mini", "small" or "base"."""
        if encoder == "base" and self.profile.name == "embedded":  # a small machine's `encoder` is the small one
            return str(assets.encoder())
        return {"mini": str(MINI), "small": self.profile.small_encoder, "base": self.profile.encoder}[encoder]

    def read(self, encoder: str, texts: tuple[str, ...]) -> np.ndarray:
        """Vectors of texts, each text read once."""
        known, body, tokenizer = _opened(self.folder_of(encoder), self.profile.device)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, self.vectors(body, self.rows(new, tokenizer), tokenizer), strict=True))
        return np.stack([known[text] for text in texts])


@lru_cache(maxsize=1)
def weights_of_mini() -> str:
    """The hash of mini-bert's weights."""
    return hashlib.sha256((MINI / "model.safetensors").read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=4)
def _opened(folder: str, device: str):
    """What is known of an encoder's vectors, the encoder, its tokenizer."""
    from transformers import AutoModel, AutoTokenizer

    body = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device)
    return {}, body, AutoTokenizer.from_pretrained(folder)


def _balanced(texts: list[str], labels: list[int], each: int) -> tuple[list[str], np.ndarray]:
    """So many sentences of each label, drawn by a fixed seed."""
    of_label, rng = np.array(labels), np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(of_label == label))[:each] for label in (0, 1)])
    return [texts[row] for row in chosen], of_label[chosen].tolist()


def _bits(outcomes) -> list[int]:
    return np.asarray(outcomes).astype(int).tolist()
