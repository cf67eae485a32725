# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 04: Why transfer works"
# ---

# %% [markdown]
# ## 04.1 Predict: how many weights does LoRA train?
#
# Section 5 of the lesson says what LoRA puts beside a matrix: a product B·A of two thin ones. Count the weights of all
# A and B of a network together. The head is left out, and A and B have no bias. The matrices beside which they stand
# have as many inputs as outputs: the network's *width*. Write a whole number, or a product such as `3 * 5 * 7`, for
# each of these:
#
# - `"encoder"`: width 384, 6 layers, rank 8, beside queries and values (the lesson's encoder under `embedded`),
# - `"rank 16"`: the same, but rank 16,
# - `"queries only"`: as `"encoder"` with rank 8, but not beside the values,
# - `"bert-base"`: width 768, 12 layers, rank 8, beside queries and values.

# %%
added = {"encoder": None, "rank 16": None, "queries only": None, "bert-base": None}
# Your lines start here.
added["encoder"] = 6 * 2 * (8 * 384 + 384 * 8)  # layers, queries and values, A and B
added["rank 16"] = 6 * 2 * (16 * 384 + 384 * 16)
added["queries only"] = 6 * (8 * 384 + 384 * 8)
added["bert-base"] = 12 * 2 * (8 * 768 + 768 * 8)
# Your lines end here.

# %%
check("04.1", added)

# %% [markdown]
# Then let `peft` count. On the device `"meta"` weights have shapes but no values, and take no memory. Change
# the shapes as you like.

# %%
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification


def weights_added(width, layers, rank, beside=("query", "value")):
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(hidden_size=width, num_hidden_layers=layers))
        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=rank, target_modules=list(beside)))
    return sum(values.numel() for name, values in model.named_parameters() if "lora" in name)


for shape in ((384, 6, 8), (384, 6, 16), (384, 6, 8, ["query"]), (768, 12, 8)):
    print(shape, f"{weights_added(*shape):,}")

# %% [markdown]
# ## 04.2 Mend: a learning rate that forgets
#
# `measured` has a tuple for each learning rate, in no particular order: the rate, the task (right, in %, on validation
# sentences) and the neighbours (headlines whose nearest one has their topic, in %, as in section 3). Somebody chooses a
# rate with this function. The classifier is good, but the same network is also to find similar headlines, and at that
# rate it has lost 25 points.


# %%
def choose_rate_with_a_bug(measured):
    return max(measured, key=lambda one: one[1])[0]


print(choose_rate_with_a_bug([(1e-3, 84, 60), (3e-4, 80, 83), (3e-5, 71, 85)]))

# %% [markdown]
# Write a function that looks at what is forgotten. It also gets `before`, the neighbours before fine-tuning in
# %, and `allowed`, in points. Return one rate:
#
# - Among the rates at which at most `allowed` points of neighbours are lost, take the one with the best task. A rate at
#   which they have gained loses nothing.
# - If there is no such rate, take the one at which least is lost, whatever the task.
# - If several rates are equally good in this, take the smallest of them.
#
# With the three rates above and `before` = 85, that is 3e-4 for `allowed` = 3 and 3e-5 for `allowed` = 1. With `before`
# = 90 and `allowed` = 3 all lose more than allowed, and it is 3e-5, which loses 5 points.


# %%
def choose_rate(measured, before, allowed):
    """The learning rate that does the task best and loses at most `allowed` points of neighbours."""
    # Your lines start here.
    keeping = [(-task, rate) for rate, task, kept in measured if before - kept <= allowed]
    losing = [(before - kept, rate) for rate, task, kept in measured]
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
# The lesson's trainings have `warmup_steps=0.1`: in the first tenth of all steps of the run the learning rate
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
# ## 04.4 Write: freeze and count
#
# `sizes` has, for each group of weights of a classifier, its name and how many weights are in it. Somebody freezes the
# embeddings and the lowest `frozen` layers, numbered from 0; all else is trained: the other layers, the pooler (a layer
# above them) and the classifier. Return how many weights are trained. These are some of the names:

# %%
with torch.device("meta"):
    bert_base = BertForSequenceClassification(BertConfig())
sizes_of_bert_base = {name: weights.numel() for name, weights in bert_base.named_parameters()}
for name, size in sizes_of_bert_base.items():
    if "encoder" not in name or name.endswith("query.weight"):
        print(f"{name:<50} {size:>10,}")


# %%
def trained_weights(sizes, frozen):
    """How many weights are trained when the embeddings and the lowest `frozen` layers are not."""
    # Your lines start here.
    still = ("bert.embeddings.", *[f"bert.encoder.layer.{number}." for number in range(frozen)])
    return sum(size for name, size in sizes.items() if not name.startswith(still))
    # Your lines end here.


# %%
check("04.4", trained_weights)

# %% [markdown]
# Then freeze for real, and let PyTorch count. Is it the same number?

# %%
for part in [bert_base.bert.embeddings, *bert_base.bert.encoder.layer[:6]]:
    part.requires_grad_(False)
print("PyTorch:", sum(weights.numel() for weights in bert_base.parameters() if weights.requires_grad))
print("yours:  ", trained_weights(sizes_of_bert_base, 6))

# %% [markdown]
# ## 04.5 Write: how many labels does pretraining save?
#
# The figure of section 1 has accuracies upwards and labels to the right. Read it sideways: how many labels are needed
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
