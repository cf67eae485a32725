# ---
# jupyter:
#   course:
#     name: 04_layer_by_layer
#     title: "Deeper 04: Layer by layer"
#     goals:
#       - read every layer of a frozen encoder with a linear classifier, beside a network with random weights
#       - say whether the last layer is the one to read
#       - say whether its vectors tell the senses of a word apart
#       - say what freezing the lower half of the layers saves
#     minutes_cpu: 1 to 2
#     needs: lesson 04
# ---

# %% [markdown]
# Lesson 04 read the *last* layer of a frozen encoder. Is what your task needs to be found there, or below? Read each
# layer: average its vectors over a sentence's tokens, and let logistic regression learn from 200 labelled averages.
# (Such a reader is called a *linear probe*: Alain and Bengio 2016, arXiv 1610.01644.)

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np
import torch
from transformers import AutoModel, set_seed

from notebooks.source.lesson_04.runs import Runs

runs = Runs(profile)
sentences, truth = runs.test
print(f"{len(sentences):,} test sentences, {sum(truth)} of them positive")


# %%
SEEDS, LABELS = (0, 1) if profile.quick else range(8), 200
if profile.quick:
    sentences, truth = sentences[::20], truth[::20]


@torch.inference_mode()
def layer_vectors(network, texts):
    """For each layer, the mean of its vectors over each text. Shape (layers + 1, texts, width); embeddings first."""
    rows, found = runs.rows(texts), [None] * len(texts)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for start in range(0, len(order), 64):
        numbers = order[start : start + 64]
        batch = runs.tokenizer.pad({"input_ids": [rows[number] for number in numbers]}, return_tensors="pt")
        layers = network(**batch.to(network.device), output_hidden_states=True).hidden_states
        mask = batch["attention_mask"][:, :, None]
        means = torch.stack([(layer.float() * mask).sum(dim=1) / mask.sum(dim=1) for layer in layers])
        for number, of_text in zip(numbers, means.cpu().numpy().swapaxes(0, 1), strict=True):
            found[number] = of_text
    return np.stack(found, axis=1)


# %% [markdown]
# Beside the pretrained network stands the same one with random weights, embeddings included: what *its* layers give is
# due to the architecture alone. (One such network, so the interval does not cover others. With pretrained word
# embeddings a random encoder goes surprisingly far: Wieting and Kiela 2019, arXiv 1901.10444.) **Predict:** where is
# the best layer, and how far does a random network come?

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

set_seed(0)
pretrained = AutoModel.from_pretrained(profile.small_encoder, dtype=torch.float32).to(profile.device).eval()
untrained = AutoModel.from_config(pretrained.config).to(profile.device).eval()
by_layer = {}
for name, network in {"pretrained": pretrained, "random weights": untrained}.items():
    asked, right = layer_vectors(network, sentences), []
    for seed in SEEDS:
        texts, labels = runs.drawn(LABELS, seed)
        for layer, known in enumerate(layer_vectors(network, texts)):
            reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)).fit(known, labels)
            right.append(100.0 * (reader.predict(asked[layer]) == truth))
    by_layer[name] = np.reshape(right, (len(SEEDS), -1, len(truth)))  # seeds, layers, sentences

# %%
from utils import plots
from utils.intervals import over_seeds

C = runs.best_c(runs.counted, LABELS)
words = runs.results(runs.counted, [{"labels": LABELS, "seed": seed, "C": C} for seed in SEEDS])
fig, ax = plots.figure(3.2)
for (name, outcomes), color, mark in zip(by_layer.items(), (plots.GREEN, plots.GREY), "sv", strict=True):
    numbers = [over_seeds(outcomes[:, layer], "%") for layer in range(outcomes.shape[1])]
    plots.number_line(ax, range(len(numbers)), numbers, color=color, marker=mark, label=name)
    print(f"{name}:", *[f"\n  layer {number}: {found}" for number, found in enumerate(numbers)])
ax.axhline(words.mean(), color=plots.BLACK, linestyle="--", label="counting words")
ax.set(xlabel="layer (0: embeddings)", ylabel="right (%)")
ax.legend(fontsize=9)
top = int(by_layer["pretrained"].mean(axis=(0, 2)).argmax())
title = f"With {LABELS} labels, layer {top} of {len(numbers) - 1} scored highest here"
fig.suptitle(title)
plots.show(fig, f"{title}. Counting words: {words.mean():.1f}%. The numbers stand above.")

# %%
from notebooks.source.lesson_04 import cards

cards.read_the_last(profile, by_layer["pretrained"], by_layer["random weights"])

# %% [markdown]
# Layers near the top of a pretrained network serve what it was pretrained for. all-MiniLM-L6-v2 was trained so that the
# *mean of the last layer* tells which sentences are about the same, and opinion is not what two sentences about the
# same film must share. To choose a layer for your own task, use validation sentences, and never the test.

# %% [markdown]
# ## Does it tell senses apart?
#
# Lesson 01's question, for this encoder: of eight words with eight sentences each, is the word's nearest vector one of
# the same sense? (By chance in 3 of 7 cases.) **Predict** the share for the pretrained network, and for the one with
# random weights.

# %%
from sklearn.metrics.pairwise import cosine_similarity

from utils.intervals import mean
from utils.senses import SENSES


def same_sense(network):
    shares = []
    for word, senses in SENSES.items():
        batch = runs.tokenizer([*senses[0], *senses[1]], padding=True, return_tensors="pt").to(network.device)
        place = batch["input_ids"] == runs.tokenizer.convert_tokens_to_ids(word)
        with torch.inference_mode():
            cosines = cosine_similarity(network.eval()(**batch).last_hidden_state[place].cpu())
        np.fill_diagonal(cosines, -1)
        shares.append(100 * np.mean(cosines.argmax(axis=1) // 4 == np.arange(8) // 4))
    return mean(shares, "%")  # over words


print(f"pretrained:     {same_sense(pretrained)} of the same sense")
print(f"random weights: {same_sense(untrained)}")

# %% [markdown]
# Its earlier training does it, not the architecture. (Perhaps it tells the subject of the sentence only: in lesson 01
# even the vector of the full stop told senses apart.)

# %% [markdown]
# ## Train only the upper half?
#
# Lesson 04 froze the whole encoder, or none of it. One can also freeze the embeddings and the lower half of the layers,
# with `layer.requires_grad_(False)`, and train the rest. Your machine times a step of 16 sentences; memory is counted.
# The accuracies are those with 200 labels, over three seeds and more; under `embedded` they came with the course.
#
# **Predict** the share of the weights that is trained, and what a step saves: time, memory, or both?

# %%
from notebooks.source.lesson_04 import costs

models, right_of = {}, {}
for method in ("upper half", "all"):
    models[method] = runs.new_model(method, seed=0)
    right_of[method] = over_seeds(runs.results(runs.run, runs.final(method, 200)), "%")
costs.show(costs.measured(models, runs.tokenizer, profile.device), right_of)

# %% [markdown]
# About half of this encoder's weights are embeddings, so the upper half of the layers is a smaller share than half. The
# backward pass stops at the lowest layer that is trained. Below it, no gradients are computed and no activations kept,
# so both time and memory fall. Whether it costs accuracy, these runs cannot tell.

# %% [markdown]
# ## To remember
#
# - A frozen network can be read at every layer; a network with random weights beside it says what pretraining gave.
# - The last layer serves the pretraining task; for another one, a layer below may be better.
# - Freezing the lower half saves time and memory, as the backward pass stops halfway down.
# - The layer is a choice like the learning rate: make it on validation sentences.
