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
# Common advice, which this lesson tests sentence by sentence:
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
# The encoder is well ahead, in this one draw. The next figure has several draws, and other numbers of labels, from
# stored trainings.
#
# Two of the six lines are your classifiers; *all trained* is fine-tuning. The other four:
#
# - **random start**: the same small network, with nothing pretrained;
# - **frozen**, for three encoders: the encoder's weights never change. A *linear classifier*, here logistic regression,
#   learns the labels from the encoder's vectors. It reads means over tokens; fine-tuning's head reads only `[CLS]`.
#
# The *base* encoder is lesson 02's all-mpnet-base-v2, a sentence encoder with 109 million weights; *mini* is lesson
# 01's mini-bert, with 5 million. Each faint dot is one *seed*: one draw, and one start of the training. The large marks
# are means, with 95% intervals.
#
# **Predict:** which frozen encoders get more right with 200 labels than counting words with 4,000?

# %%
right = runs.lines()
figures.labels_saved(right)
cards.saves_labels(runs, right)

# %% [markdown]
# How few labels are enough depends on the encoder. With 50 labels the frozen base encoder does what takes counting
# words about 4,000.
#
# And what was learned before saves labels: all trained, the small encoder gets more right with 200 than from a random
# start with 1,000. (More epochs might narrow this.) Mini learned from no pairs of texts. Base and small learned from
# the same, so size or earlier pretraining may explain base's lead.
#
# ## 2. What did it know before it saw a label?
#
# A frozen encoder learns nothing from the labels, only the classifier does; yet it is ahead of counting words with as
# many. So the vectors already hold some of the opinion. The small encoder, not yet fine-tuned, turns each test sentence
# into a vector. A sentence's *neighbour* has the nearest vector, by cosine, among sentences that share no word with it
# but common ones such as *the*: word counts would miss it.
#
# **Predict:** what will the closest pairs have in common?

# %%
from utils.vectors import mean_vectors

vectors = mean_vectors(profile, runs.tokenizer, runs.rows(sentences), encoder=profile.small_encoder)
pairs = neighbours.pairs_without_common_words(sentences, vectors)  # each pair once, the closest first
neighbours.show(pairs, sentences, truth)  # +: positive, -: negative

# %% [markdown]
# The pairs are alike in subject or tone, but not always in opinion.
#
# **Predict:** what share of all pairs has the same opinion? By chance it would be half.

# %%
from utils.intervals import share

same = [truth[first] == truth[second] for first, second in pairs]
print(f"{len(pairs)} pairs, the same opinion in {share(same)}")  # the interval takes pairs as independent

# %% [markdown]
# To copy a neighbour's opinion would be right about as often. Yet from the same vectors, section 1's linear classifier
# gets 70% right with 200 labels: it learns which direction tells the opinion. Neighbours compare all that the vector
# holds. ([Deeper](deeper/04_layer_by_layer.ipynb): which layer tells the opinion best?)
#
# ## 3. How tiny must the learning rate be?
#
# Fine-tuning changes every layer. What does the network forget (*catastrophic forgetting*)? That matters if it is to
# serve other tasks, too. We test what the task does not need: the topic of 500 BBC headlines, one of five; a random
# neighbour shares it in 20%. “Nigeria to boost cocoa production” is about business. We ask in two ways:
#
# - **neighbours**: is the headline with the nearest vector about business too?
# - **linear classifier** (*linear probe*): fitted anew to this network's vectors of other headlines, does it say
#   “business” here? Then the topic is *readable*.
#
# In the figure, the upper panel is the task, on the 400 *validation* sentences that chose our settings. The lower one
# has the right answers about headlines. Each dot is one of three seeds.
#
# **Predict** three lines, from a tiny rate to a large one: task, neighbours, linear classifier.

# %%
from transformers import AutoModel

pretrained = AutoModel.from_pretrained(profile.small_encoder, dtype="float32").to(profile.device)
before, after = runs.headlines_told(pretrained), runs.headlines_told(model.base_model)
for name, found in (("before", before), ("your fine-tuned encoder", after)):
    print(f"{name:<24}neighbours {np.mean(found['neighbours']):.0%}, linear classifier {np.mean(found['topics']):.0%}")
figures.rates(runs, before)
cards.destroys(runs, before)

# %% [markdown]
# At the smallest rate nothing is forgotten, but in 75 steps almost nothing is learned. At the largest rate training
# broke down, and topics are hardly readable.
#
# Between them, 1e-4 and 3e-4 cannot be told apart on the task. But at 3e-4 far fewer neighbours share a topic, while
# topics stay mostly readable: the vectors are rearranged more than emptied. ([Deeper](deeper/04_forgetting.ipynb): does
# grammar survive?)
#
# Try rates a factor of 3 apart on validation sentences (BERT's authors, for larger encoders: 2e-5 to 5e-5). Of those
# that do equally well, the smallest forgets least.
#
# ## 4. Is one epoch enough?
#
# An *epoch* is one pass over all training sentences: with 200, in batches of 8, it is 25 steps. We compare one epoch
# with three, over 20 seeds, each at the rate that did best for it, 3e-4 and 1e-4. The cell prints each seed's
# percentage, sorted.
#
# **Predict:** how many points do the two more epochs gain?

# %%
once = runs.results(runs.run, runs.final("one epoch", 200))  # a row for each seed: 100 where right, else 0
thrice = runs.results(runs.run, runs.final("all", 200))
print("one epoch:   ", *np.sort(once.mean(axis=1)).round().astype(int))
print("three epochs:", *np.sort(thrice.mean(axis=1)).round().astype(int))
cards.one_epoch(runs, once, thrice)

# %% [markdown]
# One epoch is not enough here: after 25 steps some networks hardly beat guessing. What counts is probably the number of
# steps: with 2,000 labels, one epoch has 250, perhaps enough.
#
# ## 5. What to train?
#
# You have seen two ways: the encoder *frozen*, or *all* trained. *LoRA* (low-rank adaptation, Hu et al., 2021) lies
# between. It freezes the encoder, and trains thin new matrices beside some of its matrices, together with a head.
#
# This is LoRA beside one pretrained matrix $W$. Read the drawing from the bottom up.

# %%
# NBVAL_CHECK_OUTPUT
drawings.lora()

# %% [markdown]
# $W$ never changes. What training adds to it is
#
# $$\Delta W = \frac{\alpha}{r}\, B A$$
#
# $A$ turns the input into $r$ numbers, and $B$ turns these into a full vector. So $\Delta W$ changes the output in at
# most $r$ directions: that is *low-rank*, and often sufficient. The *rank* $r$ is 8 here. $\alpha$, here 16, scales
# what is added. $B$ starts at 0, so the encoder begins exactly as pretraining left it.
#
# Afterwards one can merge: keep only $W + \Delta W$, as fast as before; outputs change only [by
# rounding](deeper/04_forgetting.ipynb). Or one keeps $A$ and $B$ apart, a small file for each task; removing them
# restores the encoder.
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
# About one weight in 300. Each pair of $A$ and $B$ has 4% of its $W$'s weights, and these twelve $W$ are 8% of all
# weights.
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
# **Predict:** which of the four shrink with LoRA? Does it save as large a share of a step's time as of its memory?
#
# Your machine times a step of 16 sentences; for *frozen*, one forward pass. The last row is the accuracy with 200
# labels.

# %%
from utils.intervals import over_seeds

cost = {"frozen": costs.cost_of_reading(pretrained, runs.tokenizer, profile.device)}
correct = {"frozen": right["small encoder, frozen"][200]}
for method in ("LoRA", "all"):
    cost[method] = costs.cost_of(runs.new_model(method, seed=0), runs.tokenizer, profile.device)
    correct[method] = runs.results(runs.run, runs.final(method, 200))
rates = {method: runs.best_rate(method) for method in ("LoRA", "all")}  # on validation sentences
costs.show(cost, {method: over_seeds(of_seeds, "%") for method, of_seeds in correct.items()}, rates)
cards.saves_training(profile, cost, correct)

# %% [markdown]
# - **Memory:** gradients and running means nearly vanish; weights and most activations stay. Of the total, about a
#   third is left; with longer texts, more.
# - **Time:** LoRA skips the gradients of frozen weights, and AdamW's work on them. The forward pass stays, and the
#   backward pass still goes down to the lowest layer, where an $A$ and a $B$ stand.
#
# LoRA's best rate is 30 times as large: section 3's rates are for training everything. Its interval is too wide to rank
# the accuracies.
#
# ## 7. Fifty labels at work
#
# You have only 50 labels. Freeze the base encoder, and fit logistic regression to its vectors. Its setting `C` says how
# closely it may fit the labels; `GridSearchCV` chooses it by cross-validation within the 50.
#
# **Predict:** how far will this draw be from section 1's mean?

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
# One draw. Next come means over section 1's draws. **Predict:** would it be better or worse to fine-tune the same
# encoder on the 50, for ten epochs? By how many points?

# %%
for name in ("base encoder, frozen", "base encoder, all trained"):
    print(f"{name:<26}{over_seeds(right[name][50], '%')} right")
cards.freeze_and_read(runs, right)

# %% [markdown]
# With fifty labels the base encoder did better fine-tuned than frozen; for the small one it stays open. But for these
# means rate and `C` were chosen on 400 more labels, which you would not have. With 50 labels of your own:
#
# 1. Count words, as a baseline.
# 2. Freeze a sentence encoder of base size, and fit a linear classifier.
# 3. Fine-tune it for 70 steps, at 3e-5, its best rate with 200.
# 4. Compare all three by cross-validation on the same five parts. Choose `C` within each training part. Our 7 points
#    would be four texts of 50, perhaps luck: then take what costs less, or label more.

# %% [markdown]
# ## To remember
#
# - “A few labels are enough”: how few depends on the encoder.
# - “Use a tiny learning rate”: too small teaches nothing, too large breaks the training.
# - “One epoch is enough”: few labels make few steps, perhaps too few.
# - “Train only a small part”: LoRA saves memory and storage, and less time.
# - “With few labels, freeze”: with 50, the base encoder did better fine-tuned.
#
# ## Exercises
#
# [Exercises](exercises/04_why_transfer_works.ipynb) say whether you are right.
