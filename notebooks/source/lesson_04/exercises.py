# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 04: Why transfer works"
# ---

# %% [markdown]
# ## 04.1 Predict: how many weights does LoRA train?
#
# Section 1 of the lesson says what a detour is made of. Count the weights of all detours of a network together. The
# head is left out, and a detour has no bias. The matrices beside which the detours stand have as many inputs as
# outputs: the network's *width*. Write a whole number, or a product such as `3 * 5 * 7`, for each of these:
#
# - `"encoder"`: width 384, 6 layers, rank 8, detours beside queries and values (the lesson's encoder under `embedded`),
# - `"rank 16"`: the same, but rank 16,
# - `"queries only"`: as `"encoder"` with rank 8, but no detours beside the values,
# - `"bert-base"`: width 768, 12 layers, rank 8, detours beside queries and values.

# %%
detours = {"encoder": None, "rank 16": None, "queries only": None, "bert-base": None}
# Your lines start here.
detours["encoder"] = 6 * 2 * (8 * 384 + 384 * 8)  # layers, queries and values, the two thin matrices
detours["rank 16"] = 6 * 2 * (16 * 384 + 384 * 16)
detours["queries only"] = 6 * (8 * 384 + 384 * 8)
detours["bert-base"] = 12 * 2 * (8 * 768 + 768 * 8)
# Your lines end here.

# %%
check("04.1", detours)

# %% [markdown]
# Then let `peft` count. On the device `"meta"` weights have shapes but no values, and take no memory. Change
# the shapes as you like.

# %%
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification


def weights_of_detours(width, layers, rank, beside=("query", "value")):
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(hidden_size=width, num_hidden_layers=layers))
        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=rank, target_modules=list(beside)))
    return sum(values.numel() for name, values in model.named_parameters() if "lora" in name)


for shape in ((384, 6, 8), (384, 6, 16), (384, 6, 8, ["query"]), (768, 12, 8)):
    print(shape, f"{weights_of_detours(*shape):,}")

# %% [markdown]
# ## 04.2 Mend: a learning rate that forgets
#
# `measured` has a tuple for each learning rate, in no particular order: the rate, the task (right, in %, on validation
# sentences) and the grammar (minimal pairs right, in %). Somebody chooses a rate with this function. The classifier is
# good, but the same network is also to guess hidden words, and it has lost 25 points of grammar.


# %%
def choose_rate_with_a_bug(measured):
    return max(measured, key=lambda one: one[1])[0]


print(choose_rate_with_a_bug([(1e-3, 84, 60), (3e-4, 80, 83), (3e-5, 71, 85)]))

# %% [markdown]
# Write a function that looks at what is forgotten. It also gets `before`, the grammar before fine-tuning in %, and
# `allowed`, in points. Return one rate:
#
# - Among the rates at which grammar loses at most `allowed` points, take the one with the best task. A rate at which
#   grammar has gained loses nothing.
# - If there is no such rate, take the one at which grammar loses least, whatever the task.
# - If several rates are equally good in this, take the smallest of them.
#
# With the three rates above and `before` = 85, that is 3e-4 for `allowed` = 3 and 3e-5 for `allowed` = 1. With `before`
# = 90 and `allowed` = 3 all lose more than allowed, and it is 3e-5, which loses 5 points.


# %%
def choose_rate(measured, before, allowed):
    """The learning rate that does the task best and loses at most `allowed` points of grammar."""
    # Your lines start here.
    keeping = [(-task, rate) for rate, task, grammar in measured if before - grammar <= allowed]
    losing = [(before - grammar, rate) for rate, task, grammar in measured]
    return min(keeping or losing)[1]
    # Your lines end here.


# %%
check("04.2", choose_rate)

# %% [markdown]
# ## 04.3 Write: how many steps does a run make?
#
# Section 4 of the lesson: an epoch over few sentences is few steps. Count them. Each epoch goes once through all
# labelled sentences in batches of `batch`, and each batch is a step. The last batch of an epoch has what is left, so it
# may be smaller; a batch never reaches into the next epoch. All three arguments are whole numbers above 0.
#
# The lesson's arguments include `warmup_steps=0.1`: in the first tenth of all steps of the run the learning rate
# rises to the one you chose, then it falls to 0. If a tenth is no whole number, it is rounded up. Return two whole
# numbers: all steps of the run, and how many of them are warm-up. Two examples:
#
# - 200 labels in batches of 8, 5 epochs: 125 steps, 13 of them warm-up,
# - 10 labels in batches of 4, 2 epochs: 6 steps, 1 of them warm-up.


# %%
def steps(labels, batch, epochs):
    """All steps of a run, and how many of them are warm-up."""
    # Your lines start here.
    of_run = epochs * -(-labels // batch)  # -(-a // b) is a / b rounded up, without floating-point error
    return of_run, -(-of_run // 10)
    # Your lines end here.


# %%
check("04.3", steps)

# %% [markdown]
# ## 04.4 Mend: freezing the lower half
#
# *Half frozen* keeps the embeddings and the lower half of the layers as they are. Somebody does it by the names of the
# weights. `names` has them all, `layers` is how many layers the network has, and the names that come back are not
# trained. With the lesson's encoder of 6 layers only one thing is off: more weights are trained than the lesson counts.
# With 12 layers, 8 of them are frozen, some of them at the top.


# %%
def still_with_a_bug(names, layers):
    lower = [f"layer.{number}" for number in range(layers // 2)]
    return [name for name in names if any(one in name for one in lower)]


# %% [markdown]
# Here are some names of a network of 12 layers, numbered from 0. Above the layers come the pooler, a layer that
# pretraining made, and the classifier, which is the head. *Half frozen* trains both.

# %%
with torch.device("meta"):
    bert_base = BertForSequenceClassification(BertConfig())
for name, _ in bert_base.named_parameters():
    if "encoder" not in name or name.endswith("query.weight"):
        print(name)

# %% [markdown]
# Write it so that it is right for any number of layers. Return a list of the names that are not trained: those of
# the embeddings and of the lower half of the layers, and no others. With an odd number of layers, the one in the middle
# is trained. The order of the names does not matter.


# %%
def still(names, layers):
    """Names of the weights that are not trained when the embeddings and the lower half of the layers are frozen."""
    # Your lines start here.
    frozen = ["bert.embeddings.", *[f"bert.encoder.layer.{number}." for number in range(layers // 2)]]
    return [name for name in names if name.startswith(tuple(frozen))]
    # Your lines end here.


# %%
check("04.4", still)

# %% [markdown]
# ## 04.5 Write: how many labels does pretraining save?
#
# The figure of section 2 has accuracies upwards and labels to the right. Read it sideways: how many labels are needed
# for the *same* accuracy? `budgets` has numbers of labels, the smallest first; `pretrained` and `counting` have the
# accuracies in %, one for each budget, of a pretrained network and of counting words.
#
# Take the accuracy that counting words has with the largest budget. Find the smallest budget with which the pretrained
# network is at least as good as that. Return the factor: the largest budget divided by that one. If no budget will do,
# nothing can be read off: return 0. The lines may dip here and there; intervals are left aside.
#
# With the budgets 50, 200, 1000, 4000, pretrained 64, 77, 80, 84 and counting 55, 60, 68, 75 (made-up numbers), 200
# labels do what 4000 do for counting words: 20.


# %%
def labels_saved(budgets, pretrained, counting):
    """How many times as many labels counting words was given, for an accuracy that the pretrained network reaches."""
    # Your lines start here.
    enough = [budget for budget, accuracy in zip(budgets, pretrained, strict=True) if accuracy >= counting[-1]]
    return budgets[-1] / min(enough) if enough else 0
    # Your lines end here.


# %%
check("04.5", labels_saved)
