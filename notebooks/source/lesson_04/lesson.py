# ---
# jupyter:
#   course:
#     name: 04_why_transfer_works
#     title: "Lesson 04: Why transfer works"
#     goals:
#       - read off a figure how many labels pretraining saves
#       - choose a learning rate, knowing what the network forgets
#       - explain LoRA, and say what it saves
#       - say what to do with fifty labelled texts
#     minutes_yours: 45
#     minutes_cpu: about a minute
#     needs: lesson 02 for the Trainer
# ---

# %% [markdown]
# Advice that you may hear; this lesson tests it:
#
# > “Pretraining has already taught the network the language, so a few labels are enough. Use a tiny learning rate, or
# > you destroy what it knows. One epoch is enough. And train only a small part of it. With few labels, freeze it all.”
#
# ## 1. See it work
#
# Is a sentence about a film positive or negative (Pang and Lee, 2005)? You have 200 with labels, the test has 1,066.
# Four of yours:

# %% tags=["plan"]
# NBVAL_CHECK_OUTPUT
from notebooks.source.lesson_04 import cards, costs, drawings, figures, neighbours
from notebooks.source.lesson_04.runs import Runs

runs = Runs(profile)
texts, labels = runs.drawn(200, seed=0)
for text, label in list(zip(texts, labels, strict=True))[:4]:
    print(["negative", "positive"][label], "|", text)

# %% [markdown]
# Two classifiers learn from the 200. One counts words. The other is a pretrained encoder, fine-tuned with lesson 02's
# `Trainer`. Under `embedded` it is all-MiniLM-L6-v2, with 23 million weights; we call it *small*. It is a *sentence
# encoder*: it has learned from a billion pairs which texts belong together.
#
# **Predict:** of 100 test sentences, how many does each get right?

# %%
import numpy as np
from transformers import AutoModelForSequenceClassification, set_seed

from utils.finetuning import answers, counting_words

set_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(
    profile.small_encoder, num_labels=2, attention_probs_dropout_prob=0.0
)
trainer = runs.new_trainer(model, (texts, labels), seed=0, rate=1e-4, epochs=3)  # in batches of 8
trainer.train()
sentences, truth = runs.test
tuned = answers(trainer, runs.rows(sentences))  # rows of token ids
counted = counting_words(class_weight="balanced").fit(texts, labels).predict(sentences)
print(f"counting words: {np.mean(counted == truth):.1%} right")
print(f"fine-tuned:     {np.mean(tuned == truth):.1%} right")

# %% [markdown]
# The next figure has more draws, and other numbers of labels. Its results came with the course.
#
# Two of the six lines are your classifiers: *counting words*, and *all trained*, which is fine-tuning. The other four:
#
# - **random start**: the same small network, with nothing pretrained;
# - **frozen**, for three encoders: feature extraction, as with your ResNet. Only a *linear classifier* on its vectors
#   learns, here logistic regression.
#
# The *base* encoder is lesson 02's all-mpnet-base-v2, a sentence encoder with 109 million weights; *mini* is lesson
# 01's mini-bert, with 5 million. Each faint dot is one *seed*: one draw, and one start of the training. The large marks
# are means, with 95% intervals over seeds and sentences.
#
# **Predict:** which frozen encoders get more right with 200 labels than counting words with 4,000?

# %%
right = runs.lines()
figures.labels_saved(right)
cards.saves_labels(runs, right)

# %% [markdown]
# How many labels you save depends on the encoder. With 50 labels, on the far left, the frozen base encoder already
# reaches the line of 4,000: eighty times as many. (The encoders' settings were chosen on 400 more.)
#
# Pretraining's own share: the small encoder, all trained, is right more often with 200 labels than from a random start
# with 1,000.
#
# ## 2. What did it know before it saw a label?
#
# A frozen encoder never changes, yet with the same labels it beats counting words. So its vectors already show opinion
# more clearly.
#
# The small encoder, not yet fine-tuned, turns each test sentence into a vector. A sentence's *neighbour* is the nearest
# by cosine that shares no word with it except ones like *the*; counting words would miss it.
#
# **Predict:** what will the closest pairs have in common?

# %%
from utils.vectors import mean_vectors

vectors = mean_vectors(profile, runs.tokenizer, runs.rows(sentences), encoder=profile.small_encoder)
pairs = neighbours.pairs_without_shared_words(sentences, vectors)  # each pair once, the closest first
neighbours.show(pairs, sentences, truth)  # +: positive, -: negative

# %% [markdown]
# The pairs are alike in subject or tone, but not always in opinion.
#
# **Predict:** what share of these pairs has the same opinion? By chance it would be half.

# %%
from utils.intervals import share

same = [truth[first] == truth[second] for first, second in pairs]
print(f"{len(pairs)} pairs, the same opinion in {share(same)}")  # the interval takes pairs as independent

# %% [markdown]
# Neighbours compare all that a vector holds: subject, tone, opinion. Section 1's linear classifier reads the same
# vectors, and gets 70% right with 200 labels. So some opinion was there, among much else; labels help to find it.
# ([Deeper](deeper/04_layer_by_layer.ipynb): which layer tells the opinion best?)
#
# ## 3. How tiny must the learning rate be?
#
# “Or you destroy what it knows”: new learning that overwrites the old is *catastrophic forgetting*. It matters if the
# encoder is to serve other tasks, too. We test it with something that the film task does not need: 500 BBC headlines on
# five topics. “Nigeria to boost cocoa production” is about business. We ask in two ways:
#
# - **neighbours**: is the headline with the nearest vector about business too?
# - **linear classifier** (*linear probe*): fitted to vectors of other headlines, does it call this one “business”? Then
#   its topic is *readable*.
#
# The cell prints how *your* encoder does. The figure shows above the task (400 *validation* sentences), below the
# headlines; each dot is one of three seeds.
#
# **Predict:** sketch three lines, from a tiny rate to a large one: task, neighbours, linear classifier.

# %%
from transformers import AutoModel

pretrained = AutoModel.from_pretrained(profile.small_encoder, dtype="float32").to(profile.device)
before, after = runs.headlines_told(pretrained), runs.headlines_told(model.base_model)
for name, found in (("before", before), ("your fine-tuned encoder", after)):
    print(f"{name:<24}neighbours {np.mean(found['neighbours']):.0%}, linear classifier {np.mean(found['topics']):.0%}")
figures.rates(runs, before)
cards.destroys(runs, before)

# %% [markdown]
# At the smallest rate, 75 steps (three epochs) lose nothing that we measure, and learn almost nothing. At the largest,
# training collapsed: nothing was learned, and most topics were lost.
#
# 1e-4 and 3e-4 do about equally well on the task. But at 3e-4 far fewer neighbours share a topic, while topics stay
# mostly readable: the vectors are rearranged more than emptied. ([Deeper](deeper/04_forgetting.ipynb): does grammar
# survive?)
#
# BERT's authors advise 2e-5 to 5e-5; at 3e-5, our 75 steps teach this encoder little. For yours, try 1e-5,
# 3e-5, 1e-4, 3e-4 on validation sentences. If two tie, the smaller forgets less.
#
# ## 4. Is one epoch enough?
#
# An *epoch* is one pass over all training sentences: with 200, in batches of 8, it is 25 steps. Over 20 seeds we
# compare one epoch at 3e-4 with three at 1e-4, the best rate of each. The cell prints each seed's percentage, sorted.
#
# **Predict:** which wins, and by how many points?

# %%
once = runs.results(runs.run, runs.final("one epoch", 200))  # a row for each seed: 100 where right, else 0
thrice = runs.results(runs.run, runs.final("all", 200))
print("one epoch:   ", *np.sort(once.mean(axis=1)).round().astype(int))
print("three epochs:", *np.sort(thrice.mean(axis=1)).round().astype(int))
cards.one_epoch(runs, once, thrice)

# %% [markdown]
# One epoch is not enough here: its luckiest network only equals three epochs' average. What counts is probably
# the number of steps (Mosbach et al., 2020).
#
# ## 5. What to train?
#
# So far the encoder was *frozen*, or *all* trained. *LoRA* (low-rank adaptation, Hu et al., 2021) lies between. The
# encoder stays frozen. Beside some of its matrices, each called $W$, stand two thin new ones, $A$ and $B$. Only these
# and the head are trained. Read the drawing from the bottom up.

# %%
# NBVAL_CHECK_OUTPUT
drawings.lora()

# %% [markdown]
# What training adds to $W$ is
#
# $$\Delta W = \frac{\alpha}{r}\, B A$$
#
# $A$ turns the input into $r$ numbers, and $B$ turns these into a full vector. So $\Delta W$ changes the output in at
# most $r$ directions: that is *low-rank*. After pretraining, few are often enough (Hu et al.). The *rank* $r$ is 8
# here. $\alpha$, here 16, scales what is added. $B$ starts at 0, so the encoder begins exactly as pretraining left it.
# ($A$ begins at random: if both were 0, neither would get a gradient.)
#
# Afterwards one can [merge](deeper/04_forgetting.ipynb): keep only $W + \Delta W$, so that predicting costs nothing
# extra. Or one keeps $A$ and $B$ apart, a small file for each task.
#
# **Predict:** with LoRA beside the query and the value matrix of all 6 layers, what share of the weights is trained?

# %%
# NBVAL_CHECK_OUTPUT
from peft import LoraConfig, get_peft_model

plain = AutoModelForSequenceClassification.from_pretrained(profile.small_encoder, num_labels=2)
config = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"])
lora = get_peft_model(plain, config)
lora.print_trainable_parameters()

# %% [markdown]
# About one weight in 300: 6 layers · 4 thin matrices · 8 · 384, and the head.
#
# ## 6. What does training cost?
#
# Training holds four things in memory:
#
# - the weights;
# - a *gradient* for each trained weight;
# - two running means for each trained weight, which AdamW uses;
# - the *activations*, which the forward pass keeps for the backward pass.
#
# **Predict:** which of the four shrink with LoRA? Does it cut a step's time as much as its memory?
#
# Your machine times a step of 16 sentences; for *frozen*, one forward pass, which is needed only once. The last row is
# the accuracy with 200 labels.

# %%
from utils.intervals import over_seeds

models, correct = {"frozen": pretrained}, {"frozen": right["small encoder, frozen"][200]}
for method in ("LoRA", "all"):
    models[method] = runs.new_model(method, seed=0)
    correct[method] = runs.results(runs.run, runs.final(method, 200))
cost = costs.measured(models, runs.tokenizer, profile.device, reading=("frozen",))
rates = {method: runs.best_rate(method) for method in ("LoRA", "all")}  # on validation sentences
costs.show(cost, {method: over_seeds(of_seeds, "%") for method, of_seeds in correct.items()}, rates)
cards.saves_training(profile, cost, correct)

# %% [markdown]
# - **Memory:** gradients and running means nearly vanish. The weights stay. Activations shrink: some served only the
#   gradients that LoRA skips. Of the total, about a third is left here. With 7 billion weights of 32 bits, training all
#   holds 112 GB beside the activations; LoRA little over 28.
# - **Time:** the forward pass stays, and the backward pass still crosses every layer. LoRA skips the frozen weights'
#   gradients, and AdamW's work on them.
#
# LoRA's best rate is 10 to 30 times section 3's: tune it separately. Whether LoRA (three seeds) or training all is
# right more often stays open.
#
# ## 7. Fifty labels at work
#
# You have only 50 labels. Freeze the base encoder, and fit logistic regression to its vectors. Its setting `C` says how
# closely it may fit the labels; `GridSearchCV` chooses it by cross-validation within the 50.
#
# First one draw of 50. **Predict** its accuracy from section 1's figure.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from transformers import AutoTokenizer

base_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
some, some_truth = sentences[::3], truth[::3]  # every third test sentence, to save time
vectors = mean_vectors(profile, base_tokenizer, runs.rows([*texts[:50], *some], base_tokenizer))
classifier = GridSearchCV(LogisticRegression(max_iter=2000), {"C": [0.1, 1, 10, 100, 1000]}, cv=5)
classifier.fit(vectors[:50], labels[:50])
print(f"{share(classifier.predict(vectors[50:]) == some_truth)} right")

# %% [markdown]
# Next come means over section 1's draws. **Predict:** would it be better or worse to fine-tune the same encoder on the
# 50, for ten epochs (70 steps)?

# %%
for name in ("base encoder, frozen", "base encoder, all trained"):
    print(f"{name:<26}{over_seeds(right[name][50], '%')} right")
cards.freeze_and_read(runs, right)

# %% [markdown]
# With fifty labels the base encoder did better fine-tuned than frozen, and, by eye, about as well as frozen with 200.
# For the small one: open. These means, unlike your cell, used 400 more labels to choose rate and `C`. With 50
# labels of your own:
#
# 1. Count words, as a baseline.
# 2. Freeze a sentence encoder of base size, and fit a linear classifier.
# 3. Fine-tune it for 70 steps, at 3e-5, the base encoder's best with 200.
# 4. Compare all three by cross-validation on the same five parts. Choose `C` within each training part. With 50 texts,
#    7 points are under four texts, perhaps luck: label more, or take the cheaper method.

# %% [markdown]
# ## To remember
#
# - “A few labels are enough”: the vectors already hold much of what the task needs; labels help to find it. How
#   few depends on the encoder.
# - “Use a tiny learning rate”: too small learns almost nothing in 75 steps, too large breaks the training; the best
#   moves neighbours but keeps topics readable.
# - “One epoch is enough”: with 200 labels, its 25 steps were too few.
# - “Train only a small part”: LoRA saves memory and storage; how much time depends on the machine. Accuracy stays open.
# - “With few labels, freeze”: with 50, the base encoder did better fine-tuned (three seeds); try both.
#
# ## Exercises
#
# [Exercises](exercises/04_why_transfer_works.ipynb) say whether you are right.
