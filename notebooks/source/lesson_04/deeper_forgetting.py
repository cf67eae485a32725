# ---
# jupyter:
#   course:
#     name: 04_forgetting
#     title: "Deeper 04: Forgetting in detail"
#     goals:
#       - measure what fine-tuning leaves of two things that a network was pretrained for, hidden tokens and grammar
#       - tell what is gone from what has moved
#       - train LoRA, merge it, and ask what it forgets
#     minutes_cpu: 3 to 5
#     needs: lesson 04
# ---

# %% [markdown]
# Lesson 04 asked a sentence encoder for neighbours. A BERT that still has the layer with which it was pretrained can be
# asked more: put the fine-tuned encoder back under that layer, and let it do its old work. Two questions:
#
# - **hidden tokens**: the loss at hidden tokens of film reviews, in *nats*;
# - **grammar**, by *minimal pairs*: two sentences that differ in one place, the first right, the second wrong (*The
#   actors are very good. The actors is very good.*). The network knows the rule if it finds the first the likelier:
#   hide one token after the other, and add up the losses (Salazar et al. 2020, arXiv 1910.14659). Guessing is right for
#   half of the pairs.
#
# Both measure what the *original layer* can still use: where it fails, the knowledge may be gone, or may have moved.
# The network is lesson 01's BERT (under `embedded` mini-bert, made for this course: a small one, so look at the shape
# of the curves, not at the rates). The minimal pairs:

# %%
# NBVAL_CHECK_OUTPUT
from utils.minimal_pairs import pairs

for phenomenon, examples in pairs().items():
    print(f"{len(examples):>3} of {phenomenon}, such as: {' / '.join(examples[0])}")

# %%
import numpy as np
import torch
from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer

from utils.forgetting import Forgetting
from utils.intervals import mean, share

tokenizer = AutoTokenizer.from_pretrained(profile.bert)
original = AutoModelForMaskedLM.from_pretrained(profile.bert, dtype=torch.float32).to(profile.device)
imdb = load_dataset(profile.imdb)
reviews = [text.replace("<br />", " ") for text in imdb["test"].shuffle(seed=0).select(range(100))["text"]]
forgetting = Forgetting(original, tokenizer, reviews)
before = forgetting.measure(original.base_model)
print(f"before fine-tuning: {mean(before['hidden'])} nats at hidden tokens of reviews,")
print(f"{share(before['grammar'])} of {len(before['grammar'])} minimal pairs right")

# %% [markdown]
# Fine-tune it with 1,000 labelled sentences for one epoch, at three rates and with three seeds each. (For bert-base,
# 2e-5 to 5e-5 is usual: Devlin et al. 2018.) **Predict:** which falls first, the task, the grammar, or the hidden
# tokens?

# %%
from notebooks.source.lesson_04.runs import Runs
from utils.finetuning import answers

runs = Runs(profile)
RATES = (1e-6, 2e-5, 1e-3) if profile.name == "full" else (3e-5, 3e-4, 3e-3)
SEEDS, LABELS = ((0, 1), 32) if profile.quick else ((0, 1, 2), 1000)
texts, truth = runs.validation
after = {}
for rate in RATES:
    for seed in SEEDS:
        model = runs.new_model("all", seed, profile.bert)
        trainer = runs.new_trainer(model, runs.drawn(LABELS, seed), seed, rate, epochs=1, tokenizer=tokenizer)
        trainer.train()
        judged = answers(trainer, runs.rows(texts, tokenizer))
        after[rate, seed] = forgetting.measure(model.base_model) | {"task": judged == truth}

# %%
from utils.intervals import over_seeds


def of_rate(rate, key, scale=100):
    return scale * np.array([after[rate, seed][key] for seed in SEEDS], dtype=float)


print(f"{'rate':<8} {'task (right)':<22} {'grammar (right)':<22} nats at hidden tokens")
for rate in RATES:
    task, grammar, hidden = of_rate(rate, "task"), of_rate(rate, "grammar"), of_rate(rate, "hidden", 1)
    print(f"{rate:<8.0e} {over_seeds(task, '%')!s:<22} {over_seeds(grammar, '%')!s:<22} {over_seeds(hidden)}")

# %%
from utils import plots

fig, axes = plots.figure(5.4, rows=3, sharex=True)
untouched = {"task": None, "grammar": 100 * np.mean(before["grammar"]), "hidden": np.mean(before["hidden"])}
guessing = {"task": 50, "grammar": 50, "hidden": np.log(len(tokenizer))}
labels = {"task": "task: right (%)", "grammar": "grammar: right (%)", "hidden": "hidden tokens: nats"}
for ax, (key, label) in zip(axes, labels.items(), strict=True):
    means = {rate: of_rate(rate, key, 1 if key == "hidden" else 100).mean(axis=1) for rate in RATES}
    for rate, of_seeds in means.items():
        ax.plot([rate] * len(of_seeds), of_seeds, "o", color=plots.BLUE, alpha=0.6, markersize=6)
    ax.plot(list(means), [of_seeds.mean() for of_seeds in means.values()], color=plots.BLUE)
    ax.axhline(guessing[key], color=plots.BLACK, linestyle=":", label="all equally likely")
    if untouched[key] is not None:
        ax.axhline(untouched[key], color=plots.GREEN, linestyle="--", label="before fine-tuning")
    ax.set(xscale="log", ylabel=label)

# %%
axes[1].legend(fontsize=8, loc="lower left")
axes[2].set(xlabel="learning rate")
best = max(RATES, key=lambda rate: of_rate(rate, "task").mean())
lost = {rate: over_seeds(100 * np.array(before["grammar"]) - of_rate(rate, "grammar"), " points") for rate in RATES}
title = f"Best rate for the task: {best:.0e}. At the largest rate grammar loses {lost[RATES[-1]].value:.0f} points"
fig.suptitle(title)
plots.show(fig, f"{title}. Three rows of dots over the learning rate; the numbers stand in the table above.")

# %%
from notebooks.source.lesson_04 import cards
from utils import claims

cards.destroys_grammar(profile, claims.with_size(profile.bert, original.base_model), lost, best, len(SEEDS))

# %% [markdown]
# Look for rates at which nothing is destroyed and nothing is learned, and for rates at which both are lost, and the
# accuracy says so; what lies between, and which of the two falls first, three seeds do not tell. The loss at hidden
# tokens may go beyond that of guessing evenly: the original layer is then sure, and wrong. That alone does not prove
# that the knowledge is gone: a classifier need not keep its vectors where that layer expects them.

# %% [markdown]
# ## Does LoRA forget less?
#
# Lesson 04 counted LoRA's weights. Here you train them, with lesson 04's sentence encoder and 200 labels. The encoder
# is frozen with its *pooler*, one more layer between the first token and the head. The rate was chosen on validation
# sentences, as for training all weights. It is larger, partly because each change of $B$ is multiplied by the small
# numbers of $A$. Afterwards $A$ and $B$ are merged into the matrix beside which they stand.
#
# **Predict:** how much do the outputs differ before and after merging?

# %%
lora = runs.new_model("LoRA", seed=0)  # rank 8, beside queries and values, as in the lesson
trainer = runs.new_trainer(lora, runs.drawn(200, seed=0), seed=0, rate=runs.best_rate("LoRA"), epochs=3)
trainer.train()
sentences, test_truth = runs.test
print(f"rate {runs.best_rate('LoRA'):g} (all weights: {runs.best_rate('all'):g})")
print(f"LoRA: {share(answers(trainer, runs.rows(sentences)) == test_truth)} of the test sentences right")

trainer.accelerator.unwrap_model(lora, keep_fp32_wrapper=False)  # from here on without 16-bit arithmetic
batch = runs.tokenizer(sentences[:32], padding=True, return_tensors="pt").to(lora.device)
with torch.inference_mode():
    expected = lora.eval()(**batch).logits
    merged = lora.merge_and_unload()
    change = (merged(**batch).logits - expected).abs().max()
print(f"merging changes the outputs by at most {change:.0e}")

# %% [markdown]
# Only rounding differs. And what is forgotten? LoRA is said to forget less, at the price of learning less (Biderman et
# al. 2024, arXiv 2405.09673). Ask lesson 04's question about BBC headlines: does the headline with the nearest vector
# share the topic, and does a linear classifier still find the topic? LoRA is trained here, with three seeds; the runs
# of all weights, with the same seeds and sentences, came with the course.
#
# **Predict:** after which of the two do more neighbours share the topic?

# %%
from transformers import AutoModel

untouched = AutoModel.from_pretrained(profile.small_encoder, dtype=torch.float32).to(profile.device)
told = runs.headlines_told(untouched)
of_lora = [
    runs.run("LoRA", labels=200, seed=seed, rate=runs.best_rate("LoRA"), epochs=3, told=True) for seed in (0, 1, 2)
]
for key, name in (("neighbours", "neighbours of the same topic"), ("topics", "topic found by a linear classifier")):
    with_lora, with_all = np.array([found[key] for found in of_lora]), runs.asked_after(runs.best_rate("all"), key)
    print(f"{name}: before {np.mean(told[key]):.1%}")
    print(f"   after LoRA {over_seeds(100 * with_lora, '%')}, after training all {over_seeds(with_all, '%')}")
    print(f"   LoRA minus all: {over_seeds(100 * with_lora - with_all, ' points')}")

# %% [markdown]
# Look at the intervals of the differences. Few trained weights do not by themselves mean that little is forgotten: what
# they add can move the vectors far, at a large enough rate. So what LoRA forgets depends on rate, rank and steps, and
# must be measured. Only one rate was asked here; a smaller one may keep more.

# %% [markdown]
# ## To remember
#
# - Put a fine-tuned encoder back under its original layer, and you can ask what is left of its old work.
# - Where the original layer fails, knowledge may be gone or may have moved; measure what you need it for.
# - LoRA can be merged without changing what the network says. That it trains few weights is no promise that it keeps
#   what the network knew.
# - Three seeds at a moderate rate do not tell what is forgotten there: give an interval, or say that it is open.
