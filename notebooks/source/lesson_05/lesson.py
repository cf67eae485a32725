# ---
# jupyter:
#   course:
#     name: 05_beyond_the_trainer
#     title: "Lesson 05: Beyond the Trainer"
#     goals:
#       - write the training loop that the Trainer hides, with validation and the best weights kept
#       - give each layer its own learning rate, and free layers step by step
#       - turn a schedule from a paper into a PyTorch scheduler, and find where the paper's formula fails
#       - judge a recipe over many seeds, with counting words and a smaller rate beside it
#     minutes_yours: 80
#     minutes_cpu: 1 to 2
#     needs: lesson 02 for the Trainer
# ---

# %% [markdown]
# > “Use ULMFiT's recipes, and fine-tuning works better and forgets less.”
#
# This lesson leaves the Trainer behind. In raw PyTorch, you write the loop, then three recipes of *ULMFiT* (Howard and
# Ruder 2018, arXiv 1801.06146), which fine-tunes an LSTM language model: discriminative fine-tuning, slanted triangular
# learning rates and gradual unfreezing. Do they help?
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
# The model of lesson 02 with the small encoder, and a function that counts right answers. (No dropout: its chance would
# differ between loop and Trainer.)

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
# Guessing gets half right. **Predict:** how many do four epochs on 128 sentences get right? Does the
# last help?

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
    print(f"epoch {epoch + 1}: loss {2 * sum(losses[-16:]) / 16:.3f}, validation {right:.1%} right")
    if right > best:
        best, best_weights = right, copy.deepcopy(model.state_dict())
report = model.load_state_dict(best_weights)

# %% [markdown]
# The loss keeps falling; validation need not, so the loop keeps the best weights. (Of 200 sentences, a few more are
# chance.) Line by line:
#
# - `AdamW` moves each weight against the running mean of its gradient, divided by the gradient's usual size,
#   times the rate `lr`.
# - `scheduler`: the rate rises from 0 over 4 steps (*warm-up*), then falls to 0.
# - `manual_seed(epoch)`: another order in each epoch, as the Trainer with seed 0 has it.
# - `backward` *adds* to the gradients. So two batches of 8, each loss divided by 2, give the gradients of one batch of
#   16: *gradient accumulation*, for batches that do not fit into memory. After an odd number of batches, the last
#   gradient would spill into the next epoch.
# - *Gradient clipping* joins all gradients into one vector. A length above 1 is scaled down to 1.
# - After `optimizer.step()` and `scheduler.step()`, `zero_grad()` keeps old gradients out of the next step.
# - Without `deepcopy`, `best_weights` would go on changing with the model's.
#
# ### Is that the Trainer?
#
# The `Trainer` uses the same rate, warm-up and seed, but takes batches of 16, not pairs of 8. **Predict:** do the
# losses at step 32 agree to one digit, three or six?

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
# The losses agree but for rounding. The Trainer also saves, resumes, logs and, with `load_best_model_at_end=True`,
# keeps the best weights (by validation loss, unless told otherwise). [Deeper: resuming by
# hand](deeper/05_resuming_by_hand.ipynb).
#
# ## 2. A rate for each layer
#
# An optimizer sees no layers, only *parameter groups*: lists of weights with options of their own, such as the rate.
# Yours has one group so far. Two are usual: matrices get *weight decay*, a small pull towards 0 in each step; biases
# and the scales of layer normalisation do not. **Predict:** which group has more tensors, and which more weights?


# %%
# NBVAL_CHECK_OUTPUT
def is_decayed(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


named = list(model.named_parameters())
groups = [
    {"params": [weight for name, weight in named if is_decayed(name)], "weight_decay": 0.01},
    {"params": [weight for name, weight in named if not is_decayed(name)], "weight_decay": 0.0},
]
for group in torch.optim.AdamW(params=groups, lr=2e-4).param_groups:
    count = sum(weight.numel() for weight in group["params"])
    print(
        f"weight decay {group['weight_decay']}: {len(group['params'])} tensors, {count:,} weights, rate {group['lr']}"
    )

# %% [markdown]
# *Discriminative fine-tuning* is today called *layer-wise learning-rate decay*. Lower layers hold what is general, so
# they should move less than upper, special ones. ULMFiT divides the rate by 2.6 from each layer to the one below. The
# code tells depths by BERT's names of weights; for another network, print the names first. **Predict:** how many
# groups do six layers, embeddings and head need?


# %%
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
# ULMFiT's LSTM had three layers. Sun et al. (2019, arXiv 1905.05583) fine-tuned BERT's twelve layers, multiplying the
# rate by 0.95 each time. **Predict:** the head's rate is 0.001. Dividing by 2.6, what is left for the embeddings
# below six layers, and below twelve?

# %%
# NBVAL_CHECK_OUTPUT
with_ulmfit = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=2.6)).param_groups
with_sun = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=1 / 0.95)).param_groups
parts = ["embeddings", *[f"layer {layer}" for layer in range(1, model.config.num_hidden_layers + 1)], "head"]
for part, ulmfit, sun in zip(parts, with_ulmfit[::2], with_sun[::2], strict=True):  # two groups for each part
    print(f"{part:<10}  by 2.6: {ulmfit['lr']:.2e}   times 0.95: {sun['lr']:.2e}")
for layers in (3, 6, 12):
    ulmfit, sun = 2.6 ** (layers + 1), 0.95 ** -(layers + 1)
    print(f"{layers:>2} layers: {1e-3 / ulmfit:.0e}, 1/{ulmfit:,.0f} of the head's; times 0.95: {1e-3 / sun:.0e}")

# %% [markdown]
# With 2.6, the embeddings below twelve layers practically stand still.
#
# ## 3. The slanted triangle
#
# ULMFiT's *slanted triangular* learning rate rises for a short time and falls for a long one. The formula (section 3.2)
# gives the rate $\eta_t$ at step $t$ of $T$. The rise takes the share $cut\_frac$; $p$ says how near the peak is;
# $ratio$ is the highest rate over the lowest:
#
# $$cut = \lfloor T \cdot cut\_frac \rfloor, \quad p = \begin{cases} t/cut & t < cut \\ 1 - \frac{t - cut}{cut \cdot
# (1/cut\_frac - 1)} & \text{otherwise} \end{cases}, \quad \eta_t = \eta_{max} \cdot \frac{1 + p \cdot (ratio -
# 1)}{ratio}$$
#
# The paper takes $cut\_frac = 0.1$ and $ratio = 32$. **Predict:** 100
# steps go well. What can go wrong with 9, what with 19?

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
# Below 10 steps, $cut$ is 0. And where $T \cdot cut\_frac$ is not whole, $cut$ is rounded down, the fall becomes too
# steep, and the *rate can turn negative*: the loop would then climb up the loss, without an error. The repaired
# triangle rises for at least one step and falls over all remaining steps. `LambdaLR` turns such a factor into a
# scheduler.

# %%
# NBVAL_CHECK_OUTPUT
from torch.optim.lr_scheduler import LambdaLR


def slanted_triangular(step, steps, cut_frac=0.1, ratio=32):
    cut = max(1, math.floor(steps * cut_frac))
    p = step / cut if step < cut else 1 - (step - cut) / max(1, steps - cut)
    return (1 + max(0, p) * (ratio - 1)) / ratio


for steps in (100, 103, 109, 19):
    apart = max(abs(slanted_triangular(step, steps) - as_printed(step, steps)) for step in range(steps))
    print(f"{steps:>3} steps: {apart:.3f} from the printed formula")
optimizer = torch.optim.AdamW(params=groups_by_depth(model, rate=1e-3, divisor=2.6))
scheduler = LambdaLR(optimizer, lr_lambda=lambda step: slanted_triangular(step, steps=100))
print(f"the lowest and the highest rate at step 0: {scheduler.get_last_lr()[0]:.2e}, {scheduler.get_last_lr()[-1]:.2e}")

# %% [markdown]
# Where $T \cdot cut\_frac$ is whole, nothing changes. The factor multiplies each group's own rate. **Predict:** drawn
# together, how far apart are the triangle and linear warm-up and decay?

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
# They nearly coincide. So section 5 compares the triangle with a constant rate.
#
# ## 4. Gradual unfreezing
#
# Training all layers at once risks forgetting, says the paper. So in *gradual unfreezing* the head learns alone, then
# the last layer joins, and so on; with four epochs for eight parts, two or three are freed at a time. In PyTorch,
# `requires_grad` switches a part's gradients on; the optimizer skips weights without gradients.
#
# The simple way keeps one falling schedule for all stages. In the paper's code each stage has its own triangle.
# **Predict:** over four epochs, how much of the peak rate is left when the simple way frees the embeddings?


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
# Under one schedule, what is freed last has little rate left. (Section 5 compares.) [Deeper:
# variants](deeper/05_unfreezing_variants.ipynb).
#
# Now all three recipes in your loop. `step % stage` begins a new triangle with each epoch. **Predict:** in which epoch
# does the loss fall most?

# %%
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
# While only the head learns, the loss stays near guessing's ln 2 = 0.693. About half of the fall comes in the third
# epoch; but the upper layers go on learning, so this does not show which layers did it.
#
# ## 5. Do they help?
#
# Each *arm*, one way of training, learns from 64 short sentences in four epochs, in batches of 8: 32 steps, 8 a stage,
# far fewer than ULMFiT's. Then it judges 729 test sentences. Unlike above, the head is one layer on the mean vector.
# (ULMFiT also fine-tunes the language model on the task's texts first.)
#
# | arm | rates of the parts | schedule |
# |---|---|---|
# | plain | one | constant |
# | linear decay | one | rises, falls |
# | slanted triangle | one | triangle |
# | discriminative rates | by 2.6 | constant |
# | gradual, one schedule | one | rises, falls |
# | gradual, a triangle per stage | one | a triangle each |
# | all three recipes | by 2.6 | gradual, a triangle each |
# | plain, smaller rate: the *control* | a third of plain's | constant |
# | plain, a tenth of its rate | a tenth of plain's | constant |
#
# All but the two smaller rates were chosen on validation sentences, with three other seeds: we tried 1e-5, 3e-5, …
# until the best had a worse one on each side. To measure forgetting: before training, most BBC headlines' vectors lie
# nearest to the mean of their own topic's others. How many still do afterwards? Guessing, with five topics, finds 20%.
# The last line says which runs are your machine's.
#
# **Predict:** which arm wins, and by how many points? Which forgets most?

# %%
from notebooks.source.lesson_05 import runs

task = runs.Runs(profile)
results, rates = task.results(), runs.chosen_rates(profile)
for arm, rate in rates.items():
    right, topics = results[arm]["right"].mean(), results[arm]["topics"].mean()
    print(f"{arm:<30} rate {rate:<7.2g} right {right:.1%}   topics {topics:.1%}")
counted = task.counting_words()
print(f"{'counting words':<30} {'':<12} right {counted.mean():.1%}")
print(f"{'before fine-tuning':<30} {'':<12} {'':<11}   topics {task.topics_before().mean():.1%}")
print(task.origin())

# %% [markdown]
# All arms share seeds and sentences, so take differences. Dots are seeds; bars are 95%
# intervals for other seeds and sentences. Dotted lines mark plain, and values before fine-tuning; orange shows the
# control's mean.

# %%
figures.arms(results, counted, task.topics_before())

# %% [markdown]
# Three sentences are tested: *each recipe helps by itself* (against the same training without it); *all together help*;
# *each forgets less than the control*. Yes: the whole interval lies above 2 points. No: it lies below. **Predict** the
# verdicts.

# %%
without = {
    "discriminative rates": "plain",
    "slanted triangle": "plain",
    "gradual, one schedule": "linear decay",
}
cards.each_helps(task, results, counted, without)
cards.together_help(task, results, "all three recipes", rates)
cards.forgets_less(task, results, *without, "gradual, a triangle per stage", "all three recipes")

# %% [markdown]
# Gradual unfreezing has the highest means. No recipe surely gains 2 points over the same training without it. All
# together, at 0.01 (chosen with three seeds), surely gain less; there, the last layer gets more than ten times plain's
# rate. What the recipes change most is *forgetting*. So does the rate: at a tenth, plain keeps the most topics, but is
# right less often than gradual unfreezing (folded in the last card). All learned more than counting words. Compare each
# recipe with smaller rates, at like accuracy, over enough seeds.

# %% [markdown]
# ## To remember
#
# - The `Trainer` is a loop: forward, backward, clip, step, schedule.
# - Parameter groups carry what differs between weights: decay, rates. `requires_grad` says who learns.
# - The slanted triangle as printed can divide by zero, or turn the rate negative: try formulas at their ends.
# - Judge a recipe over many seeds, each arm at its own rate, beside simple baselines.
# - Here the recipes changed forgetting more than accuracy; so did the rate.
#
# ## Exercises
#
# [Six exercises](exercises/05_beyond_the_trainer.ipynb) say whether you are right.
#
# ## Deeper
#
# Is one GPU not enough? In [several processes](deeper/05_several_processes.ipynb) each process learns from sentences of
# its own, and all average their gradients.
#
# [Resuming by hand](deeper/05_resuming_by_hand.ipynb) · [unfreezing variants](deeper/05_unfreezing_variants.ipynb)
