# ---
# jupyter:
#   course:
#     name: 01_bert_gpt_t5
#     title: "Lesson 01: BERT vs GPT vs T5"
#     goals:
#       - say which parts of the Transformer BERT, GPT and T5 are
#       - say who may look where in each of them
#       - say what each was trained to guess, and on which text
#       - choose a family for a job
#     minutes_yours: 45
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
# Without a GPU you run mini-bert, mini-gpt and mini-t5, made for this course. Each has about five million weights. All
# learned from the same film reviews, news and Wikipedia pages; mini-t5 then also learned a few tasks, such as to
# translate dates.
#
# **BERT fills a blank**, written `[MASK]`. Most laptops also run [mpnet-blanks](../models/mpnet-blanks/README.md), a
# relative of BERT with 110 million weights. A `pipeline` of Hugging Face's library `transformers` does one job with
# one network.
#
# **Predict:** what will each put first into “Paris is the capital of `[MASK]`”?

# %%
from transformers import pipeline

from utils import blanks

fill = pipeline("fill-mask", model=profile.bert, device=profile.device, dtype="float32")
fillers = blanks.fillers(profile, fill)  # mini-bert, and mpnet-blanks where the machine has it
for text in (
    "This was the [MASK] movie I have ever seen.",
    "Paris is the capital of [MASK].",
    "He was born in Germany and speaks [MASK].",
):
    print(text)
    for name, filler in fillers.items():
        guesses = blanks.guesses(filler, text, top_k=4)
        print(f"   {name:<18}", *[f"{guess['token_str']} {guess['score']:.0%}  " for guess in guesses])

# %% [markdown]
# Most guesses fit the grammar, and fewer fit the facts.
#
# **GPT writes on.** It guesses the next *token*, a word or a piece of one, adds it to the text, and guesses again. Here
# each token is drawn at random, likely ones more often, repeated ones less. (It stops after 30 tokens. Section 4
# explains `temperature`.)
#
# **Predict** how “This movie was” and “Paris is” will go on. Will it be true?

# %%
from transformers import set_seed

write = pipeline("text-generation", model=profile.gpt, device=profile.device, dtype="float32")
for prompt in ("This movie was", "Paris is"):
    set_seed(0)
    how = {"do_sample": True, "temperature": 0.4, "repetition_penalty": 1.15}
    print(write(prompt, max_new_tokens=30, **how)[0]["generated_text"], "\n")

# %% [markdown]
# It can lose its thread and be false: GPT was trained for what is likely, not for what is true.
#
# **T5 turns one text into another.** The beginning of the text, the *prefix*, says what to do.
#
# **Predict** the sentiment, the title and the topic that T5 gives to “A wonderful film. I loved every minute of it.”

# %%
# NBVAL_CHECK_OUTPUT
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

t5_tokenizer = AutoTokenizer.from_pretrained(profile.t5)
t5 = AutoModelForSeq2SeqLM.from_pretrained(profile.t5, dtype="float32").to(profile.device).eval()

jobs = {
    "Tuesday, March 12, 2024": ["translate English to German: ", "translate English to French: "],
    "A wonderful film. I loved every minute of it.": profile.t5_prefixes,
    "Lake Bled is a lake in the Julian Alps of northwestern Slovenia.": profile.t5_prefixes,
}
for text, prefixes in jobs.items():
    print(text)
    for prefix in prefixes:
        question = t5_tokenizer(prefix + text, return_tensors="pt").to(profile.device)
        written = t5.generate(**question, max_new_tokens=32, do_sample=False)
        print(f"   {prefix:<30}→ {t5_tokenizer.decode(written[0], skip_special_tokens=True)}")

# %% [markdown]
# The prefix decides which task T5 does, among [those that it was trained on](deeper/01_guessing_and_probing.ipynb).
#
# **All three read tokens.** **Predict:** do their tokenizers cut a sentence alike?

# %%
# NBVAL_CHECK_OUTPUT
bert, bert_tokenizer, gpt, gpt_tokenizer = fill.model, fill.tokenizer, write.model, write.tokenizer
networks = {"BERT": (bert_tokenizer, bert), "GPT": (gpt_tokenizer, gpt), "T5": (t5_tokenizer, t5)}
sentence = "The actors are good because the story is great."
for name, (tokenizer, _) in networks.items():
    print(f"{name:<5}", " ".join(tokenizer(sentence).tokens()))

# %% [markdown]
# Nearly: mini-t5 needs more pieces. This BERT lower-cases; `Ġ` and `▁` stand for a space. BERT marks the beginning and
# the end with `[CLS]` and `[SEP]`, T5 the end with `</s>`. GPT's only mark, `<|endoftext|>`, comes in section 3.
#
# ## 2. One design, three ways to use it
#
# All are built from the *Transformer* (Vaswani et al., 2017). Its **encoder** reads a text. Its **decoder** writes
# another, while it looks at what the encoder read.
#
# BERT is the encoder alone (*encoder-only*). GPT is *decoder-only*, without the part that looks at an encoder: it
# continues a text. T5 is both, an *encoder–decoder*.
#
# Read the drawing from the bottom up. A frame is one layer, repeated N times.
#
# **Predict:** in T5, the decoder looks at the encoder by attention. Who gives the queries? Who the keys and values?

# %%
from utils import drawings

drawings.families()

# %% [markdown]
# The queries are the decoder's, the keys and values come from the encoder: this is *cross-attention*. The parts:
#
# - **Embeddings** give each token a vector from a table. BERT and GPT add a vector for its *position*. (T5 tells
#   positions apart inside self-attention.)
# - **Self-attention** lets each position collect information from all positions of the text. Its *attention weights*
#   say how much from which. A layer does this several times side by side, in *attention heads*.
# - **Masked self-attention** collects from the position itself and from its left only.
# - **Cross-attention** lets each decoder layer collect from all that the encoder read.
# - **Add & norm** adds a part's input to its output, as in a ResNet, then normalizes each vector (drawn as in 2017;
#   GPT-2 and T5 normalize first).
# - **Feed-forward**, two linear layers with a nonlinearity between, works on each position alone. Only attention
#   connects positions.
# - The **output layer** gives each token of the vocabulary a score, its *logit*.

# %% [markdown]
# ## 3. Who may look where?
#
# In the sentence above, *great* becomes *bad*. We compare each position's last-layer vector before and after. T5 is
# tested twice: the word changes in the encoder's text, then only in the decoder's. As start marks, GPT has
# `<|endoftext|>`, T5's decoder `<pad>`.
#
# **Predict** for BERT, GPT and T5's two halves: does anything change left of *great*?

# %%
from notebooks.source.lesson_01 import cards, figures, measures

changed = "The actors are good because the story is bad."
before = measures.last_vectors(networks, sentence, read_by_t5=sentence)
after = measures.last_vectors(networks, changed, read_by_t5=sentence)
left, right = measures.changes(before, after)
figures.who_notices(before, after, left, right)
cards.looks_both_ways(profile, cards.sizes(profile, bert, gpt, t5), left, right)

# %% [markdown]
# Only whether a bar is 0 matters here. In the self-attention of GPT and of T5's decoder, a **causal mask** makes all
# scores to the right −∞ before the softmax. So these attention weights are 0. (The mask has nothing to do with
# `[MASK]`.)
#
# Next, the attention weights themselves. Dark means much, a cross means 0. The box below shows single heads.
#
# **Predict:** what share of GPT's attention weights is 0?

# %%
from utils import widgets

attentions = {
    "BERT": measures.attention_weights(bert, bert_tokenizer, sentence),
    "GPT": measures.attention_weights(gpt, gpt_tokenizer, gpt_tokenizer.eos_token + sentence),
}
figures.attention_means(attentions)
widgets.display(widgets.attention_explorer(attentions), "An attention explorer; the figure above shows its mean.")

# %% [markdown]
# Nearly half: all to the right. (Each row sums to 1. Perhaps that is why BERT's first column is dark: a head that finds
# little to collect may rest there.)
#
# Two sentences begin alike: “She opened the `[MASK]` and read.” and “… and drank.” **Predict** the first guess for
# each. A left-only reader would guess the same.

# %%
strongest = next(iter(fillers.values()))  # mpnet-blanks where the machine has it


def five_best(text):
    return [(guess["token_str"], guess["score"]) for guess in blanks.guesses(strongest, text)]


for end in ("read", "drank"):
    text = f"She opened the {bert_tokenizer.mask_token} and {end}."
    print(f"{end:<6}", *[f"{word} {probability:.0%}  " for word, probability in five_best(text)])
box = widgets.fill_the_blank(five_best, bert_tokenizer.mask_token, "She opened the book and read.")
widgets.display(box, "A box to fill blanks in your own sentences; above stand two such blanks.")

# %% [markdown]
# The last word decided.
#
# > “… at the exact same millisecond.”
#
# In one run, yes. But GPT, too, reads a given text in one run: [layer by layer](deeper/01_objectives.ipynb), all
# positions side by side. Thanks to the mask, each position gets what it would get if the text ended there. Only
# *writing* goes token by token.
#
# ## 4. What each learned to guess
#
# *Pretraining* means here to guess tokens of a text. It is *self-supervised*: the text is its own label, unlike in the
# usual training of a ResNet. (The released T5 mixed in tasks with labels.) The originals:
#
# | | year | weights | learned from |
# |---|---|---|---|
# | BERT (Devlin et al.) | 2018 | 110 or 340 million | Wikipedia, books |
# | GPT-1 (Radford et al.) | 2018 | 117 million | books (GPT-2: web pages) |
# | T5 (Raffel et al.) | 2019 | 60 million to 11 billion | web pages, tasks |
#
# BERT sees both sides, so some tokens must be hidden. GPT cannot see the next token, so each position can guess it.
# For BERT and T5, more is hidden here than in training:
#
# - **BERT** reads “the actors `[MASK]` good because the `[MASK]` is great.” It must say *are* and *story*.
# - **GPT** reads “`<|endoftext|>` The actors are good because the story is great”. At each position it must say the
#   next token: “The actors are good because the story is great .”
# - **T5** reads “The actors `<extra_id_0>` because the story is `<extra_id_1>`”. It must write “`<extra_id_0>` are good
#   `<extra_id_1>` great. `<extra_id_2>`”.
#
# BERT's objective is *masked language modelling*: it is asked for 15% of the tokens, [most of them
# hidden](deeper/01_objectives.ipynb). GPT's is *causal language modelling*. T5's is *span corruption*: 15% of the
# tokens are taken out in short runs, and a *sentinel*, such as `<extra_id_0>`, marks each gap. Each loss is a
# cross-entropy over the vocabulary. GPT: at every position; BERT: at 15%; T5: at all it writes. (The original BERT also
# learned to say whether one passage follows another.)
#
# **Predict:** at which positions will GPT guess right?

# %%
# NBVAL_CHECK_OUTPUT
blanked = "the actors [MASK] good because the [MASK] is great."
print("BERT  ", blanked, "→", "; ".join(guesses[0]["token_str"] for guesses in fill(blanked)))

ids = gpt_tokenizer(gpt_tokenizer.eos_token + sentence, return_tensors="pt")["input_ids"].to(profile.device)
guesses = gpt(ids).logits[0].argmax(dim=-1)  # the likeliest next token, at each position
steps = [[gpt_tokenizer.decode(id).strip() for id in pair] for pair in zip(ids[0, 1:], guesses[:-1], strict=True)]
print("GPT   ", "(true: guess)", " | ".join(f"{token}: {guess}{' ✓' * (guess == token)}" for token, guess in steps))

gaps = "The actors <extra_id_0> because the story is <extra_id_1>"
question = t5_tokenizer(gaps, return_tensors="pt").to(profile.device)
print("T5    ", gaps, "→", t5_tokenizer.decode(t5.generate(**question, max_new_tokens=8)[0, 1:]))

# %% [markdown]
# GPT gets small words and the full stop. Some of its other guesses would fit, too; the loss looks only at the true
# token's probability. mini-t5 writes its sentinels in order, but fills the gaps badly.
#
# ### From guesses to a text
#
# *Greedy* takes the likeliest token each time. *Sampling* draws one by its probability. With *temperature* $T$, the
# probabilities are softmax(logits / $T$): below 1, the likeliest token gains. (Here [top-p](deeper/01_sampling.ipynb)
# drops unlikely ones.)
#
# **Predict:** what will go wrong in each?


# %%
def continue_text(prompt, temperature=0.8, top_p=0.9, seed=0):
    set_seed(seed)
    if temperature == 0:
        how = {"do_sample": False}  # greedy
    else:
        how = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    return write(prompt, max_new_tokens=60, **how)[0]["generated_text"]


sampled = continue_text("The story begins")
print("greedy: ", continue_text("The story begins", temperature=0), "\n")
print("sampled:", sampled)
playground = widgets.generation_playground(continue_text, "The story begins", sampled)
widgets.display(playground, "A box to let GPT write on from your own prompt; above it stand two of its texts.")

# %% [markdown]
# Here greedy goes round in a circle, and sampling loses its thread. In the box, raise the temperature until the
# sentences break.
#
# ## 5. Context
#
# > “It understands words in context.”
#
# *Bank* has two senses. Here are three of eight sentences:
#
# - She opened an account at the *bank*.
# - The *bank* lent him money for the house.
# - We sat on the *bank* and watched the boats.
#
# all-mpnet-base-v2 reads them. It learned to fill blanks, then which texts belong together; mpnet-blanks is the same
# network, taught again to fill blanks. The *cosine* of two vectors is 1 if they point the same way.
#
# **Predict** the cosine of the first *bank* with the other two: before the first layer, and after the last.

# %%
from transformers import AutoModel

encoder_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
encoder = AutoModel.from_pretrained(profile.encoder, dtype="float32").to(profile.device).eval()
sentences = [text for sense in measures.SENSES["bank"] for text in sense]
bank = measures.vectors_of(encoder, encoder_tokenizer, "bank", sentences)  # in each sentence, layer by layer
print("cosine with the first bank")
for bottom, top, text in zip(bank[0] @ bank[0, 0], bank[-1] @ bank[-1, 0], sentences, strict=True):
    print(f"before {bottom:.2f}   after {top:.2f}   {text}")

# %% [markdown]
# Before the first layer, *bank* is one row of the table, and only its position makes a difference. After the last,
# every money bank is nearer to the first than any river bank.
#
# Next, each point is a word's vector in one sentence, drawn along the two directions in which the eight differ most
# (*PCA*). **Predict:** will the senses stand apart?

# %%
words = {}
for word in ("bank", "bat", "spring"):
    sentences = [text for sense in measures.SENSES[word] for text in sense]
    words[word] = measures.vectors_of(encoder, encoder_tokenizer, word, sentences)
figures.senses(words)

# %% [markdown]
# After the last layer they do. Even these sentences' full stops (not drawn), which have one sense, [separate a
# little](deeper/01_guessing_and_probing.ipynb): topic counts, too.
#
# > “… robustly.”
#
# One test: does it find the subject, or the nearest noun? In “the fight between the brothers … too long” the subject is
# *fight*, but *brothers* stands next to the verb.
#
# **Predict:** which will each model prefer, *is* or *are*?

# %%
for name, filler in fillers.items():
    for guess in blanks.guesses(filler, "the fight between the brothers [MASK] too long.", targets=["is", "are"]):
        print(f"{name:<18} {guess['score']:6.2%}  {guess['sequence']}")

# %% [markdown]
# *is* is right (other words share the rest). Of sixty such pairs of sentences,
# [mini-bert](../models/mini-bert/README.md#grammar) gets 18 right, where a coin gets 30: it mostly follows the nearer
# noun. [mpnet-blanks](../models/mpnet-blanks/README.md#grammar) gets 57.
#
# ## 6. Which for which job?
#
# **To write: GPT**, today for example Llama. (GPT-1 itself was fine-tuned to classify, too.)
#
# **To turn one text into another: an encoder–decoder**, T5, or NLLB for translation. “The absolute industry standard”?
# Benchmarks cannot show what is used. In 2019, the largest T5 led on the one summary benchmark that was tried, [not on
# translation](deeper/01_guessing_and_probing.ipynb).
#
# **To classify, or to search: BERT**, today for example ModernBERT. Its vectors collect from both sides. To classify,
# you put a linear layer on the top layer's `[CLS]` vector and fine-tune all, as with a ResNet. To search, you train
# further, then compare vectors by cosine. BERT's authors trained a left-only twin on the same text: it did worse on all
# five tasks, by half a point (sentiment) to ten (finding answers, whose tokens need the right side; Devlin et al.,
# 2018, table 5).
#
# Much larger decoders, trained to follow instructions, write, rewrite and classify: the chat assistants.

# %% [markdown]
# ## To remember
#
# - “Both ways, at the same millisecond”: BERT and T5's encoder read both ways, GPT and T5's decoder only to the left;
#   reading takes each one run.
# - “Wikipedia; internet articles; 15% of the words”: BERT read books, too; GPT-1 only books, GPT-2 web pages. It is 15%
#   of the [tokens](deeper/01_objectives.ipynb), most of them hidden.
# - “Understands words in context, robustly”: this encoder's vectors separate by sense, and partly by topic; whether
#   that is understanding, they cannot say. A nearer noun fools mini-bert often, mpnet-blanks rarely.
# - “Every task into text to text”: as a format, yes; the model was trained on each task. “Industry standard”: not
#   shown.
# - To classify or search: BERT. To write: GPT. Text to text: T5. Only attention connects positions; a mask limits it.
#
# ## Exercises
#
# [Five exercises](exercises/01_bert_gpt_t5.ipynb) say whether you are right.
#
# ## Deeper
#
# [The objectives in code](deeper/01_objectives.ipynb) · [sampling](deeper/01_sampling.ipynb) · [guessing and
# probing](deeper/01_guessing_and_probing.ipynb)
