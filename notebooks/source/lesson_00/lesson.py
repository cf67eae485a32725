# ---
# jupyter:
#   course:
#     name: 00_start_here
#     title: "Lesson 00: Start here"
#     goals:
#       - explain with one picture and one sentence why preprocessing must match pretraining
#       - run a lesson from top to bottom, and know what to do when a cell fails
#       - say which profile runs on your machine, and why
#     minutes_yours: 15
#     minutes_cpu: under a minute
#     needs: nothing but this course
# ---

# %% [markdown]
# > “Preprocessing must match what the model was trained with.”
#
# You know this from computer vision. Here it comes back, with words for pixels. **Shift + Enter** runs a cell
# and goes to the next; begin above.
#
# ## 1. With pixels
#
# An image is numbers already, here 8 × 8 of them, from 0 (black) to 16 (white). *Predict:* which digit will you see in
# them?

# %%
# NBVAL_CHECK_OUTPUT
from sklearn.datasets import load_digits

images, digits = load_digits(return_X_y=True)
print(images[5].reshape(8, 8).astype(int))

# %% [markdown]
# It is a 5. A small network learns to read 1,400 such digits, *normalised*: minus the mean of all training pixels,
# divided by their standard deviation.

# %%
from sklearn.neural_network import MLPClassifier

mean, deviation = images[:1400].mean(), images[:1400].std()
normalised = (images[:1400] - mean) / deviation
network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=500, random_state=0).fit(normalised, digits[:1400])

# %% [markdown]
# Then 397 new images come in three ways: normalised; not normalised; and as a normalised negative, dark ink on white
# paper.
#
# *Predict:* ten digits, so guessing finds 10%. What share does the network read in each way? (In brackets a 95%
# *interval*: of 100 made this way, about 95 contain the share for all such images.)

# %%
from utils.intervals import share

new, answers = images[1400:], digits[1400:]
given = {
    "normalised": (new - mean) / deviation,
    "not normalised": new,
    "as a negative": (16 - new - mean) / deviation,
}
read = {way: network.predict(values) for way, values in given.items()}
for way, labels in read.items():
    print(f"{way:<16} right: {share(labels == answers)}")

# %% [markdown]
# No error. Without normalisation most answers stay right, so you might never notice. The negative
# is worse than guessing, probably because what spoke for the right digit now speaks against it. Below, the first two
# rows look alike to you, not to the network:

# %%
from notebooks.source.lesson_00 import cards

cards.show_digits(new[:6], answers, read, inverted="as a negative")

# %% [markdown]
# This course puts popular sentences to the test. The result is a *card*: the sentence, the verdict that follows from
# what was measured, and the number that decides. A sentence *holds*, *does not hold*, *depends* (holds in some cases)
# or is *not settled here*. The network above had one random start, which may be luck. So take eight.
#
# *Predict:* how many percentage points does each of the two mismatches cost, on average?

# %%
right = {way: [] for way in given}
for start in range(8):
    network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=500, random_state=start)
    network.fit(normalised, digits[:1400])
    for way, values in given.items():
        right[way].append(network.predict(values) == answers)
cards.must_match(profile, right)

# %% [markdown]
# ## 2. With words
#
# A *tokenizer* cuts text into pieces and gives each its number in a list, the *vocabulary*. The language models BERT
# and GPT-2 (lesson 01) have different lists, and know the pieces by their numbers only.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

from utils import pieces

bert_tokenizer = AutoTokenizer.from_pretrained(profile.small_encoder)
gpt2_tokenizer = AutoTokenizer.from_pretrained(profile.gpt2_tokenizer)
sentence = "The actors are wonderful and the story is clever."
pieces.show(
    {
        "BERT's tokenizer": pieces.cut(bert_tokenizer, sentence),
        "GPT-2's tokenizer": pieces.cut(gpt2_tokenizer, sentence),
    }
)

# %% [markdown]
# (`Ġ` is GPT-2's sign for a space before the piece. This BERT lowercases.) Both are right, each for its own model. Now
# the mistake: `decode` GPT-2's numbers with BERT's list.
#
# *Predict:* an error, something like the sentence, or something else?

# %%
# NBVAL_CHECK_OUTPUT
print(bert_tokenizer.decode(gpt2_tokenizer(sentence)["input_ids"]))

# %% [markdown]
# This is what BERT would receive. (`[unused…]` is a place to which no piece was ever given.) No error: each number
# stands in BERT's list, too, for another piece. Lesson 03 measures what that costs.

# %% [markdown]
# ## 3. How to work with the notebooks
#
# - `NameError`: a cell above was skipped. **Kernel > Restart Kernel and Run All Cells** runs everything again.
# - `ModuleNotFoundError`: the wrong kernel. **Kernel > Change Kernel**, and take that of the course's `.venv`.
#
# The first cell names your *profile*. `embedded`: models and film reviews that are already installed. `full`: BERT,
# GPT-2, T5 and all reviews from the Hugging Face hub, on a CUDA GPU. The code is the same. To choose one, start in a
# terminal with `COURSE_PROFILE=full make lab`. Trouble with downloads: [docs/hub.md](../docs/hub.md).
#
# ## 4. The day

# %%
from IPython.display import Markdown

from utils import notebooks

Markdown(notebooks.table(course / "notebooks"))

# %% [markdown]
# Your exercises (✓: solved):

# %%
from utils import progress

Markdown(progress.table(course / "notebooks" / "exercises"))

# %% [markdown]
# ## To remember
#
# - Preprocessing must match the model's training: for images the range of the numbers and which end is ink, for text
#   the tokenizer.
# - Wrong preprocessing often raises no error. The answers get worse: slightly, or completely.
# - Predict, run, compare.
#
# Next: [Lesson 01, BERT vs GPT vs T5](01_bert_gpt_t5.ipynb).
