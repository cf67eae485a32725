# ---
# jupyter:
#   course:
#     title: "Exercises for lesson 01: BERT vs GPT vs T5"
# ---

# %% [markdown]
# ## 01.1 Predict: who notices a change?
#
# A row of six tokens has the positions 0 to 5. The token at position 3 is replaced by another. At which positions does
# the last layer's vector change? Write a list of positions for each family, for example `[0, 1]`.

# %%
noticing = {"BERT": [], "GPT": [], "T5 encoder": []}
# Your lines start here.
noticing["BERT"] = [0, 1, 2, 3, 4, 5]
noticing["GPT"] = [3, 4, 5]
noticing["T5 encoder"] = [0, 1, 2, 3, 4, 5]
# Your lines end here.

# %%
check("01.1", noticing)

# %% [markdown]
# Then run it. This is GPT; change the middle of the row as you like.

# %%
import torch
from transformers import AutoModel

gpt = AutoModel.from_pretrained(profile.gpt).eval()
row, changed = torch.tensor([[500, 501, 502, 503, 504, 505], [500, 501, 502, 900, 504, 505]])
with torch.inference_mode():
    before, after = gpt(torch.stack([row, changed])).last_hidden_state
print([f"{distance:.3g}" for distance in (before - after).norm(dim=-1).tolist()])

# %% [markdown]
# ## 01.2 Mend: a loss that asks for the wrong token
#
# Somebody trains a GPT with this loss. It falls to nearly 0 within minutes, and the model writes nonsense. `logits` has
# a row for each position, `ids` the token at each position.

# %%
import torch.nn.functional as F


def loss_with_a_bug(logits, ids):
    return F.cross_entropy(logits, ids)


# %% [markdown]
# Write the loss that GPT should have.


# %%
def next_token_loss(logits, ids):
    """Mean cross-entropy of the next token. Shapes (positions, vocabulary) and (positions,)."""
    # Your lines start here.
    return F.cross_entropy(logits[:-1], ids[1:])
    # Your lines end here.


# %%
check("01.2", next_token_loss)

# %% [markdown]
# ## 01.3 Write: masking
#
# Hide tokens as for BERT, but with a share of your choice: select each ordinary token with the probability `share`. Of
# the selected ones, 80% become `mask_id`, 10% an id drawn from the vocabulary, 10% stay. Labels are the ids where a
# token was selected and -100 elsewhere. `special` is True where a token must not be selected. Return two tensors,
# what the model sees and the labels. (`torch.where` makes a new tensor and leaves `ids` as they are.)


# %%
def mask_tokens(ids, special, mask_id, size, share):
    """`ids` and `special` have the shape (texts, positions); the ids of the vocabulary go from 0 to size - 1."""
    # Your lines start here.
    selected = (torch.rand(ids.shape) < share) & ~special
    labels = torch.where(selected, ids, -100)
    fate = torch.rand(ids.shape)
    seen = torch.where(selected & (fate < 0.8), mask_id, ids)
    seen = torch.where(selected & (fate >= 0.9), torch.randint(size, ids.shape), seen)
    return seen, labels
    # Your lines end here.


# %%
check("01.3", mask_tokens)

# %% [markdown]
# ## 01.4 Write: top-p
#
# `probabilities` is a tensor of one probability for each token of the vocabulary. Keep the smallest set of likeliest
# tokens whose probabilities together reach `p`, set the others to 0, and let what is left add up to 1. The order of the
# vocabulary stays.


# %%
def keep_top_p(probabilities, p):
    """For example 0.1, 0.5, 0.4 and p = 0.6 give 0, 0.56, 0.44."""
    # Your lines start here.
    ordered, order = probabilities.sort(descending=True)
    ordered = torch.where(ordered.cumsum(dim=0) - ordered < p, ordered, 0.0)
    return torch.zeros_like(ordered).scatter(0, order, ordered / ordered.sum())
    # Your lines end here.


# %%
check("01.4", keep_top_p)

# %% [markdown]
# ## 01.5 Write: gaps and sentinels
#
# Make T5's source and target. `tokens` is a list of texts, `spans` says what is taken out: `(2, 4)` takes out the
# tokens 2 and 3. The spans are in order and do not touch. In the source, a sentinel stands in each gap; they are called
# `<extra_id_0>`, `<extra_id_1>` and so on. The target lists each sentinel with the tokens of its gap, and ends with one
# more sentinel. For A B C D E F with C and F taken out:
#
# - source: A B `<extra_id_0>` D E `<extra_id_1>`
# - target: `<extra_id_0>` C `<extra_id_1>` F `<extra_id_2>`


# %%
def corrupt(tokens, spans):
    """Two lists of tokens: what T5 reads, and what it must write."""
    # Your lines start here.
    source, target, place = [], [], 0
    for number, (start, end) in enumerate(spans):
        sentinel = f"<extra_id_{number}>"
        source += [*tokens[place:start], sentinel]
        target += [sentinel, *tokens[start:end]]
        place = end
    return source + tokens[place:], [*target, f"<extra_id_{len(spans)}>"]
    # Your lines end here.


# %%
check("01.5", corrupt)
