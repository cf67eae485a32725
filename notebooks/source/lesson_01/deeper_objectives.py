# ---
# jupyter:
#   course:
#     name: 01_objectives
#     title: "Deeper 01: The objectives in code"
#     goals:
#       - write masking, the next token's loss and span corruption, and hold each against the library
#       - show that one run over a text gives GPT what reading it word by word gives
#       - see at which tokens each objective asks, and what happens when labels are shifted twice
#     minutes_cpu: under a minute
#     needs: lesson 01
# ---

# %% [markdown]
# Lesson 01 showed the three objectives as text with blanks. Here they are code, each held against the library's.

# %%
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer


def load(auto_class, name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = auto_class.from_pretrained(name, dtype=torch.float32, attn_implementation="eager")
    return tokenizer, model.to(profile.device).eval()


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


bert_tokenizer, bert = load(AutoModelForMaskedLM, profile.bert)
gpt_tokenizer, gpt = load(AutoModelForCausalLM, profile.gpt)
t5_tokenizer, t5 = load(AutoModelForSeq2SeqLM, profile.t5)


# %%
sentence = "The actors are good because the story is good."
bert_input = encode(bert_tokenizer, sentence)
gpt_ids = encode(gpt_tokenizer, gpt_tokenizer.eos_token + sentence)["input_ids"]


def tokens_of(tokenizer, encoded):
    return tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())


# %% [markdown]
# ## 1. Masked tokens (BERT)
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
# The original BERT had a second objective: to guess whether one sentence follows another. RoBERTa (Liu et al. 2019)
# dropped it and lost nothing; mini-bert does without.
#
# ## 2. The next token (GPT)
#
# GPT must guess a token at every position. Does it have to read the text again for each? Run it once over the whole
# sentence, then over its first token, its first two, three, … **Predict:** does a position get the same logits in its
# short run as in the long one?

# %%
from notebooks.source.lesson_01 import cards, measures

with torch.inference_mode():
    one_run = gpt(gpt_ids).logits[0]
    word_by_word = torch.stack([gpt(gpt_ids[:, : end + 1]).logits[0, -1] for end in range(gpt_ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()
cards.reads_at_once(profile, cards.sizes(profile, bert, gpt, t5), apart)

# %% [markdown]
# The causal mask is the reason: no later token can change what an earlier position computes. So one run over a text
# asks GPT at all its positions at once. Only writing goes token by token; that is called *autoregressive*.
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
# ## 3. Span corruption (T5)
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
# ## 4. Where each objective asks
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
from utils import plots

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
# ways: ELECTRA (Clark et al. 2020) looks both ways and is asked at every token, whether it was replaced. More questions
# alone do not make the better model: BERT, asked at 15%, learned slightly slower than a left-to-right model asked
# everywhere, and soon led in accuracy (Devlin et al. 2018, appendix C.1).

# %% [markdown]
# > “BERT must guess 15% of the words.”
#
# It must guess 15% of the tokens. A word of *k* pieces is spared only if none is selected, by chance 0.85 to the power
# of *k*. Of how many *words* in 400 reviews is something selected, on average over all masks? That depends on what
# counts as a word, and on the vocabulary.

# %%
from datasets import load_dataset

reviews = load_dataset(profile.imdb)["test"].shuffle(seed=0).select(range(400))
texts = [text.replace("<br />", " ") for text in reviews["text"]]
large, options = AutoTokenizer.from_pretrained(profile.small_encoder), {"truncation": True, "max_length": 128}
asked = {
    "words and marks": measures.words_asked(large(texts, **options)),
    "words between spaces": measures.words_asked(
        large([text.split() for text in texts], is_split_into_words=True, **options)
    ),
    "mini-bert": measures.words_asked(bert_tokenizer(texts, **options)),
}
cards.guesses_words(profile, asked)

# %% [markdown]
# A word of two pieces has two chances to be selected. BERT's tokenizer first splits text at spaces and marks; few of
# these words have more than one of its 30,522 pieces. Between spaces stands more: “*don't,*” has four pieces. And with
# mini-bert's 6,144 pieces, more words are split. (*Whole word masking* selects words.)

# %% [markdown]
# ## To remember
#
# - A label of -100 is not asked. BERT is asked at about 15% of the tokens, GPT at every one, T5 at what was taken out.
# - The library shifts GPT's and T5's labels. Shift them yourself as well, and the model learns another task, silently.
# - Hiding costs questions; for BERT, looking both ways was worth more.
