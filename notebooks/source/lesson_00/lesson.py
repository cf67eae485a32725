# ---
# jupyter:
#   course:
#     name: 00_start_here
#     title: "Lesson 00: Start here"
#     goals:
#       - say which profile runs on your machine, and why
#       - run a lesson from top to bottom, and know what to do when a cell fails
#       - explain with one picture and one sentence why preprocessing must match pretraining
#     minutes_cpu: under a minute
#     minutes_gpu: under a minute
#     needs: nothing but this course
# ---

# %% [markdown]
# ## 1. Your machine and your profile
#
# The cell above printed six lines. The first names your *profile*: `embedded` works without an internet connection,
# with models and reviews that came with the installation; `full` takes larger models and IMDB from the Hugging Face
# hub, and is chosen when there is a CUDA GPU and the hub answers. The code of the lessons is the same under both.
# `machine` says what this computer has, `precision` which kind of numbers it multiplies fast, `reviews` how many film
# reviews lesson 02 will use, `models` which networks the lessons have, `versions` what is installed.
#
# Under `full`, the first cell of a lesson fetches what the lesson `uses`, once, at the commits (versions) that the
# course was written for, and checks every file. What can go wrong on the way, and what to do, stands in
# [docs/hub.md](../docs/hub.md).
#
# To choose yourself, set the environment variable `COURSE_PROFILE` to `embedded` or `full` before you start Jupyter.
#
# ## 2. How the notebooks work
#
# - Run the cells from top to bottom: **Shift + Enter** runs one and goes to the next. Each cell uses what the ones
#   above it made.
# - Before you run a cell, predict what it will print. Where you were wrong, you have found what to learn.
# - Lessons 01 to 05 each have a notebook of exercises, which say whether you are right and give a hint where you are
#   not. They end with a few questions, and so does lesson 06.
# - Change things. **Kernel > Restart Kernel and Run All Cells** makes all variables anew. It does not undo your edits;
#   Ctrl + Z, or a fresh copy of the notebook, does.
# - `NameError` mostly means that a cell above was skipped. The message of the course says what to do.
# - You can stop a training at any time with the square button; run again from the cell that makes its model.
# - Sentences that people repeat about these models are put to the test. The result is a card with the measured numbers
#   and a verdict, which is computed from them.
#
# ## 3. The day
#
# The seconds are those of the last build of each notebook, without a GPU; “–” means not built yet.

# %%
from IPython.display import Markdown

from utils.notebooks import of_course

lines = ["| lesson | you will be able to | seconds |", "|---|---|---|"]
for path, notebook in of_course(course / "notebooks").items():
    about, measured = notebook["metadata"]["course"], notebook["metadata"].get("measured", {})
    lines.append(f"| [{about['title']}]({path.name}) | {about['goals'][0]} | {measured.get('seconds', '–')} |")
Markdown("\n".join(lines))

# %% [markdown]
# And this is how far you have come with the exercises:

# %%
from utils import progress

Markdown(progress.table(course / "notebooks" / "exercises"))

# %% [markdown]
# ## 4. From pixels to tokens
#
# An image is numbers already. This is a handwritten digit as the computer stores it, 8 × 8 grey values from 0 to 16
# (photographs usually have 0 to 255):

# %%
# NBVAL_CHECK_OUTPUT
from sklearn.datasets import load_digits

images, digits = load_digits(return_X_y=True)
print(images[0].reshape(8, 8).astype(int))

# %% [markdown]
# Networks are usually trained on *normalised* values: subtract the mean of the training images, divide by their
# standard deviation, and the numbers lie around 0. Train two small networks on the same 1,400 images, one on normalised
# pixels, one on pixels as they are stored:

# %%
from sklearn.neural_network import MLPClassifier

mean, deviation = images[:1400].mean(), images[:1400].std()
pixels = {"stored": images, "normalised": (images - mean) / deviation}
networks = {
    kind: MLPClassifier(hidden_layer_sizes=(32,), max_iter=500, random_state=0).fit(values[:1400], digits[:1400])
    for kind, values in pixels.items()
}

# %% [markdown]
# Now give each network the other images both ways. Which of the four will work? Predict, then run. In brackets stands a
# 95% *interval*: other images would give a slightly different share, and intervals made this way hold the true share in
# about 95 of 100 such samples.

# %%
from utils.intervals import share

answers = digits[1400:]
right = {
    (trained, given): networks[trained].predict(values[1400:]) == answers
    for trained in networks
    for given, values in pixels.items()
}
for (trained, given), hits in right.items():
    print(f"trained on {trained:<10} given {given:<10} right: {share(hits)}")

# %%
from utils import plots

fig, axes = plots.figure(2.7, columns=2)
for ax, (given, values) in zip(axes, pixels.items(), strict=True):
    ax.imshow(values[1403].reshape(8, 8), cmap="gray", vmin=-2, vmax=2)
    hits = 100 * right["normalised", given].mean()
    ax.set_title(f"{given}: {values[1403].min():.1f} to {values[1403].max():.1f}", fontsize=10)
    ax.set(xticks=[], yticks=[], xlabel=f"{hits:.0f}% right (trained on normalised)")
fig.suptitle("One digit, drawn from −2 to 2, about the range of normalised pixels")
alt = "The same digit twice, drawn on the scale of normalised pixels: the stored one is mostly white, beyond the scale."
plots.show(fig, alt)

# %% [markdown]
# A popular sentence says that computer vision takes pixels from 0 to 255. That range is how images are stored (here 0
# to 16). What a network expects is what it was trained on. No error says so; the answers are only worse.

# %%
from utils.intervals import paired_difference, smallest

gains = {
    "trained on normalised": paired_difference(right["normalised", "normalised"], right["normalised", "stored"]),
    "trained on stored": paired_difference(right["stored", "stored"], right["stored", "normalised"]),
}

# %%
from utils import claims

claims.record(
    "00.1",
    "Preprocessing must match training.",
    tests={f"{name}: matching pixels are recognised better": gain.above(0) for name, gain in gains.items()},
    on="the pixels that were trained on",
    number={"gained by matching, the smaller of two gains": smallest(gains)},
    context={f"{name}: gained by matching": gain for name, gain in gains.items()},
    model="two networks with a hidden layer of 32",
    origin=claims.MEASURED_HERE,
    source="Some networks normalise inside; the description of each says what it expects",
    profile=profile.name,
)

# %% [markdown]
# This is a *card*: a sentence, the verdict that follows from the measured numbers, and the number that decides. The
# rest is folded. A sentence holds or does not hold; where it has parts that differ, the verdict *depends*, and says on
# what; where an interval is too wide to tell, it is *not settled here*.

# %% [markdown]
# **And text?** It is stored as numbers too, as bytes from 0 to 255. But a byte says nothing about a word, so most
# language models are given other numbers. A *tokenizer* cuts the text into pieces from a list, the *vocabulary*, and
# gives each piece its place in the list. The list was made from a large text before the model was trained, and the
# model knows the pieces by these places only. So it must get the tokenizer that it was trained with.
#
# Here are two. In the first, `##` marks a piece that continues a word, and capitals are dropped; in the second, `Ġ`
# stands for a space.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

bert_tokenizer = AutoTokenizer.from_pretrained(profile.bert)
gpt_tokenizer = AutoTokenizer.from_pretrained(profile.gpt)
sentence = "This movie was unbelievably good."
for tokenizer in (bert_tokenizer, gpt_tokenizer):
    ids = tokenizer(sentence, add_special_tokens=False)["input_ids"]
    print(tokenizer.convert_ids_to_tokens(ids), ids)

# %% [markdown]
# Both are right, each for its own model. Now make the mistake: cut the sentence with GPT's tokenizer and read the
# numbers with BERT's list. This is the sentence that BERT would hear. A number beyond the end of BERT's list would
# raise an error in the model, so the code drops it; all others pass in silence.

# %%
# NBVAL_CHECK_OUTPUT
rightly = bert_tokenizer(sentence, add_special_tokens=False)["input_ids"]
wrongly = gpt_tokenizer(sentence)["input_ids"]
in_the_list = [number for number in wrongly if number < len(bert_tokenizer)]
print("with its own tokenizer:", bert_tokenizer.decode(rightly))
print("with GPT's tokenizer:  ", bert_tokenizer.decode(in_the_list))
print(f"{len(in_the_list)} of {len(wrongly)} numbers pass without an error")

# %% [markdown]
# This is the mistake of the pixels again: the input was prepared for one model and given to another. Neither raised an
# error.

# %% [markdown]
# ## To remember
#
# - Run the cells in order, predict before you run, and restart the kernel when in doubt.
# - Preprocessing must match the model's training. For images that is the scale, for text the tokenizer.
# - Wrong preprocessing often raises no error. The answers are only worse.
#
# Next: [Lesson 01, BERT vs GPT vs T5](01_bert_gpt_t5.ipynb).
