# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 05: Beyond the Trainer"
# ---

# %% [markdown]
# ## 05.1 Predict: two schedules
#
# A training run has 100 steps, counted from 0. It may follow one of two schedules: *linear*, that is warm-up over the
# first 10 steps, then decay to 0, as in section 1 of the lesson; or the *slanted triangle* of section 3, with
# $cut\_frac$ 0.1 and $ratio$ 32. By which factor is the highest learning rate multiplied at the steps 0, 5, 10, 55 and
# 100? (Step 100 would come after the last one; take what the schedule gives for it.) Write five numbers for each
# schedule, in the order of `STEPS`. They may be off by up to 0.01.

# %%
STEPS = [0, 5, 10, 55, 100]
factors = {"linear": [], "slanted triangular": []}
# Your lines start here.
factors["linear"] = [0, 0.5, 1, 0.5, 0]
factors["slanted triangular"] = [1 / 32, 16.5 / 32, 1, 16.5 / 32, 1 / 32]
# Your lines end here.

# %%
check("05.1", factors)

# %% [markdown]
# Then run them. The optimizer has a highest rate of 1, so that its rate is the factor.

# %%
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_linear_schedule_with_warmup


def slanted_triangular(step, cut=10, steps=100, ratio=32):
    p = step / cut if step < cut else 1 - (step - cut) / (steps - cut)
    return (1 + p * (ratio - 1)) / ratio


one, other = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0) for _ in range(2))
linear, slanted = get_linear_schedule_with_warmup(one, 10, 100), LambdaLR(other, slanted_triangular)
for step in range(101):
    if step in STEPS:
        print(f"step {step:>3}: linear {linear.get_last_lr()[0]:.3f}, slanted {slanted.get_last_lr()[0]:.3f}")
    for part in (one, other, linear, slanted):
        part.step()

# %% [markdown]
# ## 05.2 Mend: a loop that never settles
#
# A loop of section 1's kind, for a small problem: find the weights with which `x @ weights` comes closest to `y`. The
# loss is the mean of the squared errors. The optimizer is plain gradient descent: each step takes the learning rate
# times the gradient off the weights.

# %%
import torch


def fit_with_a_bug(x, y, rate, steps):
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=rate)
    for _ in range(steps):
        loss = (x @ weights - y).square().mean()
        loss.backward()
        optimizer.step()
    return weights.detach()


# %% [markdown]
# The loss falls, climbs again, falls again, and so on without end. A smaller learning rate makes it swing more slowly,
# but it still does not settle.

# %%
x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
y = x @ torch.tensor([1.0, -2.0, 3.0])
for steps in range(0, 81, 8):
    print(f"{steps:>2} steps: loss {(x @ fit_with_a_bug(x, y, 0.02, steps) - y).square().mean():.2f}")

# %% [markdown]
# Write the loop as it should be. As above: `x` has the shape (rows, weights) and `y` the shape (rows,), the weights
# start at 0, there is no bias, and the loss is the mean of the squared errors. Return the weights after `steps` steps
# of plain gradient descent, without clipping and without a schedule; `steps` may be 0.


# %%
def fit(x, y, rate, steps):
    """The weights after so many steps, shape (weights,)."""
    # Your lines start here.
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=rate)
    for _ in range(steps):
        loss = (x @ weights - y).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return weights.detach()
    # Your lines end here.


# %%
check("05.2", fit)

# %% [markdown]
# ## 05.3 Write: a rate for each layer
#
# With twelve layers and ULMFiT's divisor of 2.6, the embeddings hardly move at all. So go the other way: choose the
# rate of the head, `top`, and the rate of the embeddings, `bottom`, and let the divisor follow. From each depth to the
# one below, the rate is divided by the same number. Depths are counted as in section 2: 0 for the embeddings, 1 to
# `layers` for the layers, `layers + 1` for the head. Return a list of the rates of all depths, embeddings first.


# %%
def rates(layers, top, bottom):
    """For example 2, 0.08 and 0.01 give [0.01, 0.02, 0.04, 0.08], up to rounding. `layers` is at least 1."""
    # Your lines start here.
    divisor = (top / bottom) ** (1 / (layers + 1))
    return [top / divisor ** (layers + 1 - depth) for depth in range(layers + 2)]
    # Your lines end here.


# %%
check("05.3", rates)

# %% [markdown]
# ## 05.4 Write: a cosine schedule
#
# Write the cosine schedule as a factor, as section 3 does with the slanted triangle. Over the first `warmup` steps the
# factor rises in a straight line: 0 at step 0, 1 at step `warmup`. From there on it falls to 0 at step `steps`, along
# half a wave of the cosine: where a share $s$ of the *falling* part is over, the factor is $(1 + \cos(\pi s)) / 2$. The
# three arguments are whole numbers, and `warmup` is smaller than `steps`. It may be 0: then there is no warm-up, and
# the factor at step 0 is 1.


# %%
import math


def cosine(step, steps, warmup):
    """The factor at a step from 0 to `steps`. For example, 6 and 10 with warm-up 2 give 0.5: half of the fall."""
    # Your lines start here.
    if step < warmup:
        return step / warmup
    share = (step - warmup) / (steps - warmup)
    return (1 + math.cos(math.pi * share)) / 2
    # Your lines end here.


# %%
check("05.4", cosine)

# %% [markdown]
# ## 05.5 Write: several processes, unequal parts
#
# Processes that split a batch take equally many sentences, so that averaging the gradients is enough ([Deeper: several
# processes](../deeper/05_several_processes.ipynb)). Here the parts differ. Each process gives the gradient of the
# *mean* loss over its own sentences. `gradients` is a list of these, one tensor for each process, all of the same
# shape, which may be any. `sizes` is a list of how many sentences each process had. Return the gradient of the mean
# loss over *all* sentences, a tensor of that shape. A process may have had no sentence: its size is 0 and its gradient
# is all zeros. At least one process had some.


# %%
def average(gradients, sizes):
    """For example the gradients [2.0] and [6.0] of 3 sentences and 1 give [3.0]."""
    # Your lines start here.
    total = sum(size * gradient for gradient, size in zip(gradients, sizes, strict=True))
    return total / sum(sizes)
    # Your lines end here.


# %%
check("05.5", average)

# %% [markdown]
# ## 05.6 Build: groups for a real model
#
# The encoder of the lesson with a new head, all 22.7 million weights of it. (Under `full` it is bert-base.) Build an
# AdamW optimizer of four groups: the *head*, that is the pooler and the classifier, has the learning rate `HEAD`, all
# the rest has `REST`. Both are split once more: biases and all weights of layer normalisation have the weight decay 0,
# the others have `DECAY`. Every weight belongs to one group. Names as in section 2 of the lesson; these are some of
# them:

# %%
import torch
from transformers import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained(profile.small_encoder, num_labels=2, dtype=torch.float32)
names = [name for name, weight in model.named_parameters()]
print(*names[:5], "...", *names[15:21], "...", *names[-4:], sep="\n")

# %%
HEAD, REST, DECAY = 1e-3, 1e-4, 0.01
optimizer = None
# Your lines start here.
groups = {}
for name, weight in model.named_parameters():
    is_head = ".layer." not in name and "embeddings." not in name
    is_decayed = not (name.endswith("bias") or "LayerNorm" in name)
    groups.setdefault((is_head, is_decayed), []).append(weight)
optimizer = torch.optim.AdamW(
    [
        {"params": weights, "lr": HEAD if is_head else REST, "weight_decay": DECAY if is_decayed else 0.0}
        for (is_head, is_decayed), weights in groups.items()
    ]
)
# Your lines end here.

# %% [markdown]
# What the check looks at: for each weight, the options of the group in which the optimizer has it.


# %%
def options_by_name(optimizer, model):
    """Name of each weight -> [learning rate, weight decay], read off the optimizer; None: in no group."""
    name_of = {id(weight): name for name, weight in model.named_parameters()}
    if optimizer is None:
        return {}
    found = dict.fromkeys(name_of.values())
    for group in optimizer.param_groups:
        for weight in group["params"]:
            found[name_of.get(id(weight), "no weight of this model")] = [group["lr"], group["weight_decay"]]
    return found


options = options_by_name(optimizer, model)
print(f"{sum(pair is not None for pair in options.values())} of {len(names)} tensors are in a group")

# %%
check("05.6", options)
