# ---
# jupyter:
#   course:
#     name: 02_hard_to_beat
#     title: "Deeper 02: Where counting words is hard to beat"
#     goals:
#       - say under which conditions a fine-tuned encoder may have no lead
#       - say what the same network learns without its pretrained weights
#       - read the worst errors of a classifier, and look for wrong labels among them
#     minutes_cpu: 3 to 6
#     needs: lesson 02
# ---

# %% [markdown]
# [Lesson 02](../02_fine_tuning_with_the_trainer.ipynb) has few labels and a large encoder. What if there are **many
# labels**, the texts are **long** and the encoder reads only a part of them, and it is **small**? Here all three come
# together, so this page cannot say which counts most: 2,000 labels, whole reviews for counting words, and 128 tokens
# for the small encoder. (Without a GPU that is all-MiniLM-L6-v2, 6 layers and 23 million weights, a fifth of lesson
# 02's.)
#
# **Predict:** who is right more often?

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np
from datasets import load_dataset

from utils.resume import run_folder

imdb, size = load_dataset(profile.imdb), 64 if profile.quick else 2000
train = imdb["train"].shuffle(seed=0).select(range(size))
test = imdb["test"].shuffle(seed=0).select(range(min(size, 1000)))
truth = np.array(test["label"])
print({part: len(rows) for part, rows in imdb.items()})

# %%
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)
tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder, truncation_side="left")
ids = {name: rows.map(lambda batch: tokenizer(batch["text"], truncation=True, max_length=128), batched=True)
       for name, rows in {"train": train, "test": test}.items()}  # fmt: skip
model = AutoModelForSequenceClassification.from_pretrained(
    profile.small_encoder, num_labels=2, attention_probs_dropout_prob=0.0
)

# %%
args = TrainingArguments(
    output_dir=run_folder("02-small"), learning_rate=2e-5 if profile.name == "full" else 2e-4,
    per_device_train_batch_size=16, num_train_epochs=1, save_strategy="no",
    logging_steps=10, disable_tqdm=False, **profile.arithmetic,
)  # fmt: skip
trainer = Trainer(model=model, args=args, train_dataset=ids["train"], processing_class=tokenizer)
trainer.train()

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from utils.intervals import paired_difference, share

logits = trainer.predict(ids["test"]).predictions
right = {"small encoder": logits.argmax(axis=1) == truth}
counter = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10))
right["counting words"] = counter.fit(train["text"], train["label"]).predict(test["text"]) == truth
for name, hits in right.items():
    print(f"{name}: {share(hits)} with {len(train):,} labels")
lead = paired_difference(right["small encoder"], right["counting words"])
print(f"small encoder minus counting words: {lead}")

# %% [markdown]
# Where the interval holds 0, these reviews cannot tell who is better; and counting words takes a second. On whole
# reviews much is said, and often; lesson 04 has sentences of 20 words. With all 25,000 labels, counting pairs of words
# reached 91.2% (Wang and Manning, 2012) and bert-base with 512 tokens 94.4 to 94.6% (Sun et al., 2019).
#
# ## Which errors?
#
# Sort the errors by their *loss*, −ln of the probability that the model gave to the true label: the most confident come
# first. **Predict:** will you agree with every label?

# %%
from scipy.special import log_softmax

losses = -log_softmax(logits.astype(float), axis=1)[np.arange(len(truth)), truth]
names = imdb["test"].features["label"].names
for row in np.argsort(-losses)[:5].tolist():
    text = test[row]["text"].replace("<br />", " ")
    print(f"labelled {names[truth[row]]}, loss {losses[row]:.1f}:\n  {text[:160]} … {text[-240:]}\n")

# %% [markdown]
# About 3% of the labels of IMDB's official test split are wrong (Northcutt et al., 2021). If your data holds wrong
# labels, this list is where to look; hard texts stand here too.
#
# And which *kind*? A classifier that leans to one label makes one kind of error more often.

# %%
wrong = ~right["small encoder"]
print(f"{int((wrong & (truth == 0)).sum())} negative reviews taken for positive, "
      f"{int((wrong & (truth == 1)).sum())} the other way")  # fmt: skip

# %% [markdown]
# ## And without pretraining?
#
# Lesson 02's figure has a *random start*: the base encoder's network, trained like the others but from random weights.
# Three such runs came with the course, each on 500 labels. The card below puts a sentence about them to the test.
# **Predict:** how far above guessing, 50%, does the best of the three come?

# %%
from notebooks.source.lesson_02 import cards

cards.teaches_next_to_nothing(profile)

# %% [markdown]
# Each of the three gave every review the same label. That does not say that such a network cannot learn: it had a small
# learning rate and 63 steps. Lesson 04 gives a random start of the small encoder more labels and more epochs.

# %% [markdown]
# ## To remember
#
# - Always fit counting words first: it costs a second.
# - Number of labels, length of the texts and size of the encoder may decide who leads: measure it on yours.
# - The same network from random weights learned next to nothing from 500 labels in one short training.
# - Read the most confident errors: some may be right, and the label wrong.
