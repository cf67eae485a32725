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
#     minutes_yours: 80
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
# Test it phrase by phrase. *Cards* give computed verdicts: ✓ holds, ◐ depends, ✗ does not hold, ? not settled here.
# Brackets hold a 95% interval.
#
# ## 1. See it work
#
# Without a GPU (profile `embedded`), you run mini-bert, mini-gpt and mini-t5, made for this course. Each has four
# million weights; the models of `full` have 60 million and more. All learned from the same news and film reviews (not
# those tested here); mini-t5 then learned some small tasks.
#
# **BERT fills a blank.** **Predict** its first guess for “I [MASK] my time on this movie.”

# %%
from transformers import pipeline

plain = {"attn_implementation": "eager"}  # so that section 3 can look at the attention
fill = pipeline("fill-mask", model=profile.bert, device=profile.device, dtype="float32", model_kwargs=dict(plain))
for guess in fill("I [MASK] my time on this movie."):
    print(f"{guess['score']:4.0%}  {guess['sequence']}")

# %% [markdown]
# **GPT writes on.** It draws each next token (word or piece) by probability from the 50 likeliest; `temperature=0.7`
# makes likely ones likelier. **Predict** how “This movie was” goes on: will it make sense?

# %%
from transformers import set_seed

set_seed(0)
write = pipeline("text-generation", model=profile.gpt, device=profile.device, dtype="float32", model_kwargs=dict(plain))
print(write("This movie was", max_new_tokens=30, do_sample=True, temperature=0.7, top_k=50)[0]["generated_text"])

# %% [markdown]
# **T5 turns one text into another.** The beginning of the text, the *prefix*, says what to do. mini-t5 learned to
# translate dates and numbers and to call reviews positive or negative. **Predict:** does it order day and month as
# German and French do?

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
# All three are built from the *Transformer* (Vaswani et al., 2017). Its **encoder** reads a text, its **decoder**
# writes another. BERT is the encoder alone (*encoder-only*), T5 both (*encoder-decoder*), GPT the decoder alone
# (*decoder-only*). A vision transformer is an encoder of patches. Find the kind of attention that GPT lacks.

# %%
from utils import drawings

drawings.families()

# %% [markdown]
# From the bottom up. A *tokenizer* cuts text into *tokens*, words or pieces of words (lesson 03). A token's
# **embedding** is a vector from a table; a vector for its *position* in the text is added. In **attention**, each
# position makes a *query*, a *key* and a *value*. Comparing its query with every key gives scores. (T5 has no position
# vectors; it adds a distance number to each score.) Softmax turns the scores into *attention weights*, and the position
# takes the weighted mean of the values. A layer does this several times side by side, in *attention heads*. Only
# attention connects positions. It comes in three kinds:
#
# - **self-attention** in the encoder looks at all positions of the text (*bidirectional*);
# - **masked self-attention** in the decoder looks at the position itself and those on its left; the right is shut off
#   (the token `[MASK]` is something else);
# - **cross-attention** applies the decoder's queries to the encoder's keys and values, so the decoder sees what was
#   read. GPT lacks it.
#
# The **feed-forward** part, two linear layers with a nonlinearity between, works on each position alone. *Add & norm*
# adds a part's input to its output, as in a ResNet, then normalises (*layer normalization*). GPT-2 and T5 normalise
# before each part instead. N such layers are stacked. On top, an output layer, also called **head**, gives each token
# of the vocabulary a number; softmax turns these numbers, the *logits*, into probabilities.

# %% [markdown]
# ## 3. Who may look where?
#
# Change the last word of a sentence. Which *earlier* positions notice, that is, get another vector in the last layer?
# **Predict** for BERT, GPT, T5's encoder and T5's decoder. The decoder gets the sentence itself, shifted by one token
# (*teacher forcing*): at `<pad>`, `The`, `actors` it must say `The`, `actors`, `are`. While the decoder is tested, its
# encoder keeps the unchanged sentence.
#
# In the picture, BERT's text stands between `[CLS]` and `[SEP]`. T5's ends with `</s>`; its decoder's starts with
# `<pad>`, GPT's with `<|endoftext|>`. `Ġ` and `▁` mark a space before. This BERT is *uncased*: it lowercases.

# %%
import torch

bert, bert_tokenizer, gpt, gpt_tokenizer = fill.model, fill.tokenizer, write.model, write.tokenizer
sentence, changed = "The actors are good because the story is good.", "The actors are good because the story is bad."
start = gpt_tokenizer.eos_token  # <|endoftext|>, which stood between its training texts


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


# %%
from notebooks.source.lesson_01 import cards, figures, measures

networks = {"BERT": (bert_tokenizer, bert), "GPT": (gpt_tokenizer, gpt), "T5": (t5_tokenizer, t5)}
before, after = (measures.last_vectors(networks, text, read_by_t5=sentence) for text in (sentence, changed))
left, right = measures.changes(before, after)
figures.who_notices(before, after, left, right)
sizes = cards.sizes(profile, bert, gpt, t5)
cards.looks_both_ways(profile, sizes, left, right)

# %% [markdown]
# Left of the change, BERT and T5's encoder notice at every position, GPT and T5's decoder at none (exactly 0). The
# **causal mask** makes these zeros: before the softmax, each place to the right gets a score so low that its attention
# weight becomes 0. In the next pictures (means over layers and heads), the row's token looks at the column's. Darker
# means more weight; a cross means 0. **Predict** what share of GPT's weights is 0.

# %%
attentions = {}
for name, tokenizer, model in (("BERT", bert_tokenizer, bert), ("GPT", gpt_tokenizer, gpt)):
    inputs = encode(tokenizer, sentence if name == "BERT" else start + sentence)
    with torch.inference_mode():
        layers = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    weights = torch.stack(layers)[:, 0].cpu().numpy()  # shape (layers, heads, positions that look, looked at)
    attentions[name] = weights, tokens, tokens
figures.attention_means(attentions)

# %% [markdown]
# 55 of 121 weights are 0. Below, find an attention head that looks one back.

# %%
from utils import widgets

widgets.display(widgets.attention_explorer(attentions), "An attention explorer; the figure above shows its mean.")

# %% [markdown]
# And cross-attention? **Predict:** while T5 writes the German date, where does it look in the English one?

# %%
asked = encode(t5_tokenizer, questions[0])
with torch.inference_mode():
    written = t5.generate(**asked, max_new_tokens=32, do_sample=False)
    across = t5(**asked, decoder_input_ids=written[:, :-1], output_attentions=True).cross_attentions[-1][0].mean(dim=0)
tokens = [t5_tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in (written[0, 1:], asked["input_ids"][0])]
figures.cross_attention(across.cpu().numpy(), *tokens)

# %% [markdown]
# Rows name the token being written. `▁Mä` and most digits look at what they translate. `▁Di` looks mostly at the colon;
# the added German dot looks at *German*. Attention shows where a network looks, not why.
#
# > “… at the exact same millisecond.”
#
# That sounds as if GPT had to *read* word by word. Run GPT over the sentence, then over its first one, two, three …
# tokens. **Predict:** does each token get the same logits?

# %%
ids = encode(gpt_tokenizer, start + sentence)["input_ids"]
with torch.inference_mode():
    one_run = gpt(ids).logits[0]
    word_by_word = torch.stack([gpt(ids[:, : end + 1]).logits[0, -1] for end in range(ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()
cards.reads_at_once(profile, sizes, apart)

# %% [markdown]
# So “at once” is true of both BERT and GPT: a layer needs only the layer below, which is already computed for all
# tokens. Only *writing* goes token by token (*autoregressive*).
#
# ## 4. What each learned to guess
#
# What a model may see decides what it can be asked. BERT sees every token, so some must be taken out. GPT cannot see
# the next token, so every position can guess it. Here is what a training text becomes:
#
# | | what it reads | what it must say |
# |---|---|---|
# | BERT | the actors `[MASK]` good because the `[MASK]` is good. | are; story |
# | GPT | The actors are good because the story is good | actors are good because the story is good . |
# | T5 | The actors `<extra_id_0>` because the `<extra_id_1>` | `<extra_id_0>` are good `<extra_id_1>` story is good. |
#
# - **BERT** (*masked language modelling*; from Wikipedia and books): 15% of the tokens are selected. Of these, 80%
#   become `[MASK]`; 10% become random tokens and 10% stay, because BERT, fine-tuned for a task, meets no `[MASK]`. BERT
#   also guessed whether two passages follow each other; later models dropped that.
# - **GPT** (*causal language modelling*; from books, GPT-2 from web pages): at each position, the next token.
# - **T5** (*span corruption*; from web pages): *spans* (runs of about three tokens, 15% in all) are taken out. A
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
# GPT's line pairs each token with GPT's guess for the next. mini-t5's answer has the form, but makes no sense.
#
# > “BERT hides 15% of the words and guesses them.”
#
# Here is a review as BERT's training sees it, with the asked tokens below (`##` continues a word). **Predict:** is BERT
# asked only at `[MASK]`?

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
# No: some asked tokens were replaced by others, and *bri* was left. The 15% are *tokens*; [Deeper: the objectives in
# code](deeper/01_objectives.ipynb) counts words.
#
# ## 5. Context
#
# > “It understands words in context.”
#
# Take eight words with two senses, such as *bank*, and four sentences per sense. Lesson 02's encoder, of BERT's kind
# and size, reads them. (Under `embedded` it was trained further: texts on one topic get similar vectors.)

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
# has no senses. **Predict** four shares: word and full stop, at the bottom and in the last layer.

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
# [One narrow test](deeper/01_guessing_and_probing.ipynb): does a verb match its noun if another noun stands between?
# mini-bert mostly follows the wrong noun; bert-base does better (Goldberg, 2019).
#
# ## 6. Which for which job?
#
# **Fill a blank: BERT.** Hide one token in each of a few hundred reviews. How often is BERT's first guess right if it
# sees 20 tokens on each side, or 20 or 40 on one side? (An empty side gets ten `[MASK]`: rare in training, these may
# explain part of the gap.) **Predict** which is best, and by how much.

# %%
filled = measures.blanks_filled(bert, bert_tokenizer, rows["input_ids"])
figures.blanks(filled)
cards.uses_both_sides(profile, sizes, filled)

# %% [markdown]
# Doubling one side did not replace the other. ([Deeper](deeper/01_guessing_and_probing.ipynb) shows GPT and T5.) In
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
# An accident? Now try 40 reviews with the German prefix, and new dates and numbers. Only exact translations count; the
# baselines copy the English, or get another language's prefix.

# %%
outcomes = measures.tasks_of_t5(answer, profile.sentiment_prefix, reviews)
cards.does_several_tasks(profile, sizes, *outcomes)

# %% [markdown]
# mini-t5 met film reviews under one prefix only, so probably the text told it the task.
#
# > “The absolute industry standard for translation and summarization.”
#
# At its release, the largest T5 was best on the one summary data set it tried, but not in translation ([the
# numbers](deeper/01_guessing_and_probing.ipynb)).
#
# **Classify: BERT.** With four times the text, BERT beat the equally large GPT-1. With equal text, it beat its
# left-only twin by 0.5 points (SST-2, perhaps chance) to 9 (MRPC; same notebook). Lesson 02 classifies texts.
#
# Today encoders (ModernBERT) classify, tag and search cheaply; decoders (Llama, Qwen) do most else.

# %% [markdown]
# ## To remember
#
# The quote again, phrase by phrase:
#
# | phrase | what was found |
# |---|---|
# | both ways | BERT; GPT only to the left |
# | at the exact same millisecond | in one pass, yes; GPT, too; only writing goes one by one |
# | Wikipedia; internet articles | BERT had books as well; GPT-1 books only, GPT-2 web pages |
# | 15% of the words | 15% of the tokens are asked; most of these are hidden |
# | words in context | a word's vectors tell its sense; at the top, the full stop's nearly do |
# | robustly | not shown; mini-bert fails one narrow test, bert-base does better |
# | for classification; for generation | strengths, not limits |
# | every task into text to text | several, yes; mini-t5 probably took a review's task from its text |
# | absolute industry standard | at its release best on the one data set of summaries it tried |
#
# - The encoder reads, the decoder writes. BERT is an encoder, GPT a decoder, T5 both.
# - Only attention connects positions.
# - What a model cannot see, it can be asked.
# - To classify, tag, search: an encoder. To write, chat, do tasks by a prompt: a decoder. For one fixed task from text
#   to text: an encoder–decoder.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right.
#
# ## Deeper
#
# [The objectives in code](deeper/01_objectives.ipynb) · [sampling](deeper/01_sampling.ipynb) · [guessing and
# probing](deeper/01_guessing_and_probing.ipynb)
