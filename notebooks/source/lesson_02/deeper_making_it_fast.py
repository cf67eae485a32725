# ---
# jupyter:
#   course:
#     name: 02_making_it_fast
#     title: "Deeper 02: Making it fast"
#     goals:
#       - count the tokens that a recipe computes, and those that are padding
#       - measure what a training step costs, and what each saving is worth on your machine
#       - tell savings that change nothing from savings that change the model
#     minutes_cpu: 2 to 4
#     needs: lesson 02
# ---

# %% [markdown]
# Many tutorials fill up every review to 512 tokens and compute in 32 bits. Where does the time go, and what does the
# script of [lesson 02](../02_fine_tuning_with_the_trainer.ipynb) save?
#
# ## 1. Tokens
#
# A batch is a rectangle: as many tokens as reviews times the longest of them. **Predict:** which share of all computed
# tokens is padding if every review is filled up to 512?

# %%
import numpy as np
from datasets import load_dataset
from transformers import AutoTokenizer

reviews = load_dataset(profile.imdb)["train"].shuffle(seed=0).select(range(500))
tokenizer = AutoTokenizer.from_pretrained(profile.encoder, truncation_side="left")


def lengths_cut_at(most):
    rows = tokenizer(list(reviews["text"]), truncation=True, max_length=most)["input_ids"]
    return np.array([len(ids) for ids in rows])


def computed(lengths, batch_size, order):
    batches = [lengths[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
    return sum(len(batch) * batch.max() for batch in batches)


# %%
# NBVAL_CHECK_OUTPUT
whole, short = lengths_cut_at(512), lengths_cut_at(192)
at_random, by_length = np.random.default_rng(0).permutation(500), np.argsort(short)
tokens = {  # name -> computed, and real
    "all to 512": (512 * 500, whole.sum()),
    "cut at 512, to the longest of 16": (computed(whole, 16, at_random), whole.sum()),
    "cut at 192, to the longest of 8": (computed(short, 8, at_random), short.sum()),
    "the same, similar lengths together": (computed(short, 8, by_length), short.sum()),
}
for name, (all_, real) in tokens.items():
    print(f"{name:<35} {all_:>7,} tokens, {real:>7,} of them real")

# %%
from utils import plots

fig, ax = plots.figure(1.9)
names = [f"{name} ({1 - real / all_:.0%} padding)" for name, (all_, real) in tokens.items()]
thousands = [all_ / 1000 for all_, _ in tokens.values()]
plots.bars(ax, names, thousands, colors=[plots.GREY, plots.GREY, plots.BLUE, plots.BLUE])
ax.set_xlabel("tokens computed in one epoch of 500 reviews (thousands)")
fig.suptitle(f"The third recipe computes {1 - thousands[2] / thousands[0]:.0%} fewer tokens than the first")
plots.show(fig, "Thousands of tokens computed in an epoch: " + ", ".join(
    f"{name} {count:.0f}" for name, count in zip(names, thousands, strict=True)))  # fmt: skip

# %% [markdown]
# Padding changes no answer of a trained model: nobody looks at it. Cutting does: the model sees less. And sorting by
# length changes which reviews share a step.
#
# ## 2. A step, and what it is made of
#
# For each weight, each token costs 2 operations forwards (a product and a sum) and 4 backwards: one product for the
# gradient of the weight, one for that of the input. **Predict:** how many operations is one step?

# %%
import time

import torch
from transformers import AutoModelForSequenceClassification, set_seed

from utils import machine

model = AutoModelForSequenceClassification.from_pretrained(profile.encoder, num_labels=2)
weights = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
batch, length = profile.batch_size, profile.max_length
needed, rate = 6 * weights * batch * length, machine.matrix_rate(profile.device, profile.precision)
print(
    f"{batch} reviews of {length} tokens, {weights / 1e6:.0f} million weights: {needed / 1e12:.2f} trillion operations"
)
print(f"this machine multiplies {rate / 1e9:,.0f} billion a second: at least {needed / rate:.2f} s")


# %%
def freeze_lower_half(model):
    layers = model.base_model.encoder.layer
    for part in [model.base_model.embeddings, *layers[: len(layers) // 2]]:
        part.requires_grad_(False)
    for name, values in model.named_parameters():
        if "relative_attention_bias" in name:  # MPNet has one for all layers: it would keep them all in the pass
            values.requires_grad_(False)


# %%
def timed(model, optimizer, ids, fast):
    """Seconds of a training step."""
    fast &= profile.precision != "float32"
    started = time.perf_counter()
    with torch.autocast(profile.device, getattr(torch, profile.precision) if fast else torch.bfloat16, enabled=fast):
        loss = model(input_ids=ids, labels=ids[:, 0] % 2).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if profile.device == "cuda":
        torch.cuda.synchronize()  # a GPU works on while Python goes on
    return time.perf_counter() - started


# %%
def seconds_of_a_step(length=length, batch=batch, dropout=0.0, fast=True, frozen=False):
    """The fastest of three."""
    set_seed(0)
    options = {"num_labels": 2, "attention_probs_dropout_prob": dropout}
    model = AutoModelForSequenceClassification.from_pretrained(profile.encoder, **options).to(profile.device).train()
    if frozen:
        freeze_lower_half(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-5, fused=True)
    ids = torch.randint(1000, 20000, (batch, length), device=profile.device)
    return min(timed(model, optimizer, ids, fast) for _ in range(3))


# %% [markdown]
# **Predict** the order of these: the step as in the lesson; with *dropout* inside attention, as in pretraining; in 32
# bits; with the embeddings and the lower half of the layers frozen; half as long; with twice as many reviews.

# %%
from tqdm.auto import tqdm

ways = {
    "as in the lesson": {}, "dropout in attention": {"dropout": 0.1}, "in 32 bits": {"fast": False},
    "lower half frozen": {"frozen": True}, "half as many tokens": {"length": length // 2},
    "twice the reviews": {"batch": 2 * batch},
}  # fmt: skip
seconds = {way: seconds_of_a_step(**options) for way, options in tqdm(ways.items(), leave=False)}

# %%
usual = seconds["as in the lesson"]
fig, ax = plots.figure(2.2)
plots.bars(ax, list(seconds), list(seconds.values()), colors=[plots.BLUE, *[plots.GREY] * 5], text="{:.1f}")
ax.set_xlabel("seconds of a training step")
fig.suptitle(f"The lesson's step takes {usual:.1f} s, {needed / rate / usual:.0%} of it at the machine's matrix rate")
plots.show(fig, "Seconds of a training step: " + ", ".join(f"{way} {time:.1f}" for way, time in seconds.items()))

# %% [markdown]
# - **Dropout inside attention** draws a random number for each pair of tokens in each head of each layer.
# - **16-bit arithmetic** pays where the processor has instructions for it; the banner above says whether yours does.
#   If not, the first and the third bar are the same step, and their difference is noise. The weights themselves stay
#   in 32 bits, so that small steps are not rounded away.
# - **Freezing** leaves out the backward pass below the lowest part that learns. It changes the model, so it may cost
#   accuracy: lesson 04 measures that.
# - **Half the tokens** halve the products with weights and quarter those of token with token; the optimizer's part
#   stays.
# - **Twice the reviews** make half as many steps, and another training.

# %% [markdown]
# ## To remember
#
# - Count tokens first: cutting and padding are decided before the first step.
# - Some savings change no answer (padding), some change the last digits (16 bits), some change the model (freezing).
# - What changes the model has a price in accuracy: measure it.
