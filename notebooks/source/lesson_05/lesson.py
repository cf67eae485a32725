# ---
# jupyter:
#   course:
#     name: 05_beyond_the_trainer
#     title: "Lesson 05: Beyond the Trainer"
#     goals:
#       - write the training loop that the Trainer hides, with validation and the best weights kept
#       - add a rate for each layer, a triangular schedule and gradual unfreezing
#       - judge such a recipe over many seeds, against training without it
#     minutes_yours: 45
#     minutes_cpu: 1 to 2
#     needs: lesson 02 for the Trainer
# ---

# %% [markdown]
# > “Use ULMFiT's recipes, and fine-tuning works better and forgets less.”
#
# *ULMFiT* (Howard and Ruder 2018, arXiv 1801.06146) fine-tuned an LSTM that had learned to guess the next word, before
# BERT. We skip its second step, more next-word training on the task's texts. We test three of its recipes: a learning
# rate for each layer, a schedule shaped like a triangle, and layers unfrozen one after the other.
#
# ## 1. The loop
#
# Is a sentence about a film positive (1) or negative (0)? You train on 128 sentences, cut at 24 tokens.

# %%
# NBVAL_CHECK_OUTPUT
import copy

import torch
from datasets import load_dataset
from torch.utils.data import DataLoader, RandomSampler
from transformers import AutoTokenizer, DataCollatorWithPadding

from utils import assets

tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
sentences = load_dataset(str(assets.rotten_tomatoes())).rename_column("label", "labels")
sentences = sentences.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=24), batched=True)
sentences = sentences.remove_columns("text")
train_rows = sentences["train"].shuffle(seed=0).select(range(128))
validation_rows = sentences["validation"].shuffle(seed=0).select(range(200))
collator = DataCollatorWithPadding(tokenizer=tokenizer)
generator = torch.Generator()
sampler = RandomSampler(train_rows, generator=generator)
train_loader = DataLoader(dataset=train_rows, batch_size=8, sampler=sampler, collate_fn=collator)
print(train_rows[0]["labels"], tokenizer.decode(train_rows[0]["input_ids"]))

# %% [markdown]
# The model is lesson 02's with a smaller encoder; no dropout, so that two runs compare exactly. **Predict:** which
# share of 200 validation sentences does it get right before training, with a random head?

# %%
from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup, set_seed


def new_model():
    set_seed(0)  # the new head is random
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoModelForSequenceClassification.from_pretrained(
        profile.small_encoder, num_labels=2, dtype=torch.float32, **no_dropout
    ).to(profile.device)


@torch.inference_mode()  # keeps nothing for a backward pass
def evaluate(model, rows):
    model.eval()  # switches dropout off, where there is some
    loader = DataLoader(dataset=rows, batch_size=50, collate_fn=collator)
    answers = [model(**batch.to(profile.device)).logits.argmax(dim=1).cpu() for batch in loader]
    return (torch.cat(answers) == torch.tensor(list(rows["labels"]))).float().mean().item()


print(f"before training: {evaluate(new_model(), validation_rows):.1%} right")

# %% [markdown]
# Now the loop. Because a batch holds `labels`, the model computes the loss itself: lesson 02's cross-entropy.
# **Predict:** the training loss falls from epoch to epoch. Does validation accuracy rise each time, too?

# %%
model, losses, best = new_model(), [], 0.0
optimizer = torch.optim.AdamW(params=model.parameters(), lr=2e-4, weight_decay=0.0)
scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=4, num_training_steps=32)
for epoch in range(4):
    generator.manual_seed(epoch)  # a new order of the sentences, the same in every run
    model.train()
    for number, batch in enumerate(train_loader, start=1):
        loss = model(**batch.to(profile.device)).loss / 2
        loss.backward()
        losses.append(loss.item())
        if number % 2 == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    right = evaluate(model, validation_rows)
    print(f"epoch {epoch + 1}: loss {sum(losses[-16:]) / 8:.3f}, validation {right:.1%} right")  # 16 half losses
    if right > best:
        best, best_weights = right, copy.deepcopy(model.state_dict())
_ = model.load_state_dict(best_weights)

# %% [markdown]
# The training loss keeps falling, but validation need not follow (a few sentences may be luck). So the loop keeps the
# best weights. (The best score is partly luck, too: report on other sentences.)
#
# - **Gradient accumulation.** `backward` *adds* each gradient to the one already there. So two batches of 8 sentences
#   act as one of 16, once each loss is divided by 2. The optimizer steps after every second batch; then `zero_grad`
#   clears the sum.
# - **Gradient clipping.** All gradients together are one long vector. If it is longer than 1, it is shortened to 1, so
#   that no odd batch dominates.
# - **Schedule.** Four epochs have 32 steps. The rate rises from 0 over the first 4, the *warm-up*, to keep the first,
#   roughest steps small, then falls to 0 in a straight line.
# - **Best weights.** `state_dict` hands out the model's own tensors, which go on changing. So the loop keeps a copy of
#   the best, and puts it back.
#
# ### Is that the Trainer?
#
# The `Trainer` gets the same rate, warm-up and order. It takes real batches of 16, where your loop adds up two of 8.
# **Predict:** over all 32 steps, do the losses agree in one digit, in three or in six?

# %%
from transformers import PrinterCallback, Trainer, TrainingArguments

from notebooks.source.lesson_05 import cards
from utils.resume import run_folder

reports = {"logging_steps": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
arguments = TrainingArguments(
    output_dir=run_folder("05-trainer"),
    learning_rate=2e-4,
    warmup_steps=4,
    num_train_epochs=4,
    per_device_train_batch_size=16,
    seed=0,
    use_cpu=profile.device == "cpu",
    **reports,
)
trainer = Trainer(model=new_model(), args=arguments, train_dataset=train_rows, data_collator=collator)
trainer.remove_callback(PrinterCallback)  # it would print every loss
trainer.train()
cards.is_this_loop(profile, model, *cards.losses_of_steps(losses, trainer))

# %% [markdown]
# Up to rounding, the `Trainer` trains as your loop does. Clipping at 1 and the straight fall are its defaults;
# `optimizers=` replaces optimizer and schedule.
#
# ## 2. A rate for each layer
#
# ULMFiT assumes, as in vision, that lower layers are more general. So the first recipe, *discriminative fine-tuning*,
# lets them move less: ULMFiT divides the rate by 2.6 from each layer to the one below.
#
# An optimizer takes *parameter groups*: lists of weights, each with its own settings. Biases and layer normalization
# get no *weight decay*, the small pull towards 0.
#
# **Predict:** with six layers, the embeddings lie seven divisions below the head, whose rate is 0.001. Is their rate a
# 20th of that, a 100th, or less than a 500th?


# %%
# NBVAL_CHECK_OUTPUT
def depth_of(name, layers):
    """0 for the embeddings, 1 to `layers` for the layers, layers + 1 for the head."""
    if "embeddings." in name:
        return 0
    return 1 + int(name.split(".layer.")[1].split(".")[0]) if ".layer." in name else layers + 1


def groups_by_depth(model, rate, divisor, decay=0.01):
    layers, groups = model.config.num_hidden_layers, {}
    for name, weight in model.named_parameters():
        decayed = not (name.endswith("bias") or "LayerNorm" in name)
        groups.setdefault((depth_of(name, layers), decayed), []).append(weight)
    return [
        {"params": weights, "lr": rate / divisor ** (layers + 1 - depth), "weight_decay": decay * decayed}
        for (depth, decayed), weights in sorted(groups.items())
    ]


for depth, group in enumerate(groups_by_depth(model, rate=1e-3, divisor=2.6)[::2]):  # each part once
    print(f"depth {depth}: rate {group['lr']:.7f}, the head's divided by {1e-3 / group['lr']:.1f}")

# %% [markdown]
# With six layers the embeddings get an 800th of the head's rate. ULMFiT had three LSTM layers; deeper Transformers use
# divisors nearer 1 (*layer-wise learning rate decay*). We test the paper's 2.6.
#
# ## 3. The slanted triangle
#
# The second recipe is a schedule, the *slanted triangular* learning rate. Over a tenth of the steps it climbs from 1/32
# of the highest rate to the top, then it falls back. The paper's reason: to reach a good region quickly, then refine.
#
# The cell has the paper's formula, as printed. `cut` is the step of the peak: a tenth of the steps, rounded down. `p`
# is the height: 0 at the foot of the triangle, 1 at its peak. The `return` line makes it a share of the highest rate.
# The fall takes `cut * (1 / cut_frac - 1)` steps, 9 times `cut`.
#
# **Predict:** with 16 steps, what is `cut`? Does the fall then fill the steps that are left? And with 9 steps?

# %%
# NBVAL_CHECK_OUTPUT
import math


def as_printed(step, steps, cut_frac=0.1, ratio=32):
    cut = math.floor(steps * cut_frac)
    p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


for steps in (100, 16, 9):
    try:
        factors = [as_printed(step, steps) for step in range(steps)]
        print(f"{steps:>3} steps: first {factors[0]:.3f}, highest {max(factors):.3f}, last {factors[-1]:.3f}")
    except ZeroDivisionError:
        print(f"{steps:>3} steps: division by zero")

# %% [markdown]
# With 16 steps (an epoch of your next loop), `cut` is rounded down to 1. The formula plans 9 steps for the fall, but 14
# follow the peak: from step 11 on the *rate is negative*. The loop then goes uphill in the loss, without an error. With
# 9 steps, `cut` is 0.
#
# Repaired, it climbs for at least one step and falls over all the others. **Predict:** will you see it differ from
# section 1's schedule, linear warm-up and decay?


# %%
from notebooks.source.lesson_05 import figures


def slanted_triangular(step, steps, cut_frac=0.1, ratio=32):
    cut = max(1, math.floor(steps * cut_frac))
    p = step / cut if step < cut else 1 - (step - cut) / max(1, steps - cut)
    return (1 + max(0, p) * (ratio - 1)) / ratio


figures.schedules(as_printed, slanted_triangular)

# %% [markdown]
# Nearly the same. So section 5 compares the triangle with a constant rate.
#
# ## 4. Gradual unfreezing
#
# The third recipe trains the head alone at first, then frees the layers from the top down; here, in four epochs,
# several at once. Training all at once, says the paper, risks forgetting. `requires_grad` says which of the optimizer's
# weights learn.
#
# One triangle can span all epochs; in the paper's code, each unfreezing starts a new one. In the figure, white is
# frozen.
#
# **Predict:** one triangle over 400 steps has its peak at step 40. How much of the peak rate is left at step 300, when
# the embeddings join?


# %%
def unfreeze(model, epoch, epochs):
    """Gradients for the head alone in the first epoch, for all in the last, evenly in between."""
    layers = model.config.num_hidden_layers
    lowest = round((layers + 1) * (1 - epoch / (epochs - 1)))
    for name, weight in model.named_parameters():
        weight.requires_grad_(depth_of(name, layers) >= lowest)


one_triangle = [slanted_triangular(step, steps=400) for step in range(400)]
four_triangles = [slanted_triangular(step % 100, steps=100) for step in range(400)]
figures.stairs(model, unfreeze, {"one triangle": one_triangle, "a triangle for each epoch": four_triangles})

# %% [markdown]
# Under one triangle, what joins last finds little rate left. [Unfreezing variants](deeper/05_unfreezing_variants.ipynb)
# compares the two.
#
# ### All three in your loop
#
# `LambdaLR` makes a schedule from a function: what it returns multiplies each group's starting rate. Here each batch is
# a step. **Predict:** guessing has the loss ln 2 = 0.693. Does the loss fall most in the first epoch, while the head
# learns alone, or later?

# %%
from torch.optim.lr_scheduler import LambdaLR

model, stage = new_model(), len(train_loader)
optimizer = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=2.6))
scheduler = LambdaLR(optimizer, lr_lambda=lambda step: slanted_triangular(step % stage, stage))
for epoch in range(4):
    generator.manual_seed(epoch)
    unfreeze(model, epoch, epochs=4)
    model.train()
    losses = []
    for batch in train_loader:
        loss = model(**batch.to(profile.device)).loss
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    print(f"epoch {epoch + 1}: loss {sum(losses) / stage:.3f}, validation {evaluate(model, validation_rows):.1%} right")

# %% [markdown]
# Later: the head alone stays near the loss of guessing. Compare section 1's accuracies: one run of each settles
# nothing.
#
# ## 5. Do they work better?
#
# One run tells little. So each way of training ran 20 times, each time with 64 other sentences and another random head,
# now a single layer. Nearly all runs are stored results. *Plain* is one constant rate for all parts. Discriminative
# rates are constant too; the list shows the head's. Each way got the peak rate that validation chose.
#
# In the figure a dot is one *seed*: its accuracy minus plain's, in points, with the same sentences and head. Diamond
# and bar: the mean and its 95% interval. Bar wholly above 0: it helps. Bar across 0: open. (The paper's gain from all
# three: 1.9 points on IMDB.)
#
# **Predict:** does each recipe gain something? Do the gains add up?

# %%
from notebooks.source.lesson_05 import runs

task = runs.Runs(profile)
results, rates = cards.ways_of_training(task)
counted = task.counting_words()
for way, rate in rates.items():
    print(f"{way:<26}peak rate {rate:<8g}{results[way]['right'].mean():.1%} right")
figures.gains(results, counted=counted)
cards.each_helps(task, results, counted)
cards.together_help(task, results, rates)

# %% [markdown]
# Over plain at its own rate, the triangle gains 2.3 points, unfreezing with a triangle for each epoch 3.9. Rates for
# each layer stay open. A classifier that counts words (grey) is far below plain.
#
# But a constant rate is a weak opponent: the triangle is nearly section 1's schedule. What unfreezing gains over the
# triangle is not sure: 1.6 points (-0.4 to 3.7).
#
# More recipes are not more gain: all three, at the rate chosen for them, are about three points below unfreezing with
# triangles.
#
# ## 6. Do they forget less?
#
# This sentence encoder learned to put related texts close together. Is that lost? You have 250 headlines of five
# topics. A topic is *found* if the headline's mean token vector lies nearest to the mean of its own topic's other
# headlines. *Lost* is the drop.
#
# In the figure (ten seeds) each line is one way of training, and each mark one peak rate, rising about threefold. The
# ring is the rate that validation chose.
#
# **Predict:** what does a higher rate do to right answers, and to forgetting? At the rings, which way forgets least?

# %%
before = task.topics_before()
print(f"topics found before fine-tuning: {before.mean():.1%}; after:")
for way, found in results.items():
    print(f"{way:<26}{found['topics'].mean():.1%}")
figures.forgetting(cards.ways_by_rate(task), before, rates)
cards.forgets_less(task, results, rates, runs.searched(profile, "plain"))

# %% [markdown]
# A higher rate forgets more. Right answers rise, then fall, for three of the ways. So “do they forget less?” has three
# answers:
#
# - **At each way's own rate** (rings, card): no. Plain forgets least; its peak rate is the lowest. All three, at 0.003,
#   give the top layer almost 40 times that.
# - **At the same peak rate**: yes, by eye. At 0.0003, discriminative rates lose under 5 points, plain more than 35.
#   Below the head, their rates are lower.
# - **For the same forgetting**, three of the recipes' rings lie above plain's line: perhaps more right answers.
#
# The first answer hangs on near ties on validation. At the next higher rate, plain loses over 20 points; at the next
# lower, all three lose about 5.
#
# “Works better”? Triangles do, with unfreezing or without; the others stay open. “Forgets less”? Not at the chosen
# rates.

# %% [markdown]
# ## To remember
#
# - The `Trainer` is a loop: forward, backward, clip, step, schedule, clear.
# - Try a formula at its ends: the slanted triangle as printed can turn the rate negative.
# - Judge a recipe over many seeds, against training without it.
# - Here a triangle beat a constant rate; whether unfreezing adds to it stays open.
# - If a recipe forgets less, ask whether a lower rate without it does, too.
#
# ## Exercises
#
# [Six exercises](exercises/05_beyond_the_trainer.ipynb) that answer back.
#
# ## Deeper
#
# [Several processes](deeper/05_several_processes.ipynb) · [resuming by hand](deeper/05_resuming_by_hand.ipynb) ·
# [unfreezing variants](deeper/05_unfreezing_variants.ipynb)
