# ---
# jupyter:
#   course:
#     name: 01_bert_gpt_t5
#     title: "Lesson 01: BERT vs GPT vs T5"
#     goals:
#       - draw the Transformer and say which part of it BERT, GPT and T5 are
#       - say who may look where, and read it off a running model
#       - say what each was trained to guess, and on which text
#       - choose a family for a job
#     minutes_yours: 45
#     minutes_cpu: about 1
#     minutes_gpu: not yet measured
#     needs: nothing but this course
# ---

# %% [markdown]
# > “BERT reads a sentence both ways at the exact same millisecond. It learned from Wikipedia, hides 15% of the words
# > and guesses them: it understands words in context, robustly, for classification. GPT learned from internet articles,
# > reads from left to right and guesses the next word: for generation. T5 turns every task into text to text: the
# > absolute industry standard for translation and summarization.”
#
# ## 1. See it work
#
# One model of each family. Under `embedded`, the profile without a GPU, they are small ones, made for this course:
# mini-bert, mini-gpt and mini-t5, about four million weights each. The real ones have 60 million and more. All three
# learned from the same film reviews and news; mini-t5 then learned some small tasks. Do not expect wit; expect their
# habits.
#
# **BERT fills a blank.** **Predict** its first guess.

# %%
from transformers import pipeline

eager = {"attn_implementation": "eager"}  # so that section 3 can look at the attention
fill = pipeline("fill-mask", model=profile.bert, device=profile.device, dtype="float32", model_kwargs=dict(eager))
for guess in fill("I [MASK] my time on this movie."):
    print(f"{guess['score']:4.0%}  {guess['sequence']}")

# %% [markdown]
# **GPT writes on.** It draws each next token from the likelier ones, by their probability. **Predict** how this goes
# on: will it make sense?

# %%
from transformers import set_seed

set_seed(0)
write = pipeline("text-generation", model=profile.gpt, device=profile.device, dtype="float32", model_kwargs=dict(eager))
print(write("This movie was", max_new_tokens=30, do_sample=True, temperature=0.7)[0]["generated_text"])

# %% [markdown]
# **T5 turns one text into another.** The beginning of the text, the *prefix*, says what to do. One of mini-t5's tasks
# was to translate dates. **Predict:** does it know where the month and the day stand in German, and in French?

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
t5 = AutoModelForSeq2SeqLM.from_pretrained(profile.t5, dtype="float32", **eager).to(profile.device).eval()


def answer(questions):
    batch = t5_tokenizer(questions, padding=True, truncation=True, max_length=239, return_tensors="pt")
    written = t5.generate(**batch.to(profile.device), max_new_tokens=32, do_sample=False)
    return t5_tokenizer.batch_decode(written, skip_special_tokens=True)


questions = [f"translate English to {language}: Tuesday, March 12, 2024" for language in ("German", "French")]
print("\n".join(answer(questions)))

# %% [markdown]
# ## 2. One building, three ways to use it
#
# All three are parts of the *Transformer* (Vaswani et al., 2017), which was made to translate. Its **encoder** reads a
# text, its **decoder** writes another. BERT is the encoder alone, T5 is both. GPT is the decoder alone, without the
# part that would look at an encoder.

# %%
from utils import drawings

drawings.families()

# %% [markdown]
# From the bottom up. A *token* is a word or a piece of one. Its **embedding** is a vector from a table;
# another vector, for its *position* in the text, is added. (T5 adds none: it adds a learned number for each distance to
# the attention scores.) In **attention**, each position makes a *query*, a *key* and a *value*; its query is compared
# with all keys, and it takes the mean of the values, weighted by how well they match. Nothing else connects positions.
# There are three kinds:
#
# - **attention** in the encoder looks at all positions;
# - **masked attention** in the decoder looks at the position itself and those on its left;
# - **cross-attention** looks from the decoder, which asks with its queries, at what the encoder has read.
#
# The **feed-forward** part, two linear layers with a nonlinearity between, works on each position alone. *Add & norm*
# adds what went in, as in a ResNet, and rescales. (GPT-2 and T5 rescale before each part.) N such layers stand on top
# of each other. Above the last, a **head** makes a number for each token of the vocabulary, the *logits*, which softmax
# turns into probabilities. (A vision transformer is such an encoder; its tokens are patches of a picture.)

# %% [markdown]
# | | BERT | GPT | T5 |
# |---|---|---|---|
# | who, when | Devlin et al., 2018 | Radford et al., 2018; GPT-2 2019 | Raffel et al., 2019 |
# | weights | 110 or 340 million | 117 million; GPT-2 up to 1.5 billion | 60 million to 11 billion |
# | learned from | Wikipedia, BooksCorpus | BooksCorpus; GPT-2: 40 GB of web pages | C4, 750 GB of web pages |
# | learned to | guess hidden tokens, and whether sentences belong together | guess the next token | fill gaps; tasks |
# | at home in | vectors: classify, mark | text that goes on | one text into another |
# | relatives | RoBERTa, ModernBERT | Llama, Qwen, nearly all chats | FLAN-T5, BART, NLLB |
#
# So Wikipedia is right for BERT, which had books as well, and internet articles for GPT-2; the first GPT had books
# only.
#
# ## 3. Who may look where?
#
# Change the last word of a sentence. Which *earlier* positions notice, that is, get another vector in the last layer?
# **Predict** for BERT, for GPT, for T5's encoder, and for T5's decoder (where only what it writes changes; its encoder
# reads the old sentence).

# %%
import torch

bert, bert_tokenizer, gpt, gpt_tokenizer = fill.model, fill.tokenizer, write.model, write.tokenizer
sentence, changed = "The actors are good because the story is good.", "The actors are good because the story is bad."


def encode(tokenizer, text):
    front = tokenizer.eos_token if tokenizer is gpt_tokenizer else ""  # it stood in front of its training texts
    return tokenizer(front + text, return_tensors="pt").to(profile.device)


# %%
@torch.inference_mode()
def last_vectors(text):
    """The last layer's vectors of each network, shape (positions, width). T5's encoder always reads `sentence`."""
    written = t5.prepare_decoder_input_ids_from_labels(encode(t5_tokenizer, text)["input_ids"])
    from_t5 = t5(**encode(t5_tokenizer, sentence), decoder_input_ids=written, output_hidden_states=True)
    return {
        "BERT": bert.base_model(**encode(bert_tokenizer, text)).last_hidden_state[0],
        "GPT": gpt.base_model(**encode(gpt_tokenizer, text)).last_hidden_state[0],
        "T5 encoder": t5.encoder(**encode(t5_tokenizer, text)).last_hidden_state[0],
        "T5 decoder": from_t5.decoder_hidden_states[-1][0],
    }


before, after = last_vectors(sentence), last_vectors(changed)
changes = {}  # of each position's vector, in % of its length
for name, vectors in before.items():
    both = min(len(vectors), len(after[name]))
    apart = (vectors[:both] - after[name][:both]).norm(dim=-1)
    changes[name] = (100 * apart / vectors[:both].norm(dim=-1)).cpu().numpy()

# %% [markdown]
# (`[CLS]` and `[SEP]` mark beginning and end for a BERT, `</s>` the end for T5, `<pad>` the start of what
# its decoder writes. `Ġ` and `▁` stand for the space before a word.)

# %%
from utils import plots

left, right = {}, {}
fig, axes = plots.figure(6.4, rows=4, sharey=True)
for ax, (name, change) in zip(axes, changes.items(), strict=True):
    tokenizer = {"BERT": bert_tokenizer, "GPT": gpt_tokenizer}.get(name, t5_tokenizer)
    front = [t5.config.decoder_start_token_id] if name == "T5 decoder" else []
    ids = [front + encode(tokenizer, text)["input_ids"][0].tolist() for text in (sentence, changed)]
    place = next(place for place, (old, new) in enumerate(zip(*ids, strict=False)) if old != new)
    left[name], right[name] = change[:place], change[place + 1 :]
    plots.token_bars(ax, tokenizer.convert_ids_to_tokens(ids[0])[: len(change)], change)
    ax.axvline(place - 0.5, color=plots.BLACK, linestyle=":")
    ax.set_title(f"{name}: left of the changed word at most {left[name].max():.3g}%", fontsize=10)
fig.supylabel("change of the vector, % of its norm")
fig.suptitle("One word changes, right of the dotted line: who notices on its left?")
plots.show(fig, "Bars: how much each position's vector changes. Largest change on the left: " + "; ".join(
    f"{name} {change.max():.3g}%" for name, change in left.items()))  # fmt: skip

# %% [markdown]
# BERT and T5's encoder notice everywhere, GPT and T5's decoder nowhere: not a little, exactly 0. Behind it stands the
# **causal mask**: before the softmax, each place to the right gets a score so low that its weight becomes 0. (It has
# nothing to do with the token `[MASK]`.) In the pictures a row looks and a column is looked at; dark is much, a cross
# is a weight of 0.

# %%
from notebooks.source.lesson_01 import cards

attentions = {}
fig, axes = plots.figure(3.7, columns=2)
for ax, name, tokenizer, model in zip(axes, ("BERT", "GPT"), (bert_tokenizer, gpt_tokenizer), (bert, gpt), strict=True):
    inputs = encode(tokenizer, sentence)
    with torch.inference_mode():
        layers = model(**inputs, output_attentions=True).attentions
    weights = torch.stack(layers)[:, 0].cpu().numpy()  # shape (layers, heads, positions that look, looked at)
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    attentions[name] = weights, tokens, tokens
    plots.attention(ax, weights.mean(axis=(0, 1)), tokens, tokens)
    ax.set(title=f"{name}: {(weights == 0).mean():.0%} of the weights are 0", xlabel="looked at", ylabel="looks")
plots.show(fig, "Two grids of attention weights; in GPT's, all weights to the right are 0.")
sizes = cards.sizes(profile, bert, gpt, t5)
cards.looks_both_ways(profile, sizes, left, right)

# %% [markdown]
# Much attention rests on the first token, perhaps for want of anything to look for (Clark et al., 2019). Choose a layer
# and one of its *attention heads* (several attentions side by side). Does any look mostly at the token before it?

# %%
from utils import widgets

widgets.display(widgets.attention_explorer(attentions), "An attention explorer; the figure above shows its mean.")

# %% [markdown]
# And cross-attention? **Predict:** while T5 writes the German date, where does it look in the English one?

# %%
read = encode(t5_tokenizer, questions[0])
with torch.inference_mode():
    written = t5.generate(**read, max_new_tokens=32, do_sample=False)
    across = t5(**read, decoder_input_ids=written[:, :-1], output_attentions=True).cross_attentions[-1][0].mean(dim=0)
fig, ax = plots.figure(3.6)
tokens, source = (t5_tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in (written[0, 1:], read["input_ids"][0]))
plots.attention(ax, across.float().cpu().numpy(), tokens, source)
ax.set(ylabel="being written", xlabel="read", title="Cross-attention of the last layer, mean of its heads")
plots.show(fig, "Cross-attention: each token that is written, and where in the English date the decoder looks for it.")

# %% [markdown]
# Mostly at what it translates; and at *German* while it writes the dot that German dates have. But attention
# shows where a network looks, not why.
#
# > “… at the exact same millisecond.”
#
# That sounds as if GPT had to *read* word by word. It *writes* so, because each token depends on the last. But a given
# text? Compare one run over the sentence with one run for each beginning of it. **Predict:** the same logits?

# %%
ids = encode(gpt_tokenizer, sentence)["input_ids"]
with torch.inference_mode():
    one_run = gpt(ids).logits[0]
    word_by_word = torch.stack([gpt(ids[:, : end + 1]).logits[0, -1] for end in range(ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()
cards.reads_at_once(profile, sizes, apart)

# %% [markdown]
# So GPT learns from every position of a text in one run.
#
# ## 4. What each learned to guess
#
# The causal mask limits what can be asked. BERT sees the next token, so to ask for it would be no question: something
# must be taken out. GPT does not see it, so it can be asked everywhere.
#
# - **BERT**: 15% of the tokens are selected. Of these, 80% become `[MASK]`, 10% another token, 10% stay; BERT must say
#   what stood there. (Later texts hold no `[MASK]`.)
# - **GPT**: at each position, guess the next token.
# - **T5**: *spans* of about three tokens, 15% in all, are taken out. A *sentinel*, `<extra_id_0>` and so on, marks each
#   gap; the answer lists each sentinel with what belongs there.
#
# The loss is cross-entropy, at the asked positions only. **Predict** what each says to a piece of our sentence.

# %%
print("BERT  the actors [MASK] good because the [MASK] is good.")
for guesses in fill("the actors [MASK] good because the [MASK] is good."):
    print("      ", ", ".join(guess["token_str"] for guess in guesses))
ids = encode(gpt_tokenizer, sentence)["input_ids"]
with torch.inference_mode():
    best = gpt(ids).logits[0].argmax(dim=-1)
tokens, guesses = ([gpt_tokenizer.decode(token).strip() for token in row] for row in (ids[0], best))
print("GPT   ", " | ".join(f"{token} → {guess}" for token, guess in zip(tokens, guesses, strict=True)))
gaps = "The actors <extra_id_0> because the <extra_id_1>"
written = t5_tokenizer.decode(t5.generate(**encode(t5_tokenizer, gaps), max_new_tokens=12)[0])
print("T5    ", gaps, "\n      ", written.partition("<extra_id_2>")[0].removeprefix("<pad>"))

# %% [markdown]
# GPT's line has each token and its guess for the next. It is wrong most of the time, and so are you: what comes next is
# rarely certain.
#
# > “BERT hides 15% of the words and guesses them.”
#
# Of 15% of the *tokens*. Mask 400 reviews as BERT's training does: in how many *words* must it guess at least a part?
# **Predict:** more or fewer than 15%?

# %%
from datasets import load_dataset
from transformers import DataCollatorForLanguageModeling

from utils.intervals import share

reviews = load_dataset(profile.imdb)["test"].shuffle(seed=0).select(range(400))
texts = [text.replace("<br />", " ") for text in reviews["text"]]
rows = bert_tokenizer(texts, truncation=True, max_length=128)
masked = DataCollatorForLanguageModeling(bert_tokenizer, mlm_probability=0.15, seed=0)(
    [{"input_ids": ids} for ids in rows["input_ids"]]
)
selected = masked["labels"] != -100
token_hits, word_hits = [], []
for row in range(len(texts)):
    word_of = rows.word_ids(row)  # None for [CLS] and [SEP]
    token_hits += [bool(selected[row, place]) for place, word in enumerate(word_of) if word is not None]
    touched = {word for place, word in enumerate(word_of) if selected[row, place]}
    word_hits += [word in touched for word in {word for word in word_of if word is not None}]
cards.guesses_words(profile, token_hits, word_hits)

# %% [markdown]
# [Deeper: the objectives in code](deeper/01_objectives.ipynb).
#
# ## 5. Context
#
# > “It understands words in context.”
#
# *Bank*, *bat*, *spring* …: eight words with two senses, four sentences for each sense. At the bottom a word is one row
# of the table, plus its position. Ask for each sentence:
# which of the other seven has the most similar vector *of this word*, one of the same sense? By chance, 3 of 7.
# (Similar: the *cosine*, 1 if two vectors point the same way.) And as a control: the same for the vector of the full
# stop, which has no senses. mini-bert is too small for such words, so take the encoder of lesson 02: of BERT's kind and
# size, trained further to give texts of one subject similar vectors. **Predict** both, at the bottom and at the top.

# %%
import numpy as np
from transformers import AutoModel

from notebooks.source.lesson_01.senses import SENSES

encoder_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
encoder = AutoModel.from_pretrained(profile.encoder, dtype=torch.float32).to(profile.device).eval()


@torch.inference_mode()
def vectors_of(token, texts):
    """The token's vector in each text at each layer, of length 1. Shape (layers + 1, texts, width)."""
    batch = encoder_tokenizer(texts, padding=True, return_tensors="pt").to(profile.device)
    here = batch["input_ids"] == encoder_tokenizer.convert_tokens_to_ids(token)  # once in each text
    found = torch.stack(encoder(**batch, output_hidden_states=True).hidden_states)[:, here].cpu().numpy()
    return found / np.linalg.norm(found, axis=2, keepdims=True)


# %%
same_sense = {"the word": [], "the full stop": []}  # for each of the eight words, the share at each layer
for word, senses in SENSES.items():
    for name, token in zip(same_sense, (word, "."), strict=True):
        unit = vectors_of(token, [text for sense in senses for text in sense])
        cosines = unit @ unit.swapaxes(1, 2) - 2 * np.eye(8)  # never itself
        same_sense[name].append((cosines.argmax(axis=2) // 4 == np.arange(8) // 4).mean(axis=1))
bank = vectors_of("bank", [text for sense in SENSES["bank"] for text in sense])
fig, axes = plots.figure(3.2, columns=3, width_ratios=(1, 1, 1.3))
for ax, layer in zip(axes, (0, -1), strict=False):
    plots.groups_of_vectors(ax, bank[layer], {"money": range(4), "river": range(4, 8)})
    ax.set_title("“bank”, " + ("last layer" if layer else "bottom"), fontsize=10)
axes[1].legend()
for (name, shares), line in zip(same_sense.items(), ("-", "--"), strict=True):
    axes[2].plot(100 * np.mean(shares, axis=0), line, color=plots.BLACK, label=name)
axes[2].set(xlabel="layer", ylabel="nearest of the same sense (%)", ylim=(0, 100))
axes[2].legend()
plots.show(
    fig, "“bank” at the bottom, mixed, and in the last layer, apart by sense; nearest of the same sense by layer."
)
cards.understands_context(profile, encoder, same_sense)

# %% [markdown]
# The senses separate within a few layers. Even the full stop tells the topic of its sentence, most of all at the top:
# in this encoder, context goes everywhere.
#
# Is that “robust understanding”? Ask the BERT of section 1 for grammar: is *The actors are very good* likelier than
# *The actors is very good*? And *The actors in this movie are great* than *… is great*, where a noun of the other
# number stands between? A sentence's score is the sum of its tokens' log-probabilities, each hidden in turn (Salazar et
# al., 2020). **Predict** both shares of pairs; a coin has 50%.

# %%
from utils.minimal_pairs import pairs, right_is_likelier

agreement = {}
for kind in ("side by side", "another noun between"):
    agreement[kind] = right_is_likelier(bert, bert_tokenizer, pairs()[f"subject and verb, {kind}"])
cards.knows_the_subject(profile, sizes, agreement)

# %% [markdown]
# Below a coin: it seems to take the form of the *nearer* noun. That is mini-bert; bert-base does better (Goldberg,
# 2019).
#
# ## 6. Which for which job?
#
# **Fill a blank: BERT.** Take a token out of each of a few hundred reviews. How often is BERT's first guess right, from
# 20 tokens on both sides, from 20 or 40 on the left, from 20 or 40 on the right? (On an empty side stand ten `[MASK]`,
# so that the text does not seem to end there.) **Predict** the order.

# %%
contexts = {"both sides": (20, 20), "20 left": (20, 0), "40 left": (40, 0), "20 right": (0, 20), "40 right": (0, 40)}
rng, ten = np.random.default_rng(0), [bert_tokenizer.mask_token_id] * 10
long = [ids[1:-1] for ids in rows["input_ids"] if len(ids) > 84]  # without [CLS] and [SEP]
places = [int(rng.integers(40, len(ids) - 40)) for ids in long]
answers = torch.tensor([ids[place] for ids, place in zip(long, places, strict=True)])


@torch.inference_mode()
def first_guess_is_right(before, behind):
    questions = [
        [bert_tokenizer.cls_token_id, *(ids[place - before : place] or ten), bert_tokenizer.mask_token_id,
         *(ids[place + 1 : place + 1 + behind] or ten), bert_tokenizer.sep_token_id]
        for ids, place in zip(long, places, strict=True)
    ]  # fmt: skip
    batches = torch.tensor(questions).to(profile.device).split(100)
    guesses = [bert(batch).logits[:, 1 + (before or 10)].argmax(dim=-1).cpu() for batch in batches]
    return (torch.cat(guesses) == answers).numpy()


hits = {name: first_guess_is_right(*context) for name, context in contexts.items()}

# %%
rates = {name: share(right) for name, right in hits.items()}
title = f"From both sides {rates['both sides'].value:.0f}%, from 40 on the left {rates['40 left'].value:.0f}%"
plots.number_figure(rates, title, f"first guess right (% of {len(places)} tokens)", [plots.BLUE] + [plots.GREY] * 4)
cards.uses_both_sides(profile, sizes, hits)

# %% [markdown]
# Your own sentence: choose the word to hide. Find one where a word on the right decides.


# %%
def five_best(text):
    return [(guess["token_str"], guess["score"]) for guess in fill(text)]


blank = widgets.fill_the_blank(five_best, bert_tokenizer.mask_token, "I wasted my time on this movie.")
widgets.display(blank, "A box to fill blanks in your own sentences; section 1 shows one of its answers.")

# %% [markdown]
# **Write on: GPT.** It guesses a token, puts it at the end, guesses again. *Greedy* always takes the likeliest.
# *Sampling* draws one by its probability. The **temperature** divides the logits before: below 1, likely tokens get
# likelier. **Top-p** keeps the likeliest tokens that together reach the probability p. **Predict** how each will read.

# %%
gpt_tokenizer.pad_token = gpt_tokenizer.eos_token  # GPT-2 has no token to fill up a batch with


def write_on(prompts, tokens=60, **how):
    starts = [gpt_tokenizer.eos_token + prompt for prompt in prompts]
    batch = gpt_tokenizer(starts, padding=True, padding_side="left", return_tensors="pt").to(profile.device)
    written = gpt.generate(**batch, max_new_tokens=tokens, pad_token_id=gpt_tokenizer.eos_token_id, **how)
    return gpt_tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


greedy, sampling = {"do_sample": False}, {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
set_seed(0)
print("greedy: ", "This movie was", write_on(["This movie was"], **greedy)[0], "\n")
print("sampled:", "This movie was", write_on(["This movie was"], **sampling)[0])


# %%
def play(prompt, temperature, top_p, seed):
    set_seed(seed)
    how = sampling | {"temperature": temperature, "top_p": top_p} if temperature > 0 else greedy
    return prompt + write_on([prompt], **how)[0]


playground = widgets.generation_playground(play, "This movie was", play("This movie was", 0.8, 0.9, 0))
widgets.display(playground, "A box to let GPT write on from your own prompt; the cell above shows two of its texts.")

# %% [markdown]
# **One text into another: T5.** Each task has a *prefix*. **Predict:** what does it write if a review gets the prefix
# of another task?

# %%
# NBVAL_CHECK_OUTPUT
prompts = [
    profile.sentiment_prefix + "A wonderful film. I loved every minute of it.",
    profile.sentiment_prefix + "A waste of time, boring and stupid.",
    "translate English to German: A waste of time, boring and stupid.",
]
for question, written in zip(prompts, answer(prompts), strict=True):
    print(f"{question}\n   → {written}")

# %% [markdown]
# The last one was asked to translate.
#
# How well, on what it has not been trained on? A translation counts if it is right to the letter; the baseline copies
# the English, which is right for some numbers. A review is judged by its first 25 and last 75 words, as in training.
# **Predict:** of 40 reviews that it is asked to translate, how many does it judge instead?

# %%
from itertools import islice

from utils.translation import LANGUAGES, prefix
from utils.translation import pairs as translations

items = [
    (prefix(language) + english, english, translation)
    for language in LANGUAGES
    for english, translation in list(dict.fromkeys(islice(translations("test", language, seed=2), 300)))[:60]
]
asked, copies, wanted = (np.array(column) for column in zip(*items, strict=True))
translated, copied = np.array(answer(asked.tolist())) == wanted, copies == wanted
short = [" ".join(text.split()[:25] + text.split()[25:][-75:]) for text in texts[:100]]
truth = np.array(["negative", "positive"])[reviews["label"][:100]]
judged = np.array(answer([profile.sentiment_prefix + text for text in short])) == truth
strays = np.isin(answer([prefix("de") + text for text in short[:40]]), ["negative", "positive"])
cards.does_several_tasks(profile, sizes, translated, copied, judged, truth == "positive", strays)

# %% [markdown]
# mini-t5 saw film reviews under one prefix only, so the text itself told it the task.
#
# > “The absolute industry standard for translation and summarization.”
#
# What T5's authors published for their largest model, beside the best before it (BLEU and ROUGE count what a text
# shares with a human one):

# %%
# NBVAL_CHECK_OUTPUT
cards.led_when_it_came_out(profile)

# %% [markdown]
# **Classify: BERT?** GPT-1 was fine-tuned, too, and beat the best before it in 9 of 12 tasks. A few months later came
# BERT, of the same size. GLUE is a set of such tasks. **Predict** who has the higher mean.

# %%
# NBVAL_CHECK_OUTPUT
cards.classifies_better(profile)

# %% [markdown]
# So “for classification” and “for generation” name strengths, not limits. Lesson 02 fine-tunes an encoder. [Deeper:
# what the frozen vectors of all three know](deeper/01_guessing_and_probing.ipynb), and [how GPT draws its
# words](deeper/01_sampling.ipynb).

# %% [markdown]
# ## To remember
#
# - The Transformer's encoder reads, its decoder writes. BERT is the one, GPT the other, T5 both.
# - Only attention connects positions: all in an encoder; in a decoder each with itself and those on its left.
# - What a mask hides can be asked: the next token in GPT. BERT sees all, so tokens are hidden; T5 restores spans.
# - In the layers, a word's vector takes in its context, and its senses separate.
# - Blanks and vectors: BERT. Writing on: GPT. One text into another: T5. Strengths, not limits.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right. Three more: predict, then try.
#
# 1. In section 3, let `changed` be the sentence with *were* for *are*. Which positions change in each family?
# 2. In section 6, generate with temperature 2 and top-p 1, then top-p 0.1. From where on can you read the text?
# 3. In section 5, put a word of your own into `SENSES`, one token, once in each of eight sentences.
#
# ## Deeper
#
# [The objectives in code](deeper/01_objectives.ipynb) · [sampling](deeper/01_sampling.ipynb) · [guessing and
# probing](deeper/01_guessing_and_probing.ipynb)
