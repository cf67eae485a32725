# ---
# jupyter:
#   course:
#     name: 04_why_transfer_works
#     title: "Lesson 04: Why transfer works"
#     goals:
#       - read off a figure how many labels pretraining saves, and how it compares with counting words
#       - choose a learning rate knowing what it does to the task and what it makes the model forget
#       - say how many epochs a small and a larger data set need
#       - freeze layers or train with LoRA, and name what each saves
#     minutes_cpu: 2 to 3
#     minutes_gpu: not yet measured
#     needs: lesson 02 for the Trainer
# ---

# %% [markdown]
# ## Four sentences to test
#
# > *Pretraining has already taught BERT the language, so a few labels are enough. Use a tiny learning rate, or you
# > destroy BERT's grammar. One single epoch is enough. Freeze the lower layers.*
#
# The second and the third are from the lesson that this course grew out of; all four are heard often. Each is about an
# amount: how few, how tiny, how many, how low. You will measure the amounts.
#
# The task is small on purpose, so that you can train dozens of times: tell whether a single sentence of a film review
# is positive or negative (Rotten Tomatoes, Pang and Lee 2005). Two pretrained networks take part. Most runs use the
# *encoder* of lessons 02 and 03. The question of what is forgotten needs a network that still has the layer with which
# it was pretrained, so it goes to lesson 01's *BERT*. (Under `full` both are
# bert-base. Under `embedded` the encoder is all-MiniLM-L6-v2, which after its pretraining also learned from very many
# pairs of sentences.)

# %% tags=["plan"]
import numpy as np
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer

from utils import assets

NETWORKS = {"encoder": profile.small_encoder, "BERT": profile.bert}
tokenizers = {name: AutoTokenizer.from_pretrained(folder) for name, folder in NETWORKS.items()}
sentences = load_dataset(str(assets.rotten_tomatoes()))


def balanced(split, of_each):
    labels, rng = np.array(sentences[split]["label"]), np.random.default_rng(0)
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:of_each] for label in (0, 1)]
    rows = sentences[split][np.concatenate(drawn)]
    order = np.argsort([len(text) for text in rows["text"]], kind="stable")  # neighbours need little padding
    return {column: [values[row] for row in order] for column, values in rows.items()}


# %% tags=["plan"]
# NBVAL_CHECK_OUTPUT
train, validation, test = sentences["train"], balanced("validation", 150), balanced("test", 500)
truth = np.array(test["label"])
print(
    f"{len(train):,} sentences to draw from, {len(validation['text'])} to choose with, {len(truth):,} for the results"
)
for row in (0, len(truth) // 2, -1):
    print(f"{['negative', 'positive'][truth[row]]}: {test['text'][row]}")

# %% [markdown]
# ## 1. One function for all experiments
#
# A *run* takes a network, a method, a number of labels, a seed, a learning rate and a number of epochs. The seed
# decides which sentences are drawn, how new weights start, and the order of the sentences. The methods:
#
# - *fine-tuned*: all weights start from the pretrained ones and are trained,
# - *random start*: the same network, nothing pretrained, all weights are trained,
# - *half frozen*: fine-tuned, but the embeddings and the lower half of the layers stay as they are,
# - *head only*: nothing but the new classifier on top, the *head*, is trained,
# - *LoRA* (Hu et al. 2021): the pretrained weights stay. In each layer, the two matrices that make the queries and the
#   values of the attention get a detour: one thin matrix that makes 8 numbers of the input (8 is the *rank*), and one
#   that makes an output of these. Only detours and head are trained. The library is `peft`.

# %% tags=["plan"]
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed


def with_lora(model):
    detours = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
    return get_peft_model(model, detours)


# %% tags=["plan"]
def new_model(network, method, seed):
    set_seed(seed)  # the new head is random
    folder = NETWORKS[network]
    options = {"num_labels": 2, "attention_probs_dropout_prob": 0.0}
    how = {"dtype": torch.float32, "attn_implementation": profile.attention}  # the quicker one for short texts
    if method == "random start":
        return AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder, **options), **how)
    model = AutoModelForSequenceClassification.from_pretrained(folder, **options, **how)
    body, layers = model.base_model, model.base_model.encoder.layer
    still = {"half frozen": [body.embeddings, *layers[: len(layers) // 2]], "head only": [body]}
    for part in still.get(method, []):
        part.requires_grad_(False)
    return with_lora(model) if method == "LoRA" else model


# %%
# NBVAL_CHECK_OUTPUT
for method in ("fine-tuned", "half frozen", "LoRA", "head only"):
    weights = [values.numel() for values in new_model("encoder", method, 0).parameters() if values.requires_grad]
    print(f"{method:<12} {sum(weights):>10,} weights trained")

# %% [markdown]
# The training is lesson 02's `Trainer`. With fewer than 1,000 labels a batch has 8 sentences, so that there are steps
# enough.

# %% tags=["plan"]
from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments

from utils.resume import run_folder


def drawn(labels, seed):
    if not 2 <= labels <= len(train):
        raise ValueError(f"Expected between 2 and {len(train):,} labels, got {labels}.")
    return train[np.random.default_rng(seed).permutation(len(train))[:labels]]


def as_rows(part, network):
    if not part["label"] or not set(part["label"]) <= {0, 1}:
        raise ValueError(f"Expected sentences with the labels 0 and 1, got the labels {sorted(set(part['label']))}.")
    ids = tokenizers[network](part["text"], truncation=True, max_length=64)["input_ids"]
    return Dataset.from_dict({"input_ids": ids, "labels": part["label"], "length": [len(row) for row in ids]})


def accuracy(outputs):
    return {"accuracy": float((outputs.predictions.argmax(axis=1) == outputs.label_ids).mean())}


# %% tags=["plan"]
def new_trainer(model, network, labels, seed, rate, epochs, curve=False):
    if not 0 < rate < np.inf:
        raise ValueError(f"Expected a learning rate above 0, got {rate}.")
    args = TrainingArguments(
        output_dir=run_folder("04-experiments"), learning_rate=rate, num_train_epochs=epochs, seed=seed,
        per_device_train_batch_size=8 if labels < 1000 else 16, per_device_eval_batch_size=64, warmup_steps=0.1,
        train_sampling_strategy="group_by_length", eval_strategy="epoch" if curve else "no",
        save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
        bf16=profile.precision == "bfloat16", fp16=profile.precision == "float16", use_cpu=profile.device == "cpu",
    )  # fmt: skip
    collator = DataCollatorWithPadding(tokenizers[network], pad_to_multiple_of=8)
    rows = as_rows(drawn(labels, seed), network), as_rows(validation, network)
    trainer = Trainer(model, args, collator, *rows, compute_metrics=accuracy)
    trainer.remove_callback(PrinterCallback)  # no line for each run
    return trainer


# %% [markdown]
# What has a network forgotten? Put it back under the original layer that guesses hidden tokens, and ask two things of
# it. First the loss at hidden tokens of film reviews. Then grammar, with *minimal pairs*: two sentences that differ in
# one place, the first right, the second wrong (*The actors are very good. The actors is very good.*). A network knows
# the rule if it gives the first the higher probability: hide one token after the other, and add up the losses (Salazar
# et al. 2020, arXiv 1910.14659). Guessing is right for half of the pairs. Both measure what the *original layer* can
# still use: where it fails, the knowledge may be gone, or may have moved. The pairs resemble each other, so that their
# intervals are a rough guide.

# %% tags=["plan"]
from transformers import AutoModelForMaskedLM

from utils.forgetting import Forgetting
from utils.intervals import mean, share

original = AutoModelForMaskedLM.from_pretrained(profile.bert, dtype=torch.float32)
original = original.to(profile.device)
imdb = load_dataset(profile.imdb)
reviews = [text.replace("<br />", " ") for text in imdb["test"].shuffle(seed=0).select(range(150))["text"]]
forgetting = Forgetting(original, tokenizers["BERT"], reviews)

# %%
before = forgetting.measure(original.base_model)
print(f"before fine-tuning: {mean(before['hidden'])} nats at hidden tokens of reviews,")
print(f"{share(before['grammar'])} of {len(before['grammar'])} minimal pairs right")

# %% [markdown]
# A run gives back which test sentences it got right and, if asked, the validation accuracy after each epoch. A random
# start may get stuck: whatever the sentence, it gives one label. You would notice and start again, and so does the run,
# twice at most.


# %% tags=["plan"]
def answers(trainer, part, network):
    return trainer.predict(as_rows(part, network)).predictions.argmax(axis=1)


def run(network, method, labels, seed, rate, epochs, curve=False, asked=False):
    for starts in (1, 2, 3):
        model = new_model(network, method, seed + 100 * (starts - 1))
        trainer = new_trainer(model, network, labels, seed, rate, epochs, curve)
        trainer.train()
        trainer.args.train_sampling_strategy = "sequential"  # answers in the order of the sentences
        if method != "random start" or len(set(answers(trainer, validation, network))) > 1:
            break
    right = (answers(trainer, test, network) == truth).astype(int).tolist()
    after_epochs = [row["eval_accuracy"] for row in trainer.state.log_history if "eval_accuracy" in row]
    found = {"right": right, "starts": starts, "curve": after_epochs}
    return found | (forgetting.measure(model.base_model) if asked else {})


# %% [markdown]
# One more method trains no weight of the network at all. *Frozen + linear*: average the vectors of a sentence's tokens,
# and let a linear classifier learn from the averages (ridge regression, its strength chosen by cross-validation). The
# vectors can be read after any layer.

# %% tags=["plan"]
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel


def in_batches(rows, tokenizer, size=128):
    """Numbers of the rows and padded batches of similar length."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        yield numbers, tokenizer.pad({"input_ids": [rows[number] for number in numbers]}, return_tensors="pt")


# %% tags=["plan"]
@torch.inference_mode()
def layer_vectors(body, texts):
    """For each layer, the mean of its vectors over each text. Shape (layers + 1, texts, width); embeddings first."""
    ids = tokenizers["encoder"](list(texts), truncation=True, max_length=64)["input_ids"]
    found = [None] * len(ids)
    for numbers, batch in in_batches(ids, tokenizers["encoder"]):
        with torch.autocast(profile.device, torch.bfloat16, enabled=profile.precision == "bfloat16"):
            layers = body(**batch.to(profile.device), output_hidden_states=True).hidden_states
        mask = batch["attention_mask"][:, :, None]
        means = torch.stack([(layer.float() * mask).sum(dim=1) / mask.sum(dim=1) for layer in layers])
        for number, of_text in zip(numbers, means.cpu().numpy().swapaxes(0, 1), strict=True):
            found[number] = of_text
    return np.stack(found, axis=1)


# %% tags=["plan"]
SEEDS = (0, 1, 2)


def linear_head():
    return make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(1, 5, 9)))


def body_of(pretrained):
    set_seed(0)
    folder = NETWORKS["encoder"]
    if pretrained:
        body = AutoModel.from_pretrained(folder, dtype=torch.float32)
    else:
        body = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    return body.to(profile.device).eval()


# %% tags=["plan"]
def read_layers(labels, pretrained=True):
    """Which test sentences a linear head on each layer gets right. Shape (layers + 1, seeds, sentences)."""
    body = body_of(pretrained)
    asked, right = layer_vectors(body, test["text"]), []
    for seed in SEEDS:
        known = drawn(labels, seed)
        layers = zip(layer_vectors(body, known["text"]), asked, strict=True)
        right.append([linear_head().fit(of, known["label"]).predict(to_tell) == truth for of, to_tell in layers])
    return {"right": np.swapaxes(right, 0, 1).astype(int).tolist()}


# %% [markdown]
# Each result is kept in your cache under all that decides it: the configuration, the code above, the data, the profile,
# the releases of the libraries. Run a cell again and it is instant; interrupt it, and only the runs that were going on
# are lost. On a CPU several runs go on side by side, each on one core. To measure all afresh, delete the folder
# `experiments` in the cache.
#
# On two cores, hundreds of steps with thousands of labels and several seeds take longer than a lesson. So under
# `embedded` fine-tuning and LoRA with 200 labels and the first seed are yours; the other runs were made beforehand, by
# these functions (`python -m notebooks.source.lesson_04.beforehand runs`). Change a function above, and
# all runs are yours.

# %% tags=["plan"]
import hashlib

from joblib import cpu_count

from utils.experiments import Experiments


def fingerprint(folder):
    body = AutoModel.from_pretrained(folder)
    parts = [values.detach().numpy() for name, values in body.named_parameters() if "pooler" not in name]  # may be new
    return hashlib.sha256(b"".join(one.tobytes() for one in parts)).hexdigest()


# %% tags=["plan"]
networks = [fingerprint(folder) for folder in NETWORKS.values()]
ids = [list(as_rows(test, network)["input_ids"]) for network in NETWORKS]
data = [networks, SEEDS, list(train["text"]), list(train["label"]), validation, test, ids, reviews, forgetting.pairs]
code = [with_lora, new_model, drawn, as_rows, accuracy, new_trainer, answers, Forgetting]
code += [in_batches, layer_vectors, linear_head, body_of]
experiments = Experiments(
    "04", profile, data, code, jobs=1 if profile.device == "cuda" else min(4, cpu_count()),
    beforehand=course / "notebooks/source/lesson_04/results/runs.json",
)  # fmt: skip

# %% [markdown]
# ## 2. How many labels does pretraining save?
#
# Take 50, 200, 1,000 and 4,000 labels; small sets get more epochs, so that they get steps enough. The learning rates of
# `embedded` were chosen on the validation sentences, with two to four other seeds: for each method and number of labels
# the smallest rate within a point of the best one (`source/lesson_04/results/rates.json`; 50 labels take the rates
# of 200, and with 4,000 only fine-tuning and the random start were searched).

# %% tags=["plan"]
LABELS = FEWEST, LIVE, MORE, MANY = 50, 200, 1000, 4000
EPOCHS = dict(zip(LABELS, (10, 5, 3, 2), strict=True))
if profile.name == "full":  # usual rates for bert-base
    RATES = {"fine-tuned": [2e-5] * 4, "half frozen": [2e-5] * 4, "LoRA": [2e-4] * 4, "head only": [1e-3] * 4,
             "random start": [1e-4] * 4}  # fmt: skip
else:  # one for each number of labels
    RATES = {
        "fine-tuned": [5e-5, 5e-5, 5e-5, 1e-4], "half frozen": [1e-4, 1e-4, 2e-4, 2e-4], "LoRA": [2e-3] * 4,
        "head only": [3e-2] * 4, "random start": [1e-4, 1e-4, 2e-4, 2e-4],
    }  # fmt: skip


def planned(labels, methods=tuple(RATES), epochs=None):
    return [
        {"network": "encoder", "method": method, "labels": labels, "seed": seed,
         "rate": RATES[method][LABELS.index(labels)], "epochs": epochs or EPOCHS[labels],
         "curve": method == "fine-tuned" and epochs is None}
        for method in methods for seed in SEEDS
    ]  # fmt: skip


# %% tags=["plan"]
of_live = planned(LIVE, ["fine-tuned", "LoRA"]) + planned(LIVE, ["fine-tuned"], epochs=1)
live, others = ([one for one in of_live if (one["seed"] == SEEDS[0]) == first] for first in (True, False))
some = ["fine-tuned", "LoRA", "random start"]
beforehand_runs = (
    others + planned(FEWEST, some) + planned(LIVE, ["half frozen", "head only", "random start"]) + planned(MORE)
)
beforehand_runs += planned(MANY, some) + planned(MORE, ["fine-tuned"], epochs=1)
beforehand_runs += planned(MANY, ["fine-tuned"], epochs=1)
reads = [{"labels": labels} for labels in LABELS]
beforehand_reads = [one for one in reads if one["labels"] != LIVE]

# %%
# NBVAL_CHECK_OUTPUT
print(f"{len(live)} runs with {LIVE} labels, {len(beforehand_runs)} others; seeds {SEEDS}")
for one in live:
    print({name: one[name] for name in ("method", "labels", "rate", "epochs")})

# %%
finished = experiments.run(run, live + beforehand_runs, "label budgets")
layers_read = experiments.run(read_layers, reads, "frozen encoder")

# %% [markdown]
# Beside them stand two baselines. Always giving one label is right for half of these test sentences. *Counting words*
# is TF-IDF and logistic regression, as in lesson 02, with C = 10, not tuned.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer


def counting_words():
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10))


def words_right(labels, seed):
    known = drawn(labels, seed)
    return counting_words().fit(known["text"], known["label"]).predict(test["text"]) == truth


# %%
right = {("counting words", labels): [words_right(labels, seed) for seed in SEEDS] for labels in LABELS}
right |= {("frozen + linear", one["labels"]): of["right"][-1] for one, of in zip(reads, layers_read, strict=True)}
one_epoch, curves = {}, {}
for one, result in zip(live + beforehand_runs, finished, strict=True):
    short = one["epochs"] != EPOCHS[one["labels"]]
    (one_epoch if short else right).setdefault((one["method"], one["labels"]), []).append(result["right"])
    if one["curve"]:
        curves.setdefault(one["labels"], []).append(result["curve"])
right, one_epoch = ({key: 100 * np.array(of, dtype=float) for key, of in kept.items()} for kept in (right, one_epoch))

# %%
from utils.intervals import Number, over_seeds

accuracies = {key: over_seeds(of_seeds, "%") for key, of_seeds in right.items()}
ORDER = ["fine-tuned", "LoRA", "half frozen", "frozen + linear", "head only", "random start", "counting words"]
for name in ORDER:
    print(f"{name:<16}", *[f"{n:>5,}: {accuracies[name, n]!s:<21}" for n in LABELS if (name, n) in accuracies])
again = sum(result["starts"] - 1 for result in finished)
print(f"{again} times a random start was stuck and was started again")
own = [one for one in live + beforehand_runs if not experiments.is_beforehand(run, one)]
print(f"{len(own)} runs measured on this machine, {len(finished) - len(own)} come with the course")

# %% [markdown]
# The intervals are for other test sentences and other seeds at once (about 95%; with three seeds they are wide). In the
# figure hollow marks were all measured beforehand; of a filled one, at least the run with the first seed is yours.

# %%
from utils import plots

LINES = {
    "fine-tuned": (plots.BLUE, "-", "o"), "LoRA": (plots.BLUE, ":", "s"), "frozen + linear": (plots.GREEN, "-", "^"),
    "counting words": (plots.BLACK, "--", "D"), "random start": (plots.ORANGE, "-", "v"),
}  # fmt: skip
measured_here = {(one["method"], one["labels"]) for one in own} | {("counting words", labels) for labels in LABELS}
measured_here |= {
    ("frozen + linear", one["labels"]) for one in reads if not experiments.is_beforehand(read_layers, one)
}
fig, ax = plots.figure(4.2)
for shift, (name, (color, line, mark)) in enumerate(LINES.items()):
    budgets = [labels for labels in LABELS if (name, labels) in accuracies]
    found = [accuracies[name, labels] for labels in budgets]
    at = np.array(budgets) * 1.03 ** (shift - 2)  # side by side, so that the intervals can be seen
    plots.number_line(ax, at, found, color=color, linestyle=line, label=name, marker=mark)
    hollow = [(name, budget) not in measured_here for budget in budgets]
    for place, number, is_hollow in zip(at, found, hollow, strict=True):
        if is_hollow:
            ax.plot(place, number.value, mark, color=color, markerfacecolor="white", zorder=5)

# %%
ax.axhline(50, color=plots.BLACK, linewidth=0.8)
ax.set(xscale="log", xlabel="labelled sentences", ylabel="right (%)", ylim=(None, 100))
ax.set_xticks(LABELS, [f"{labels:,}" for labels in LABELS])
ax.minorticks_off()
ax.legend(fontsize=8, ncols=2, loc="upper left")
ahead = over_seeds(right["fine-tuned", LIVE] - right["random start", MANY])
compared = {True: "beats", None: "cannot be told from", False: "is behind"}[ahead.above(0)]
title = f"Fine-tuning with {LIVE} labels {compared} a random start with {MANY:,}"
fig.suptitle(title)
plots.show(fig, f"{title}. " + "; ".join(f"{name}, {n} labels: {one}" for (name, n), one in accuracies.items()))

# %%
from utils import claims

MARGIN = 3  # points that this lesson calls a small difference


def gap(one, other):
    return over_seeds(right[one] - right[other], " points")


def origin_of(*methods, labels, epochs=None):
    used = [one for one in live + beforehand_runs if one["method"] in methods and one["labels"] in labels]
    used = [one for one in used if one["epochs"] == (epochs or EPOCHS[one["labels"]])]
    here = sum(one in own for one in used)
    return claims.Origin(yours=here, beforehand=len(used) - here, seeds=len(SEEDS))


ENCODER = claims.with_size(NETWORKS["encoder"], body_of(True))


# %%
tuned = "fine-tuned", LIVE
over = {
    other: gap(tuned, other) for other in (("random start", LIVE), ("counting words", LIVE), ("random start", MANY))
}
few = gap(tuned, ("random start", MORE))
missing = gap(("fine-tuned", MANY), tuned)
claims.record(
    "04.1",
    f"Pretraining saves labels: {LIVE} do more than {MORE:,} from random weights.",
    tests={f"{LIVE} labels beat a random start with {MORE:,}": few.above(0)},
    number={f"fine-tuned with {LIVE} labels, above a random start with {MORE:,}": few},
    context={f"{name}, {LIVE} labels": accuracies[name, LIVE] for name in LINES}
    | {f"above {name}, {n:,} labels": number for (name, n), number in over.items()}
    | {f"what {MANY:,} labels add to {LIVE}, fine-tuned": missing},
    model=ENCODER,
    origin=origin_of("fine-tuned", "random start", labels=(LIVE, MORE)),
    source="Howard and Ruder 2018, arXiv 1801.06146, section 5, on few labels; here short sentences only",
    profile=profile.name,
)

# %%
baselines = "random start", "counting words"
leads = {(other, n): right["fine-tuned", n] - right[other, n] for other in baselines for n in LABELS}
shrinks = {
    (other, n): over_seeds(leads[other, n] - leads[other, MANY], " points")
    for other in baselines for n in (FEWEST, LIVE)
}  # fmt: skip
claims.record(
    "04.2",
    f"From {LIVE} labels on, the more there are, the less pretraining matters.",
    tests={"the lead over a random start shrinks": shrinks["random start", LIVE].above(0)},
    number={f"what the lead loses from {LIVE} to {MANY:,} labels": shrinks["random start", LIVE]},
    context={f"above {other}, {n:,} labels": over_seeds(of, " points") for (other, n), of in leads.items()}
    | {f"what the lead over {other} loses from {n} labels on": lost for (other, n), lost in shrinks.items()},
    model=ENCODER,
    origin=origin_of("fine-tuned", "random start", labels=(LIVE, MANY)),
    source=f"{len(truth):,} sentences of Rotten Tomatoes",
    profile=profile.name,
)

# %% [markdown]
# A lead cannot be large where neither has learned anything: look at both ends of the lines before you believe in a
# trend.
#
# Counting words costs a second and no download. It is the baseline to beat. On whole reviews, which say their opinion
# in many words, it is harder to beat: compare lesson 02's result.
#
# The random start has the same number of weights and sees the same sentences. What it lacks, it would have to learn
# from them in these few epochs; with more epochs it may catch up further.
#
# ## 3. The tiny learning rate
#
# How tiny must it be, and what happens to the grammar? Fine-tune lesson 01's BERT with 1,000 labels for one epoch at
# six rates, over five orders of magnitude, and ask three things after each: the task, the grammar, and the loss at
# hidden tokens. Under `embedded` the runs at the usual rate, a hundredth of it and ten times it are yours, with the
# first seed; the others come with the course.

# %% tags=["plan"]
usual = 2e-5 if profile.name == "full" else 3e-4
SWEEP = [usual * times for times in (0.01, 0.1, 1, 3, 10, 1000)]
rates = [
    {"network": "BERT", "method": "fine-tuned", "labels": MORE, "seed": seed, "rate": rate, "epochs": 1, "curve": True,
     "asked": True}
    for rate in SWEEP for seed in SEEDS
]  # fmt: skip
own_rates = [usual * times for times in (0.01, 1, 10)]
beforehand_rates = [one for one in rates if one["seed"] != SEEDS[0] or one["rate"] not in own_rates]

# %%
swept = experiments.run(run, rates, "learning rates")
own_sweep = sum(not experiments.is_beforehand(run, one) for one in rates)
BERT = claims.with_size(NETWORKS["BERT"], AutoModel.from_pretrained(NETWORKS["BERT"]))


def of_rate(rate, key):
    return np.array([result[key] for one, result in zip(rates, swept, strict=True) if one["rate"] == rate], dtype=float)


# %%
task = {rate: over_seeds(100 * of_rate(rate, "right"), "%") for rate in SWEEP}
grammar = {rate: over_seeds(100 * of_rate(rate, "grammar"), "%") for rate in SWEEP}
hidden = {rate: over_seeds(of_rate(rate, "hidden")) for rate in SWEEP}
chosen = {rate: 100 * of_rate(rate, "curve").mean() for rate in SWEEP}
best = max(SWEEP, key=chosen.get)
print(f"{'rate':<8} {'validation':<11} {'task (right)':<22} {'grammar (right)':<22} nats at hidden tokens")
for rate in SWEEP:
    print(f"{rate:<8.2g} {chosen[rate]:<11.1f} {task[rate]!s:<22} {grammar[rate]!s:<22} {hidden[rate]}")


# %%
def lost(rate, key, scale=1, unit=""):
    return over_seeds(scale * (of_rate(rate, key) - np.array(before[key])), unit)


# %%
fig, axes = plots.figure(5.4, rows=3, sharex=True)
blind = float(np.log(len(tokenizers["BERT"])))
untouched = {"grammar": share(before["grammar"]).value, "hidden": float(np.mean(before["hidden"]))}
panels = (("task: right (%)", task, 50, None), ("grammar: right (%)", grammar, 50, untouched["grammar"]),
          ("hidden tokens: nats", hidden, blind, untouched["hidden"]))  # fmt: skip
for ax, (label, found, guessing, start) in zip(axes, panels, strict=True):
    plots.number_line(ax, SWEEP, list(found.values()), color=plots.BLUE, marker="o")
    ax.axhline(guessing, color=plots.BLACK, linestyle=":", label="all equally likely")
    if start is not None:
        ax.axhline(start, color=plots.GREEN, linestyle="--", label="before fine-tuning")
    ax.set_ylabel(label, fontsize=9)
    ax.set(xscale="log")
axes[1].legend(fontsize=8, loc="lower left")
axes[2].set(xlabel="learning rate")
rises = {True: "has risen", None: "may have risen", False: "has fallen"}[lost(best, "hidden").above(0)]
fig.suptitle(f"Best rate for the task: {best:.1g}. There the loss at hidden tokens {rises}")
plots.show(fig, f"Three curves over the learning rate; best for the task {best:.1g}. " + "; ".join(
    f"{rate:.2g}: task {task[rate]}, grammar {grammar[rate]}, loss {hidden[rate]}" for rate in SWEEP))  # fmt: skip


# %%
grammar_lost = {rate: lost(rate, "grammar", -100, " points") for rate in SWEEP}
ruin = min((rate for rate in SWEEP if rate > 9.9 * best), default=SWEEP[-1])
claims.record(
    "04.3",
    "Use a tiny learning rate, or you destroy BERT's grammar.",
    tests={
        f"ten times the best rate destroys it: over 10 points lost at {ruin:.1g}": grammar_lost[ruin].above(10),
        f"the best rate keeps it: under {MARGIN} points lost at {best:.1g}": grammar_lost[best].below(MARGIN),
    },
    on="the rate",
    number={f"grammar lost at {ruin:.1g}": grammar_lost[ruin]},
    context={"best of these rates for the task": best}
    | {f"grammar lost at {rate:.1g}": number for rate, number in grammar_lost.items()}
    | {"nats at hidden tokens added at the best rate": lost(best, "hidden"), f"task at {SWEEP[0]:.1g}": task[SWEEP[0]]},
    model=BERT,
    origin=claims.Origin(yours=own_sweep, beforehand=len(rates) - own_sweep, seeds=len(SEEDS)),
    source="Sun et al. 2019, arXiv 1905.05583: at 4e-4 the training of bert-base does not converge. The minimal pairs "
    "are this course's",
    profile=profile.name,
)

# %% [markdown]
# Look for three ranges in the figure: rates at which nothing is destroyed and nothing is learned; rates at which the
# task is learned and grammar kept; rates at which both are lost, and the validation accuracy says so. Then look at the
# loss at hidden tokens. It may rise before grammar falls, and beyond guessing evenly: the original layer is sure, and
# wrong. For a classifier that may not matter, since it need not guess words any more; it does where one network is to
# do several things. LoRA is said to forget less, at the price of learning less (Biderman et al. 2024, arXiv
# 2405.09673).
#
# ## 4. Is one epoch enough?
#
# Section 2 kept the validation accuracy after each epoch of fine-tuning:

# %%
fig, ax = plots.figure(2.8)
marks = dict(zip(LABELS, "vso^", strict=True))
colors = dict(zip(LABELS, (plots.GREY, plots.ORANGE, plots.BLUE, plots.GREEN), strict=True))
for labels, of_seeds in sorted(curves.items()):
    curve = 100 * np.array(of_seeds)
    epochs = np.arange(1, curve.shape[1] + 1)
    ax.plot(epochs, curve.T, color=colors[labels], linewidth=0.8, alpha=0.6)
    ax.plot(
        epochs, curve.mean(axis=0), color=colors[labels], marker=marks[labels], linewidth=2, label=f"{labels:,} labels"
    )
ax.set(xlabel="epochs", ylabel="validation: right (%)", xticks=range(1, max(EPOCHS.values()) + 1))
ax.legend(fontsize=8, ncols=2, loc="lower right")
ends = {labels: 100 * np.mean(of_seeds, axis=0)[[0, -1]] for labels, of_seeds in sorted(curves.items())}
title = "; ".join(f"{labels:,} labels: {first:.0f} to {last:.0f}%" for labels, (first, last) in ends.items())
gains = {labels: last - first for labels, (first, last) in ends.items()}
fig.suptitle(f"From the first to the last epoch: {gains[LIVE]:+.0f} points with {LIVE} labels, "
             f"{gains[MANY]:+.0f} with {MANY:,}")  # fmt: skip
plots.show(fig, f"Validation accuracy over epochs, a thin line for each seed, the mean thick. {title}.")

# %% [markdown]
# The first epoch of a long run is no fair picture of a run of one epoch, in which the rate falls to 0 within that
# epoch. So these runs were made too, and judged on the test sentences:

# %%
more = {
    n: over_seeds(right["fine-tuned", n] - of, " points")
    for (_, n), of in sorted(one_epoch.items(), key=lambda one: one[0][1])
}
claims.record(
    "04.4",
    "One single epoch is enough.",
    tests={f"{n:,} labels": gain.below(MARGIN) for n, gain in more.items()},
    on="the number of labels",
    number={f"what {EPOCHS[LIVE]} epochs gain over one, {LIVE} labels": more[LIVE]},
    context={f"{n:,} labels, one epoch": over_seeds(one_epoch["fine-tuned", n], "%") for n in more}
    | {f"{n:,} labels, {EPOCHS[n]} epochs: gained": gain for n, gain in more.items()},
    model=ENCODER,
    origin=origin_of("fine-tuned", labels=list(more), epochs=1),
    source=f"Enough: more gain less than {MARGIN} points; each at the rate of the longer run. Few labels need more "
    "steps and vary more: Zhang et al. 2020, arXiv 2006.05987; Mosbach et al. 2020, arXiv 2006.04884",
    profile=profile.name,
)

# %% [markdown]
# An epoch over few sentences is few steps: with the batches of this lesson 25 for 200 sentences, 250 for 4,000. At a
# given rate, too few steps leave a network where it started; a larger rate may make up for some of them.
#
# ## 5. Which layers carry it?
#
# *Frozen + linear* read the last layer. Read every layer, and for comparison those of the same network with random
# weights, embeddings included (one such network, so the interval does not cover others). With pretrained word
# embeddings a random encoder goes surprisingly far: Wieting and Kiela 2019, arXiv 1901.10444.

# %%
(untrained,) = experiments.run(read_layers, [{"labels": LIVE, "pretrained": False}], "random weights")
by_layer = {"pretrained": layers_read[LABELS.index(LIVE)]["right"], "random weights": untrained["right"]}
by_layer = {name: 100 * np.array(of, dtype=float) for name, of in by_layer.items()}
fig, ax = plots.figure(2.8)
for (name, layers), color in zip(by_layer.items(), (plots.GREEN, plots.GREY), strict=True):
    found = [over_seeds(of_layer, "%") for of_layer in layers]
    plots.number_line(ax, np.arange(len(found)), found, color=color, marker="o", label=name)
    print(f"{name}:", *[f"\n  layer {number}: {one}" for number, one in enumerate(found)])
words = accuracies["counting words", LIVE].value
ax.axhline(words, color=plots.BLACK, linestyle="--", label="counting words")
ax.set(xlabel="layer (0: embeddings)", ylabel="right (%)")
ax.legend(fontsize=8)
top = int(by_layer["pretrained"].mean(axis=(1, 2)).argmax())
title = f"With {LIVE} labels, layer {top} of {len(layers) - 1} scored highest here"
fig.suptitle(title)
plots.show(fig, f"{title}. Counting words: {words:.1f}%. The numbers stand above.")

# %%
last, lowest = by_layer["pretrained"][-1], by_layer["pretrained"][0]
middle = by_layer["pretrained"][(len(by_layer["pretrained"]) - 1) // 2]
lower = {"the embeddings": lowest, "the middle layer": middle, "the layer below": by_layer["pretrained"][-2]}
above = {name: over_seeds(last - other, " points") for name, other in lower.items()}
beyond_random = over_seeds(last - by_layer["random weights"][-1], " points")
claims.record(
    "04.5",
    "The upper layers carry the meaning: read the last one.",
    tests={"the last layer beats the layer below it": above["the layer below"].above(0)},
    number={"last layer, above the layer below": above["the layer below"]},
    context={"last layer": over_seeds(last, "%"), "above that of a network with random weights": beyond_random}
    | {f"above {name}": number for name, number in above.items()},
    model=ENCODER,
    origin=claims.Origin(yours=1, seeds=len(SEEDS)),
    source="Tenney et al. 2019, arXiv 1905.05950, on what BERT's layers know",
    profile=profile.name,
)

# %% [markdown]
# (To choose a layer for your own task, use validation sentences.)
#
# Reading shows what is there. Training decides what is needed: freeze the embeddings and the lower half of the layers,
# or all layers, while the rest is fine-tuned. The accuracies stand in section 2; what is saved is measured here, for
# one step with 16 sentences of 32 tokens, each method alone on the machine. A step must keep the outputs of the layers
# for the backward pass, one gradient for each trained weight, and two running means of the gradients, of which Adam
# makes its step.

# %%
import time


def in_fast_precision():
    return torch.autocast(profile.device, torch.bfloat16, enabled=profile.precision == "bfloat16")


def kept_for_backward(model, batch):
    """Bytes that a forward pass keeps for the backward pass; parameters are left out."""
    own, kept = {one.untyped_storage().data_ptr() for one in model.parameters()}, {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), in_fast_precision():
        model(**batch)
    return sum(kept.values())


# %%
def cost_of(method):
    """Trained and all weights, MiB that training keeps, and seconds of a step (the median of seven)."""
    model = new_model("encoder", method, 0).to(profile.device).train()
    trained = [one for one in model.parameters() if one.requires_grad]
    ids = torch.full((16, 32), tokenizers["encoder"].unk_token_id, device=profile.device)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % 2}
    size, optimizer, seconds = sum(one.numel() for one in trained), torch.optim.AdamW(trained, fused=True), []
    memory = kept_for_backward(model, batch) + 12 * size  # gradient and two means: 4 bytes each
    for _ in range(9):
        started = time.perf_counter()
        with in_fast_precision():
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - started if loss.item() else 0)  # .item() waits for a GPU
    return size, sum(one.numel() for one in model.parameters()), memory / 2**20, float(np.median(seconds[2:]))


costs = {method: cost_of(method) for method in RATES}

# %%
import pickle

started = time.perf_counter()
words = counting_words().fit(drawn(LIVE, 0)["text"], drawn(LIVE, 0)["label"])
seconds, weights, stored = time.perf_counter() - started, words[-1].coef_.size + 1, len(pickle.dumps(words))
width = body_of(pretrained=True).config.hidden_size

# %%
from IPython.display import Markdown

rows = [
    "| method | right | weights trained | one step | memory besides the weights | stored for the task |",
    "|---" * 6 + "|",
]
rows += ["| one label | 50% | 0 | no steps | 0 | 1 bit |"]
rows += [f"| counting words | {accuracies['counting words', LIVE]} | {weights:,} | {1000 * seconds:.0f} ms for all | "
         f"small | {stored / 2**20:.2g} MiB |"]  # fmt: skip
rows += [f"| frozen + linear | {accuracies['frozen + linear', LIVE]} | {width + 1:,} | no steps | small | "
         f"{4 * (width + 1) / 2**20:.2g} MiB |"]  # fmt: skip
for method, (size, of_all, memory, seconds) in sorted(costs.items(), key=lambda one: one[1][0]):
    percent = f"{100 * size / of_all:.2g}" if size < of_all else "100"
    rows += [f"| {method} | {accuracies[method, LIVE]} | {size:,} ({percent}%) | {1000 * seconds:.0f} ms | "
             f"{memory:.3g} MiB | {4 * size / 2**20:.2g} MiB |"]  # fmt: skip
Markdown("\n".join(rows))

# %% [markdown]
# (*Right* is with 200 labels. *Stored* is what differs from the pretrained weights.) Below the lowest trained weight
# nothing need be kept, and the backward pass ends there: that is why freezing from below saves time and memory. LoRA's
# detours sit in every layer, so that it saves gradients and Adam's means, but must keep outputs. *Head only* and
# *frozen + linear* train as good as nothing, and still differ: the one reads the vector of `[CLS]` through a layer that
# pretraining made for other ends and takes few steps, the other averages over all tokens and is solved exactly.

# %%
saved = {"time of a step": 3, "memory to train": 2}
saved = {what: 100 * (1 - costs["half frozen"][place] / costs["fine-tuned"][place]) for what, place in saved.items()}
half_lost = {n: gap(("fine-tuned", n), ("half frozen", n)) for n in LABELS if ("half frozen", n) in right}
claims.record(
    "04.6",
    "Freeze the lower layers.",
    tests={f"accuracy kept, {n:,} labels": number.below(MARGIN) for n, number in half_lost.items()}
    | {f"{what} saved": value > 25 for what, value in saved.items()},
    on="what counts",
    number={f"lost with the embeddings and the lower half frozen, {MORE:,} labels": half_lost[MORE]},
    context={f"lost, {n:,} labels": number for n, number in half_lost.items()}
    | {f"saved: {what}": Number(value, unit="%") for what, value in saved.items()},
    model=ENCODER,
    origin=origin_of("fine-tuned", "half frozen", labels=list(half_lost)),
    source=f"Kept: less than {MARGIN} points lost; saved: over a quarter. Lee et al. 2019, arXiv 1911.03090: training "
    "the last quarter of the layers reaches 90% of the quality",
    profile=profile.name,
)

# %%
lora_lost = {n: gap(("fine-tuned", n), ("LoRA", n)) for n in LABELS}
part = 100 * costs["LoRA"][0] / costs["LoRA"][1]
claims.record(
    "04.7",
    "LoRA trains a small part of the weights and loses next to nothing.",
    tests={f"{n:,} labels": number.below(MARGIN) for n, number in lora_lost.items()},
    on="the number of labels",
    number={f"accuracy lost to full fine-tuning, {MANY:,} labels": lora_lost[MANY]},
    context={"weights trained": Number(part, unit="%")}
    | {f"accuracy lost to full fine-tuning, {n:,} labels": number for n, number in lora_lost.items()},
    model=ENCODER,
    origin=origin_of("fine-tuned", "LoRA", labels=LABELS),
    source=f"Next to nothing: less than {MARGIN} points. Hu et al. 2021, arXiv 2106.09685; rank 8, queries and values",
    profile=profile.name,
)

# %% [markdown]
# ## To remember
#
# - What pretraining saves is labels. Draw the curve over label budgets, with counting words on it, before you decide.
# - A frozen encoder with a linear classifier trains nothing of the network: always try it first.
# - A learning rate can be too small to learn and large enough to destroy; measure both ends, and what is forgotten.
# - Few labels make few steps: small data sets need several epochs.
# - Freezing from below saves time and memory; LoRA saves what must be stored for each task.
#
# ## Exercises
#
# [Five exercises](exercises/04_why_transfer_works.ipynb) say whether you are right.
# And some for this notebook:
#
# 1. Predict how *frozen + linear* does with 10 labels, then measure it with `read_layers(10)`. How far do the seeds lie
#    apart?
# 2. Find the largest rate of section 3 at which grammar loses less than 3 points. Add a rate between it and the next
#    larger one to `SWEEP`, and predict all three curves there.
# 3. Let LoRA stand beside the feed-forward layers too: in a new cell at the end, define `with_lora` anew
#    (`target_modules` takes names of layers; print a model to see them) and call `cost_of("LoRA")` only. Predict the
#    weights trained first. Restart the kernel afterwards: results are kept for the functions as they stand in the
#    lesson.
# 4. Freeze the *upper* half instead of the lower, in the same way. Predict the time of a step first.
