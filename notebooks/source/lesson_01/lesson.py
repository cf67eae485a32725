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
#     minutes_yours: 90
#     minutes_cpu: about a minute
#     needs: softmax, ResNet and the mathematics of attention
# ---

# %% [markdown]
# One could read:
#
# > “BERT reads a sentence both ways at the exact same millisecond. It learned from Wikipedia, hides 15% of the words
# > and guesses them: it understands words in context, robustly, for classification. GPT learned from internet articles,
# > reads from left to right and guesses the next word: for generation. T5 turns every task into text to text: the
# > absolute industry standard for translation and summarization.”
#
# Test it phrase by phrase, with *cards* as in lesson 00.
#
# ## 1. See it work
#
# Without a GPU (profile `embedded`), you run mini-bert, mini-gpt and mini-t5, made for this course, each with four
# million weights. All learned from the same film reviews and news (not those tested here); mini-t5 then learned some
# small tasks.
#
# **BERT fills a blank.** **Predict** its first guess for “I [MASK] my time on this movie.”

# %%
from transformers import pipeline

plain = {"attn_implementation": "eager"}  # so that section 3 can look at the attention
fill = pipeline("fill-mask", model=profile.bert, device=profile.device, dtype="float32", model_kwargs=dict(plain))
for guess in fill("I [MASK] my time on this movie."):
    print(f"{guess['score']:4.0%}  {guess['sequence']}")

# %% [markdown]
# **GPT writes on.** It draws each next token (word or piece) by probability from the 50 likeliest. **Predict** how
# “This movie was” goes on: will it make sense?

# %%
from transformers import set_seed

set_seed(0)
write = pipeline("text-generation", model=profile.gpt, device=profile.device, dtype="float32", model_kwargs=dict(plain))
print(write("This movie was", max_new_tokens=30, do_sample=True, temperature=0.7, top_k=50)[0]["generated_text"])

# %% [markdown]
# **T5 turns one text into another.** The beginning of the text, the *prefix*, says what to do. mini-t5 learned to
# translate dates and numbers and to call reviews positive or negative. **Predict:** “12” or “March” first?

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
t5 = AutoModelForSeq2SeqLM.from_pretrained(profile.t5, dtype="float32", **plain).to(profile.device).eval()


def answer(questions):
    # mini-t5 met no longer texts than 239 tokens
    batch = t5_tokenizer(questions, padding=True, truncation=True, max_length=239, return_tensors="pt")
    written = t5.generate(**batch.to(profile.device), max_new_tokens=32, do_sample=False)
    return t5_tokenizer.batch_decode(written, skip_special_tokens=True)


questions = [f"translate English to {language}: Tuesday, March 12, 2024" for language in ("German", "French")]
print("\n".join(answer(questions)))

# %% [markdown]
# ## 2. One building, three ways to use it
#
# All are built from the *Transformer* (Vaswani et al., 2017). Its **encoder** reads a text, its **decoder** writes
# another. BERT is the encoder alone (*encoder-only*), T5 both (*encoder-decoder*), GPT the decoder alone
# (*decoder-only*). (Drawn as in 2017.) Which part of T5's decoder does GPT lack?

# %%
from utils import drawings

drawings.families()

# %% [markdown]
# From the bottom up:
#
# - A *tokenizer* cuts the text into *tokens*, words or pieces of words (lesson 03).
# - A token's **embedding** is a vector from a table. A vector for its *position* in the text is added. (T5 has no such
#   vectors; its self-attention adds a distance number to each score.)
# - In **attention**, each position makes a *query*, a *key* and a *value*. Comparing its query with every key gives
#   scores; softmax turns these into *attention weights*, and the position takes the weighted mean of the values. A
#   layer does this several times side by side, in *attention heads*. Only attention connects positions.
# - *Add & norm* adds a part's input to its output, as in a ResNet, then normalises (*layer normalization*). GPT-2 and
#   T5 normalise before each part instead.
# - The **feed-forward** part, two linear layers with a nonlinearity between, works on each position alone.
# - N such layers are stacked. On top, an output layer (**head**; not an attention head) gives each token of the
#   vocabulary a number; softmax turns these numbers, the *logits*, into probabilities.
#
# Attention comes in three kinds:
#
# - **self-attention** in the encoder looks at all positions of the text (*bidirectional*);
# - **masked self-attention** in the decoder looks at the position itself and those on its left; the right is shut off
#   (the token `[MASK]` is something else);
# - **cross-attention** takes queries from the decoder, keys and values from the encoder's output, so the decoder sees
#   what was read. GPT has none, as it has no encoder.
#
# The originals, and where they went:
#
# | | year | weights | learned from | today |
# |---|---|---|---|---|
# | BERT (Devlin et al.) | 2018 | 110 or 340 million | Wikipedia, books | ModernBERT: classify, tag, search |
# | GPT-1 (Radford et al.) | 2018 | 117 million | books; GPT-2: web pages | Llama, Qwen: nearly all else |
# | T5 (Raffel et al.) | 2019 | 60 million to 11 billion | web pages | its encoder reads prompts of picture generators |

# %% [markdown]
# ## 3. Who may look where?
#
# Change the last word of a sentence. Which *earlier* positions notice, that is, get another vector in the last layer?
# **Predict** for BERT, GPT, T5's encoder and T5's decoder. The decoder gets the sentence too, behind a start token
# `<pad>`, in place of its own guesses (*teacher forcing*). Its encoder keeps the old sentence, or the change would leak
# in through cross-attention.
#
# BERT first. Its text stands between `[CLS]` and `[SEP]`, and it is *uncased*: it lowercases.

# %%
import torch

bert, bert_tokenizer, gpt, gpt_tokenizer = fill.model, fill.tokenizer, write.model, write.tokenizer
sentence, changed = "The actors are good because the story is good.", "The actors are good because the story is bad."


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


with torch.inference_mode():
    old, new = (bert.base_model(**encode(bert_tokenizer, text)).last_hidden_state[0] for text in (sentence, changed))
change = 100 * (new - old).norm(dim=1) / old.norm(dim=1)  # of each position's vector, in % of its norm
tokens = bert_tokenizer.tokenize(sentence, add_special_tokens=True)
print("  ".join(f"{token} {percent:.0f}%" for token, percent in zip(tokens, change.tolist(), strict=True)))

# %% [markdown]
# All four. T5's text ends with `</s>`; its decoder's starts with `<pad>`, GPT's with `<|endoftext|>`, which stood
# between its training texts. `Ġ` and `▁` mark a space before.

# %%
from notebooks.source.lesson_01 import cards, figures, measures

networks = {"BERT": (bert_tokenizer, bert), "GPT": (gpt_tokenizer, gpt), "T5": (t5_tokenizer, t5)}
before, after = (measures.last_vectors(networks, text, read_by_t5=sentence) for text in (sentence, changed))
left, right = measures.changes(before, after)
figures.who_notices(before, after, left, right)
sizes = cards.sizes(profile, bert, gpt, t5)
cards.looks_both_ways(profile, sizes, left, right)

# %% [markdown]
# Left of the change, BERT and T5's encoder notice everywhere, GPT and T5's decoder nowhere (exactly 0). The **causal
# mask** makes these zeros: before the softmax, each place to the right gets a score so low that its attention weight
# becomes 0. In the next pictures (means over layers and heads), the row's token looks at the column's. Dark: more
# weight (BERT rests much on `[CLS]`); a cross: 0. **Predict** what share of GPT's weights is 0.

# %%
attentions = {}
for name, tokenizer, model in (("BERT", bert_tokenizer, bert), ("GPT", gpt_tokenizer, gpt)):
    inputs = encode(tokenizer, sentence if name == "BERT" else gpt_tokenizer.eos_token + sentence)
    with torch.inference_mode():
        layers = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    weights = torch.stack(layers)[:, 0].cpu().numpy()  # shape (layers, heads, positions that look, looked at)
    attentions[name] = weights, tokens, tokens
figures.attention_means(attentions)

# %% [markdown]
# Find an attention head that looks one back.

# %%
from utils import widgets

widgets.display(widgets.attention_explorer(attentions), "An attention explorer; the figure above shows its mean.")

# %% [markdown]
# ([Deeper](deeper/01_guessing_and_probing.ipynb) shows where T5's cross-attention looks.)
#
# > “… at the exact same millisecond.”
#
# Must GPT then *read* word by word? Run GPT over the sentence, then over its first one, two, three … tokens.
# **Predict:** are a token's logits equal in both?

# %%
ids = encode(gpt_tokenizer, gpt_tokenizer.eos_token + sentence)["input_ids"]
with torch.inference_mode():
    one_run = gpt(ids).logits[0]
    word_by_word = torch.stack([gpt(ids[:, : end + 1]).logits[0, -1] for end in range(ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()
cards.reads_at_once(profile, sizes, apart)

# %% [markdown]
# One run loses nothing. And “at once” is true of both: a layer needs only the layer below, which is already computed
# for all tokens. Only *writing* goes token by token (*autoregressive*).
#
# ## 4. What each learned to guess
#
# Guessing needs no labels: that is *pretraining*. Labels then train a new head, in *fine-tuning* (lesson 02). What a
# model may see decides what it can be asked. BERT sees every token, so some must be taken out. GPT cannot see the next
# token, so every position can guess it. Here is what a training text becomes:
#
# | | what it reads | what it must say |
# |---|---|---|
# | BERT | the actors `[MASK]` good because the `[MASK]` is good. | are; story |
# | GPT | The actors are good because the story is good | actors are good because the story is good . |
# | T5 | The actors `<extra_id_0>` because the `<extra_id_1>` | `<extra_id_0>` are good `<extra_id_1>` story is good. |
#
# - **BERT** (*masked language modelling*): 15% of the tokens are selected. Of these, 80% become `[MASK]`; 10% become
#   random tokens and 10% stay: so BERT can trust no token, and learns something at each. BERT also guessed whether two
#   passages follow each other.
# - **GPT** (*causal language modelling*): at each position, the next token.
# - **T5** (*span corruption*): *spans* (runs of about three tokens, 15% in all; here more) are taken out. A
#   *sentinel* (`<extra_id_0>`, `<extra_id_1>` …) marks each gap. The answer repeats each sentinel, followed by its
#   missing span, and ends with one more (not shown).
#
# The loss is the cross-entropy at the asked positions only. **Predict** what our three models say.

# %%
print("BERT  the actors [MASK] good because the [MASK] is good.")
for guesses in fill("the actors [MASK] good because the [MASK] is good."):
    print("      ", ", ".join(guess["token_str"] for guess in guesses))
with torch.inference_mode():
    best = gpt(ids).logits[0].argmax(dim=-1)
tokens, guesses = ([gpt_tokenizer.decode(token).strip() for token in row] for row in (ids[0], best))
print("GPT   ", " | ".join(f"{token} → {guess}" for token, guess in zip(tokens, guesses, strict=True)))
gaps = "The actors <extra_id_0> because the <extra_id_1>"
written = t5_tokenizer.decode(t5.generate(**encode(t5_tokenizer, gaps), max_new_tokens=12)[0])
print("T5    ", gaps, "\n      ", written.partition("<extra_id_2>")[0].removeprefix("<pad>"))

# %% [markdown]
# GPT: each token with its guess for the next. mini-t5's answer has the form, no sense.
#
# > “BERT hides 15% of the words and guesses them.”
#
# Here is a review as BERT's training sees it; below, what was asked: seen ← true (`##` continues a word). **Predict:**
# is BERT asked only at `[MASK]`?

# %%
# NBVAL_CHECK_OUTPUT
from datasets import load_dataset
from transformers import DataCollatorForLanguageModeling

reviews = load_dataset(profile.imdb)["test"].shuffle(seed=0).select(range(400))
rows = bert_tokenizer([text.replace("<br />", " ") for text in reviews["text"]], truncation=True, max_length=128)
collator = DataCollatorForLanguageModeling(bert_tokenizer, mlm_probability=0.15, seed=1)
seen = collator([{"input_ids": rows["input_ids"][0]}])
print(bert_tokenizer.decode(seen["input_ids"][0]))
for place in (seen["labels"][0] != -100).nonzero():  # -100: the loss leaves this position out
    now, true = (bert_tokenizer.decode(seen[which][0][place]) for which in ("input_ids", "labels"))
    print(f"{now} ← {true}", end="   ")

# %% [markdown]
# No: some were replaced, and *bri* was left. The 15% are *tokens*; [Deeper: the objectives in
# code](deeper/01_objectives.ipynb) counts words.
#
# ## 5. Context
#
# > “It understands words in context.”
#
# Take eight words with two senses, such as *bank*, and four sentences per sense. Lesson 02's encoder, as large as BERT,
# reads them. (Under `embedded` it was trained further: related texts get similar vectors.)

# %%
from transformers import AutoModel

encoder_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
encoder = AutoModel.from_pretrained(profile.encoder, dtype=torch.float32).to(profile.device).eval()


@torch.inference_mode()
def vectors_of(token, texts):
    """The token's vector in each text at each layer, of length 1. Shape (layers + 1, texts, width)."""
    batch = encoder_tokenizer(texts, padding=True, return_tensors="pt").to(profile.device)
    here = batch["input_ids"] == encoder_tokenizer.convert_tokens_to_ids(token)  # once in each text
    found = torch.stack(encoder(**batch, output_hidden_states=True).hidden_states)[:, here]
    return torch.nn.functional.normalize(found, dim=-1).cpu().numpy()


bank_sentences = [text for sense in measures.SENSES["bank"] for text in sense]
print(bank_sentences[0], bank_sentences[4], sep="\n")

# %% [markdown]
# At the bottom, before any layer, *bank* is the same table row everywhere, plus its position's vector. Take one
# sentence. In which of the other seven is *bank*'s vector most similar, by *cosine* (1 if two vectors point the same
# way)? How often do both have the same sense? Chance gives 3 of 7. As a control, ask the same of the full stop, which
# has no senses. **Predict** four shares: word and full stop, at the bottom and in the last layer. (Left: *bank*'s eight
# vectors, flattened to two dimensions.)

# %%
same_sense = measures.nearest_of_same_sense(vectors_of)
figures.senses(vectors_of("bank", bank_sentences), same_sense)
cards.understands_context(profile, encoder, same_sense)

# %% [markdown]
# The senses separate within a few layers. In the last layer, the full stop does nearly as well: probably through this
# encoder's training, every token carries the topic. At the bottom, points coincide where positions do.
#
# > “… robustly.”
#
# [One narrow test](deeper/01_guessing_and_probing.ipynb): “the fight between the brothers *is* too long”, or *are*?
# mini-bert mostly follows the nearer noun; bert-base does better (Goldberg, 2019).
#
# ## 6. Which for which job?
#
# **Fill a blank: BERT, which sees both sides.** Hide one token in each of many reviews. How often is BERT's
# first guess right if it sees 20 tokens on each side, or 20 or 40 on one side? **Predict** which is best.

# %%
filled = measures.blanks_filled(bert, bert_tokenizer, rows["input_ids"])
figures.blanks(filled)
cards.uses_both_sides(profile, sizes, filled)

# %% [markdown]
# Doubling one side does not replace the other. ([Deeper](deeper/01_guessing_and_probing.ipynb) shows GPT and T5.) In
# your own sentence, find a word after the blank that decides the guess.


# %%
def five_best(text):
    return [(guess["token_str"], guess["score"]) for guess in fill(text)]


blank = widgets.fill_the_blank(five_best, bert_tokenizer.mask_token, "I wasted my time on this movie.")
widgets.display(blank, "A box to fill blanks in your own sentences; section 1 shows one of its answers.")

# %% [markdown]
# **Write on: GPT.** *Greedy* always takes the likeliest next token, *sampling* draws one. Before drawing, the
# **temperature** divides the logits: below 1, likely tokens get likelier. **Top-p** keeps the likeliest tokens that
# together reach probability p. **Predict** how both will read.

# %%
gpt_tokenizer.pad_token = gpt_tokenizer.eos_token  # GPT-2 has no token to fill up a batch with


def write_on(prompts, tokens=60, **how):
    starts = [gpt_tokenizer.eos_token + prompt for prompt in prompts]
    batch = gpt_tokenizer(starts, padding=True, padding_side="left", return_tensors="pt").to(profile.device)
    written = gpt.generate(**batch, max_new_tokens=tokens, pad_token_id=gpt_tokenizer.eos_token_id, **how)
    return gpt_tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


greedy, sampling = {"do_sample": False}, {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
set_seed(0)
print("greedy:  This movie was" + write_on(["This movie was"], **greedy)[0], "\n")
print("sampled: This movie was" + write_on(["This movie was"], **sampling)[0])


# %% [markdown]
# Greedy goes round in a circle; sampling loses its thread. At which temperature do the sentences break?


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
# The third was to be translated, and was judged: mini-t5 met film reviews in one of its tasks only, so probably the
# text told it the task. ([Deeper](deeper/01_guessing_and_probing.ipynb) asks this of many reviews.)
#
# > “The absolute industry standard for translation and summarization.”
#
# At its release, the largest T5 was best on the one summary data set it tried, not in translation (same notebook).
#
# **Classify: BERT.** With equal text, a twin that sees only the left lost by 0.5 points (film sentences, perhaps
# chance) to 9 (paraphrases; Devlin et al., 2018). Lesson 02 classifies texts. As a rule:
#
# | the job | take | because |
# |---|---|---|
# | classify, tag, search | an encoder | each vector has seen the whole text |
# | write, chat, do tasks by a prompt | a decoder | going on with a text is what it learned |
# | one fixed task from text to text | an encoder–decoder | it reads both ways, then writes |

# %% [markdown]
# ## To remember
#
# The quote again, phrase by phrase:
#
# | phrase | what was found |
# |---|---|
# | both ways | BERT, T5's encoder; GPT only to the left |
# | at the exact same millisecond | in one pass, yes; GPT, too; only writing goes one by one |
# | Wikipedia; internet articles | BERT had books as well; GPT-1 books only, GPT-2 web pages |
# | 15% of the words | 15% of the tokens are asked; most of these are hidden |
# | words in context | a word's vectors tell its sense; at the top, the full stop's nearly do |
# | robustly | not tested here; mini-bert fails one narrow test, bert-base does well |
# | for classification; for generation | strengths, not limits |
# | every task into text to text | several, yes |
# | absolute industry standard | at its release best on one set of summaries, not in translation |
#
# - The encoder reads, the decoder writes. BERT is an encoder, GPT a decoder, T5 both.
# - Only attention connects positions.
# - What a model cannot see, it can be asked.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right.
#
# ## Deeper
#
# [The objectives in code](deeper/01_objectives.ipynb) · [sampling](deeper/01_sampling.ipynb) · [guessing and
# probing](deeper/01_guessing_and_probing.ipynb)
