# ---
# jupyter:
#   course:
#     name: 00_start_here
#     title: "Lesson 00: Start here"
#     goals:
#       - explain with one picture and one sentence why preprocessing must match pretraining
#       - run a lesson from top to bottom, and know what to do when a cell fails
#       - say which profile runs on your machine, and why
#     minutes_yours: 10
#     minutes_cpu: under a minute
#     minutes_gpu: under a minute
#     needs: nothing but this course
# ---

# %% [markdown]
# > “Preprocessing must match what the model was trained with.”
#
# You know this sentence from computer vision. Today it comes back, with words in place of pixels. Run the cell above,
# then each one below: **Shift + Enter** runs a cell and goes to the next.
#
# ## 1. With pixels
#
# An image is numbers already, here 8 × 8 of them, from 0 (black) to 16. *Predict:* which digit is it?

# %%
# NBVAL_CHECK_OUTPUT
from sklearn.datasets import load_digits

images, digits = load_digits(return_X_y=True)
print(images[5].reshape(8, 8).astype(int))

# %% [markdown]
# A small network learns to read 1,400 such digits. They are *normalised* first, as usual: minus the mean of the
# training images, divided by their standard deviation.

# %%
from sklearn.neural_network import MLPClassifier

mean, deviation = images[:1400].mean(), images[:1400].std()
normalised = (images[:1400] - mean) / deviation
network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=500, random_state=0).fit(normalised, digits[:1400])
print(f"right on the images that it learned from: {network.score(normalised, digits[:1400]):.0%}")

# %% [markdown]
# The other 397 images come in three ways: as in training; not normalised (the numbers as they are stored); and as a
# negative, dark ink on white paper, which you read as easily as before.
#
# *Predict:* ten digits, so guessing finds 10%. How many does the network read in each of the three?

# %%
from utils.intervals import share

new, answers = images[1400:], digits[1400:]
given = {
    "as in training": (new - mean) / deviation,
    "not normalised": new,
    "as a negative": (16 - new - mean) / deviation,
}
read = {way: network.predict(values) for way, values in given.items()}
for way, labels in read.items():
    print(f"{way:<16} right: {share(labels == answers)}")

# %% [markdown]
# In brackets stands a 95% *interval*: intervals made this way hold the true share in about 95 of 100 cases. No error
# was raised; the answers are only worse, and for the negative worse than guessing. What you see, and what the network
# says:

# %%
from notebooks.source.lesson_00 import cards

cards.show_digits(new[:6], read, inverted="as a negative")

# %% [markdown]
# ## 2. With words
#
# A *tokenizer* cuts text into pieces and gives each its number in a list, the *vocabulary*. BERT and GPT-2 have
# different lists, and a model knows the pieces by their numbers only.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

from utils import pieces

bert = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2 = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)
sentence = "The actors are wonderful and the story is clever."
pieces.show({"BERT's tokenizer": pieces.cut(bert, sentence), "GPT-2's tokenizer": pieces.cut(gpt2, sentence)})

# %% [markdown]
# Both are right, each for its own model. Now the mistake: BERT gets GPT-2's numbers, and looks them up in its own list.
#
# *Predict:* an error, something like the sentence, or something else?

# %%
# NBVAL_CHECK_OUTPUT
print(bert.decode(gpt2(sentence)["input_ids"]))

# %% [markdown]
# This is what BERT hears. (`[unused…]` is a place to which no piece was ever given.) Again no error. More in lesson 03.
#
# This course puts popular sentences to the test. The result is a *card*: the sentence, the verdict that follows from
# what was measured, and the number that decides. A sentence *holds*, *does not hold*, *depends* (the card says on what)
# or is *not settled here*, where an interval is too wide.

# %%
right = {way: labels == answers for way, labels in read.items()}
cards.must_match(profile, right)

# %% [markdown]
# ## 3. How to work with the notebooks
#
# - *Predict*, then run. Where you were wrong, you have found what to learn.
# - `NameError` mostly means that a cell above was skipped. **Kernel > Restart Kernel and Run All Cells** makes
#   everything anew.
# - Lessons 01 to 05 have exercises that say whether you are right. *Deeper* notebooks are for who asks “really?”; you
#   can leave them out.
#
# The first cell names your *profile*. `embedded`: models and reviews came with the installation, and no internet is
# needed. `full`: BERT, GPT-2, T5 and all of IMDB from the Hugging Face hub, where there is a CUDA GPU. The code is the
# same. The environment variable `COURSE_PROFILE` chooses for you. Trouble with downloads:
# [docs/hub.md](../docs/hub.md).
#
# ## 4. The day
#
# Minutes are an estimate; the machine's seconds were measured.

# %%
from IPython.display import Markdown

from utils import notebooks, progress

Markdown(notebooks.table(course / "notebooks"))

# %% [markdown]
# How far you have come with the exercises:

# %%
Markdown(progress.table(course / "notebooks" / "exercises"))

# %% [markdown]
# ## To remember
#
# - Preprocessing must match the model's training: for images scale and sign, for text the tokenizer.
# - Wrong preprocessing often raises no error. The answers are only worse.
# - Predict, run, compare.
#
# Next: [Lesson 01, BERT vs GPT vs T5](01_bert_gpt_t5.ipynb).
