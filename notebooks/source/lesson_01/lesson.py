# ---
# jupyter:
#   course:
#     name: 01_bert_gpt_t5
#     title: "Lesson 01: BERT vs GPT vs T5"
#     goals:
#       - read from a running model which positions can see which, and tell a causal mask from a padding mask
#       - read the three training objectives as code and check what the library has of them
#       - fill a blank, generate and translate, and say which family is built for which
#       - meet a popular sentence about these models with a measurement
#     minutes_cpu: about 1 min
#     minutes_gpu: not yet measured
#     needs: nothing but this course
# ---

# %% [markdown]
# ## Three families, and what people say about them
#
# - *BERT reads a sentence both ways, at the exact same millisecond. It hides 15% of the words and guesses them.*
# - *GPT reads from left to right and guesses the next word. It is used for generation, BERT for classification.*
# - *T5 turns every task into text to text. It is the absolute industry standard for translation and summarization.*
#
# You will run one model of each family, put these sentences to the test, part by part, and make them precise where they
# are loose. Each result is a card, and its verdict is computed from the numbers on it.
#
# Words you need. A *token* is a word or a piece of one; a model sees a text as a row of tokens, and a *position* is a
# place in that row. *Pretraining* is the first, long training on much text, as ImageNet was for your CNN. Its
# *objective* is what the model must guess there; the loss is cross-entropy, in *nats*: minus the natural logarithm of
# the probability that the model gave to the right token. *Wiring* is short for: which positions may look at which.
#
# For each position, each *layer* computes a vector. Most of it is work on that position alone. Only *attention* looks
# elsewhere: a position gives every position a *score*, *softmax* turns the scores into *attention weights* (scores 2, 1
# and 0 become 0.67, 0.24 and 0.09), and the position takes the mean of what all positions offer, with these weights. A
# layer does this several times side by side, in its *heads*. From the last layer's vectors come the *logits*, a number
# for each token of the vocabulary; softmax turns them into probabilities.

# %% [markdown]
# ## 1. One model of each family
#
# Under the `embedded` profile these are mini-bert, mini-gpt and mini-t5, made for this course. They learned from the
# same text, as many characters of it, with about the same number of parameters, so that wiring and objective are the
# main difference. Not the only one: each has its own tokenizer, and mini-t5 then learned three small tasks with answers
# (section 7). Under `full` they are bert-base-uncased, gpt2 and t5-small, which differ in text, size and training as
# well: no gap between those has a single cause. One model of a family is not the family either.
#
# `attn_implementation="eager"` computes attention step by step, so that its weights can be looked at.

# %%
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer


def load(auto_class, name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = auto_class.from_pretrained(name, dtype=torch.float32, attn_implementation="eager")
    return tokenizer, model.to(profile.device).eval()


bert_tokenizer, bert = load(AutoModelForMaskedLM, profile.bert)
gpt_tokenizer, gpt = load(AutoModelForCausalLM, profile.gpt)
t5_tokenizer, t5 = load(AutoModelForSeq2SeqLM, profile.t5)
gpt_tokenizer.pad_token = gpt_tokenizer.eos_token  # GPT-2 has no token to fill up a batch with

# %% [markdown]
# `AutoModelForMaskedLM` loads a model that guesses hidden tokens, `…CausalLM` one that guesses the next token,
# `…Seq2SeqLM` one that reads a text and writes another (*sequence to sequence*).

# %%
# NBVAL_CHECK_OUTPUT
for tokenizer, model in ((bert_tokenizer, bert), (gpt_tokenizer, gpt), (t5_tokenizer, t5)):
    print(
        f"{type(model).__name__:<28} {model.num_parameters():>11,} parameters, vocabulary of {len(tokenizer):,} tokens"
    )

# %% [markdown]
# ## 2. One sentence, three wirings
#
# Each family cuts the sentence with its own tokenizer. BERT marks the beginning with `[CLS]` and the end with `[SEP]`,
# T5 the end with `</s>`. GPT marks nothing; its one special token, `<|endoftext|>`, stood between the training texts.
# Put it in front, so that the first word has something to be guessed from. `Ġ` and `▁` stand for the space before a
# word; in BERT's vocabulary, `##` marks a piece that continues a word.

# %%
# NBVAL_CHECK_OUTPUT
sentence = "The actors are good because the story is good."


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


def tokens_of(tokenizer, encoded):
    return tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())


bert_input = encode(bert_tokenizer, sentence)
gpt_input = encode(gpt_tokenizer, gpt_tokenizer.eos_token + sentence)
t5_input = encode(t5_tokenizer, sentence)
bert_tokens = tokens_of(bert_tokenizer, bert_input)
gpt_tokens = tokens_of(gpt_tokenizer, gpt_input)
t5_tokens = tokens_of(t5_tokenizer, t5_input)
print(bert_tokens, gpt_tokens, t5_tokens, sep="\n")

# %% [markdown]
# BERT is an *encoder*: it reads. GPT is a *decoder*: it writes. T5 has both, an encoder that reads one text and a
# decoder that writes another. So T5's decoder needs the text that it has written so far. Give it the same sentence,
# shifted one place to the right behind a start token:
#
# | the decoder sees | `<pad>` | The | actor | … |
# |---|---|---|---|---|
# | and must write | The | actor | s | … |
#
# T5 takes `<pad>` as its start token; here it fills nothing up.

# %%
decoder_input_ids = t5.prepare_decoder_input_ids_from_labels(t5_input["input_ids"])
written_tokens = t5_tokenizer.convert_ids_to_tokens(decoder_input_ids[0].tolist())
with torch.inference_mode():
    from_bert = bert(**bert_input, output_attentions=True)
    from_gpt = gpt(**gpt_input, output_attentions=True)
    from_t5 = t5(**t5_input, decoder_input_ids=decoder_input_ids, output_attentions=True)
attentions = {
    "BERT": (from_bert.attentions, bert_tokens, bert_tokens),
    "GPT": (from_gpt.attentions, gpt_tokens, gpt_tokens),
    "T5 encoder": (from_t5.encoder_attentions, t5_tokens, t5_tokens),
    "T5 decoder": (from_t5.decoder_attentions, written_tokens, written_tokens),
    "T5 decoder to encoder": (from_t5.cross_attentions, written_tokens, t5_tokens),
}

# %% [markdown]
# Stack the layers: the weights then have the shape (layers, heads, positions that look, positions looked at). Count the
# weights to the right of each position that are exactly 0, in all layers and heads.

# %%
# NBVAL_CHECK_OUTPUT
import numpy as np

wirings, shut = {}, {}
for name, (layers, lookers, looked_at) in attentions.items():
    weights = torch.stack(layers)[:, 0].float().cpu().numpy()
    wirings[name] = weights, lookers, looked_at
    if lookers == looked_at:  # one text looks at itself, so there is a right and a left
        to_the_right = np.triu(np.ones(weights.shape[2:], dtype=bool), k=1)
        shut[name] = 100 * (weights[:, :, to_the_right] == 0).mean()
        print(f"{name:<11} {shut[name]:.0f}% of the attention weights to the right are exactly 0")

# %% [markdown]
# The pictures show the mean over layers and heads. A row is a position that looks, a column one that is looked at; dark
# is much, and a grey cross is a weight of exactly 0. Much attention on the first token or on `[SEP]` is common. The
# usual explanation is that a head which finds nothing to look for rests there (Clark et al. 2019).

# %%
from utils import plots

fig, axes = plots.figure(8.6, columns=2, rows=3)
for ax, (name, (weights, lookers, looked_at)) in zip(axes.flat, wirings.items(), strict=False):
    plots.attention(ax, weights.mean(axis=(0, 1)), lookers, looked_at)
    ax.set_title(name, fontsize=10)
axes[2, 1].axis("off")
axes[2, 1].text(0, 0.5, "down: who looks\nacross: at whom\ndark: much\n×: weight exactly 0", va="center")
left_only = [name for name, share in shut.items() if share == 100]
fig.suptitle(f"Never to the right: {' and '.join(left_only)}")
plots.show(fig, "Five grids of attention weights, positions that look down, positions looked at across. "
                f"All weights above the diagonal are exactly 0 in: {', '.join(left_only)}.")  # fmt: skip

# %% [markdown]
# The crosses are the *causal mask*: before the softmax, every place to the right gets a score so low that its weight
# becomes 0. Attention is the only part of these networks that carries anything from one position to another.
#
# **The padding mask is another matter.** Texts of a batch have different lengths, and the shorter are filled up with a
# padding token. The *attention mask* is 1 for a real token and 0 for padding; a column with 0 gets no weight, by the
# same low score. What happens to a short text in a batch, with this mask and without?

# %%
# NBVAL_CHECK_OUTPUT
short = "A good film."
batch = bert_tokenizer([short, sentence], padding=True, return_tensors="pt").to(profile.device)
print("attention_mask of the short text:", batch["attention_mask"][0].tolist())

alone = encode(bert_tokenizer, short)
length = alone["input_ids"].shape[1]
with torch.inference_mode():
    wanted = bert(**alone).logits[0]
    masked = bert(**batch).logits[0, :length]
    unmasked = bert(input_ids=batch["input_ids"]).logits[0, :length]
tolerance = 1e-3 * wanted.abs().max()  # for rounding
print("same logits as alone, with the mask:", bool((masked - wanted).abs().max() < tolerance))
print("same logits as alone, without it:", bool((unmasked - wanted).abs().max() < tolerance))

# %% [markdown]
# BERT and T5 need it wherever a text that is read was padded. GPT needs it where the padding stands on the left, as it
# does when a batch is to be continued; on the right, its causal mask hides the padding already. Neither mask has
# anything to do with the token `[MASK]` of section 4.

# %% [markdown]
# ## 3. Who looks both ways?
#
# If the masks decide what a position can know, a change near the end must reach the beginning in BERT, and cannot in
# GPT. Check it: change the last word from *good* to *bad*, and see at which positions the last layer's vector changes.
# `base_model` is the network without its last step, the one that makes logits.

# %%
changed = "The actors are good because the story is bad."


@torch.inference_mode()
def last_vectors(text):
    """The last layer's vectors, shape (positions, width). What T5's encoder reads stays; what is written changes."""
    written = t5.prepare_decoder_input_ids_from_labels(encode(t5_tokenizer, text)["input_ids"])
    from_t5 = t5(**t5_input, decoder_input_ids=written, output_hidden_states=True)
    return {
        "BERT": bert.base_model(**encode(bert_tokenizer, text)).last_hidden_state[0],
        "GPT": gpt.base_model(**encode(gpt_tokenizer, gpt_tokenizer.eos_token + text)).last_hidden_state[0],
        "T5 encoder": t5.encoder(**encode(t5_tokenizer, text)).last_hidden_state[0],
        "T5 decoder": from_t5.decoder_hidden_states[-1][0],
    }


# %%
before, after = last_vectors(sentence), last_vectors(changed)
changes = {}
for name, vectors in before.items():
    both = min(len(vectors), len(after[name]))
    distance = (vectors[:both] - after[name][:both]).norm(dim=-1)
    changes[name] = (100 * distance / vectors[:both].norm(dim=-1)).cpu().numpy()  # 100: as far as the vector is long


def first_change(tokenizer, tokens_in_front):
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (sentence, changed)]
    return tokens_in_front + next(place for place, (old, new) in enumerate(zip(*ids, strict=False)) if old != new)


changed_at = {
    "BERT": first_change(bert_tokenizer, 1),  # [CLS]
    "GPT": first_change(gpt_tokenizer, 1),  # <|endoftext|>
    "T5 encoder": first_change(t5_tokenizer, 0),
    "T5 decoder": first_change(t5_tokenizer, 1),  # the start token
}

# %%
left = {name: change[: changed_at[name]] for name, change in changes.items()}
all_tokens = dict(zip(changes, (bert_tokens, gpt_tokens, t5_tokens, written_tokens), strict=True))
fig, axes = plots.figure(6.4, rows=4, sharey=True)
for ax, (name, change) in zip(axes, changes.items(), strict=True):
    plots.token_bars(ax, all_tokens[name][: len(change)], change)
    ax.axvline(changed_at[name] - 0.5, color=plots.BLACK, linestyle=":")
    ax.set_title(f"{name}: left of the changed word at most {left[name].max():.3g}%", fontsize=10)
fig.supylabel("change of the vector, % of its length")
fig.suptitle("One word changes (right of the dotted line): whose earlier positions notice?")
plots.show(fig, "Bars of how much each position's last vector changes when one word changes. Largest change on the "
                "left: " + ", ".join(f"{name} {change.max():.3g}%" for name, change in left.items()))  # fmt: skip

# %% [markdown]
# In GPT and in T5's decoder the change on the left is exactly 0, not only small: whatever stands on the right is
# multiplied by a weight of 0.

# %%
from utils import claims
from utils.intervals import Number

NOTICED = 0.1  # % of a vector's length; far above rounding
claims.record(
    "01.1", "BERT looks both ways, GPT only to the left, T5 both ways when it reads and to the left when it writes.",
    numbers={"BERT, smallest change on the left": Number(left["BERT"].min(), unit="%"),
             "GPT, largest change on the left": Number(left["GPT"].max(), unit="%"),
             "T5 encoder, smallest change on the left": Number(left["T5 encoder"].min(), unit="%"),
             "T5 decoder, largest change on the left": Number(left["T5 decoder"].max(), unit="%")},
    tests={"every earlier position of BERT notices": left["BERT"].min() > NOTICED,
           "no earlier position of GPT does": left["GPT"].max() == 0 and shut["GPT"] == 100,
           "every earlier position of T5's encoder does": left["T5 encoder"].min() > NOTICED,
           "no earlier position of T5's decoder does": left["T5 decoder"].max() == 0},
    source="Devlin et al. 2018; Radford et al. 2018; Raffel et al. 2019, section 2.1", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# **“At the exact same millisecond”** suggests that BERT computes all positions at once and GPT one after the other. But
# the mask lets GPT do all of them in one run too, and its training relies on that. Compare: one run over the whole
# sentence, and one run for each beginning of it.

# %%
gpt_ids = gpt_input["input_ids"]
with torch.inference_mode():
    one_run = gpt(gpt_ids).logits[0]
    word_by_word = torch.stack([gpt(gpt_ids[:, : end + 1]).logits[0, -1] for end in range(gpt_ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()

# %%
claims.record(
    "01.2", "Reading all words at the same time sets BERT apart from GPT.",
    numbers={"positions that GPT computes in one run": gpt_ids.shape[1],
             "largest difference from one run per position": Number(apart, unit="%")},
    tests={"GPT's logits differ when all positions are computed at once": apart > 0.1},
    source="The mask that makes one run possible: Vaswani et al. 2017, section 3.2.3", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# When GPT *writes*, it does go one token at a time, because each token depends on the one that it has chosen before.
# So does T5's decoder.

# %% [markdown]
# ## 4. Three objectives
#
# The wiring limits the objective. Give BERT GPT's objective: position 3 must guess token 4, but it can look at token 4,
# so it copies and learns nothing. So most of what BERT is to guess must be taken out of the text. Give GPT BERT's
# objective: at a hidden token it sees only the left side, so nothing is gained by hiding, and it would learn at 15% of
# the tokens instead of all. GPT can leave the text as it is, because it does not see what comes next.
#
# ### Masked tokens (BERT)
#
# 15% of the *tokens* are selected. Of these, 80% are replaced by `[MASK]`, 10% by a random token, 10% stay, and the
# model must guess what stood there (Devlin et al. 2018, section 3.1). A *label* is the right answer at a position;
# everywhere else it is -100, which the loss ignores.
#
# Why not always `[MASK]`? Later texts hold no `[MASK]`. If only `[MASK]` were ever asked, the model could neglect all
# other positions. So now and then it is asked about a token that looks like any other, and it does not know which.
# In the code, half of the 20% that are left get a random token.


# %%
def mask_tokens(input_ids, tokenizer, generator):
    special = torch.isin(input_ids, torch.tensor(tokenizer.all_special_ids))
    selected = torch.bernoulli(torch.where(special, 0.0, 0.15), generator=generator).bool()
    labels = torch.where(selected, input_ids, -100)
    hidden = torch.bernoulli(torch.full(labels.shape, 0.8), generator=generator).bool() & selected
    swapped = torch.bernoulli(torch.full(labels.shape, 0.5), generator=generator).bool() & selected & ~hidden
    random_ids = torch.randint(len(tokenizer), labels.shape, generator=generator)
    seen = torch.where(hidden, tokenizer.mask_token_id, torch.where(swapped, random_ids, input_ids))
    return seen, labels


# %% [markdown]
# The library's version is `DataCollatorForLanguageModeling`; a *collator* makes a batch out of rows. With the same seed
# both draw the same random numbers, so they must agree on every token of these 128 copies:

# %%
# NBVAL_CHECK_OUTPUT
from transformers import DataCollatorForLanguageModeling

copies = bert_input["input_ids"].cpu().repeat(128, 1)
collator = DataCollatorForLanguageModeling(bert_tokenizer, mlm_probability=0.15, seed=1)
library = collator([{"input_ids": row} for row in copies])
seen, labels = mask_tokens(copies, bert_tokenizer, torch.Generator().manual_seed(1))
print("same inputs:", torch.equal(seen, library["input_ids"]), "· same labels:", torch.equal(labels, library["labels"]))
for row in seen[:3]:
    print(bert_tokenizer.decode(row))

# %% [markdown]
# Now count on real reviews. IMDB's reviews are each labelled positive or negative (lesson 02). Take those of the
# validation films, in two parts: `reviews` to measure on, `to_learn_from` for section 8. `film_split` keeps the films
# of the two parts apart, as far as the order of the reviews and the names in them tell.

# %%
from datasets import load_dataset

from utils.splits import film_split, with_validation

imdb = load_dataset(profile.imdb)
if "validation" not in imdb:
    imdb = with_validation(imdb)
validation, rng = imdb["validation"], np.random.default_rng(0)
parts = film_split(validation["text"], np.array(validation["label"]), {"first": 0.55, "last": 0.45})
to_learn_from = validation.select(rng.permutation(parts["first"])[:1000])
reviews = validation.select(rng.permutation(parts["last"])[:400])
texts = [text.replace("<br />", " ") for text in reviews["text"]]
known_films = (
    "the models may have read about these films" if profile.name == "full" else "films the models have not seen"
)
print(f"{len(reviews)} reviews: {known_films}")

# %%
from utils.intervals import share

encoding = bert_tokenizer(texts, truncation=True, max_length=128, padding="max_length", return_tensors="pt")
review_ids = encoding["input_ids"]
review_seen, review_labels = mask_tokens(review_ids, bert_tokenizer, torch.Generator().manual_seed(1))
ordinary = ~torch.isin(review_ids, torch.tensor(bert_tokenizer.all_special_ids))
selected, hidden = review_labels != -100, review_seen == bert_tokenizer.mask_token_id
counted = {
    "tokens selected": share(selected[ordinary]),
    "of these, [MASK]": share(hidden[selected]),
    "of these, another token": share(((review_seen != review_ids) & ~hidden)[selected]),
    "of these, unchanged": share((review_seen == review_ids)[selected]),
}
for name, found in counted.items():
    print(f"{name:<24} {found}")

# %% [markdown]
# In brackets stands a 95% interval, as in lesson 00. The numbers only say that the code does what the paper says. What
# the popular sentence gets wrong are the *words*: one of several tokens is touched as soon as one of its tokens is. And
# one in ten of the selected tokens stays in sight.

# %%
touched = []
for row, text in enumerate(texts):
    for word in {word for word in encoding.word_ids(row) if word is not None}:
        piece = text[slice(*encoding.word_to_chars(row, word))]
        if piece.isalpha():
            tokens = encoding.word_to_tokens(row, word)
            touched.append(bool(selected[row, tokens.start : tokens.end].any()))
words_touched = share(touched)

# %%
claims.record(
    "01.3", "BERT hides 15% of the words.",
    numbers=counted | {"words with a selected token": words_touched},
    tests={"15% of the tokens are selected, give or take 1": abs(counted["tokens selected"].value - 15) < 1,
           "15% of the words are, give or take 1": abs(words_touched.value - 15) < 1,
           "all that is selected becomes [MASK]": counted["of these, [MASK]"].value > 99},
    source="Devlin et al. 2018, section 3.1. The share of words depends on the tokenizer", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# The original BERT had a second objective: to guess whether one sentence follows another. RoBERTa (Liu et al. 2019)
# dropped it and lost nothing; mini-bert does without.
#
# ### The next token (GPT)
#
# The text is its own label, shifted by one place: the logits at a position are compared with the token *after* it.
#
# | GPT sees | `<\|endoftext\|>` | The | actors | … | good |
# |---|---|---|---|---|---|
# | and must guess | The | actors | are | … | . |
#
# The library shifts for you: pass `labels=input_ids`. The third number below shows a common mistake, to shift the
# labels yourself as well. Then the model is asked for the token after the next one, and no error says so.

# %%
import torch.nn.functional as F


def next_token_losses(model, input_ids):
    logits = model(input_ids).logits[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), input_ids[:, 1:], reduction="none")  # (rows, vocabulary, length)


with torch.inference_mode():
    written_out = next_token_losses(gpt, gpt_ids).mean()
    library_loss = gpt(gpt_ids, labels=gpt_ids).loss
    shifted_twice = gpt(gpt_ids[:, :-1], labels=gpt_ids[:, 1:]).loss
print(f"written out {written_out:.4f}, the library's {library_loss:.4f}, shifted twice {shifted_twice:.4f} (nats)")

# %% [markdown]
# ### Span corruption (T5)
#
# 15% of the tokens are taken out, in runs (*spans*) of three tokens on average. In each gap stands a placeholder, a
# *sentinel*. The target lists each sentinel and what it stands for, and one more sentinel to say that this is all
# (Raffel et al. 2019, sentinels in section 3.1.4, spans in 3.3.4). For the text A B C D E F, with C and F taken out:
#
# - input: A B `<extra_id_0>` D E `<extra_id_1>`
# - target: `<extra_id_0>` C `<extra_id_1>` F `<extra_id_2>`
#
# transformers has no collator for it; this is the code with which mini-t5 was trained. As in T5's own code, a text
# begins with something kept and ends with a gap.


# %%
def random_lengths(total, parts, rng):
    """Lengths of `parts` pieces, each at least 1, that add up to `total`."""
    ends = np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False))
    return np.diff([0, *ends, total]).tolist()


def corrupt_spans(ids, sentinels, rng, corrupted=0.15, mean_span=3):
    taken = max(1, round(corrupted * len(ids)))
    spans = max(1, round(taken / mean_span))
    kept_lengths, span_lengths = random_lengths(len(ids) - taken, spans, rng), random_lengths(taken, spans, rng)
    source, target, place = [], [], 0
    for sentinel, kept, span in zip(sentinels[:spans], kept_lengths, span_lengths, strict=True):
        source += [*ids[place : place + kept], sentinel]
        target += [sentinel, *ids[place + kept : place + kept + span]]
        place += kept + span
    return source, [*target, sentinels[spans]]


# %%
# NBVAL_CHECK_OUTPUT
story = (
    "I have seen this film many times, and I still laugh when the old man tells his wife and her friends "
    "that the dog did it, and the dog looks away and says nothing."
)
sentinels = t5_tokenizer.convert_tokens_to_ids([f"<extra_id_{number}>" for number in range(20)])
story_ids = t5_tokenizer(story, add_special_tokens=False)["input_ids"]
source, target = corrupt_spans(story_ids, sentinels, np.random.default_rng(1))
print("input: ", t5_tokenizer.decode(source))
print("target:", t5_tokenizer.decode(target))

# %% [markdown]
# T5's library loss shifts too: from `labels`, it makes the decoder's input and compares without a further shift.

# %%
eos = t5_tokenizer.eos_token_id
t5_source, t5_target = (torch.tensor([[*row, eos]], device=profile.device) for row in (source, target))
with torch.inference_mode():
    story_logits = t5(t5_source, decoder_input_ids=t5.prepare_decoder_input_ids_from_labels(t5_target)).logits
    written_out = F.cross_entropy(story_logits.transpose(1, 2), t5_target)
    library_loss = t5(t5_source, labels=t5_target).loss
print(f"written out {written_out:.4f}, the library's {library_loss:.4f} (nats)")

# %% [markdown]
# ### Where each objective asks
#
# A short sentence goes through all three. A bar is the loss at a token that had to be guessed; where the model was
# sure, it is too low to see, so the titles count the guesses. The heights must not be compared from row to row, because
# the guesses are made from different contexts.

# %%
few_words = "I have seen this film many times, and I still laugh at the end."
bert_ids = encode(bert_tokenizer, few_words)["input_ids"].cpu()
few_seen, few_labels = mask_tokens(bert_ids, bert_tokenizer, torch.Generator().manual_seed(2))
few_gpt = encode(gpt_tokenizer, gpt_tokenizer.eos_token + few_words)
few_t5 = t5_tokenizer(few_words, add_special_tokens=False)["input_ids"]
few_source, few_target = corrupt_spans(few_t5, sentinels, np.random.default_rng(1))
with torch.inference_mode():
    bert_logits = bert(few_seen.to(profile.device)).logits.transpose(1, 2).cpu()
    bert_losses = F.cross_entropy(bert_logits, few_labels, reduction="none")[0]
    gpt_losses = next_token_losses(gpt, few_gpt["input_ids"])[0].cpu()
    few_source, few_target = (torch.tensor([[*row, eos]], device=profile.device) for row in (few_source, few_target))
    t5_logits = t5(few_source, labels=few_target).logits.transpose(1, 2)
    t5_losses = F.cross_entropy(t5_logits, few_target, reduction="none")[0].cpu()

# %%
is_asked = few_labels[0] != -100
truth, shown = (bert_tokenizer.convert_ids_to_tokens(row[0].tolist()) for row in (bert_ids, few_seen))
bert_names = [f"{b} → {a}" if ask else a for a, b, ask in zip(truth, shown, is_asked, strict=True)]
gpt_names = tokens_of(gpt_tokenizer, few_gpt)[1:]
t5_names = t5_tokenizer.convert_ids_to_tokens(few_target[0].tolist())
rows = {
    f"BERT is asked at {int(is_asked.sum())} of {len(truth) - 2} tokens": (bert_names, bert_losses, plots.BLUE),
    f"GPT is asked at all {len(gpt_names)}": (gpt_names, gpt_losses, plots.ORANGE),
    f"T5 writes {len(t5_names)}: what is missing, behind sentinels": (t5_names, t5_losses, plots.GREEN),
}
fig, axes = plots.figure(7.2, rows=3, sharey=True)
for ax, (title, (names, losses, color)) in zip(axes, rows.items(), strict=True):
    plots.token_bars(ax, names, losses, color)
    ax.set_title(title, fontsize=10)
fig.supylabel("loss (nats)")
fig.suptitle("Where each objective has something to learn in one run")
plots.show(fig, "Three rows of bars, a bar for the loss of each guessed token. " + "; ".join(rows) + ".")

# %% [markdown]
# One run asks GPT at every token, BERT at about 15%, and T5 at the 15% that were taken out, at the sentinels and at the
# end. (A tall bar there means that T5 did not expect the gap to end.) This is the price of hiding, not of looking both
# ways: ELECTRA (Clark et al. 2020) looks both ways and is asked at every token, whether it was replaced. Nor do more
# questions make a better model: Devlin et al. (2018, appendix C.1) found that BERT learns slightly slower, and soon
# leads in accuracy.

# %% [markdown]
# ## 5. What each is for: fill a blank
#
# BERT's own task. The same blank, with what stands left of it, right of it, and both. `[SEP]` follows each text, so
# BERT takes it for complete.

# %%
mask_token = bert_tokenizer.mask_token


@torch.inference_mode()
def fill(text, number=5):
    encoded = encode(bert_tokenizer, text)
    logits = bert(**encoded).logits[encoded["input_ids"] == bert_tokenizer.mask_token_id][0]
    best = logits.softmax(dim=-1).topk(number)
    names = bert_tokenizer.convert_ids_to_tokens(best.indices.tolist())
    return list(zip(names, best.values.tolist(), strict=True))


# %%
one_blank = {
    "left only": f"I {mask_token}",
    "right only": f"{mask_token} my time on this movie.",
    "both": f"I {mask_token} my time on this movie.",
}
best_guesses = {name: fill(text) for name, text in one_blank.items()}
fig, axes = plots.figure(2.2, columns=3, sharex=True)
for ax, (name, found) in zip(axes, best_guesses.items(), strict=True):
    plots.bars(ax, [token for token, _ in found], [100 * probability for _, probability in found])
    ax.set(title=name, xlabel="probability (%)")
fig.suptitle(f"I ▁▁▁ my time on this movie: best guess from both sides “{best_guesses['both'][0][0]}”")
said = (f"{name}: " + ", ".join(f"{token} {p:.0%}" for token, p in found) for name, found in best_guesses.items())
plots.show(fig, "BERT's five best guesses for a blank. " + "; ".join(said))

# %% [markdown]
# One sentence is an anecdote. So take a word out of each of many reviews and let the families guess it: from 20 words
# on each side, from 20 on the left or on the right only, and, because 40 words may be better than 20 wherever they
# stand, from 40 on the left. To be fair to three vocabularies, a guess must be a word that is a single token in each.
# Such words are collected from the training reviews, the frequent ones first.

# %%
import re
from collections import Counter

some_training_reviews = imdb["train"].select(range(0, len(imdb["train"]), 8))["text"]
counts = Counter(re.findall(r" ([a-z]+)(?= )", " ".join(some_training_reviews)))
candidates, ids_of = [], {"BERT": [], "GPT": [], "T5": []}
for word, _ in counts.most_common(8000):
    pieces = {
        "BERT": bert_tokenizer.encode(word, add_special_tokens=False),
        "GPT": gpt_tokenizer.encode(f" {word}", add_special_tokens=False),
        "T5": t5_tokenizer.encode(word, add_special_tokens=False),
    }
    if all(len(piece) == 1 for piece in pieces.values()):
        candidates.append(word)
        for family, piece in pieces.items():
            ids_of[family] += piece
print(f"{len(candidates):,} words are a single token in each; the most frequent: {', '.join(candidates[:8])}")

# %%
rng, allowed, blanks = np.random.default_rng(0), set(candidates), []
for text in validation.select(parts["last"])["text"]:
    words = text.replace("<br />", " ").split()
    places = [place for place in range(40, min(len(words), 150) - 20) if words[place] in allowed]
    if places:
        place = int(rng.choice(places))
        blanks.append((words[place - 40 : place], words[place], words[place + 1 : place + 21]))
hidden_words = np.array([word for _, word, _ in blanks])
in_front, word, behind = blanks[0]
print(f"{len(blanks)} blanks; the first: … {' '.join(in_front[-20:])} ▁▁▁ {' '.join(behind)} …  ({word})")

# %% [markdown]
# How each family is asked. BERT gets a `[MASK]` in the place; it thereby knows that one token is missing. T5 gets a
# sentinel, which may stand for any number of tokens, and, as in its training, a second one at the end. GPT gets the
# left side and guesses what follows. One function runs the batches, three small ones compute the logits of the guess,
# and for BERT and GPT those of no other place: the last step, `cls` and `lm_head`, is a large product with the
# vocabulary.

# %%
from tqdm.auto import tqdm


@torch.inference_mode()
def guessed_right(family, tokenizer, questions, logits_of):
    found = []
    for start in tqdm(range(0, len(questions), 50), desc=f"{family} guesses", leave=False):
        batch = tokenizer(questions[start : start + 50], padding=True, padding_side="right", return_tensors="pt")
        with torch.autocast(profile.device, torch.bfloat16, enabled=profile.precision == "bfloat16"):
            logits = logits_of(batch.to(profile.device))[:, ids_of[family]]
        found += [candidates[best] for best in logits.argmax(dim=-1).tolist()]
    return np.array(found) == hidden_words


# %%
def at_first_mask(batch):
    place = (batch["input_ids"] == bert_tokenizer.mask_token_id).int().argmax(dim=1)
    return bert.cls(bert.base_model(**batch).last_hidden_state[torch.arange(len(place)), place])


def after_the_end(batch):
    last = batch["attention_mask"].sum(dim=1) - 1  # the padding stands on the right
    return gpt.lm_head(gpt.base_model(**batch).last_hidden_state[torch.arange(len(last)), last])


def after_sentinel(batch):
    begun = torch.tensor([[t5.config.decoder_start_token_id, sentinels[0]]] * len(batch["input_ids"]))
    return t5(**batch, decoder_input_ids=begun.to(profile.device)).logits[:, -1]


# %% [markdown]
# With the left side only, there is a trap: a `[SEP]` right after the `[MASK]` tells BERT that the text ends there. So
# ask it a second time with more `[MASK]` behind, and count its better result. This favours BERT a little.


# %%
def asked(blank, words_left, words_right):
    kept = [(in_front[len(in_front) - words_left :], behind[:words_right]) for in_front, _, behind in blanks]
    return [" ".join([*left_side, blank, *right_side]).strip() for left_side, right_side in kept]


def bert_from_the_left(words_left):
    ends_there = asked(mask_token, words_left, 0)
    goes_on = [question + f" {mask_token}" * 9 for question in ends_there]
    ways = [guessed_right("BERT", bert_tokenizer, ask, at_first_mask) for ask in (ends_there, goes_on)]
    print(f"BERT, {words_left} words on the left: text ends there {share(ways[0])}, text goes on {share(ways[1])}")
    return max(ways, key=np.mean)


# %%
hits = {
    "BERT, both sides": guessed_right("BERT", bert_tokenizer, asked(mask_token, 20, 20), at_first_mask),
    "T5, both sides": guessed_right(
        "T5", t5_tokenizer, [f"{question} <extra_id_1>" for question in asked("<extra_id_0>", 20, 20)], after_sentinel
    ),
    "GPT, left side": guessed_right(
        "GPT", gpt_tokenizer, [gpt_tokenizer.eos_token + question for question in asked("", 20, 0)], after_the_end
    ),
    "BERT, left side": bert_from_the_left(20),
    "T5, left side": guessed_right("T5", t5_tokenizer, asked("<extra_id_0>", 20, 0), after_sentinel),
    "BERT, 40 words left": bert_from_the_left(40),
    "BERT, right side": guessed_right("BERT", bert_tokenizer, asked(mask_token, 0, 20), at_first_mask),
    "the most frequent word": hidden_words == candidates[0],
}
rates = {name: share(hit) for name, hit in hits.items()}

# %%
fig, ax = plots.figure(3.4)
low, middle, high = np.array([(rate.low, rate.value, rate.high) for rate in rates.values()]).T
colors = [plots.BLUE, plots.GREEN, plots.ORANGE, plots.BLUE, plots.GREEN, plots.BLUE, plots.BLUE, plots.GREY]
plots.bars(ax, list(rates), middle, np.array([middle - low, high - middle]), colors, "{:.1f}")
ax.set_xlabel(f"hidden words guessed (% of {len(blanks)}), with 95% interval")
fig.suptitle(
    f"BERT {middle[0]:.0f}% from both sides, {middle[3]:.0f}% from the left; GPT {middle[2]:.0f}% from the left"
)
plots.show(fig, "Share of hidden words guessed: " + ", ".join(f"{name} {rate}" for name, rate in rates.items()))

# %% [markdown]
# To compare two ways of asking, go blank by blank: both answered the same ones. The interval of the difference decides.
# If it lies above 0, the first is better, below 0 the second; if it holds 0, these blanks cannot tell.

# %%
from utils.intervals import paired_difference

over_left = paired_difference(hits["BERT, both sides"], hits["BERT, left side"])
over_40_words = paired_difference(hits["BERT, both sides"], hits["BERT, 40 words left"])
over_right = paired_difference(hits["BERT, both sides"], hits["BERT, right side"])
claims.record(
    "01.4", "To fill a blank, BERT uses both sides.",
    numbers={"BERT, both sides": rates["BERT, both sides"], "more than from 20 words on the left": over_left,
             "more than from 40 words on the left": over_40_words, "more than from the right side": over_right},
    tests={"both sides beat the left side": over_left.above(0),
           "they beat as many words on the left": over_40_words.above(0),
           "they beat the right side": over_right.above(0)},
    source=f"Devlin et al. 2018; measured on {known_films}", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# T5 fills gaps too. But a sentinel does not say how many tokens are missing, and this T5 was trained further on other
# tasks; how much each costs is not measured here. And compare BERT's rows for 20 and 40 words on the left: more words
# need not help.

# %% [markdown]
# ## 6. What each is for: generate
#
# With the left side only, the blank is the next word, and that is GPT's own task.

# %%
next_word = paired_difference(hits["GPT, left side"], hits["BERT, left side"])
claims.record(
    "01.5", "Of GPT and BERT, GPT is the better guesser of the next word.",
    numbers={"GPT, left side": rates["GPT, left side"], "BERT, left side": rates["BERT, left side"],
             "GPT minus BERT": next_word},
    tests={"GPT guesses the next word more often than BERT": next_word.above(0)},
    source=f"The comparison is this lesson's; common words only; measured on {known_films}", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# To generate, GPT guesses a token, puts it at the end, and guesses again. *Greedy* takes the likeliest token each time.
# *Sampling* draws one by its probability, and two numbers bend the probabilities before. First the *temperature*
# divides the logits: below 1 it favours the likely tokens, above 1 it evens them out. Then *top-p* keeps the smallest
# set of tokens whose probabilities together reach p and drops the rest. What is left is scaled to add up to 1. (At
# `top_p` 1 nothing is cut off, also where rounding lets the sum reach 1 too early.)


# %%
def bend(logits, temperature=1.0, top_p=1.0):
    ordered, order = (logits / temperature).softmax(dim=-1).sort(descending=True)
    likelier = ordered.cumsum(dim=-1) - ordered  # the probability of all likelier tokens together
    ordered = torch.where((likelier < top_p) | (top_p == 1), ordered, 0.0)
    return torch.zeros_like(ordered).scatter(-1, order, ordered / ordered.sum())  # back to the order of the vocabulary


# %% [markdown]
# The library has a class for each. Compare, then draw.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

prompt = "This movie was"
with torch.inference_mode():
    next_logits = gpt(**encode(gpt_tokenizer, gpt_tokenizer.eos_token + prompt)).logits[0, -1].cpu()
warped = TopPLogitsWarper(0.9)(None, TemperatureLogitsWarper(0.8)(None, next_logits[None]))[0].softmax(dim=-1)
print("as the library:", torch.allclose(bend(next_logits, temperature=0.8, top_p=0.9), warped, atol=1e-5))

# %%
bent = {
    "as it is": bend(next_logits),
    "temperature 0.5": bend(next_logits, temperature=0.5),
    "temperature 2": bend(next_logits, temperature=2.0),
    "top-p 0.5": bend(next_logits, top_p=0.5),
}
fig, axes = plots.figure(4.4, columns=2, rows=2, sharey=True, sharex=True)
top = bent["as it is"].topk(8).indices
names = [gpt_tokenizer.decode(token).strip() for token in top]
for ax, (name, probabilities) in zip(axes.flat, bent.items(), strict=True):
    plots.bars(ax, names, 100 * probabilities[top].numpy(), text="{:.1f}")
    ax.set_title(f"{name}: {int((probabilities > 0).sum()):,} tokens left", fontsize=10)
fig.supxlabel("probability (%)", fontsize=10)
fig.suptitle(f"After “{prompt}”: temperature bends the probabilities, top-p cuts them off")
plots.show(fig, "Bars of the eight likeliest next tokens, four times: " + "; ".join(
    f"{name}: {names[0]} {100 * probabilities[top[0]]:.1f}%, {int((probabilities > 0).sum())} tokens left"
    for name, probabilities in bent.items()))  # fmt: skip

# %% [markdown]
# `generate` does all of this. The prompts are padded on the left, so that the new tokens follow the text directly.
# `top_k` is a third way to cut off, by number of tokens; 0 switches it off.

# %%
from transformers import set_seed


def write_on(prompts, tokens=50, **how):
    batch = gpt_tokenizer(
        [gpt_tokenizer.eos_token + prompt for prompt in prompts], padding=True, padding_side="left", return_tensors="pt"
    ).to(profile.device)
    written = gpt.generate(**batch, max_new_tokens=tokens, pad_token_id=gpt_tokenizer.eos_token_id, **how)
    return gpt_tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


greedy = {"do_sample": False}
sampling = {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
set_seed(0)
print("greedy:", prompt, *write_on([prompt], **greedy)[0].split())
for text in write_on([prompt] * 3, **sampling):
    print("sampled:", prompt, *text.split())

# %% [markdown]
# Is the greedy text the better one? Holtzman et al. (2019) found that always taking the likeliest token makes a model
# repeat itself. Repetition is only one sign of a bad text, and noise has none of it, but it can be counted: from the
# first six words of forty reviews, which share of the four-word runs of a continuation stood in it before? All are cut
# to forty words (a text that ends before has fewer runs), and the reviewers' own words are counted too.


# %%
def repeated(text, words=40, run=4):
    words = text.lower().split()[:words]
    runs = [tuple(words[start : start + run]) for start in range(len(words) - run + 1)]
    return 100 * (1 - len(set(runs)) / len(runs)) if runs else 0.0


beginnings = [" ".join(text.split()[:6]) for text in texts[:40]]
set_seed(0)
repeats = {
    name: np.array([repeated(text) for text in write_on(beginnings, tokens=70, **how)])
    for name, how in {"greedy": greedy, "sampled": sampling}.items()
}
repeats["reviewers"] = np.array([repeated(" ".join(text.split()[6:])) for text in texts[:40]])
excess = paired_difference(repeats["greedy"], repeats["reviewers"], scale=1)

# %%
claims.record(
    "01.6", "Always taking the likeliest token makes GPT repeat itself.",
    numbers={f"repeated runs of four words, {name}": Number(found.mean(), unit="%") for name, found in repeats.items()}
    | {"greedy minus reviewers": excess},
    tests={"greedy repeats over 1 point more than people do": excess.above(1)},
    source="Holtzman et al. 2019, arXiv 1904.09751", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# ## 7. What each is for: text to text
#
# T5 reads a text that begins with a *prefix*, the name of the task, and writes the answer. The same parameters
# translate, classify and summarize. mini-t5 and t5-small were trained on a few fixed prefixes; expect nothing of others
# (exercise 4 at the end). Its relative FLAN-T5 was trained on many instructions and follows new ones.


# %%
MAX_INPUT = 239  # tokens that mini-t5 was trained to read at once


def answer(questions, tokens=32):
    written = []
    for start in tqdm(range(0, len(questions), 64), desc="T5 writes", leave=False):
        batch = t5_tokenizer(
            questions[start : start + 64], padding=True, truncation=True, max_length=MAX_INPUT, return_tensors="pt"
        ).to(profile.device)
        output = t5.generate(**batch, max_new_tokens=tokens, do_sample=False)
        written += t5_tokenizer.batch_decode(output, skip_special_tokens=True)
    return written


# %%
questions = [
    "translate English to German: Tuesday, March 12, 2024",
    "translate English to French: Tuesday, March 12, 2024",
    "translate English to Romanian: Tuesday, March 12, 2024",
    profile.sentiment_prefix + "A wonderful film. I loved every minute of it.",
    profile.sentiment_prefix + "A waste of time, boring and stupid.",
]
for question, text in zip(questions, answer(questions), strict=True):
    print(f"{question}\n  → {text}")

# %% [markdown]
# mini-t5 learned to translate dates, times, numbers and units only, from the tables that programs use for them (Unicode
# CLDR); a model of its size, with this little text, does not learn to translate whole sentences. It did so after span
# corruption, together with the sentiment of the training reviews and the headlines of BBC articles. The released T5 was
# trained on such a mixture as well, with German, French and Romanian as its three target languages.
#
# Where does the decoder look while it writes? Its *cross-attention* tells, here the mean over the heads of the last
# layer. A row is the token that is being written (in section 2 it was the token just read). Not every row finds the
# word that it translates: the encoder has mixed each position with its neighbours, so a weight shows where the decoder
# looks, not why.

# %%
date = encode(t5_tokenizer, questions[0])
with torch.inference_mode():
    written = t5.generate(**date, max_new_tokens=32, do_sample=False)
    layers = t5(**date, decoder_input_ids=written[:, :-1], output_attentions=True).cross_attentions
alignment = layers[-1][0].mean(dim=0).float().cpu().numpy()
date_written = t5_tokenizer.convert_ids_to_tokens(written[0, 1:].tolist())
date_read = tokens_of(t5_tokenizer, date)

# %%
fig, ax = plots.figure(4.2)
plots.attention(ax, alignment, date_written, date_read)
ax.set(xlabel="read", ylabel="being written")
most = alignment.argmax(axis=1)
clearest = int(alignment[:-1].max(axis=1).argmax())
fig.suptitle(f"Clearest: to write “{date_written[clearest]}”, the decoder looks at “{date_read[most[clearest]]}”")
looked = ", ".join(f"{token} at {date_read[best]}" for token, best in zip(date_written, most, strict=True))
plots.show(fig, f"Cross-attention of a translation. Each token looks most at: {looked}.")

# %% [markdown]
# Now measure the three tasks, each against a baseline that needs no model. First translation, right to the letter, on
# items of Unicode CLDR that were kept out of mini-t5's training (t5-small never learned its spelling, so expect less of
# it). The baseline copies the English, which is right for some numbers.

# %%
from itertools import islice

from utils.translation import LANGUAGES, pairs, prefix

items = []
for language in LANGUAGES:
    unique = list(dict.fromkeys(islice(pairs("test", language, seed=2), 1000)))[:200]
    items += [(language, english, translation) for english, translation in unique]
answers = answer([prefix(language) + english for language, english, _ in items])
translated = np.array([text == wanted for text, (_, _, wanted) in zip(answers, items, strict=True)])
copied = np.array([english == wanted for _, english, wanted in items])
for code, name in LANGUAGES.items():
    chosen = np.array([language == code for language, _, _ in items])
    print(f"{name:<9} {share(translated[chosen])} of {chosen.sum()} right; copying {share(copied[chosen])}")

# %% [markdown]
# Then sentiment, written as a word. A long review is cut to its first 25 and last 75 words, as mini-t5 learned it; the
# baseline writes the more frequent word each time.

# %%
WORDS = ("negative", "positive")


def both_ends(text, first=25, last=75):
    words = text.split()
    return text if len(words) <= first + last else " ".join(words[:first] + words[-last:])


cut_texts = [both_ends(text) for text in texts]
truth = np.array(reviews["label"])[:200]
judged = answer([profile.sentiment_prefix + text for text in cut_texts[:200]], tokens=4)
sentiment = share(np.array(judged) == np.array(WORDS)[truth])
majority = 100 * max(truth.mean(), 1 - truth.mean())
print(f"sentiment as a word: {sentiment}; always the same word: {majority:.1f}%")

# %% [markdown]
# Last headlines, of BBC articles that mini-t5 has not read (t5-small writes summaries, not headlines). ROUGE-L (Lin
# 2004) takes the longest row of words that two texts share in order, gaps allowed, relative to both lengths. The
# baseline is the article's beginning, cut to as many words as T5 wrote.

# %%
from rouge_score.rouge_scorer import RougeScorer

from utils import assets

articles = load_dataset(str(assets.bbc()))["test"].select(range(80))
headlines = answer([f"summarize: {body}" for body in articles["body"]])
beginnings_of = [
    " ".join(body.split()[: len(headline.split())]) for body, headline in zip(articles["body"], headlines, strict=True)
]
rouge = RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(written):
    return [rouge.score(w, text)["rougeL"].fmeasure for w, text in zip(articles["headline"], written, strict=True)]


headline_gain = paired_difference(rouge_l(headlines), rouge_l(beginnings_of))
for wanted, text in islice(zip(articles["headline"], headlines, strict=True), 4):
    print(f"BBC: {wanted:<38} T5: {text}")

# %% [markdown]
# And does the prefix matter? Give forty reviews another prefix. After the first, T5 should write one of the two words;
# after the other, something else.

# %%
summaries = answer([f"summarize: {text}" for text in cut_texts[:40]])
told_apart = share(np.isin(judged[:40], WORDS) & ~np.isin(summaries, WORDS))
print("after summarize:", Counter(summaries).most_common(3))
over_copying = paired_difference(translated, copied)
over_majority = paired_difference(np.array(judged) == np.array(WORDS)[truth], truth == int(truth.mean() > 0.5))

# %%
claims.record(
    "01.7", "One T5 does several tasks, told apart by a prefix.",
    numbers={"translations right to the letter": share(translated), "more than by copying": over_copying,
             "sentiments right": sentiment, "more than always the same word": over_majority,
             "ROUGE-L of headlines above the article's beginning": headline_gain,
             "reviews judged only after the prefix for it": told_apart},
    tests={"translations beat copying": over_copying.above(0),
           "sentiments beat the majority": over_majority.above(0),
           "headlines beat the article's beginning": headline_gain.above(0),
           "for most reviews the prefix decides whether T5 judges": told_apart.above(50)},
    source="Raffel et al. 2019, section 2.4", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# For dates the prefix is needed, since nothing else names the language. For reviews it need not be: where the last test
# fails, T5 judges them after `summarize:` as well. mini-t5 saw film reviews after one prefix only, so the text told it
# the task.
#
# And *the absolute industry standard for translation and summarization*? No model here can settle that. Take what T5's
# authors published for their largest model, T5-11B, beside the best that others had reached before. BLEU and ROUGE
# count what two texts share; more is better. (Romanian is left out: the best before seems to be of the other
# direction.)

# %%
published = {  # T5-11B, the best before it: Raffel et al. 2019, table 14; not measured here
    "English to German, BLEU": (32.1, 33.8),
    "English to French, BLEU": (43.4, 43.8),
    "CNN/Daily Mail, ROUGE-1": (43.52, 43.47),
    "CNN/Daily Mail, ROUGE-2": (21.55, 20.30),
    "CNN/Daily Mail, ROUGE-L": (40.69, 40.63),
}
lead = {name: ours - best for name, (ours, best) in published.items()}

# %%
claims.record(
    "01.8", "T5 led translation and summarization when it came out.",
    numbers={f"{name}, T5-11B minus best before": points for name, points in lead.items()},
    tests={"ahead in both translations": all(points > 0 for name, points in lead.items() if "BLEU" in name),
           "ahead in all three ROUGE": all(points > 0 for name, points in lead.items() if "ROUGE" in name)},
    source="Published numbers: Raffel et al. 2019, table 14 and section 3.7", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# Two of the leads in ROUGE are below 0.1. So it did not lead in translation even then, and leading a table does not
# make a standard. Today large decoder-only models compete in the same contests: the report on the 2024 translation
# contest is called *The LLM Era Is Here but MT Is Not Solved Yet* (Kocmi et al. 2024). Where a small special model is
# wanted, encoder–decoders are still common.

# %% [markdown]
# ## 8. Can GPT classify?
#
# “BERT for classification, GPT for generation.” Test the first half with a *linear probe*: freeze the model, as when
# you froze a CNN and trained only its last layer. Take the mean of its last vectors over a review, and train a logistic
# regression on it. If that works, the vectors hold the answer already, in a form that a weighted sum can read.
#
# All four rows below get the same: 200 reviews of other films to learn from, five times, no review twice; the strength
# of regularisation chosen by cross-validation. The fourth row is a *bag of words*: how often each word occurs in the
# cut review, rare words weighted up, without their order. One caution: T5 saw sentiment labels in its training (mini-t5
# those of the training films, t5-small those of other film reviews). BERT and GPT were given none as a task.


# %%
@torch.inference_mode()
def features(name, tokenizer, network, texts):
    rows, order = [], np.argsort([len(text) for text in texts], kind="stable")  # similar lengths together: less padding
    for start in tqdm(range(0, len(texts), 40), desc=f"{name} reads", leave=False):
        batch = tokenizer(
            [texts[row] for row in order[start : start + 40]], padding=True, padding_side="right", truncation=True,
            max_length=MAX_INPUT, return_tensors="pt",
        ).to(profile.device)  # fmt: skip
        with torch.autocast(profile.device, torch.bfloat16, enabled=profile.precision == "bfloat16"):
            vectors = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        special = torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids, device=profile.device))
        words = (~special)[..., None]
        rows.append(((vectors.float() * words).sum(dim=1) / words.sum(dim=1)).cpu())
    return torch.cat(rows).numpy()[np.argsort(order)]  # back in the order of the texts


# %%
probe_texts = [both_ends(text.replace("<br />", " ")) for text in to_learn_from["text"]] + cut_texts
probe_labels = np.array([*to_learn_from["label"], *reviews["label"]])
for_gpt = [gpt_tokenizer.eos_token + text for text in probe_texts]
rows_of = {
    "BERT": features("BERT", bert_tokenizer, bert.base_model, probe_texts),
    "GPT": features("GPT", gpt_tokenizer, gpt.base_model, for_gpt),
    "T5 encoder": features("T5", t5_tokenizer, t5.encoder, probe_texts),
    "bag of words": np.array(probe_texts, dtype=object),
}

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

learned = len(to_learn_from)
judged_labels = probe_labels[learned:]
probe_hits = {}  # shape (draws, judged reviews)
for name, rows in rows_of.items():
    preparation = TfidfVectorizer(sublinear_tf=True, min_df=2) if name == "bag of words" else StandardScaler()
    probe = make_pipeline(preparation, LogisticRegression(max_iter=1000))
    search = GridSearchCV(probe, {"logisticregression__C": [0.001, 0.01, 0.1, 1, 10, 100]}, cv=3)
    fitted = (
        search.fit(rows[draw : draw + 200], probe_labels[draw : draw + 200]) for draw in range(0, learned - 199, 200)
    )
    probe_hits[name] = np.array([chosen.predict(rows[learned:]) == judged_labels for chosen in fitted])

# %%
from utils.intervals import mean

probe_rates = {name: mean(100 * draws.mean(axis=0), unit="%") for name, draws in probe_hits.items()}
for name, draws in probe_hits.items():
    print(f"{name:<13} {probe_rates[name]}; the five draws: {', '.join(f'{100 * draw.mean():.1f}' for draw in draws)}")

# %% [markdown]
# The interval is over the judged reviews, each counted by the share of the five probes that were right. It takes them
# as independent, though reviews of one film are not quite; the same holds for the intervals of section 5. How much the
# draw of the training reviews matters stands beside it.

# %%
fig, ax = plots.figure(2.2)
middle = np.array([rate.value for rate in probe_rates.values()])
half = np.array([rate.high - rate.value for rate in probe_rates.values()])
colors = [plots.BLUE, plots.ORANGE, plots.GREEN, plots.GREY]
plots.bars(ax, list(probe_rates), middle, np.array([half, half]), colors, "{:.1f}")
ax.axvline(50, color=plots.BLACK, linestyle=":")
ax.set(xlim=(0, 100), xlabel=f"accuracy on {len(judged_labels)} reviews (%), 95% interval; dotted: guessing")
fig.suptitle(f"Frozen vectors, 200 labels: BERT {middle[0]:.1f}%, GPT {middle[1]:.1f}%; T5 saw labels before")
plots.show(fig, "Accuracy of linear probes: " + ", ".join(f"{name} {rate}" for name, rate in probe_rates.items()))

# %%
guessing = 100 * max(judged_labels.mean(), 1 - judged_labels.mean())
over = {name: paired_difference(probe_hits[name].mean(axis=0), probe_hits["bag of words"].mean(axis=0))
        for name in ("BERT", "GPT")}  # fmt: skip
bert_over_gpt = paired_difference(probe_hits["BERT"].mean(axis=0), probe_hits["GPT"].mean(axis=0))
claims.record(
    "01.9", "BERT's frozen vectors classify and GPT's do not.",
    numbers={f"probe on {name}": probe_rates[name] for name in over}
    | {f"{name} minus bag of words": found for name, found in over.items()} | {"BERT minus GPT": bert_over_gpt},
    tests={"BERT's probe beats guessing": probe_rates["BERT"].above(guessing),
           "GPT's probe stays within 5 points of guessing": probe_rates["GPT"].below(guessing + 5),
           "BERT's probe beats GPT's": bert_over_gpt.above(0)},
    source="GPT-1 was about fine-tuning: 9 of 12 tasks improved (Radford et al. 2018)", profile=profile.name,
)  # fmt: skip

# %% [markdown]
# Where the second test fails, GPT's vectors classify too, and “for generation” names a strength and no limit. Look at
# the bag of words as well: where the interval of “BERT minus bag of words” holds 0, these reviews do not show that a
# frozen mean of BERT's vectors is better than counting words. That mean is a weak use of BERT. In pretraining, nothing
# asked BERT to sum a text up; fine-tuning does, and lesson 02 is about it.

# %% [markdown]
# ## 9. The table to keep
#
# The numbers are those measured above, for the models that ran here.

# %%
from IPython.display import Markdown

Markdown(f"""
| | BERT | GPT | T5 |
|---|---|---|---|
| wiring | encoder | causal decoder | encoder, and causal decoder |
| a position sees | all positions | itself and the left | all that is read; of what is written, itself and the left |
| to the right shut off | {shut["BERT"]:.0f}% | {shut["GPT"]:.0f}% | reading {shut["T5 encoder"]:.0f}%, writing {shut["T5 decoder"]:.0f}% |
| objective | 15% of the tokens, most of them hidden | the next token | runs of tokens, behind sentinels |
| at home in | blanks: {rates["BERT, both sides"].value:.0f}% of hidden words | writing: {rates["GPT, left side"].value:.0f}% of next words | text to text: {share(translated).value:.0f}% of dates, numbers and units |
| weaker at | writing: {rates["BERT, left side"].value:.0f}% of next words | what comes later is unknown | blanks: {rates["T5, both sides"].value:.0f}% of hidden words |
| same wiring today | RoBERTa, DeBERTa, ModernBERT | Llama, Qwen, Mistral | FLAN-T5, BART, NLLB |
""")  # noqa: E501

# %% [markdown]
# Models of the same wiring can have other objectives: ModernBERT hides 30%, DeBERTa-v3 finds replaced tokens, BART
# restores damaged texts, NLLB translates and nothing else.
#
# ## 10. Play
#
# Three widgets; they need a running kernel. The figures and texts above show the same for one setting each. Without a
# mouse: go on with Tab; open a list with the space bar, then take the arrow keys and Enter.
#
# **Attention.** Choose a wiring, a layer and a head. Does any head look mostly at the token before it?

# %%
from utils import widgets

widgets.display(widgets.attention_explorer(wirings), "An attention explorer; section 2 shows the mean over its heads.")

# %% [markdown]
# **Fill the blank.** Type a sentence, press Enter, choose the word to hide. Orange marks the word that stood there.
# Find a sentence where a word on the right decides the guess.

# %%
blank = widgets.fill_the_blank(fill, mask_token, "I wasted my time on this movie.")
widgets.display(blank, "A box to fill blanks in your own sentences; section 5 shows three of its answers.")

# %% [markdown]
# **Write on.** Try a temperature of 0, which stands for greedy, then 1.5; then a small top-p beside the high
# temperature.


# %%
def play(prompt, temperature, top_p, seed):
    set_seed(seed)
    how = sampling | {"temperature": temperature, "top_p": top_p} if temperature > 0 else greedy
    return prompt + write_on([prompt], **how)[0]


playground = widgets.generation_playground(play, prompt, play(prompt, 0.8, 0.9, 0))
widgets.display(playground, "A box to let GPT write on from your own prompt; section 6 shows some of its texts.")

# %% [markdown]
# ## To remember
#
# - The mask decides what a position can know: BERT sees all positions, GPT itself and the left, T5 all of what it reads
#   and the left of what it writes. A given text takes one run in each of them.
# - The wiring limits the objective: with both sides visible, most of what is to be guessed must be taken out. BERT is
#   asked at 15% of the tokens, GPT at every one, T5 at the runs that were taken out.
# - BERT is at home in blanks, GPT in writing on, T5 in turning one text into another. These are strengths, not limits.
# - The library shifts the labels for you. Shift them yourself as well, and the model learns another task without an
#   error.
# - A popular sentence about a model can be tested in a few cells. Look at the interval before you repeat it.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right.
# And some for this notebook:
#
# 1. In section 3, let `changed` be the sentence with *were* for the first *are*. Predict for each family which
#    positions change, then run the cells of the section.
# 2. In section 4, replace 0.8 in `mask_tokens` by 1.0. Which of the two answers of the comparison becomes False? Which
#    two arguments of the library's collator do the same?
# 3. In section 6, generate with temperature 2 and top-p 1, then 0.5, then 0.1. How many tokens are left after the
#    prompt each time, and from where on can you read the text?
# 4. In section 7, ask T5 to `translate German to English:` a date. What does it write, and why?
# 5. In section 8, take the vectors of an earlier layer (`output_hidden_states=True`; `hidden_states[0]` are the
#    embeddings). Which family gains or loses most?
