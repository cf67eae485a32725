# ---
# jupyter:
#   course:
#     name: 02_fine_tuning_with_the_trainer
#     title: "Lesson 02: Fine-tuning with the Trainer"
#     goals:
#       - fine-tune a pretrained encoder on movie reviews with ten lines of Hugging Face calls, and say what each does
#       - name what the ten lines hide (split, truncation, padding, metric, seed) and set each yourself
#       - report an accuracy with its interval, beside a baseline, on films the model has not seen
#       - save a fine-tuned model and prove that the saved copy answers exactly as the one in memory
#     minutes_cpu: 4 to 8
#     minutes_gpu: not yet measured
#     needs: nothing but this course
# ---

# %% [markdown]
# ## The lesson in ten lines
#
# This is the script that you meet in tutorials. It is real, and it leaves one line out as `…`:
#
# ```python
# dataset = load_dataset("stanfordnlp/imdb")
# tokenizer = AutoTokenizer.from_pretrained("google-bert/bert-base-uncased")
# tokenized = dataset.map(…)
# model = AutoModelForSequenceClassification.from_pretrained("google-bert/bert-base-uncased", num_labels=2)
# args = TrainingArguments(output_dir="out", eval_strategy="epoch", learning_rate=2e-5,
#                          per_device_train_batch_size=16, num_train_epochs=1)
# trainer = Trainer(model=model, args=args, train_dataset=tokenized["train"],
#                   eval_dataset=tokenized["test"], processing_class=tokenizer)
# trainer.train()
# ```
#
# Words you need: a *token* is a word or a piece of one. An *encoder*, such as BERT, is a network that reads tokens and
# turns them into vectors. *Pretrained*: its weights were learned on large amounts of other text. *Fine-tuning* goes on
# training those weights on your task. An *epoch* is one pass over the training data. The *hub* is the site from which
# models and data are downloaded.
#
# You will run each of these calls, with the model, the reviews and the learning rate of your *profile*, the choice that
# the first cell makes for your machine. `full` takes the script's bert-base-uncased and 2e-5. `embedded` takes
# all-MiniLM-L6-v2: a BERT of 6 layers with the same vocabulary, distilled from a larger model and then trained on a
# billion sentence pairs (its model card). It is smaller and gets a larger rate.
#
# Between the lines of the script stand decisions that it takes for you without saying so: which reviews to hold out,
# which part of a long review to read, how to fill up a batch, how to measure.
#
# Older copies of this script say `load_dataset("imdb")`, `evaluation_strategy` and `tokenizer=tokenizer`.
# Current releases want `stanfordnlp/imdb`, `eval_strategy` and `processing_class`.

# %% [markdown]
# ## 1. The reviews
#
# IMDB (Maas et al., 2011) holds 50,000 labelled film reviews, half of them for training, half for testing.
# Only clear opinions are in it: scores of at most 4 of 10 are `neg`, scores of at least 7 are `pos`.
# Under the `embedded` profile you work with the 25,000 training reviews, split again into three parts; about a thousand
# are left out on the way, and section 2 says why.

# %%
# NBVAL_CHECK_OUTPUT
from datasets import load_dataset

imdb = load_dataset(profile.imdb)
{split: (len(rows), rows.features["label"].names) for split, rows in imdb.items()}

# %% [markdown]
# Training reviews are for learning, validation reviews for choosing, test reviews for one measurement at the end.
# Whoever tries several settings and keeps the best *on the test reviews* keeps luck as well, and reports too high a
# number.
#
# The copy on the hub has no validation split, so under `full` the next cell takes one from the training reviews: a
# block of neighbours, not a random draw. Section 2 measures why that matters.

# %%
from utils.splits import with_validation

if "validation" not in imdb:
    imdb = with_validation(imdb)

SEED = 0


def take(split, size):
    shuffled = imdb[split].shuffle(seed=SEED)
    return shuffled if size is None else shuffled.select(range(size))


train = take("train", profile.train_size)
validation = take("validation", profile.validation_size)
test = take("test", profile.test_size)
print(f"{len(train):,} reviews to learn from, {len(validation):,} to choose with, {len(test):,} for the end")

# %% [markdown]
# Look at the data before anything else. Here are three reviews, cut short. Note the `<br />`: the reviews come from
# web pages, and nobody has cleaned them. A tokenizer will see it as text.

# %%
# NBVAL_CHECK_OUTPUT
for row in (0, 1, len(imdb["train"]) - 1):
    review = imdb["train"][row]
    print(f"[{imdb['train'].features['label'].int2str(review['label'])}] {review['text'][:230]} …\n")

# %% [markdown]
# How long are they? The model will read a fixed number of tokens at most, so this decides what it misses.

# %%
import numpy as np

from utils import plots

words = np.array([len(text.split()) for text in train["text"]])
fig, ax = plots.figure(2.4)
ax.hist(np.minimum(words, 800), bins=40, color=plots.BLUE)
ax.axvline(np.median(words), color=plots.BLACK, linestyle=":")
ax.set(xlabel="words in the review (last bar: and more; dotted: median)", ylabel="reviews")
median, ninth_decile = np.quantile(words, [0.5, 0.9])
fig.suptitle(f"Half of the reviews have more than {median:.0f} words, a tenth more than {ninth_decile:.0f}")
plots.show(fig, f"Histogram of review lengths in words: median {median:.0f}, "
                f"90th percentile {ninth_decile:.0f}, a long tail beyond 800.")  # fmt: skip

# %% [markdown]
# ## 2. A baseline first, and an honest split
#
# Before you train a network, find out what counting words (a *bag of words*) achieves. *TF-IDF* turns a review into a
# long vector with an entry for each word and word pair: its count, damped by a logarithm, rare ones weighted up.
# Logistic regression learns a weight for each entry. A larger `C` lets the weights grow more freely; it is chosen on
# the validation reviews. The test reviews stay untouched until section 8.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def bag_of_words(C, words_in_a_row=2):
    counts = TfidfVectorizer(ngram_range=(1, words_in_a_row), min_df=2, sublinear_tf=True)
    return make_pipeline(counts, LogisticRegression(C=C, max_iter=1000))


baselines = {C: bag_of_words(C).fit(train["text"], train["label"]) for C in (1, 10, 100)}
scores = {C: fitted.score(validation["text"], validation["label"]) for C, fitted in baselines.items()}
best_C = max(scores, key=scores.get)
baseline = baselines[best_C]
print(f"validation accuracy by C: {scores}; chosen: C = {best_C}")

# %% [markdown]
# **The split can lie.** A film has at most 30 reviews (Maas et al., README), and they share its names: the director,
# the heroine. Split at random, and the same film stands on both sides; the model can recognise the film instead of the
# opinion. In this archive the reviews of one film are neighbours, so contiguous blocks keep films apart.
#
# The experiment: the *same* reviews are judged by two classifiers that learned from equally many reviews.
# One learned from other reviews of the same films (as after a random split), the other from other films.
# Predict: which one scores higher, and by how much? First, how to compare two classifiers on the same reviews. (The
# half-width is 1.96 standard errors; 100 times as much in points, hence 196.)


# %%
def paired_difference(first, second):
    """Points by which `first` is right more often than `second` on the same reviews, and the 95% half-width."""
    gap = first.astype(float) - second.astype(float)
    return 100 * gap.mean(), 196 * gap.std() / np.sqrt(len(gap))


# %%
pool, quarter = imdb["train"], len(imdb["train"]) // 4
texts, labels = np.array(pool["text"], dtype=object), np.array(pool["label"])
block = np.arange(quarter)
by_label = [np.flatnonzero(labels == label) for label in (0, 1)]
these_films = np.concatenate([rows[block] for rows in by_label])  # the first quarter of each label
other_films = np.concatenate([rows[block + quarter] for rows in by_label])  # the second quarter

gaps = []
for draw in range(3):
    rng = np.random.default_rng(draw)
    judged, same = np.split(rng.permutation(these_films)[:4000], 2)  # to be judged; to learn from
    other = rng.permutation(other_films)[:2000]
    hits = {}
    for films, rows in {"same": same, "other": other}.items():
        classifier = bag_of_words(10, words_in_a_row=1).fit(texts[rows], labels[rows])
        hits[films] = classifier.predict(texts[judged]) == labels[judged]
    gaps.append(paired_difference(hits["same"], hits["other"]))

# %%
from utils import claims
from utils.intervals import Number

gained = {f"draw {draw}": Number(gap, gap - half, gap + half, " points") for draw, (gap, half) in enumerate(gaps, 1)}
claims.record(
    "02.1", "A random split flatters the result.",
    numbers={f"gained from the same films, {draw}": number for draw, number in gained.items()},
    tests={f"the same films help, {draw}": number.above(0) for draw, number in gained.items()},
    source="here on counting words, 2,000 reviews to learn from and 2,000 to judge", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# Contiguous blocks are not the whole answer: the archive lists negative and positive reviews in unrelated orders, so a
# film could still have its negative reviews in one split and its positive ones in another. `utils/splits.py` therefore
# also drops every review that shares three rare names with one of a later split, then evens out the labels; duplicates
# went first. No film is named in the data, so this is evidence, not proof.

# %% [markdown]
# ## 3. The tokenizer and the missing line
#
# A tokenizer turns text into the ids that the model was pretrained on. It belongs to the model: lesson 03 shows what
# happens when it does not.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
ids = tokenizer("An unwatchable mess.")["input_ids"]
print(f"{len(tokenizer):,} entries in the vocabulary")
print(ids)
print(tokenizer.convert_ids_to_tokens(ids))

# %% [markdown]
# `[CLS]` opens every text and `[SEP]` closes it. A word that is not in the vocabulary is cut into pieces, `##` marks a
# piece that continues a word.
#
# The line that the script leaves out is a function for `dataset.map`. The usual one keeps the first tokens and drops
# the rest. Where do reviewers say what they think? Ask the baseline: train it on the first words, the last words, or
# some of both, and compare on the validation films.

# %%
words_kept = profile.max_length * 3 // 4  # a token is shorter than a word


def keep(text, head, tail):
    words = text.split()
    return text if len(words) <= head + tail else " ".join(words[:head] + words[len(words) - tail :])


parts = {
    "first words only": (words_kept, 0),
    "a quarter first, the rest last": (words_kept // 4, words_kept - words_kept // 4),
    "last words only": (0, words_kept),
}
hits = {}
for part, (head, tail) in parts.items():
    learned, tried = ([keep(text, head, tail) for text in rows["text"]] for rows in (train, imdb["validation"]))
    classifier = bag_of_words(10, words_in_a_row=1).fit(learned, train["label"])
    hits[part] = classifier.predict(tried) == np.array(imdb["validation"]["label"])

# %%
fig, ax = plots.figure(1.7)
by_part = {part: 100 * hit.mean() for part, hit in hits.items()}
plots.bars(ax, list(by_part), list(by_part.values()), colors=[plots.GREY, plots.BLUE, plots.GREY], text="{:.1f}")
beginning, both, end = hits.values()
(of_both, half_both), (of_end, half_end) = paired_difference(both, beginning), paired_difference(end, beginning)
ax.set(xlim=(0, 100), xlabel=f"accuracy of bag-of-words on {len(end):,} validation reviews (%)")
fig.suptitle(
    f"Against the beginning: both ends {of_both:+.1f} ± {half_both:.1f}, end {of_end:+.1f} ± {half_end:.1f} points"
)
plots.show(fig, f"Bar chart of validation accuracy by which {words_kept} words of the review are read: "
                + ", ".join(f"{part} {score:.1f}%" for part, score in by_part.items()))  # fmt: skip

# %% [markdown]
# An interval that leaves out 0 says that the part matters; one that holds 0 says that these reviews cannot tell. For
# bert-base on IMDB, Sun et al. (2019) measured 94.37% with the first 510 tokens and 94.58% with the first 128 and the
# last 382, about a quarter and the rest. This lesson follows them. Here are both functions: the usual one, and ours.


# %%
def head_only(batch, max_length=profile.max_length):
    return tokenizer(batch["text"], truncation=True, max_length=max_length)


def head_and_tail(batch, max_length=profile.max_length):
    room = max_length - 2  # [CLS] and [SEP] need two places
    head = room // 4
    tail = room - head
    pieces = tokenizer(batch["text"], add_special_tokens=False, verbose=False)["input_ids"]
    kept = [ids if len(ids) <= room else ids[:head] + ids[len(ids) - tail :] for ids in pieces]
    input_ids = [[tokenizer.cls_token_id, *ids, tokenizer.sep_token_id] for ids in kept]
    return {"input_ids": input_ids, "length": [len(ids) for ids in input_ids]}


# %% [markdown]
# See what each keeps of a long sentence when there is room for ten tokens. `[CLS]` and `[SEP]` count, and `drags` is
# two tokens.

# %%
# NBVAL_CHECK_OUTPUT
long = "It opens in Rome , it drags on for three hours , and then the ending saves it ."
print(tokenizer.decode(head_only({"text": [long]}, max_length=10)["input_ids"][0]))
print(tokenizer.decode(head_and_tail({"text": [long]}, max_length=10)["input_ids"][0]))

# %% [markdown]
# `map` applies the function to all reviews, a thousand at a time. `length` is there for section 5.


# %%
def tokenize(rows):
    return rows.map(head_and_tail, batched=True, remove_columns=["text"])


train_ids, validation_ids, test_ids = tokenize(train), tokenize(validation), tokenize(test)
lengths = np.array(train_ids["length"])
cut = np.mean(lengths == profile.max_length)
print(f"{cut:.0%} of the reviews fill all {profile.max_length} tokens; mean length {lengths.mean():.0f}")

# %% [markdown]
# ## 4. The model, with a new head
#
# The encoder comes with its weights, but nobody has told it which label is which. `AutoModelForSequenceClassification`
# adds a fresh linear layer with two outputs, the *head*. (It has nothing to do with the head of a text.) The head reads
# the *pooler*, a pretrained layer on the vector at the `[CLS]` position. You would normally read a load report that
# calls some weights *newly initialized*: that is the head, and it is expected. Ask for the list instead:

# %%
# NBVAL_CHECK_OUTPUT
import torch
from transformers import AutoModelForSequenceClassification, set_seed

set_seed(SEED)  # the new layer starts at random
model, report = AutoModelForSequenceClassification.from_pretrained(
    profile.encoder,
    num_labels=2,
    id2label={0: "neg", 1: "pos"},
    label2id={"neg": 0, "pos": 1},
    dtype=torch.float32,
    attn_implementation=profile.attention,
    attention_probs_dropout_prob=0.0,
    hidden_dropout_prob=0.0,
    output_loading_info=True,
)
model.to(profile.device)
sorted(report["missing_keys"])

# %% [markdown]
# `num_labels` sets the size of the head; the names make answers readable. Four arguments are choices:
#
# - `dtype=torch.float32`: the weights are kept in 32 bits, so that small updates are not rounded away, even where the
#   arithmetic uses 16 bits.
# - `attn_implementation`: attention, the part in which tokens look at each other, can be computed in one operation
#   (`sdpa`) or step by step (`eager`). The answers are the same but for rounding. On a GPU the first is faster; on a
#   CPU, in training, the second is (`make bench`).
# - The two dropout rates are off. *Dropout* sets random values inside the network to 0 during training, as a guard
#   against overfitting; here the model sees each review once. On a CPU, dropout inside attention also takes time
#   (exercise 5 at the end lets you measure how much).

# %%
parameters = sum(p.numel() for p in model.parameters())
new = sum(p.numel() for name, p in model.named_parameters() if name in report["missing_keys"])
print(f"{Path(profile.encoder).name} as {type(model).__name__}: {parameters:,} parameters, of which {new:,} are new:")
print(f"2 labels x {model.config.hidden_size} weights, and 2 biases")

# %% [markdown]
# **Before training, the model guesses.** The *loss* of a review is −ln of the probability that the model gives to the
# true label: near 0 when it is sure and right, large when it is sure and wrong. With two labels, a guess of one half
# each costs −ln ½ = ln 2. Check it: a loss far from ln 2 means that the head is not new, or has another number of
# outputs. It says nothing about the labels: shuffled ones start near ln 2 as well.

# %%
from transformers import DataCollatorWithPadding

collator = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=32)
model_inputs = validation_ids.remove_columns("length")
with torch.inference_mode():
    first_loss = model.eval()(**collator([model_inputs[row] for row in range(64)]).to(model.device)).loss.item()
print(f"loss before training {first_loss:.3f}, ln 2 = {np.log(2):.3f}")

# %% [markdown]
# ## 5. What need not be computed
#
# **Padding.** A *batch* is a rectangle, reviews are not equally long. The collator fills up the short ones with
# `[PAD]`, and writes an `attention_mask`, 1 for text and 0 for padding: the model ignores the zeros, so padding changes
# the time and not the answer. How many of the computed tokens are padding depends on how you form batches:
#
# - fill up every review to the model's maximum of 512, as many scripts do (`padding="max_length"`);
# - cut each review to your profile's maximum, then fill up to the longest in its batch (`DataCollatorWithPadding`),
#   rounded up to a multiple of 32: with few different sizes, memory is used again instead of growing, by a quarter to a
#   third on a CPU, and GPUs multiply round sizes faster;
# - the same, with reviews of similar length in one batch (`train_sampling_strategy="group_by_length"`).
#
# The percentages in the figure count the padding alone.

# %%
from transformers.trainer_pt_utils import get_length_grouped_indices


def computed_tokens(order, batch_size=16):
    batches = [lengths[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
    return sum(len(batch) * 32 * np.ceil(batch.max() / 32) for batch in batches)


full_lengths = np.array(
    [len(ids) for ids in tokenizer(list(train["text"]), truncation=True, max_length=512)["input_ids"]]
)
random_order = np.random.default_rng(SEED).permutation(len(lengths))
grouped = get_length_grouped_indices(lengths.tolist(), 16, generator=torch.Generator().manual_seed(SEED))
cost = {
    "every review to 512": 512 * len(lengths),
    f"cut to {profile.max_length}, longest of the batch": computed_tokens(random_order),
    f"cut to {profile.max_length}, similar lengths together": computed_tokens(np.array(grouped)),
}
padding = {"every review to 512": 1 - full_lengths.sum() / (512 * len(lengths))}
padding |= {name: 1 - lengths.sum() / tokens for name, tokens in cost.items() if name not in padding}

# %%
fig, ax = plots.figure(1.7)
names = [f"{name} ({padding[name]:.0%} padding)" for name in cost]
millions = [tokens / 1e6 for tokens in cost.values()]
plots.bars(ax, names, millions, colors=[plots.GREY, plots.GREY, plots.BLUE], text="{:.2f}")
ax.set_xlabel("tokens computed in one epoch (millions)")
fig.suptitle(f"Cutting and grouping save {1 - millions[-1] / millions[0]:.0%} of the tokens")
plots.show(fig, "Bar chart of tokens computed in one epoch: "
                + ", ".join(f"{name} {tokens / 1e6:.2f} million" for name, tokens in cost.items()))  # fmt: skip

# %% [markdown]
# Do fewer tokens mean less time? Measure it on one batch: the same sixteen reviews of middling length, forward pass
# only.

# %%
import time

rows, middle = train_ids.remove_columns("length"), len(lengths) // 2
sixteen = [rows[row] for row in np.argsort(lengths, kind="stable")[middle - 8 : middle + 8].tolist()]
batch = collator(sixteen).to(model.device)
to_512 = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=512)(sixteen).to(model.device)


@torch.inference_mode()
def timed(batch):
    model(**batch).logits.cpu()  # the first call is slower, so it is not timed
    started = time.perf_counter()
    logits = model(**batch).logits.cpu()  # .cpu() waits until a GPU has finished
    seconds = time.perf_counter() - started
    print(f"{tuple(batch['input_ids'].shape)}: {seconds:.2f} s")
    return logits, seconds


# %%
_, seconds_512 = timed(to_512)
all_positions, seconds_all = timed(batch)
print(f"{seconds_512 / seconds_all:.1f} times as long for the same sixteen answers, when padded to 512")

# %% [markdown]
# **Work that nothing needs.** The head reads the vector at `[CLS]` and no other (section 4). So the last layer need not
# compute the others: `[CLS]` still looks at every position, but the new vectors of the other positions would be thrown
# away. `make_lean` leaves them out. In training on a CPU in 16-bit arithmetic it also saves copies: the library turns
# all scores of attention, one for each pair of tokens, into 32 bits and back. The answers are the same but for
# rounding. Both are a few lines of `utils/lean.py`. The next cell shows the first saving; this batch runs in 32 bits.

# %%
from utils.lean import make_lean

make_lean(model)
lean, seconds_lean = timed(batch)
print(f"largest difference of the logits {(lean - all_positions).abs().max():.0e}, of logits up to "
      f"{all_positions.abs().max():.2f}; {1 - seconds_lean / seconds_all:.0%} less time")  # fmt: skip

# %% [markdown]
# **Weights that may stay.** Training also runs backwards through the network (section 6), with twice the arithmetic of
# forwards: for each layer once to find how its weights should change, once to find how its input should. Below the
# lowest part that learns, neither is needed. So `embedded` *freezes* the embeddings and the lowest layers on a CPU:
# they keep their pretrained weights.

# %%
parts = [model.base_model.embeddings, *model.base_model.encoder.layer]  # from below
for part in parts[: profile.frozen_parts]:
    part.requires_grad_(False)
learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
print(f"parts frozen here: {profile.frozen_parts}; {learning:,} of {parameters:,} parameters will learn")

# %% [markdown]
# Unlike the savings above, this one changes the model, so it may cost accuracy. How much was measured beforehand under
# `embedded` by `benchmarks/finetune.py`, with 4,000 labels and on validation reviews: points of accuracy against
# training all weights, with the 95% half-width.

# %%
# NBVAL_CHECK_OUTPUT
import json

results = course / "benchmarks/results/finetune_choices.json"
runs = json.loads(results.read_text(encoding="utf-8"))["runs"]
all_learn = {run["seed"]: run for run in runs if run["recipe"] == "plain"}
for layers in (1, 2):
    pairs = [(run, all_learn[run["seed"]]) for run in runs if run["recipe"] == f"plain, {layers} frozen, 1 x"]
    hits = [np.concatenate([np.array(list(run["right"])) == "1" for run in side]) for side in zip(*pairs, strict=True)]
    gap, half = paired_difference(*hits)
    print(f"embeddings and {layers} of the layers frozen: {gap:+.1f} ± {half:.1f} points, {len(pairs)} seeds")

# %% [markdown]
# ## 6. The training arguments, one by one
#
# One training *step* takes a batch of 16 reviews, computes the loss (*forward pass*), computes for each weight which
# direction lowers it (*backward pass*), and moves the weights a little that way. The rule for moving is the
# *optimizer*, here the Trainer's default, *AdamW*; the *learning rate* scales how far.

# %%
from transformers import TrainingArguments

from utils.resume import run_folder

args = TrainingArguments(
    output_dir=run_folder("02-fine-tuning"),
    eval_strategy="epoch",
    learning_rate=profile.learning_rate,
    per_device_train_batch_size=profile.batch_size, gradient_accumulation_steps=profile.accumulation,
    num_train_epochs=1,
    per_device_eval_batch_size=32,
    warmup_steps=0.1,
    train_sampling_strategy="group_by_length",
    bf16=profile.precision == "bfloat16",
    fp16=profile.precision == "float16",
    use_cpu=profile.device == "cpu", accelerator_config={"non_blocking": True},
    save_strategy="steps", save_steps=0.1, save_total_limit=1,
    logging_steps=5, report_to="none", disable_tqdm=False, seed=SEED,
)  # fmt: skip
print(f"learning rate {args.learning_rate:g}, 16-bit arithmetic {'on' if args.bf16 or args.fp16 else 'off'}")

# %% [markdown]
# | argument | what it does |
# |---|---|
# | `eval_strategy="epoch"` | measure on the validation reviews after each pass over the data |
# | `learning_rate` | the peak of the schedule, which scales every step. Pretrained weights need small ones |
# | `per_device_train_batch_size` | reviews at once on each device: 16, or as many as a small GPU has memory for |
# | `gradient_accumulation_steps` | batches in one step, their gradients added up. The product is 16 everywhere |
# | `num_train_epochs=1` | one pass over the training reviews |
# | `per_device_eval_batch_size=32` | larger, because evaluation keeps nothing for a backward pass |
# | `warmup_steps=0.1` | below 1, a share of all steps: the rate rises over the first tenth, then falls to 0 |
# | `train_sampling_strategy` | batches of similar length, from the column `length` (section 5) |
# | `bf16`, `fp16` | 16-bit arithmetic where the processor is fast at it; the banner above says which and why |
# | `use_cpu` | without it, `bf16` on a CPU is refused |
# | `accelerator_config` | with a GPU, the next batch is copied to it while it still computes |
# | `save_…` | a checkpoint after each tenth of the steps, the newest kept: an interrupted training resumes |
# | `logging_steps=5` | the loss is written down every 5 steps; with the default of 500, a short run shows "No log" |
# | `report_to="none"` | no experiment tracker; the default since transformers 5 |
# | `disable_tqdm=False` | show the Trainer's own bar and table |
# | `seed` | the order of the reviews. The new layer's start was set in section 4 |
#
# The metric is ours too. The model answers each review with two numbers, one per label, called *logits*; the larger one
# wins. In the next cell they are `outputs.predictions`. `softmax` would turn them into probabilities.

# %%
from transformers import Trainer


def accuracy(outputs):
    return {"accuracy": float((outputs.predictions.argmax(axis=1) == outputs.label_ids).mean())}


trainer = Trainer(
    model=model,
    args=args,
    train_dataset=train_ids,
    eval_dataset=validation_ids,
    processing_class=tokenizer,
    data_collator=collator,
    compute_metrics=accuracy,
    callbacks=[plots.LiveCurve(baseline=np.log(2))],
)

# %% [markdown]
# ## 7. Train
#
# This is where the minutes go. The curve grows while you wait: grey is the loss, averaged over the five steps since the
# last log, blue its running mean, the diamond the loss on the validation reviews, in *nats*, the unit of a loss that
# uses ln. Grouping by length makes waves: the sampler takes blocks of reviews and runs through each from long to short.
# Above stands the Trainer's own table; its *Training Loss* is the last logged value, not the mean of the epoch.
#
# `unfinished(trainer)` finds the last checkpoint of this same run if you interrupted it, and is `None` otherwise. To
# train again from the pretrained weights, run from section 4 on: a model that has been trained stays trained.
#
# `trainer.train` is the call of the script. `within_memory` is for GPUs: where memory runs out, it calls `train` again
# with half as many reviews at once and twice as many batches for each step, and says so.

# %%
from utils.memory import within_memory
from utils.resume import unfinished

trained = within_memory(trainer, lambda: trainer.train(resume_from_checkpoint=unfinished(trainer)))

# %%
final = next(row for row in reversed(trainer.state.log_history) if "eval_loss" in row)
print(f"after {trainer.state.global_step} steps and {trained.metrics['train_runtime']:.0f} s in this session:")
print(f"validation accuracy {final['eval_accuracy']:.3f}, validation loss {final['eval_loss']:.3f}")

# %% [markdown]
# ## 8. Measure, once
#
# Now the test reviews, for the first and only time, for both models. One trap first: with `group_by_length`, the
# Trainer also *predicts* in grouped order, and returns the answers in that order. To lay answers beside texts, turn
# grouping off; sorting the reviews by length keeps padding small.

# %%
by_length = np.argsort(test_ids["length"], kind="stable")
test, test_ids = test.select(by_length), test_ids.select(by_length)
trainer.args.train_sampling_strategy = "sequential"
logits = trainer.predict(test_ids).predictions
trainer.args.train_sampling_strategy = "group_by_length"  # save_model will record the arguments of the training

truth = np.array(test["label"])
right = {"fine-tuned encoder": logits.argmax(axis=1) == truth, "bag-of-words": baseline.predict(test["text"]) == truth}
majority = max(truth.mean(), 1 - truth.mean())

# %% [markdown]
# A test set is a sample: with other reviews the accuracy would differ a little. A 95% interval is made so that, over
# many such samples, 95 of 100 intervals hold the true value; Wilson's formula is good near 0 and 1 too. It covers the
# choice of the test reviews only, and takes them as independent, although reviews of one film are not quite. Another
# seed or another sample of training reviews moves the result as well: `python -m benchmarks.seeds` repeats this over
# three.

# %%
from scipy.stats import binomtest

intervals = {"always the same label": (majority, majority, majority)}
for name, hits in right.items():
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    intervals[name] = (hits.mean(), interval.low, interval.high)
    print(f"{name:<19} {100 * hits.mean():.2f}%   95% interval {100 * interval.low:.1f} to {100 * interval.high:.1f}%")

# %% tags=["readme"]
fig, ax = plots.figure(1.7)
centre, low, high = 100 * np.array(list(intervals.values())).T
colors = [plots.GREY, plots.BLUE, plots.ORANGE]
plots.bars(ax, list(intervals), centre, np.array([centre - low, high - centre]), colors, "{:.1f}")
ax.set(xlim=(0, 100), xlabel=f"accuracy on {len(truth):,} reviews of other films (%), with 95% interval")
fig.suptitle(f"Fine-tuned encoder {centre[1]:.1f}%, bag-of-words {centre[2]:.1f}%, both on {len(train):,} labels")
plots.show(fig, "Bar chart of test accuracy with 95% intervals: "
                + ", ".join(f"{name} {100 * middle:.1f}%" for name, (middle, _, _) in intervals.items()))  # fmt: skip

# %% [markdown]
# Whether two intervals overlap does not settle who is better, because both models judged the *same* reviews. Compare
# them review by review: only those count on which exactly one of the two is right (McNemar's test). *p* is the
# probability of a count at least this uneven if both were equally good; below 0.05 the card takes one for better.

# %%
ours, theirs = right.values()
only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
p_value = binomtest(only_ours, only_ours + only_theirs).pvalue
difference, half = paired_difference(ours, theirs)
print(f"only the encoder right: {only_ours}, only bag-of-words right: {only_theirs}, p = {p_value:.2g}")

# %%
claims.record(
    "02.2", "A fine-tuned encoder beats counting words.",
    numbers={name: Number(100 * middle, 100 * low, 100 * high, "%") for name, (middle, low, high) in intervals.items()}
    | {"encoder minus counting": Number(difference, difference - half, difference + half, " points"), "p": p_value},
    tests={"the encoder is right more often": None if p_value >= 0.05 else difference > 0},
    source=f"{len(train):,} labels; with 25,000 and bert-base 94.4 to 94.6% in Sun et al. 2019, arXiv 1905.05583",
    profile=profile.name,
)  # fmt: skip

# %% [markdown]
# With a few thousand labels, counting words is hard to beat on long reviews. With bert-base and all 25,000 labels it
# falls behind: Sun et al. (2019) report 94.4 to 94.6% with 512 tokens. Three things move the balance towards the
# encoder: **more of the review** (it read only the tokens above, the baseline read all words), **more labels for a
# larger encoder**, and **training and testing on short texts with few labels**, where single words say little and what
# pretraining knows counts most. Lesson 04 draws that curve.

# %% [markdown]
# ## 9. Which errors?
#
# First by kind. Rows are the true label, columns the prediction.

# %%
from sklearn.metrics import confusion_matrix

names = ["neg", "pos"]
counts = confusion_matrix(truth, logits.argmax(axis=1))
fig, ax = plots.figure(2.4)
ax.imshow(counts, cmap="Blues", vmin=0, vmax=counts.sum() / 2)
for (row, column), count in np.ndenumerate(counts):
    ax.text(column, row, f"{count}", ha="center", va="center", color="white" if count > counts.sum() / 4 else "black")
ax.set_xticks([0, 1], names)
ax.set_yticks([0, 1], names)
ax.set(xlabel="predicted label", ylabel="true label")
fig.suptitle(f"{counts[0, 1]} negative reviews taken for positive, {counts[1, 0]} the other way")
plots.show(fig, f"Confusion matrix: true negatives {counts[0, 0]}, negative taken for positive {counts[0, 1]}, "
                f"positive taken for negative {counts[1, 0]}, true positives {counts[1, 1]}.")  # fmt: skip

# %% [markdown]
# Then one by one, the most confident errors first: those with the largest loss, −ln of the probability that the model
# gave to the true label. Read them. In IMDB's official test split, about 3% of the labels are wrong (Northcutt et al.,
# 2021). If your reviews hold wrong labels, this list is where to look; hard reviews stand here too.

# %%
probabilities = torch.softmax(torch.tensor(logits, dtype=torch.float64), dim=1).numpy()
losses = -np.log(probabilities[np.arange(len(truth)), truth])
for row in np.argsort(-losses)[:5].tolist():
    text = test[row]["text"].replace("<br />", " ")
    verdict = f"predicted {names[1 - truth[row]]} with {probabilities[row].max():.1%}"
    print(f"row {row}: labelled {names[truth[row]]}, {verdict}, loss {losses[row]:.1f}")
    print(f"  {text[:160]} … {text[-240:]}\n")

# %% [markdown]
# ## 10. Your own text
#
# Change the texts and run the cell again. The model was fine-tuned on film reviews only, most of them long, and it
# answers everything with one of two labels: it cannot say "neither". Texts of one sentence are unlike what it learned
# from, so expect mistakes: the accuracy of section 8 does not hold for them. Write one out to a paragraph and see
# whether the answer changes.

# %%
my_texts = [
    "I came for the effects and stayed for the story. I would see it again tomorrow.",
    "Two hours of my life that nobody will give me back.",
    "Not bad at all.",
    "The train leaves at noon.",
]

batch = collator([{"input_ids": ids} for ids in head_and_tail({"text": my_texts})["input_ids"]])
with torch.inference_mode():
    answers = torch.softmax(model.eval()(**batch.to(model.device)).logits.float(), dim=1)
for text, (_, positive) in zip(my_texts, answers.tolist(), strict=True):
    print(f"{positive:4.0%} positive: {text}")

# %% [markdown]
# ## 11. Save, reload, compare
#
# `save_model` writes the weights, the configuration and, because the Trainer knows it, the tokenizer. A saved model is
# worth having only if it gives the same answers, so compare the logits bit for bit.
#
# Two details decide whether they can be equal. To train in 16-bit arithmetic, the Trainer wraps the model's forward
# pass, and the wrapping stays. A reloaded model comes without it and computes in 32 bits. `unwrap_model` takes it off,
# in place. So where training used 16 bits, the answers of section 8 can differ from the saved model's in the last
# digits. And two choices are not saved: how attention is computed (section 4) and what is left out (section 5). Make
# them again, or the last digits differ.

# %%
# NBVAL_CHECK_OUTPUT
saved = run_folder("02-classifier")
trainer.save_model(saved)
in_memory = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)

same_way = {"dtype": torch.float32, "attn_implementation": profile.attention}
reloaded = AutoModelForSequenceClassification.from_pretrained(saved, **same_way).to(model.device).eval()
make_lean(reloaded)
with torch.inference_mode():
    identical = torch.equal(in_memory(**batch).logits, reloaded(**batch).logits)
kept = reloaded.state_dict()
print("identical weights:", all(torch.equal(kept[name], value) for name, value in in_memory.state_dict().items()))
print("identical logits:", identical)
print("same ids:", AutoTokenizer.from_pretrained(saved)(long)["input_ids"] == tokenizer(long)["input_ids"])

# %% [markdown]
# ## To remember
#
# - Fine-tuning is a pretrained encoder, a new head and a small learning rate; before training, the loss on two labels
#   must be near ln 2.
# - The ten lines decide the split, the truncation, the padding and the metric for you. Decide them yourself.
# - Keep films apart between training and test, choose on validation reviews, and touch the test reviews once.
# - An accuracy without an interval and a baseline says little; compare two models review by review.
# - Padding costs as much time as text and teaches nothing: cut, group, and measure what it saves.
#
# ## Exercises
#
# [Five exercises](exercises/02_fine_tuning_with_the_trainer.ipynb) say whether you are right.
# And some for this notebook:
#
# Predict first, then change the cell and run from section 4 (in exercise 1, from section 3) to the end of section 7,
# the validation accuracy. The test reviews have had their turn.
#
# 1. In section 3, set `head = room` in `head_and_tail`, so that nothing is kept from the end. What happens to the
#    validation accuracy? On a thousand reviews, two points of difference may be chance.
# 2. In section 6, set `learning_rate=100 * profile.learning_rate`. What does the loss do, and where does it end?
# 3. Train with half, once and twice the learning rate, each time with `eval_dataset=test_ids`, and keep the best. Why
#    is the accuracy that you would report likely to be too high?
# 4. Print one of the worst errors whole, with `print(test[ROW]["text"])`, and find one whose label you think is wrong.
#    If you find none, say which words misled the model.
# 5. On a CPU, set `attention_probs_dropout_prob` in section 4 to 0.1, as the model was pretrained. Read the steps and
#    the time beside the progress bar: how many steps does training make in a minute, with and without?
