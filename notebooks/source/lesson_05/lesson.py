# ---
# jupyter:
#   course:
#     name: 05_beyond_the_trainer
#     title: "Lesson 05: Beyond the Trainer"
#     goals:
#       - write the training loop that the Trainer hides, and measure how closely the two agree
#       - give each layer a learning rate of its own, and unfreeze layers one after the other
#       - turn a schedule from a paper into a PyTorch scheduler, and find where the paper's formula fails
#       - judge a recipe by several seeds, and run the same loop on several processes
#     minutes_cpu: 1 to 3
#     minutes_gpu: not yet measured
#     needs: lesson 02 for the Trainer, lesson 04 for forgetting
# ---

# %% [markdown]
# ## What the Trainer did for you
#
# Day 5 of the course leaves the `Trainer` behind: raw PyTorch, *discriminative fine-tuning* and *slanted triangular
# learning rates*, both from ULMFiT (Howard and Ruder 2018, arXiv 1801.06146), one of the works that made fine-tuning a
# language model the usual thing to do. Here you take the first steps, and measure whether the recipes help on the
# network at hand.
#
# The network is lesson 01's BERT, the task is lesson 04's: is a sentence of a film review positive or negative?

# %% tags=["plan"]
import numpy as np
import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, set_seed

from utils import assets

sentences = load_dataset(str(assets.rotten_tomatoes()))
tokenizer = AutoTokenizer.from_pretrained(profile.bert)
collator = DataCollatorWithPadding(tokenizer)


# %% tags=["plan"]
def as_rows(texts, labels):
    if len(texts) == 0:
        raise ValueError("Expected at least one labelled sentence, got none.")
    if not set(labels) <= {0, 1}:
        raise ValueError(f"Expected the labels 0 and 1, got {sorted(set(labels))}.")
    ids = tokenizer(list(texts), truncation=True, max_length=64)["input_ids"]
    return Dataset.from_dict({"input_ids": ids, "labels": list(labels)})


def drawn(part, size, seed):
    rows = sentences[part].shuffle(seed=seed)
    if not 1 <= size <= len(rows):
        raise ValueError(f"Expected between 1 and {len(rows):,} sentences of {part}, got {size}.")
    return rows[:size]["text"], rows[:size]["label"]


# %% tags=["plan"]
def new_model(seed=0):
    set_seed(seed)  # the new head is random
    return AutoModelForSequenceClassification.from_pretrained(profile.bert, num_labels=2, dtype=torch.float32).to(
        profile.device
    )


# %% [markdown]
# ## 1. The Trainer, opened
#
# First the `Trainer`, as in lesson 02: two epochs over 320 sentences, in float32, and it logs the loss of each step.

# %% tags=["plan"]
from transformers import PrinterCallback, Trainer, TrainingArguments

from utils.resume import run_folder

RATE, DECAY, EPOCHS, BATCH, SEED = 2e-5 if profile.name == "full" else 3e-4, 0.01, 2, 16, 0
rows, test = as_rows(*drawn("train", 320, SEED)), as_rows(*drawn("test", 1000, SEED))
args = TrainingArguments(
    output_dir=run_folder("05-trainer"), learning_rate=RATE, weight_decay=DECAY, num_train_epochs=EPOCHS,
    per_device_train_batch_size=BATCH // max(1, torch.cuda.device_count()), per_device_eval_batch_size=64,
    warmup_steps=0.1, seed=SEED, logging_steps=1,
    save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=profile.device == "cpu",
)  # fmt: skip
trainer = Trainer(new_model(SEED), args, collator, rows)
trainer.remove_callback(PrinterCallback)
trainer.train()
logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
print(f"{len(logged)} steps, loss {logged[0]:.4f} at the first, {logged[-1]:.4f} at the last")

# %% [markdown]
# Now write down what it did. **The order of the sentences**: drawn anew for each epoch, from the seed and the number of
# the epoch, so that a run can be repeated and resumed.

# %% tags=["plan"]
from torch.utils.data import DataLoader


def batches(rows, epoch, seed, size=BATCH):
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed + epoch)).tolist()
    return DataLoader(rows, batch_size=size, sampler=order, collate_fn=collator)


# %% [markdown]
# **The optimizer** is AdamW: each weight's step is the running mean of its gradient, divided by the gradient's usual
# size, times the learning rate. *Weight decay* pulls weights towards 0, so that none grows without need. Biases and
# the scales of layer normalisation are left out, as is usual. So the optimizer gets two *parameter groups*, each with
# options of its own.


# %% tags=["plan"]
def is_decayed(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


def two_groups(model, decay=DECAY):
    named = list(model.named_parameters())
    return [
        {"params": [values for name, values in named if is_decayed(name)], "weight_decay": decay},
        {"params": [values for name, values in named if not is_decayed(name)], "weight_decay": 0.0},
    ]


# %%
# NBVAL_CHECK_OUTPUT
for group in two_groups(new_model()):
    print(f"decay {group['weight_decay']}: {len(group['params'])} tensors of weights")

# %% [markdown]
# **The loop.** Forward pass and loss, backward pass for the gradients, *clipping* (if the gradients of all weights
# together are longer than 1, they are shortened to 1), a step of the optimizer, the next learning rate, and the
# gradients back to nothing. `autocast` computes the large products in bfloat16, if you ask for it.


# %% tags=["plan"]
def train(model, optimizer, scheduler, rows, epochs, seed, precision="float32", before_epoch=lambda epoch: None):
    losses = []
    model.train()
    for epoch in range(epochs):
        before_epoch(epoch)
        for batch in batches(rows, epoch, seed):
            with torch.autocast(profile.device, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = model(**batch.to(profile.device)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return losses


# %% [markdown]
# **The schedule**: the learning rate rises from 0 over the first tenth of the steps (*warm-up*) and falls to 0 at the
# end. All together:

# %% tags=["plan"]
from transformers import get_linear_schedule_with_warmup


def checked(rate):
    if not 0 < rate < np.inf:
        raise ValueError(f"Expected a learning rate above 0, got {rate}.")
    return rate


def steps_of(rows, epochs):
    return epochs * -(-len(rows) // BATCH)  # the last batch may be smaller


model = new_model(SEED)
optimizer = torch.optim.AdamW(two_groups(model), lr=checked(RATE))
steps = steps_of(rows, EPOCHS)
scheduler = get_linear_schedule_with_warmup(optimizer, int(np.ceil(0.1 * steps)), steps)
set_seed(SEED)  # for dropout, where a network has any
losses = train(model, optimizer, scheduler, rows, EPOCHS, SEED)

# %%
largest = max(abs(ours - theirs) for ours, theirs in zip(losses, logged, strict=True))
print(f"{len(losses)} steps; the largest difference to a loss that the Trainer logged is {largest:.1e}")

# %% [markdown]
# **Evaluation**: no gradients, no dropout, and the answer is the larger of the two outputs.


# %% tags=["plan"]
@torch.inference_mode()
def told(model, rows):
    """The label that the model gives to each row, in the order of the rows."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))  # little padding
    labels = np.empty(len(rows), dtype=int)
    for start in range(0, len(order), 100):
        part = order[start : start + 100]
        batch = collator([rows[row] for row in part]).to(profile.device)
        labels[part] = model(**batch).logits.argmax(dim=1).cpu().numpy()
    return labels


# %%
truth = np.array(test["labels"])
theirs = trainer.predict(test).predictions.argmax(axis=1)
ours = told(model, test)
print(f"right: {100 * (ours == truth).mean():.1f}%; the Trainer's: {100 * (theirs == truth).mean():.1f}%; "
      f"other answers: {(ours != theirs).sum()} of {len(truth):,}")  # fmt: skip

# %%
from utils import claims

claims.record(
    "05.1",
    "The Trainer is this loop.",
    tests={"no loss differs by more than 0.0001": largest <= 1e-4},
    number={"largest difference of a loss": largest},
    context={"steps": len(losses), "other answers on test sentences": int((ours != theirs).sum())},
    model=claims.with_size(profile.bert, model),
    origin=claims.MEASURED_HERE,
    source="float32, one process; the rest of the Trainer saves, resumes, logs and spreads over machines",
    profile=profile.name,
)

# %% [markdown]
# In bfloat16 the same loop computes with two to three digits. What difference does that make to the losses?

# %%
if profile.precision == "bfloat16":
    other = new_model(SEED)
    optimizer = torch.optim.AdamW(two_groups(other), lr=RATE)
    scheduler = get_linear_schedule_with_warmup(optimizer, int(np.ceil(0.1 * steps)), steps)
    set_seed(SEED)
    short = train(other, optimizer, scheduler, rows, EPOCHS, SEED, "bfloat16")
    far = max(abs(one - another) for one, another in zip(short, losses, strict=True))
    agree = (told(other, test) == ours).mean()
    print(f"largest difference {far:.1e}; {100 * agree:.1f}% of the answers on test sentences agree")
else:
    print("nothing to compare: this processor has no fast bfloat16")

# %% [markdown]
# ## 2. A learning rate for each layer
#
# *Discriminative fine-tuning*: lower layers hold what is general, upper layers what is special, so lower layers should
# move less. ULMFiT divides the rate by 2.6 from each layer to the one below. In PyTorch that is one parameter group, or
# two with the weight decay, for each layer.


# %% tags=["plan"]
def depth_of(name, layers):
    """0 for the embeddings, 1 for the lowest layer, layers + 1 for the head (the pooler counts as part of it)."""
    if ".embeddings." in name:
        return 0
    return 1 + int(name.split(".layer.")[1].split(".")[0]) if ".layer." in name else layers + 1


def layer_groups(model, rate, divisor=1.0, decay=DECAY):
    top, groups = model.config.num_hidden_layers + 1, {}
    for name, values in model.named_parameters():
        groups.setdefault((depth_of(name, top - 1), is_decayed(name)), []).append(values)
    return [
        {"params": of, "depth": depth, "lr": checked(rate) / divisor ** (top - depth), "weight_decay": decay * decayed}
        for (depth, decayed), of in sorted(groups.items())
    ]


# %%
import pandas as pd

model = new_model()
table = [
    {"depth": group["depth"], "weight decay": group["weight_decay"], "weights": sum(map(torch.numel, group["params"])),
     "rate with 2.6": group["lr"], "with 1.05": milder["lr"]}
    for group, milder in zip(layer_groups(model, RATE, 2.6), layer_groups(model, RATE, 1.05), strict=True)
]  # fmt: skip
pd.DataFrame(table).style.hide(axis="index").format("{:,}", "weights").format("{:.1e}", ["rate with 2.6", "with 1.05"])

# %% [markdown]
# Each layer further down, the rate is divided by the same number, and the factors multiply. ULMFiT's network had five
# such groups: embeddings, three layers, head. Under bert-base's twelve layers the embeddings would get 2.6¹³, some
# 250,000 times less than the head: they would hardly move at all. For Transformers people use milder steps: Sun et al.
# (2019, arXiv 1905.05583) multiply by 0.95, which is about a divisor of 1.05.
#
# ## 3. The slanted triangular schedule
#
# ULMFiT's rate rises for a short time and falls for a long one. The paper gives a formula (section 3.2): with $T$
# steps, of which the share $cut\_frac$ rises, and $ratio$ between the highest rate and the lowest,
#
# $$cut = \lfloor T \cdot cut\_frac \rfloor, \quad p = \begin{cases} t/cut & t < cut \\ 1 - \frac{t - cut}{cut \cdot
# (1/cut\_frac - 1)} & \text{otherwise} \end{cases}, \quad \eta_t = \eta_{max} \cdot \frac{1 + p \cdot (ratio -
# 1)}{ratio}$$
#
# As code, the factor for the highest rate:

# %%
import math


def as_printed(step, steps, cut_frac=0.1, ratio=32):
    cut = math.floor(steps * cut_frac)
    p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


# %% [markdown]
# Try a formula at its ends before you trust it. With 100 steps it does what the text says. With other numbers?

# %%
# NBVAL_CHECK_OUTPUT
for steps in (100, 103, 109, 19, 9):
    try:
        factors = [as_printed(step, steps) for step in range(steps)]
        print(f"{steps:>3} steps: first {factors[0]:.3f}, highest {max(factors):.3f}, last {factors[-1]:.3f}")
    except ZeroDivisionError:
        print(f"{steps:>3} steps: division by zero")

# %% [markdown]
# Where $T \cdot cut\_frac$ is no whole number, $cut$ is rounded down, and $p$ can drop below 0 before the end.
# Below -1/31 the *learning rate is negative*: the loop would climb. With fewer than 10 steps the formula divides by
# zero. The repair: at least one step of rise, and the fall lasts for all steps that are left. Where the printed formula
# works, this is the same number. `LambdaLR` makes a scheduler of a factor.

# %% tags=["plan"]
from torch.optim.lr_scheduler import LambdaLR


def slanted_triangular(step, steps, cut_frac=0.1, ratio=32):
    """Factor of the learning rate at a step (Howard and Ruder 2018, section 3.2), never below 1 / ratio."""
    cut = max(1, math.floor(steps * cut_frac))
    p = step / cut if step < cut else 1 - (step - cut) / max(1, steps - cut)
    return (1 + max(0, p) * (ratio - 1)) / ratio


def slanted(optimizer, steps):
    return LambdaLR(optimizer, lambda step: slanted_triangular(step, steps))


# %%
from transformers import get_cosine_schedule_with_warmup

from utils import plots


def rates_of(make, steps=100):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer, steps), []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


schedules = {
    "slanted triangular": slanted,
    "linear": lambda optimizer, steps: get_linear_schedule_with_warmup(optimizer, math.ceil(steps / 10), steps),
    "cosine": lambda optimizer, steps: get_cosine_schedule_with_warmup(optimizer, math.ceil(steps / 10), steps),
}

# %%
fig, ax = plots.figure(2.6)
drawn_rates = {name: rates_of(make) for name, make in schedules.items()}
for (name, rates), style in zip(drawn_rates.items(), ("-", "--", ":"), strict=True):
    ax.plot(rates, style, color={"-": plots.BLUE, "--": plots.ORANGE, ":": plots.GREEN}[style], label=name)
ax.set(xlabel="step of 100", ylabel="share of the highest rate")
ax.legend(fontsize=8)
apart = float(np.abs(drawn_rates["slanted triangular"] - drawn_rates["linear"]).max())
title = f"Slanted triangular is linear warm-up and decay: never more than {math.ceil(1000 * apart) / 1000} apart"
fig.suptitle(title)
plots.show(fig, f"{title}. Cosine stays higher at first, falls steeply in the middle and levels off.")

# %% [markdown]
# So the slanted triangle of 2018 is what the `Trainer` does by default today once you ask for a tenth of warm-up, up to
# 1/32 at both ends.
#
# A scheduler must survive an interruption. Save its state and the optimizer's in the middle, make both anew, load, and
# go on. (The function in it is not saved: make the scheduler with the same number of steps. To resume a whole training
# you also need the weights, the place in the epoch and the random state; the `Trainer` keeps them all.)

# %%
# NBVAL_CHECK_OUTPUT
whole, half = rates_of(slanted), []
first = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
scheduler = slanted(first, 100)
for _ in range(50):
    first.step()
    scheduler.step()
kept = first.state_dict(), scheduler.state_dict()

second = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
scheduler = slanted(second, 100)
second.load_state_dict(kept[0])
scheduler.load_state_dict(kept[1])
for _ in range(50):
    half.append(scheduler.get_last_lr()[0])
    second.step()
    scheduler.step()
print("the second half is the same:", bool((whole[50:] == half).all()))

# %% [markdown]
# ## 4. Gradual unfreezing
#
# The head starts with random weights, and its first gradients are noise for all that lies below. ULMFiT trains the head
# alone for an epoch, then the last layer with it, then the one below, and so on. In PyTorch: switch gradients on before
# an epoch. Weights without gradients are left alone by the optimizer.


# %% tags=["plan"]
def unfreeze(model, epoch, epochs):
    """Gradients for the head alone in the first epoch, for all in the last, evenly in between."""
    top = model.config.num_hidden_layers + 1
    lowest = round(top * (1 - epoch / max(1, epochs - 1)))
    for name, values in model.named_parameters():
        values.requires_grad_(depth_of(name, top - 1) >= lowest)


# %%
model, epochs = new_model(), 4
top = model.config.num_hidden_layers + 1
stairs, trained = np.zeros((top + 1, epochs)), []
for epoch in range(epochs):
    unfreeze(model, epoch, epochs)
    trained.append(sum(values.numel() for values in model.parameters() if values.requires_grad))
    for name, values in model.named_parameters():
        stairs[depth_of(name, top - 1), epoch] = values.requires_grad
fig, ax = plots.figure(2.6)
ax.imshow(stairs, cmap="Blues", vmin=0, vmax=1.6, origin="lower", aspect="auto")
ax.set_yticks(range(top + 1), ["embeddings", *[f"layer {layer}" for layer in range(1, top)], "head"], fontsize=8)
ax.set_xticks(range(epochs), [f"{epoch + 1}: {weights:,} weights" for epoch, weights in enumerate(trained)], fontsize=8)
ax.set(xlabel="epoch")
title = f"Gradual unfreezing: {100 * trained[0] / trained[-1]:.1f}% of the weights are trained at first, all at last"
fig.suptitle(title, fontsize=10)
plots.show(
    fig, f"A staircase: the layers that are trained (blue) in each of {epochs} epochs, from the head down. {title}."
)

# %% [markdown]
# ULMFiT frees one layer in each epoch and trains on when all are free. Here all are free in the last epoch only; with
# more layers than epochs, several are freed at once. Weights without gradients stay because `zero_grad` leaves them
# `None`; a gradient of zeros would still let AdamW move them.
#
# ## 5. Do they help here?
#
# *Plain* is the loop of section 1 with its linear schedule; three recipes change one thing each, and *all three*
# changes them together. (ULMFiT also goes on with pretraining on the texts of the task; that is left out.) Each trains
# four epochs on 320 sentences, with three seeds. Under `embedded` each gets the rate that did best for it on 300
# validation sentences, with other seeds (`source/lesson_05/results/rates.json`): recipes that slow most layers
# down need a larger one. Neighbouring rates can hardly be told apart that way. Under `full` they are common rates, not
# searched.
#
# Judged are the task and, as in lesson 04, what the network has forgotten. It is easy to forget little if little is
# learned: so there is a control, *smaller rate*, which is plain at a third of its rate.
#
# Under `embedded` the runs of *plain*, *all three* and *smaller rate* with the first seed are yours; the others were
# made beforehand, by the functions below (`python -m notebooks.source.lesson_05.beforehand runs`). Change a function,
# and all runs are yours.

# %% tags=["plan"]
from transformers import AutoModelForMaskedLM

from utils.forgetting import Forgetting
from utils.intervals import over_seeds

original = AutoModelForMaskedLM.from_pretrained(profile.bert, dtype=torch.float32)
imdb = load_dataset(profile.imdb)
reviews = [text.replace("<br />", " ") for text in imdb["test"].shuffle(seed=0).select(range(150))["text"]]
forgetting = Forgetting(original, tokenizer, reviews)
parts = {"test": test, "validation": as_rows(*drawn("validation", 300, SEED))}

# %%
before = forgetting.measure(original.base_model.to(profile.device), grammar=False)
print(f"before fine-tuning: {np.mean(before['hidden']):.2f} nats at hidden tokens")


# %% tags=["plan"]
def run(recipe, rate, seed, epochs=4, labels=320, judged="test"):
    every = recipe == "all three"
    model, rows = new_model(seed), as_rows(*drawn("train", labels, seed))
    optimizer = torch.optim.AdamW(layer_groups(model, rate, 2.6 if every or recipe == "discriminative" else 1.0))
    steps = steps_of(rows, epochs)
    if every or recipe == "slanted triangular":
        scheduler = slanted(optimizer, steps)
    else:
        scheduler = get_linear_schedule_with_warmup(optimizer, int(np.ceil(0.1 * steps)), steps)
    gradual = every or recipe == "gradual unfreezing"
    short = "bfloat16" if profile.precision == "bfloat16" else "float32"  # float16 would need scaled gradients
    train(model, optimizer, scheduler, rows, epochs, seed, short,
          before_epoch=lambda epoch: unfreeze(model, epoch, epochs) if gradual else None)  # fmt: skip
    right = told(model, parts[judged]) == np.array(parts[judged]["labels"])
    return {"right": right.astype(int).tolist()} | forgetting.measure(model.base_model, grammar=False)


# %% tags=["plan"]
import hashlib
from pathlib import Path

from joblib import cpu_count

from utils.experiments import Experiments

code = [as_rows, drawn, new_model, batches, is_decayed, train, checked, steps_of, told, depth_of, layer_groups]
code += [slanted_triangular, slanted, unfreeze, Forgetting]
weights = hashlib.sha256((Path(profile.bert) / "model.safetensors").read_bytes()).hexdigest()
data = [weights, BATCH, DECAY, *(list(part["input_ids"]) + list(part["labels"]) for part in parts.values())]
data += [list(sentences["train"]["text"]), list(sentences["train"]["label"]), reviews, forgetting.pairs]
jobs = 1 if profile.device == "cuda" else min(4, cpu_count())
results = course / "notebooks/source/lesson_05/results"
experiments = Experiments("05", profile, data, code, jobs, beforehand=results / "runs.json")

# %% tags=["plan"]
import json

RECIPES = ["plain", "discriminative", "slanted triangular", "gradual unfreezing", "all three"]
if profile.name == "full":  # common rates for bert-base
    BEST = dict(zip(RECIPES, (2e-5, 1e-4, 2e-5, 2e-5, 1e-4), strict=True))
else:
    measured = json.loads((results / "rates.json").read_text(encoding="utf-8"))["runs"]
    measured.sort(key=lambda row: np.mean(row["validation"]))
    best = {row["recipe"]: row["rate"] for row in measured}  # of each recipe the last, which did best, remains
    BEST = {recipe: best[recipe] for recipe in RECIPES}
BEST["smaller rate"] = BEST["plain"] / 3

# %% tags=["plan"]
SEEDS = (0, 1, 2)
recipes = [{"recipe": recipe, "rate": rate, "seed": seed} for recipe, rate in BEST.items() for seed in SEEDS]
own_recipes = ["plain", "all three", "smaller rate"]
beforehand_recipes = [one for one in recipes if one["seed"] != SEEDS[0] or one["recipe"] not in own_recipes]

# %%
results = experiments.run(run, recipes, "recipes")


def found(recipe, what):
    """Shape (seeds, items)."""
    return np.array(
        [of[what] for one, of in zip(recipes, results, strict=True) if one["recipe"] == recipe], dtype=float
    )


right = {recipe: 100 * found(recipe, "right") for recipe in BEST}
lost = {recipe: found(recipe, "hidden") - np.array(before["hidden"]) for recipe in BEST}
for recipe, rate in BEST.items():
    print(
        f"{recipe:<19} {rate:<7.1g} right {over_seeds(right[recipe], '%')!s:<21} lost {over_seeds(lost[recipe])} nats"
    )
own = sum(not experiments.is_beforehand(run, one) for one in recipes)
print(f"{own} runs measured on this machine, {len(recipes) - own} come with the course")

# %%
fig, ax = plots.figure(3.2)
styles = zip(BEST, (plots.BLACK, plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.GREY), "oDs^vo", strict=True)
for recipe, color, mark in styles:
    task, forgot = over_seeds(right[recipe], "%"), over_seeds(lost[recipe])
    arms = [[[one.value - one.low], [one.high - one.value]] for one in (forgot, task)]
    ax.errorbar(task.value, forgot.value, arms[0], arms[1], color=color, marker=mark, capsize=2, label=recipe)
ax.axhline(0, color=plots.BLACK, linewidth=0.8)
ax.set(xlabel="test sentences right (%)", ylabel="forgotten (nats)")
ax.legend(fontsize=8, ncols=2, loc="lower left")
less = [recipe for recipe in BEST if over_seeds(lost["plain"] - lost[recipe]).above(0)]
title = f"Less forgotten than plain (95% interval above 0): {', '.join(less) or 'none'}"
fig.suptitle(title.replace(": ", ":\n"))
plots.show(fig, f"Accuracy and forgetting of six recipes with their intervals. {title}. The numbers stand above.")

# %% [markdown]
# All recipes share test sentences and seeds, so that intervals of their own say little about a difference. Take the
# *paired* difference to *plain*, sentence by sentence and seed by seed. With three seeds it may still be wide: effects
# of a few points cannot be seen here. And of a dozen tests at 95% one may come out wrong by chance.


# %%
def judge(claim_id, words, recipe, source):
    gain = over_seeds(right[recipe] - right["plain"], " points")
    spared = {name: over_seeds(lost[name] - lost[recipe]) for name in ("plain", "smaller rate")}
    here = sum(not experiments.is_beforehand(run, one) for one in recipes if one["recipe"] in ("plain", recipe))
    claims.record(
        claim_id,
        words,
        tests={"more test sentences are right than by plain": gain.above(0)},
        number={"gained on the task": gain},
        context={f"{name}, right": over_seeds(right[name], "%") for name in ("plain", recipe)}
        | {f"less forgotten than {name} (nats at hidden tokens)": number for name, number in spared.items()},
        model=claims.with_size(profile.bert, original),
        origin=claims.Origin(yours=here, beforehand=2 * len(SEEDS) - here, seeds=len(SEEDS)),
        source=source,
        profile=profile.name,
    )


judge("05.2", "Discriminative fine-tuning helps.", "discriminative", "Howard and Ruder 2018, section 3.2; divisor 2.6")

# %%
judge("05.3", "A slanted triangular schedule helps.", "slanted triangular",
      "Howard and Ruder 2018, section 3.2; here against linear warm-up and decay")  # fmt: skip

# %%
judge("05.4", "Gradual unfreezing helps.", "gradual unfreezing", "Howard and Ruder 2018, section 3.3")

# %%
judge("05.5", "ULMFiT's three recipes together help.", "all three", "Howard and Ruder 2018, section 3")

# %% [markdown]
# ULMFiT's network was an LSTM, it first went on pretraining on the texts of the task, and it trained on after all
# layers were free. A recipe may be built into what you use today, as the schedule is; whether the others help on your
# network, cards like these say. Measure before you adopt, and before you drop.
#
# ## 6. When one process is not enough
#
# With several GPUs, or several machines, each process holds a copy of the network and takes its part of every batch.
# After the backward pass all average their gradients, so that all take the same step. The library *Accelerate*, on
# which the `Trainer` is built, does that for your own loop. The script `scripts/several_processes.py` is a loop like
# section 1's, without weight decay and dropout, and with these lines changed:

# %%
# NBVAL_CHECK_OUTPUT
from pathlib import Path

scripts = Path("../scripts").resolve()
for line in (scripts / "several_processes.py").read_text(encoding="utf-8").splitlines():
    if "# different" in line:
        print(line.strip())

# %% [markdown]
# `split_batches` keeps a batch at 16 sentences, however many processes share it. Run it on one process, then on two,
# and compare the losses of all steps.

# %%
import os
import subprocess
import sys
import time

from utils.errors import CourseError

environment = os.environ | ({"COURSE_PROFILE": "full"} if profile.name == "full" else {})
if torch.cuda.device_count() < 2:
    environment["CUDA_VISIBLE_DEVICES"] = ""  # two processes cannot share one GPU: take the CPU for both runs


# %%
def launched(processes, config=()):
    output = run_folder(f"05-{processes}-processes")
    start = [sys.executable, "-m", "accelerate.commands.launch", *config] if config else [sys.executable]
    command = [*start, str(scripts / "several_processes.py"), "--output", str(output / "model")]
    command += ["--learning-rate", str(RATE)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    if done.returncode != 0:
        raise CourseError(f"{command} ended with {done.returncode}. Its last words: {done.stderr.strip()[-300:]}")
    print(f"{done.stdout.strip().splitlines()[-1]} ({time.perf_counter() - began:.0f} s with all imports)")
    return json.loads((output / "model" / "losses.json").read_text(encoding="utf-8"))["losses"]


one = launched(1)
two = launched(2, ["--config_file", str(scripts / "two_processes.yaml")])

# %%
apart = max(abs(alone - shared) for alone, shared in zip(one, two, strict=True))
claims.record(
    "05.6",
    "More processes do not change the losses, if they split each batch.",
    tests={"no loss differs by more than 0.0001": apart <= 1e-4},
    number={"largest difference of a loss": apart},
    context={"steps": len(one)},
    model=claims.with_size(profile.bert, model),
    origin=claims.MEASURED_HERE,
    source="split_batches=True, no dropout; the differences are rounding. By default each process takes a whole batch",
    profile=profile.name,
)

# %% [markdown]
# On a CPU two processes need not be faster: PyTorch already uses all cores for one. What changes for
# several GPUs or machines is the configuration, not the code. The file for two processes, and what it says for two
# machines with eight GPUs each:

# %%
# NBVAL_CHECK_OUTPUT
print((scripts / "two_processes.yaml").read_text(encoding="utf-8"))

# %% [markdown]
# ```yaml
# compute_environment: LOCAL_MACHINE
# distributed_type: MULTI_GPU
# num_machines: 2
# num_processes: 16          # over all machines
# machine_rank: 0            # 1 on the second machine
# main_process_ip: 10.0.0.1  # of the first machine, as the second sees it
# main_process_port: 29500
# mixed_precision: bf16
# ```
#
# (Gradual unfreezing needs more: the processes agree at the start on which gradients they exchange. Let all weights be
# trainable then, and ask for `find_unused_parameters`.)
#
# With 16 processes a batch of 16 sentences gives each a single one. Make the batch larger, and choose the learning rate
# anew: it belongs to the batch size.

# %% [markdown]
# ## To remember
#
# - The `Trainer` is a loop of forward, backward, clip, step, schedule. You have written it, and card 05.1 says how
#   closely the two agree.
# - Parameter groups carry all that differs between weights: decay, rates for layers. `requires_grad` carries the rest.
# - Try a formula at its ends: the slanted triangle as printed gives negative rates for some numbers of steps.
# - A recipe is judged by paired differences over seeds, at the learning rate that suits it, on the task and on what is
#   forgotten.
# - Several processes need a few changed lines and a configuration; check that the losses agree.
#
# ## Exercises
#
# [Five exercises](exercises/05_beyond_the_trainer.ipynb) say whether you are right.
# And some for this notebook:
#
# 1. Set `BATCH` to 64 and run section 1 again. Predict the number of steps, and whether the two losses still agree.
# 2. Leave out the clipping. From which step on do the losses differ from the Trainer's by more than 0.0001, if at all?
# 3. In section 3, let `cut_frac` be 0.3. Predict the blue curve, then run the cells.
# 4. Unfreeze from below instead of from above. Predict task and forgetting first.
