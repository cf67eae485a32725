# ---
# jupyter:
#   course:
#     name: 01_sampling
#     title: "Deeper 01: How GPT draws its words"
#     goals:
#       - write temperature and top-p in four lines, and hold them against the library
#       - count how much a text repeats itself, greedy and sampled
#     minutes_cpu: under a minute
#     needs: lesson 01
# ---

# %% [markdown]
# Lesson 01 let GPT write. Here is how a token is chosen from the logits, written out.

# %%
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(auto_class, name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = auto_class.from_pretrained(name, dtype=torch.float32, attn_implementation="eager")
    return tokenizer, model.to(profile.device).eval()


def encode(tokenizer, text):
    return tokenizer(text, return_tensors="pt").to(profile.device)


gpt_tokenizer, gpt = load(AutoModelForCausalLM, profile.gpt)
gpt_tokenizer.pad_token = gpt_tokenizer.eos_token  # GPT-2 has no token to fill up a batch with


# %% [markdown]
# ## 1. Temperature and top-p
#
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
from utils import plots

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
# ## 2. Does it repeat itself?
#
# Is the greedy text the better one? Holtzman et al. (2019) found that always taking the likeliest token makes a model
# repeat itself. Repetition is only one sign of a bad text, and noise has none of it, but it can be counted: from the
# first six words of forty reviews, which share of the four-word runs of a continuation stood in it before? All are cut
# to forty words (a text that ends before has fewer runs), and the reviewers' own words are counted too.


# %%
from datasets import load_dataset


def repeated(text, words=40, run=4):
    words = text.lower().split()[:words]
    runs = [tuple(words[start : start + run]) for start in range(len(words) - run + 1)]
    return 100 * (1 - len(set(runs)) / len(runs)) if runs else 0.0


imdb = load_dataset(profile.imdb)
texts = [text.replace("<br />", " ") for text in imdb["test"].shuffle(seed=0).select(range(40))["text"]]
beginnings = [" ".join(text.split()[:6]) for text in texts]
set_seed(0)
repeats = {
    name: np.array([repeated(text) for text in write_on(beginnings, tokens=70, **how)])
    for name, how in {"greedy": greedy, "sampled": sampling}.items()
}
repeats["reviewers"] = np.array([repeated(" ".join(text.split()[6:])) for text in texts])

# %%
from notebooks.source.lesson_01 import cards
from utils import claims

cards.greedy_repeats(profile, claims.with_size(profile.gpt, gpt), repeats)

# %% [markdown]
# ## To remember
#
# - The temperature bends the probabilities, top-p cuts the unlikely tokens off; what is left is scaled to add up to 1.
# - Always the likeliest token is no good writer: it walks into circles.
# - Repetition is one sign of a bad text, not the only one: noise has none of it.
