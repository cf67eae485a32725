# ---
# jupyter:
#   course:
#     name: 05_beyond_the_trainer
#     title: "Lesson 05: Beyond the Trainer"
#     goals:
#       - write the training loop that the Trainer hides, with validation and the best weights kept
#       - give each layer its own learning rate, and free layers step by step
#       - turn a schedule from a paper into a PyTorch scheduler, and find where the paper's formula fails
#       - judge a recipe over many seeds, beside counting words, each way of training at its own rate
#     minutes_yours: 85
#     minutes_cpu: 1 to 2
#     needs: lesson 02 for the Trainer
# ---

# %% [markdown]
# > “Use ULMFiT's recipes, and fine-tuning works better and forgets less.”
#
# You write the training loop in raw PyTorch. Then you add the three recipes of *ULMFiT* (Howard and Ruder 2018, arXiv
# 1801.06146), made for networks before Transformers: a learning rate for each layer, a schedule in the form of a
# triangle, and layers that are unfrozen one after the other. Do they help?
#
# ```
# sentences → batch → model → loss → gradients → clipped → optimizer → new weights
#               ↑                                             ↑              │
#               │                                  schedule: its rate        │
#               └──────────────────── next batch ────────────────────────────┘
# after each epoch: validation; the best weights are kept
# ```
#
# ## 1. See it work
#
# Sentences of film reviews, cut at 24 tokens:

# %%
import torch
from datasets import load_dataset
from torch.utils.data import DataLoader, RandomSampler
from transformers import AutoTokenizer, DataCollatorWithPadding, get_linear_schedule_with_warmup, set_seed

from utils import assets

tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
sentences = load_dataset(str(assets.rotten_tomatoes())).rename_column("label", "labels")
sentences = sentences.map(
    lambda rows: tokenizer(rows["text"], truncation=True, max_length=24), batched=True, remove_columns="text"
)
train_rows = sentences["train"].shuffle(seed=0).select(range(128))
validation_rows = sentences["validation"].shuffle(seed=0).select(range(200))
collator = DataCollatorWithPadding(tokenizer=tokenizer)
generator = torch.Generator()
sampler = RandomSampler(train_rows, generator=generator)
train_loader = DataLoader(dataset=train_rows, batch_size=8, sampler=sampler, collate_fn=collator)
batch = next(iter(train_loader))
print({name: tuple(values.shape) for name, values in batch.items()})

# %% [markdown]
# The model is lesson 02's, with the small encoder and without dropout: its random zeros would blur a comparison below.
# `evaluate` gives the share of right answers.

# %%
import copy

from transformers import AutoModelForSequenceClassification


def new_model():
    set_seed(0)  # the new head is random
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoModelForSequenceClassification.from_pretrained(
        profile.small_encoder, num_labels=2, dtype=torch.float32, **no_dropout
    ).to(profile.device)


@torch.inference_mode()
def evaluate(model, rows):
    model.eval()
    loader = DataLoader(dataset=rows, batch_size=50, collate_fn=collator)
    answers = [model(**batch.to(profile.device)).logits.argmax(dim=1).cpu() for batch in loader]
    return (torch.cat(answers) == torch.tensor(list(rows["labels"]))).float().mean().item()


# %% [markdown]
# Now the loop: four epochs on 128 sentences. **Predict:** how many of the validation sentences does the model get right
# after each epoch? (Guessing gets half.)

# %%
model, losses, best = new_model(), [], 0.0
optimizer = torch.optim.AdamW(params=model.parameters(), lr=2e-4, weight_decay=0.0)
scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=4, num_training_steps=32)
for epoch in range(4):
    generator.manual_seed(epoch)
    model.train()
    for number, batch in enumerate(train_loader, start=1):
        loss = model(**batch.to(profile.device)).loss / 2  # two batches of 8 act as one of 16
        loss.backward()
        losses.append(loss.item())
        if number % 2 == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    right = evaluate(model, validation_rows)
    print(f"epoch {epoch + 1}: loss {2 * sum(losses[-16:]) / 16:.3f}, validation {right:.1%} right")  # 2: undo the / 2
    if right > best:
        best, best_weights = right, copy.deepcopy(model.state_dict())
_ = model.load_state_dict(best_weights)

# %% [markdown]
# The training loss keeps falling. Validation need not, so the loop keeps the best weights. (Differences this small can
# be chance.)
#
# - `AdamW`: a step is the rate `lr` times the running mean of the gradient, divided by the root of the running mean of
#   its square.
# - `scheduler`: the rate rises from 0 over 4 steps (*warm-up*), then falls to 0.
# - `manual_seed(epoch)`: a new order in each epoch, the same as the Trainer's with seed 0.
# - `backward` *adds* to the gradients. So two batches of 8, each loss divided by 2, give the gradients of one batch of
#   16. This is *gradient accumulation*, for batches that do not fit into memory.
# - *Gradient clipping* joins all gradients into one vector. A length above 1 is scaled down to 1.
# - `zero_grad()` keeps old gradients out of the next step.
# - `deepcopy`: without it, `best_weights` would go on changing with the model. `load_state_dict` puts them back.
#
# ### Is that the Trainer?
#
# The `Trainer` gets the same rate, warm-up and seed. It takes batches of 16 where the loop takes two of 8. **Predict:**
# after 32 steps, do the losses agree to one digit, to three or to six?

# %%
from transformers import PrinterCallback, Trainer, TrainingArguments

from utils.resume import run_folder

arguments = TrainingArguments(
    output_dir=run_folder("05-trainer"),
    learning_rate=2e-4,
    warmup_steps=4,
    num_train_epochs=4,
    per_device_train_batch_size=16,
    seed=0,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
    use_cpu=profile.device == "cpu",
)
trainer = Trainer(model=new_model(), args=arguments, train_dataset=train_rows, data_collator=collator)
trainer.remove_callback(PrinterCallback)  # it would print every loss
summary = trainer.train()

# %%
from notebooks.source.lesson_05 import cards

logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
in_pairs = [first + second for first, second in zip(losses[::2], losses[1::2], strict=True)]
for step in (0, 15, 31):
    print(f"step {step + 1:>2}: the loop {in_pairs[step]:.7f}, the Trainer {logged[step]:.7f}")
cards.is_this_loop(profile, model, in_pairs, logged)

# %% [markdown]
# They agree but for rounding. Clipping at 1 and linear decay are the Trainer's defaults. It also saves, resumes and
# logs; with `load_best_model_at_end=True` it keeps the best weights (by validation loss).
#
# ## 2. A rate for each layer
#
# An optimizer knows no layers. It knows *parameter groups*: lists of weights, each with options of its own, such as the
# rate. Yours has one group so far. Usually there are two: matrices get *weight decay*, a small pull towards 0 in each
# step; biases and layer normalization do not.
#
# The first recipe is *discriminative fine-tuning*, today called *layer-wise learning-rate decay*. The idea: lower
# layers hold what is general, so they should move less than the specialised upper ones. ULMFiT divides the rate by 2.6
# from each layer to the one below.


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


print(len(groups_by_depth(model, rate=1e-3, divisor=2.6)), "groups: each part twice, decayed or not")

# %% [markdown]
# Sun et al. (2019) multiplied BERT's rate by 0.95 from layer to layer. Take six layers, and a head with the rate 0.001.
# **Predict:** what do the embeddings get, seven steps below, divided by 2.6 each time, or times 0.95?

# %%
# NBVAL_CHECK_OUTPUT
with_ulmfit = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=2.6)).param_groups
with_sun = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=1 / 0.95)).param_groups
parts = ["embeddings", *[f"layer {layer}" for layer in range(1, model.config.num_hidden_layers + 1)], "head"]
for part, ulmfit, sun in zip(parts, with_ulmfit[::2], with_sun[::2], strict=True):  # two groups for each part
    print(f"{part:<10}  by 2.6: {ulmfit['lr']:.2e}   times 0.95: {sun['lr']:.2e}")
for layers in (3, 6, 12):
    print(f"{layers} layers: by 2.6, the embeddings get 1/{2.6 ** (layers + 1):,.0f} of the head's rate")

# %% [markdown]
# ULMFiT's network had three layers. Under twelve layers, at 2.6 each, embeddings hardly move.
#
# ## 3. The slanted triangle
#
# The second recipe is a schedule, the *slanted triangular* learning rate: it rises for a short time and falls for a
# long one. The paper's formula (section 3.2) gives the rate $\eta_t$ at step $t$ of $T$. $cut$ is the step of the peak,
# after the share $cut\_frac$ of all steps. $p$ is the share of the climb: 1 at the peak, 0 at steps 0 and $T$. $ratio$
# is the highest rate, $\eta_{max}$, over the lowest; the code gives $\eta_t / \eta_{max}$:
#
# $$cut = \lfloor T \cdot cut\_frac \rfloor$$
#
# $$p = \begin{cases} t/cut & t < cut \\ 1 - \frac{t - cut}{cut (1/cut\_frac - 1)} & \text{otherwise} \end{cases}$$
#
# $$\eta_t = \eta_{max} \cdot \frac{1 + p \cdot (ratio - 1)}{ratio}$$
#
# The paper takes $cut\_frac = 0.1$ and $ratio = 32$. The fall should take $T - cut$ steps. **Predict:** with 100 steps
# all goes well. What can go wrong with 9 steps? With 109?

# %%
# NBVAL_CHECK_OUTPUT
import math


def as_printed(step, steps, cut_frac=0.1, ratio=32):
    cut = math.floor(steps * cut_frac)
    p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_frac - 1))
    return (1 + p * (ratio - 1)) / ratio


for steps in (100, 103, 109, 19, 9):
    try:
        factors = [as_printed(step, steps) for step in range(steps)]
        print(f"{steps:>3} steps: first {factors[0]:.3f}, highest {max(factors):.3f}, last {factors[-1]:.3f}")
    except ZeroDivisionError:
        print(f"{steps:>3} steps: division by zero")

# %% [markdown]
# With fewer than 10 steps, $cut$ is 0. And where $T \cdot cut\_frac$ is not a whole number, $cut$ is rounded down, the
# fall becomes too steep, and the *rate can turn negative*. The loop would then climb, without an error.
#
# Repaired, it rises for at least one step and falls over all the others:


# %%
def slanted_triangular(step, steps, cut_frac=0.1, ratio=32):
    cut = max(1, math.floor(steps * cut_frac))
    p = step / cut if step < cut else 1 - (step - cut) / max(1, steps - cut)
    return (1 + max(0, p) * (ratio - 1)) / ratio


# %% [markdown]
# **Predict:** how far is the triangle from section 1's schedule, linear warm-up and decay?

# %%
from notebooks.source.lesson_05 import figures

steps = 100
line = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=10, num_training_steps=steps).lr_lambdas[0]
figures.schedules(
    {
        "slanted triangle": [slanted_triangular(step, steps) for step in range(steps)],
        "linear warm-up and decay": [line(step) for step in range(steps)],
        "constant": [1.0] * steps,
    }
)

# %% [markdown]
# They nearly coincide: with a warm-up, the Trainer's default is almost the triangle. So section 5 sets the triangle
# against a constant rate.
#
# ## 4. Gradual unfreezing
#
# The third recipe: first the head learns alone, then the last layer joins, then the next. Training all layers at once,
# says the paper, risks forgetting. (Here, in four epochs, two or three join at a time.) `requires_grad` switches a
# part's gradients on; the optimizer skips weights that have none.
#
# And the schedule? The simple way keeps one that falls over all epochs. In the paper's code each stage (until the next
# parts join) has its own triangle. **Predict:** in the simple way, how much of the peak rate is left when the
# embeddings join, in the last of four epochs?


# %%
def unfreeze(model, epoch, epochs):
    """Gradients for the head alone in the first epoch, for all in the last, evenly in between."""
    layers = model.config.num_hidden_layers
    lowest = round((layers + 1) * (1 - epoch / (epochs - 1)))
    for name, weight in model.named_parameters():
        weight.requires_grad_(depth_of(name, layers) >= lowest)


steps, stage, layers = 400, 100, model.config.num_hidden_layers  # four epochs of 100 steps
line = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=40, num_training_steps=steps).lr_lambdas[0]
shared, staged = torch.zeros(2, layers + 2, steps)
for step in range(steps):
    unfreeze(model, step // stage, epochs=4)
    free = sorted({depth_of(name, layers) for name, weight in model.named_parameters() if weight.requires_grad})
    shared[free, step] = line(step)
    staged[free, step] = slanted_triangular(step % stage, stage)
print(f"when the embeddings are freed, the shared schedule is at {shared[0].max():.1%} of its peak")
figures.stairs(shared, staged, parts)

# %% [markdown]
# Under one schedule, what joins last has little rate left. [Deeper: variants](deeper/05_unfreezing_variants.ipynb).
#
# ### All three in your loop
#
# `LambdaLR` makes a scheduler from a function: what it returns multiplies each group's rate. `step % stage` begins a
# new triangle with each epoch. **Predict:** between which epochs does the mean loss fall most?

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
# While the head learns alone, the loss stays near that of guessing, ln 2 = 0.693. About half of the fall comes in the
# third epoch.
#
# ## 5. Do they help?
#
# An *arm* is a way of training. Each ran with 20 seeds; a seed draws the sentences and the head. All train four epochs
# on 64 short sentences, in a loop like this, and judge 729 test sentences. (Head: one layer on the mean token vector.)
#
# | arm | rates | unfreezing | schedule |
# |---|---|---|---|
# | plain | one | no | constant |
# | linear decay | one | no | linear |
# | slanted triangle | one | no | triangle |
# | discriminative rates | divided by 2.6 | no | constant |
# | gradual, one schedule | one | yes | linear |
# | gradual, a triangle per stage | one | yes | triangles |
# | all three recipes | divided by 2.6 | yes | triangles |
#
# Validation chose each arm's rate (where rates differ, the head's). **Predict:** which arm wins? Does the triangle beat
# a constant rate?

# %%
from notebooks.source.lesson_05 import runs

task = runs.Runs(profile)
results, rates = task.results(), runs.chosen_rates(profile)
counted = task.counting_words()
for arm in runs.RECIPES:
    print(f"{arm:<30} rate {rates[arm]:<7.2g} right {results[arm]['right'].mean():.1%}")
print(f"{'counting words':<43} right {counted.mean():.1%}")
print(task.origin(*runs.RECIPES))

# %% [markdown]
# Now each recipe against training without it, each at its own rate. A dot is a seed's difference; the bar, where the
# mean for other seeds and texts plausibly lies (95%). To help means here 2 points or more (the paper's three together:
# 1.9 on IMDb). *Yes*: the whole interval lies above 2; *no*: below; else not settled. **Predict:** does each recipe
# help by itself? Do all three together?

# %%
without = {
    "discriminative rates": "plain",
    "slanted triangle": "plain",
    "gradual, one schedule": "linear decay",
}
pairs = without | {"gradual, a triangle per stage": "slanted triangle", "all three recipes": "plain"}
figures.gains(results, counted, pairs)
cards.each_helps(task, results, counted, without)
cards.together_help(task, results, "all three recipes", rates)

# %% [markdown]
# At these rates, the triangle surely gains something over a constant rate, though not surely 2 points. Discriminative
# rates are not surely above plain, nor gradual unfreezing above linear decay. And gains do not add up: all three
# together are lower than gradual unfreezing with triangles (open the card).
#
# ## 6. Do they forget less?
#
# The recipes were made against forgetting, so measure it. Before fine-tuning, most BBC headlines (their mean token
# vectors) lie nearest to the mean of their own topic. How many do afterwards, with the topic means computed again?
# (Guessing among five topics finds 20%.)
#
# One arm more: plain at ten times its rate. **Predict:** which arm forgets most? Do the recipes forget less than
# training without them?

# %%
before = task.topics_before()
print(f"{'before fine-tuning':<55} topics {before.mean():.1%}")
for arm, found in results.items():
    print(f"{arm:<30} rate {rates[arm]:<7.2g} right {found['right'].mean():.1%} topics {found['topics'].mean():.1%}")
figures.forgetting(results, before)
cards.forgets_less(task, results, pairs, runs.searched(profile, "plain"))

# %% [markdown]
# Each at its own rate, most recipes forget *more* than the same training without them. At equal head rates it can be
# the other way round: compare discriminative rates with plain at ten times its rate. So the answer depends on plain's
# rate, and validation hardly told its middle rates apart (open the card).

# %% [markdown]
# ## To remember
#
# - The `Trainer` is a loop: forward, backward, clip, step, schedule.
# - Parameter groups carry what differs between weights: decay, rates. `requires_grad` says who learns.
# - The slanted triangle as printed can divide by zero, or turn the rate negative: try formulas at their ends.
# - Judge a recipe over many seeds, each arm at its own rate, beside baselines.
# - Compare a recipe with plain training at several rates, in what is right and in what is forgotten. Here, “forgets
#   less” depends on plain's rate.
#
# ## Exercises
#
# [Six exercises](exercises/05_beyond_the_trainer.ipynb) say whether you are right.
#
# ## Deeper
#
# [Several processes](deeper/05_several_processes.ipynb) · [resuming by hand](deeper/05_resuming_by_hand.ipynb) ·
# [unfreezing variants](deeper/05_unfreezing_variants.ipynb)
