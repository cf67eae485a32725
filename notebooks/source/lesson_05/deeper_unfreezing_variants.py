# ---
# jupyter:
#   course:
#     name: 05_unfreezing_variants
#     title: "Deeper 05: Unfreezing variants"
#     goals:
#       - tell the staircases of gradual unfreezing apart, and what each of them trains
#       - say why a frozen weight needs no gradient, and not a gradient of zeros
#       - measure what a frozen layer saves
#       - compare one schedule for all epochs with a triangle for each
#     minutes_cpu: 1 to 2
#     needs: lesson 05, section 4
# ---

# %% [markdown]
# Lesson 05 frees the parts of a network evenly over the epochs. The paper and its code do it in other ways.
#
# ## 1. Three staircases
#
# - **evenly**: as in the lesson; all parts are free in the last epoch only;
# - **one by one** (the paper's text, section 3.3): one more part in each epoch, then train on;
# - **last, last but one, all** (the paper's code, `train_clas.py`): the head for an epoch, the layer below it too for
#   an epoch, then all for the rest.
#
# **Predict** for six layers and four epochs: how much of the network does each train in the third epoch?

# %%
import torch
from transformers import AutoModelForSequenceClassification, set_seed


def depth_of(name, layers):
    if "embeddings." in name:
        return 0
    return 1 + int(name.split(".layer.")[1].split(".")[0]) if ".layer." in name else layers + 1


def new_model():
    set_seed(0)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoModelForSequenceClassification.from_pretrained(
        profile.small_encoder, num_labels=2, dtype=torch.float32, **no_dropout
    )


# %%
model = new_model()
layers = model.config.num_hidden_layers
weights = torch.zeros(layers + 2)
for name, weight in model.named_parameters():
    weights[depth_of(name, layers)] += weight.numel()
print("millions of weights, embeddings first:", [f"{count / 1e6:.2f}" for count in weights])

# %%
# NBVAL_CHECK_OUTPUT
lowest_of = {
    "evenly": lambda epoch, epochs: round((layers + 1) * (1 - epoch / (epochs - 1))),
    "one by one": lambda epoch, epochs: max(0, layers + 1 - epoch),
    "last, last but one, all": lambda epoch, epochs: {0: layers + 1, 1: layers}.get(epoch, 0),
}
for name, lowest in lowest_of.items():
    shares = [float(weights[lowest(epoch, 4) :].sum() / weights.sum()) for epoch in range(4)]
    print(f"{name:<24} " + "  ".join(f"epoch {epoch + 1}: {share:6.1%}" for epoch, share in enumerate(shares)))

# %% [markdown]
# With more layers than epochs, *one by one* never reaches the bottom. And over half of this network are embeddings: the
# table of 30,522 pieces. ULMFiT's LSTM had three layers, so that there the three ways differ less.
#
# ## 2. No gradient, or a gradient of zeros?
#
# A weight with `requires_grad_(False)` has the gradient `None`, and the optimizer passes it over. Would a gradient of
# zeros not do the same? **Predict:** take one training step with all weights, then ten steps with gradients of zeros.
# Do the weights stay?

# %%
# NBVAL_CHECK_OUTPUT
for how in ("None", "zeros"):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW(params=[weight], lr=0.1, weight_decay=0.0)
    weight.grad = torch.full((3,), 0.5)
    optimizer.step()
    after_one = weight.detach().clone()
    for _ in range(10):
        weight.grad = None if how == "None" else torch.zeros(3)
        optimizer.step()
    print(f"{how:<6} after one step {after_one[0]:.3f}, ten steps later {weight[0].item():.3f}")

# %% [markdown]
# AdamW steps along its *running mean* of the gradients, which zeros only shrink slowly; weight decay would pull, too.
# So a part that is frozen in the middle of a training must lose its gradients: `requires_grad_(False)` and
# `zero_grad()`, which sets them to `None`.
#
# ## 3. What does freezing save?
#
# The backward pass ends where no weight below wants a gradient. **Predict:** how much of a step's time is left if the
# head alone learns? If the upper half does?

# %%
import time

batch = {"input_ids": torch.randint(1000, 20000, (8, 24), generator=torch.Generator().manual_seed(0))}
batch["labels"] = torch.tensor([0, 1] * 4)


def seconds_of_a_step(lowest, repeats=15):
    model = new_model().train()
    for name, weight in model.named_parameters():
        weight.requires_grad_(depth_of(name, layers) >= lowest)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - begun)
    return min(times)


# %%
everything = seconds_of_a_step(0)
for what, lowest in {"head": layers + 1, "upper half": 1 + layers // 2, "all but the embeddings": 1}.items():
    print(f"{what:<23} {seconds_of_a_step(lowest) / everything:.0%} of the time of a step with all weights")

# %% [markdown]
# The forward pass stays, whatever is frozen; the embeddings cost little arithmetic, but the optimizer has to go through
# their table in every step. So gradual unfreezing is also a saving: early epochs are cheap.
#
# ## 4. One schedule, or a triangle for each stage?
#
# Lesson 05 draws both. Under one schedule for all epochs, the parts that join last find little rate left. In the
# paper's code each stage has a triangle of its own, so that every part gets the full rate. Which is better?
#
# Each way ran with 20 seeds, on the task of lesson 05's section 5: 64 sentences to learn from, four epochs, a learning
# rate for each way that validation chose. The ways are laid in a row, so that each changes one thing in the one before:
#
# - **plain**: one constant rate, all parts learn from the start;
# - **linear decay**: the rate climbs over the first tenth of the steps and falls to 0 in a straight line;
# - **gradual, one schedule**: the same schedule over all epochs, and the parts join one after the other;
# - **gradual, a triangle per stage**: lesson 05's gradual unfreezing.
#
# In the figure each row is one of them minus the one before. **Predict:** which step brings most right test sentences?
# Which brings most forgetting?

# %%
from notebooks.source.lesson_05 import figures, runs
from utils.intervals import over_seeds

task = runs.Runs(profile)
results = task.results()
before = {
    "linear decay": "plain",
    "gradual, one schedule": "linear decay",
    "gradual, a triangle per stage": "gradual, one schedule",
}
figures.gains(results, before)
for way, other in before.items():
    lost = over_seeds(100.0 * results[other]["topics"] - 100.0 * results[way]["topics"], " points")
    print(f"{way}: topics lost beyond {other}, {lost}")
print(task.origin(*before))

# %% [markdown]
# In the runs that come with the course, the falling rate surely gains something over a constant one. Gradual unfreezing
# under the same schedule may add a little. A triangle for each stage adds nothing that 20 seeds could show, and it
# forgets more: the embeddings and the lowest layers now learn at the full rate. Forgetting is measured as in lesson 05,
# section 6, by topics of headlines.
#
# And the triangle itself? With the same rate, *linear decay* and lesson 05's *slanted triangle* differ by their lowest
# rate and by one step of the climb, and in their results hardly at all.

# %%
difference = 100.0 * results["slanted triangle"]["right"] - 100.0 * results["linear decay"]["right"]
print("right, slanted triangle minus linear decay:", over_seeds(difference, " points"))

# %% [markdown]
# ## To remember
#
# - “Gradual unfreezing” names several staircases; say which, and with which schedule.
# - Frozen means: the gradient is `None`. Zeros still let AdamW move a weight.
# - Freezing from below shortens the backward pass and the optimizer's step; the forward pass remains.
# - A triangle for each stage gives the lowest parts more rate than one schedule does, and more is forgotten.
