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
#     minutes_yours: 75
#     minutes_cpu: about a minute
#     needs: softmax, ResNet and the mathematics of attention
# ---

# %% [markdown]
# > “BERT reads a sentence both ways at the exact same millisecond. It learned from Wikipedia, hides 15% of the words
# > and guesses them: it understands words in context, robustly, for classification. GPT learned from internet articles,
# > reads from left to right and guesses the next word: for generation. T5 turns every task into text to text: the
# > absolute industry standard for translation and summarization.”
#
# Which phrases hold?
#
# ## 1. See it work
#
# Without a GPU (profile `embedded`), you run mini-bert, mini-gpt and mini-t5, made for this course, each with about
# five million weights (learned numbers). All learned from the same texts on films, news, and first paragraphs of
# Wikipedia. mini-t5 then learned tasks: to translate dates and numbers, to name a text's sentiment, title and topic.
#
# **BERT fills a blank**, written `[MASK]`. Two models try: [mpnet-blanks](../models/mpnet-blanks/README.md), a relative
# of BERT as large as the original (lesson 02's encoder, trained further for this), and mini-bert. **Predict** their
# first guesses.

# %%
from transformers import pipeline

from utils import blanks

plain = {"attn_implementation": "eager"}  # the way to compute attention that lets section 3 look at it
fill = pipeline("fill-mask", model=profile.bert, device=profile.device, dtype="float32", model_kwargs=dict(plain))
fillers = blanks.fillers(profile, fill)
for text in (
    "This was the [MASK] movie I have ever seen.",
    "Paris is the capital of [MASK].",
    "He was born in Germany and speaks [MASK].",
):
    print(text)
    for name, filler in fillers.items():
        guesses = [f"{guess['token_str']} {guess['score']:.0%}" for guess in blanks.guesses(filler, text, top_k=4)]
        print(f"   {name:<18} {', '.join(guesses)}")

# %% [markdown]
# Most guesses fit the grammar; fewer fit the facts, and some repeat a word of the sentence.
#
# **GPT writes on.** It draws each next token (word or piece), likely ones more often. **Predict** how “This movie was”
# and “Paris is” go on: will it make sense, and will it be true?

# %%
from transformers import set_seed

write = pipeline("text-generation", model=profile.gpt, device=profile.device, dtype="float32", model_kwargs=dict(plain))
for prompt in ("This movie was", "Paris is"):
    set_seed(0)
    how = {"do_sample": True, "temperature": 0.7, "top_k": 50}  # of the 50 likeliest; temperature: section 6
    print(write(prompt, max_new_tokens=30, **how)[0]["generated_text"], "\n")

# %% [markdown]
# It writes what it holds for likely, true or not.
#
# **T5 turns one text into another.** The beginning of the text, the *prefix*, says what to do. **Predict:** one date,
# two prefixes: what changes?

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
t5 = AutoModelForSeq2SeqLM.from_pretrained(profile.t5, dtype="float32", **plain).to(profile.device).eval()


def answer(questions):
    # mini-t5 was trained on at most 239 tokens
    batch = t5_tokenizer(questions, padding=True, truncation=True, max_length=239, return_tensors="pt")
    written = t5.generate(**batch.to(profile.device), max_new_tokens=32, do_sample=False)
    return t5_tokenizer.batch_decode(written, skip_special_tokens=True)


questions = [f"translate English to {language}: Tuesday, March 12, 2024" for language in ("German", "French")]
print("\n".join(answer(questions)))

# %% [markdown]
# ## 2. One building, three ways to use it
#
# All are built from the *Transformer* (Vaswani et al., 2017). Its **encoder** reads a text; its **decoder** writes
# another, looking at what was read. BERT is the encoder alone (*encoder-only*), GPT the decoder alone (*decoder-only*),
# T5 is both (*encoder-decoder*). GPT has one text: it reads the prompt and continues it. **Predict:** what must T5's
# decoder have that GPT lacks?

# %%
from utils import drawings

drawings.families()

# %% [markdown]
# From the bottom up:
#
# - A *tokenizer* cuts the text into *tokens*: words, or pieces of words (lesson 03).
# - **Embeddings.** A table holds a vector for each token. To it, a vector for the *position* is added.
# - **Attention.** Each position makes a *query*, a *key* and a *value*. Its query is compared with every key: that
#   gives scores. Softmax turns the scores into *attention weights*, and the position takes the weighted mean of the
#   values. A layer does this several times side by side, in *attention heads*. (T5 has no position vectors; it adds to
#   each score of self-attention a learned number for the distance.)
# - **Add & norm.** The input of attention or feed-forward is added to its output, as in a ResNet. Then each vector is
#   normalized by itself, by its mean and standard deviation (T5: by its root mean square).
# - **Feed-forward.** Two linear layers with a nonlinearity between them, for each position alone. Only attention
#   connects positions.
# - **Output layer** (a *head*, but no attention head). On top of the N layers, it gives at each position a number for
#   each token of the vocabulary, its *logit*; softmax makes probabilities of these.
#
# Attention comes in three kinds:
#
# - **self-attention**, in the encoder: each position looks at all positions of the text (*bidirectional*);
# - **masked self-attention**, in the decoder: each position looks at itself and to its left;
# - **cross-attention**, in the decoder: each decoder layer makes queries from its own vectors, keys and values from the
#   encoder's output. So it sees what was read. GPT has no cross-attention.
#
# (Blue: no mask; yellow: masked. A frame is one layer, repeated N times. Drawn as in 2017; GPT-2 and T5 normalize
# before each part.)
#
#
# The originals, and where they went:
#
# | | year | weights | learned from | today |
# |---|---|---|---|---|
# | BERT (Devlin et al.) | 2018 | 110 or 340 million | Wikipedia, books | ModernBERT: classify, tag, search |
# | GPT-1 (Radford et al.) | 2018 | 117 million | books (GPT-2: web pages) | Llama, Qwen: chat, code, write |
# | T5 (Raffel et al.) | 2019 | 60 million to 11 billion | web pages | its encoder reads prompts of image generators |

# %% [markdown]
# ## 3. Who may look where?
#
# Change the last word of a sentence. A position that may look at it gets another vector in the last layer; one that may
# not, keeps it. **Predict** for BERT: which positions *before* the changed word notice?
#
# (BERT's tokenizer lowercases the text and puts it between `[CLS]` and `[SEP]`.)

# %%
import torch

bert, bert_tokenizer, gpt, gpt_tokenizer = fill.model, fill.tokenizer, write.model, write.tokenizer
sentence, changed = "The actors are good because the story is great.", "The actors are good because the story is bad."


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


with torch.inference_mode():
    old, new = (bert.base_model(**encode(bert_tokenizer, text)).last_hidden_state[0] for text in (sentence, changed))
change = 100 * (new - old).norm(dim=1) / old.norm(dim=1)  # of each position's vector, in % of its norm
tokens = bert_tokenizer.tokenize(sentence, add_special_tokens=True)
print("  ".join(f"{token} {percent:.0f}%" for token, percent in zip(tokens, change.tolist(), strict=True)))

# %% [markdown]
# All of them. **Predict** for GPT, T5's encoder and T5's decoder. We give the decoder the sentence behind a start token
# `<pad>`, as training gives it the right answer (*teacher forcing*). While we test the decoder, the encoder keeps the
# old sentence; otherwise cross-attention would carry the change over.
#
# (GPT's text begins with `<|endoftext|>`, T5's ends with `</s>`. `Ġ` and `▁` mark a space.)

# %%
from notebooks.source.lesson_01 import cards, figures, measures

networks = {"BERT": (bert_tokenizer, bert), "GPT": (gpt_tokenizer, gpt), "T5": (t5_tokenizer, t5)}
before, after = (measures.last_vectors(networks, text, read_by_t5=sentence) for text in (sentence, changed))
left, right = measures.changes(before, after)
figures.who_notices(before, after, left, right)
sizes = cards.sizes(profile, bert, gpt, t5)
cards.looks_both_ways(profile, sizes, left, right)

# %% [markdown]
# Left of the change, BERT and T5's encoder notice everywhere; GPT and T5's decoder notice nothing.  This is the work of
# the **causal mask**: before the softmax it gives each place to the right a score so low that its attention weight
# becomes 0. (It has nothing to do with the token `[MASK]`.)
#
# Next, the attention weights, as means over layers and heads: the token of a row looks at that of a column. Dark: more
# weight; a cross: 0. **Predict:** what share of GPT's attention weights is 0?

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
# Nearly half of them: all to the right.
#
# One head at a time: find one whose tokens look at their left neighbour.

# %%
from utils import widgets

widgets.display(widgets.attention_explorer(attentions), "An attention explorer; the figure above shows its mean.")

# %% [markdown]
# > “… at the exact same millisecond.”
#
# Must GPT *read* word by word? Run it once over the whole sentence, then over its first token, its first two, three, …
# **Predict:** does a position get the same logits in its short run as in the long one?

# %%
ids = encode(gpt_tokenizer, gpt_tokenizer.eos_token + sentence)["input_ids"]
with torch.inference_mode():
    one_run = gpt(ids).logits[0]
    word_by_word = torch.stack([gpt(ids[:, : end + 1]).logits[0, -1] for end in range(ids.shape[1])])
apart = (100 * (one_run - word_by_word).abs().max() / one_run.abs().max()).item()
cards.reads_at_once(profile, sizes, apart)

# %% [markdown]
# It does: because of the mask, no later token can change them. GPT reads all tokens in one run, as BERT does. Only
# *writing* goes token by token (*autoregressive*).
#
# ## 4. What each learned to guess
#
# First comes *pretraining*: guessing, which needs no labels. (*Fine-tuning*, lesson 02, then trains all weights on
# labels, often under a new head.) BERT sees every token, so some must be taken out. GPT does not see the next token, so
# it can be asked for it at every position. Here is what a training text becomes (more taken out than usual):
#
# | | what it reads | what it must say |
# |---|---|---|
# | BERT | the actors `[MASK]` good because the `[MASK]` is great. | are; story |
# | GPT | The actors are good because the story is great | actors are good because the story is great . |
# |T5 | The actors `<extra_id_0>` because the story is `<extra_id_1>` |`<extra_id_0>` are good `<extra_id_1>` great. … |
#
# - **BERT** (*masked language modelling*) must say the original token at 15% of the positions. Of these (in the
#   original) 80% become `[MASK]`, 10% random tokens, so any token may be wrong, and 10% stay. The 15% are tokens, not
#   *words* ([deeper](deeper/01_objectives.ipynb)). The original BERT also learned to say whether one passage follows
#   another.
# - **GPT** (*causal language modelling*: from the left only) must say the next token at each position.
# - **T5** (*span corruption*) must write what was taken out: *spans* of about three tokens, 15% in all. A *sentinel*
#   (`<extra_id_0>` …) marks each gap. The answer repeats each, followed by what was taken out, and ends with one more.
#
# The loss is the cross-entropy on the tokens of the right column only. **Predict** what our three models say.

# %%
print("BERT  the actors [MASK] good because the [MASK] is great.")
for number, guesses in enumerate(fill("the actors [MASK] good because the [MASK] is great."), 1):
    print(f"       blank {number}:", ", ".join(guess["token_str"] for guess in guesses))
tokens, guesses = ([gpt_tokenizer.decode(token).strip() for token in row] for row in (ids[0], one_run.argmax(dim=-1)))
print("GPT   ", " | ".join(f"{token} → {guess}" for token, guess in zip(tokens, guesses, strict=True)))
gaps = "The actors <extra_id_0> because the story is <extra_id_1>"
written = t5_tokenizer.decode(t5.generate(**encode(t5_tokenizer, gaps), max_new_tokens=12)[0])
print("T5    ", gaps, "\n      ", written.partition("<extra_id_2>")[0].removeprefix("<pad>"))

# %% [markdown]
# BERT and GPT guess plausibly. mini-t5 writes its sentinels in order, and fills the gaps badly or not at all.
#
# Blank a word of your own sentence: which *later* word decides the guess?


# %%
def five_best(text):
    return [(guess["token_str"], guess["score"]) for guess in blanks.guesses(next(iter(fillers.values())), text)]


blank = widgets.fill_the_blank(five_best, bert_tokenizer.mask_token, "I wasted my time on this movie.")
widgets.display(blank, "A box to fill blanks in your own sentences; section 1 shows three such blanks.")

# %% [markdown]
# ## 5. Context
#
# > “It understands words in context.”
#
# Here are eight sentences, four for each sense of *bank*. Lesson 02's encoder, all-mpnet-base-v2, reads them.

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoModel

bank_sentences = [text for sense in measures.SENSES["bank"] for text in sense]
print("\n".join(bank_sentences))
encoder_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
encoder = AutoModel.from_pretrained(profile.encoder, dtype=torch.float32).to(profile.device).eval()

# %% [markdown]
# Compare *bank* in the first sentence with *bank* in all eight, by the *cosine* of its vectors: 1 if they point the
# same way. Before any layer, *bank* is the same row of the table everywhere, plus a vector for its position.
# **Predict** the cosines before the first layer, and after the last.


# %%
bank = measures.vectors_of(encoder, encoder_tokenizer, "bank", bank_sentences)  # shape (layers + 1, texts, width)
for bottom, last, text in zip(bank[0] @ bank[0, 0], bank[-1] @ bank[-1, 0], bank_sentences, strict=True):
    print(f"before {bottom:.2f}   after {last:.2f}   {text}")

# %% [markdown]
# After the last layer, its own sense is nearer. Here are three words, each with its eight vectors as points: upper row,
# before any layer; lower row, after the last; on one scale. (*PCA*: the two directions in which they differ most.)

# %%
three = {word: [text for sense in measures.SENSES[word] for text in sense] for word in ("bank", "bat", "spring")}
figures.senses({word: measures.vectors_of(encoder, encoder_tokenizer, word, texts) for word, texts in three.items()})

# %% [markdown]
# The senses separate. But four of the sentences are about money, four about rivers: do even their full stops separate?
# [Deeper](deeper/01_guessing_and_probing.ipynb) measures it.
#
# > “… robustly.”
#
# **Predict:** which will each prefer, *is* or *are*?

# %%
for name, filler in fillers.items():
    for guess in blanks.guesses(filler, "the fight between the brothers [MASK] too long.", targets=["is", "are"]):
        print(f"{name:<18} {guess['score']:6.2%}  {guess['sequence']}")

# %% [markdown]
# *is* is right. The cards of [mini-bert](../models/mini-bert/README.md#grammar) and
# [mpnet-blanks](../models/mpnet-blanks/README.md#grammar) count sixty such pairs.
#
# ## 6. Which for which job?
#
#
# **Write on: GPT.** *Greedy* always takes the likeliest next token. *Sampling* draws one. **Predict:** which of them
# repeats itself?


# %%
def write_on(prompt, **how):
    start = encode(gpt_tokenizer, gpt_tokenizer.eos_token + prompt)
    written = gpt.generate(**start, max_new_tokens=60, pad_token_id=gpt_tokenizer.eos_token_id, **how)
    return prompt + gpt_tokenizer.decode(written[0, start["input_ids"].shape[1] :], skip_special_tokens=True)


greedy, sampling = {"do_sample": False}, {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
set_seed(0)
print("greedy: ", write_on("This movie was", **greedy), "\n")
print("sampled:", write_on("This movie was", **sampling))


# %% [markdown]
# Greedy goes round in a circle; sampling loses its thread. The **temperature** divides the logits (below 1, likely
# tokens get likelier), and **top-p** leaves only the likeliest tokens that together reach probability p. At which
# temperature do the sentences break?


# %%
def play(prompt, temperature, top_p, seed):
    set_seed(seed)
    how = sampling | {"temperature": temperature, "top_p": top_p} if temperature > 0 else greedy
    return write_on(prompt, **how)


playground = widgets.generation_playground(play, "This movie was", play("This movie was", 0.8, 0.9, 0))
widgets.display(playground, "A box to let GPT write on from your own prompt; the cell above shows two of its texts.")

# %% [markdown]
# **One text into another: T5.** The prefix says which task. **Predict** six answers (sentiment, title, topic of two
# texts).

# %%
# NBVAL_CHECK_OUTPUT
film = "A wonderful film. I loved every minute of it."
lake = "Lake Bled is a lake in the Julian Alps of northwestern Slovenia. It is popular with visitors."
for text in (film, lake):
    print(text)
    written = answer([prefix + text for prefix in profile.t5_prefixes])
    for prefix, words in zip(profile.t5_prefixes, written, strict=True):
        print(f"   {prefix:<11}→ {words}")

# %% [markdown]
# The prefix decides: in mini-t5's training each of these stood before texts of all kinds. A pair that it never met,
# *translate* and a review, it gets wrong ([deeper](deeper/01_guessing_and_probing.ipynb)).
#
# “The absolute industry standard”? When it came out, the largest T5 was best at the one set of summaries that its
# authors tried, not at translation.
#
# **Classify: BERT.** Its authors trained a twin that sees only the left, on the same text. The twin did worse, by 0.5
# to 1.8 percentage points on three tasks, by 9 on the smallest (Devlin et al., 2018, table 5).
#
# | the job | take, at equal size | because |
# |---|---|---|
# | classify, tag, search | an encoder | *every* vector has seen the whole text |
# | write, chat, do tasks by a prompt | a decoder | going on with a text is what it learned |
# | turn one text into another, as trained | an encoder–decoder | it reads both ways, then writes |

# %% [markdown]
# ## To remember
#
#
#
# | phrase | what was found |
# |---|---|
# | both ways | BERT and T5's encoder; GPT only to the left |
# | at the exact same millisecond | in one run, layer by layer; GPT too |
# | Wikipedia; internet articles | BERT had books as well; GPT-1 books only, GPT-2 web pages |
# | 15% of the words | 15% of the tokens are asked; most of these are hidden |
# | words in context | all-mpnet: a word's vectors separate by sense, or by subject |
# | robustly | not tested; one sentence shows how a small model can fail |
# | every task into text to text | several tasks, yes; the prefix decides, if trained on such texts |
# | absolute industry standard | nothing here says so; in 2019, best at one set of summaries, not at translation |
#
# - The encoder reads, the decoder writes. BERT is an encoder, GPT a decoder, T5 both.
# - Only attention connects positions; a mask says where it may not look.
# - A model learns to guess what it cannot see.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right.
#
# ## Deeper
#
# [The objectives in code](deeper/01_objectives.ipynb) · [sampling](deeper/01_sampling.ipynb) · [guessing and
# probing](deeper/01_guessing_and_probing.ipynb)
