# ---
# jupyter:
#   course:
#     name: 01_guessing_and_probing
#     title: "Deeper 01: Guessing and probing"
#     goals:
#       - let three families guess the same hidden words, fairly
#       - read labels off frozen vectors with a probe and its controls
#       - tell the padding mask from the causal mask
#       - ask a model which noun a verb belongs to
#       - ask whether a vector tells a word's sense, with a control
#       - see where T5's decoder looks, and what its prefix decides
#     minutes_cpu: about a minute
#     needs: lesson 01
# ---

# %% [markdown]
# Comparisons of the families that need some care to be fair.

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
gpt_tokenizer.pad_token = gpt_tokenizer.eos_token  # GPT-2 has no token to fill up a batch with


# %%
from datasets import load_dataset

from utils.splits import film_split, with_validation

imdb = load_dataset(profile.imdb)
if "validation" not in imdb:
    imdb = with_validation(imdb)
validation, rng = imdb["validation"], np.random.default_rng(0)
parts = film_split(validation["text"], np.array(validation["label"]), {"first": 0.55, "last": 0.45})
many, some = (400, 60) if profile.quick else (1000, 400)
to_learn_from = validation.select(rng.permutation(parts["first"])[:many])
reviews = validation.select(rng.permutation(parts["last"])[:some])
texts = [text.replace("<br />", " ") for text in reviews["text"]]

# %% [markdown]
# ## 1. The padding mask
#
# Texts of a batch have different lengths, and the shorter are filled up with a padding token. The *attention mask* is 1
# for a real token and 0 for padding; a column with 0 gets no weight, by the same low score. What happens to a short
# text in a batch, with this mask and without?

# %%
# NBVAL_CHECK_OUTPUT
short = "A good film."
sentence = "The actors are good because the story is good."
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
# does when a batch is to be continued; on the right, its causal mask hides the padding already. (On the left, the
# positions must be counted from the first real token, too; `generate` does that.) Neither mask has anything to do with
# the token `[MASK]`.

# %% [markdown]
# ## 2. The same hidden words, three families
#
# Does BERT use both sides? Hide one token in each of many unseen reviews. How often is the first guess right if BERT
# sees 20 tokens on each side, or 20 or 40 on one side only? **Predict:** which is best, and by how much?

# %%
from notebooks.source.lesson_01 import cards, figures, measures

sizes = cards.sizes(profile, bert, gpt, t5)
long_reviews = imdb["test"].shuffle(seed=0).select(range(400))["text"]
rows = bert_tokenizer([text.replace("<br />", " ") for text in long_reviews], truncation=True, max_length=128)
filled = measures.blanks_filled(bert, bert_tokenizer, rows["input_ids"])
figures.blanks(filled)
cards.uses_both_sides(profile, sizes, filled)

# %% [markdown]
# Twice as much of one side did not make up for the other. (The empty side held ten `[MASK]`, which may confuse BERT:
# part of the gain may be that.)
#
# Now the same for three families. Take a word out of each of many reviews and let the families guess it: from 20 words
# on each side, or from 20 on the left only; BERT also from 20 on the right and, because 40 words may be better than 20
# wherever they stand, from 40 on the left. To be fair to three vocabularies, a guess must be a word that is a single
# token in each. Such words are collected from the training reviews, the frequent ones first.

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
for text in validation.select(parts["last"][: 60 if profile.quick else None])["text"]:
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
from utils.intervals import share

mask_token, sentinels = bert_tokenizer.mask_token, t5_tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])


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
from utils import plots

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
# With the left side only, the blank is the next word, and that is GPT's own task. Blank by blank, both answered the
# same ones.

# %%
films = "the models may have read about the films" if profile.name == "full" else "films the models have not seen"
cards.guesses_the_next_word(profile, sizes, hits["GPT, left side"], hits["BERT, left side"], films)

# %% [markdown]
# T5 fills gaps too. But a sentinel does not say how many tokens are missing, and this T5 was trained further on other
# tasks; how much each costs is not measured here.
#
# ## 3. Can GPT classify?
#
# “BERT for classification, GPT for generation.” Test the first half with a *linear probe*: freeze the model, as when
# you froze a CNN and trained only its last layer. Take the mean of its last vectors over a review, and train a logistic
# regression on it. If that works, the vectors hold the answer already, in a form that a weighted sum can read.
#
# All four rows below get the same (of each review the first 25 and the last 75 words): 200 reviews of other films to
# learn from, five times, no review twice; the strength of regularisation chosen by cross-validation. The fourth row is
# a *bag of words*: how often each word occurs in the cut review, rare words weighted up, without their order. One
# caution: T5 saw sentiment labels in its training (mini-t5 those of the training films, t5-small those of other film
# reviews). BERT and GPT were given none as a task.


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
MAX_INPUT = 239  # tokens that mini-t5 was trained to read at once


def both_ends(text, first=25, last=75):
    words = text.split()
    return text if len(words) <= first + last else " ".join(words[:first] + words[-last:])


cut_texts = [both_ends(text) for text in texts]
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
from utils.intervals import over_seeds

probe_rates = {name: over_seeds(100 * draws, "%") for name, draws in probe_hits.items()}
for name, draws in probe_hits.items():
    print(f"{name:<13} {probe_rates[name]}; the five draws: {', '.join(f'{100 * draw.mean():.1f}' for draw in draws)}")

# %% [markdown]
# The interval is for other reviews and other draws of training reviews. It takes reviews as independent, though those
# of one film are not quite.

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

# %% [markdown]
# So GPT's vectors classify too. Look at the bag of words as well: the frozen mean of vectors is a weak use of both.
# Their pretraining never trained this mean to sum a text up; fine-tuning does, and lesson 02 is about it.

# %% [markdown]
# ## 4. Which noun does a verb belong to?
#
# *The actors in this movie `[MASK]` great.* Does mini-bert find *are* likelier than *is*, though a noun of the other
# number stands beside it? And without such a noun? mini-gpt is asked for the next token after *movie*. (Half of the
# subjects are plural. A pair whose two verbs are not one token each is left out.)

# %%
from utils.minimal_pairs import pairs, right_is_likelier

agreement = {}
for name, model, tokenizer in (("BERT", bert, bert_tokenizer), ("GPT", gpt, gpt_tokenizer)):
    for kind in ("side by side", "another noun between"):
        found = right_is_likelier(model, tokenizer, pairs(more=True)[f"subject and verb, {kind}"])
        agreement[f"{name}, {kind}"] = found
figures.agreement(agreement)
cards.knows_the_subject(profile, sizes, agreement)

# %% [markdown]
# mini-bert mostly sides with the *nearer* noun, mini-gpt does not; why, this test cannot say. bert-base does better
# (Goldberg, 2019). And agreement is one narrow part of what “robust” could mean.
#
# ## 5. T5: where its decoder looks, and what its prefix decides
#
# **Predict:** while T5 writes the German date, where does its cross-attention look in the English one?

# %%
question = encode(t5_tokenizer, "translate English to German: Tuesday, March 12, 2024")
with torch.inference_mode():
    written = t5.generate(**question, max_new_tokens=32, do_sample=False)
    output = t5(**question, decoder_input_ids=written[:, :-1], output_attentions=True)
across = output.cross_attentions[-1][0].mean(dim=0)  # the last layer's, mean of its heads
tokens = [t5_tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in (written[0, 1:], question["input_ids"][0])]
figures.cross_attention(across.cpu().numpy(), *tokens)

# %% [markdown]
# Rows name the token being written. Under `embedded`, digits look mostly at their own place or the one before, `▁Dien`
# at the colon and at *Tuesday*, `▁Mä` at the comma, then at *March*. Attention shows where a network looks, not why.
#
# > “One T5 does several tasks, told apart by a prefix.”
#
# Give it new dates and numbers to translate into three languages, 100 reviews to judge, and 40 reviews with the German
# prefix. Only exact translations count; the baselines copy the English, or get another language's prefix (some numbers
# look alike in two languages). **Predict** what it does with the 40.


# %%
def answer(questions):
    batch = t5_tokenizer(questions, padding=True, truncation=True, max_length=239, return_tensors="pt")
    written = t5.generate(**batch.to(profile.device), max_new_tokens=32, do_sample=False)
    return t5_tokenizer.batch_decode(written, skip_special_tokens=True)


outcomes = measures.tasks_of_t5(answer, profile.t5_prefixes[0], imdb["test"].shuffle(seed=0).select(range(400)))
cards.does_several_tasks(profile, sizes, *outcomes)

# %% [markdown]
# mini-t5 met film reviews under *sentiment*, *title* and *topic*, never under *translate*: so there it mostly judges.
# (Its wrong translations are singulars, such as *1 minute*.) Under prefixes that it met before such texts, nearly all
# its answers are of the prefix's kind ([its card](../../models/mini-t5/README.md) counts them).
#
# ## 6. Does a word's vector tell its sense?
#
# Lesson 01 shows that *bank*'s vectors fall apart by sense. But sentences of one sense share a subject, too. Take eight
# words with eight sentences each, four for each sense: how often does the nearest of the other seven vectors share the
# sense? Chance gives 3 of 7. As a *control*, do the same with the vectors of the full stops, which have no sense.
# **Predict** both curves, layer by layer.

# %%
from transformers import AutoModel

encoder_tokenizer = AutoTokenizer.from_pretrained(profile.encoder)
encoder = AutoModel.from_pretrained(profile.encoder, dtype=torch.float32).to(profile.device).eval()

same_sense = measures.nearest_of_same_sense(encoder, encoder_tokenizer)
figures.senses_by_layer(same_sense)
cards.understands_context(profile, encoder, same_sense)

# %% [markdown]
# The full stop is above chance: it may carry the subject, or the sense that it read off the word; and this encoder was
# trained on means of all its vectors. Averaged over the layers, the word tells more; the card says whether that can be
# chance in the last layer.
#
# ## 7. Published: who led at which job?
#
# The largest T5 beside the best before it (BLEU and ROUGE, from 0 to 100, count what a text shares with a human one);
# BERT beside GPT-1. Two cautions: T5's unlabelled text was English only, while the systems that translated better also
# learned from unlabelled text of the other language; and BERT had about four times GPT-1's text.

# %%
# NBVAL_CHECK_OUTPUT
cards.led_when_it_came_out(profile)

# %%
# NBVAL_CHECK_OUTPUT
cards.classifies_better(profile)

# %% [markdown]
# ## To remember
#
# - The padding mask hides what fills up a batch; the causal mask hides what comes next.
# - To compare families, let them guess the same words, in a form that each knows as one token.
# - A probe needs a baseline (counting words) and several draws of what it learned from.
