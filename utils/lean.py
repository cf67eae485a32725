"""Fine-tuning a BERT without work that nothing needs: the same logits and gradients but for rounding."""

from __future__ import annotations

import torch
from torch.nn.functional import dropout as drop
from transformers import AttentionInterface, AttentionMaskInterface, BertForSequenceClassification
from transformers.masking_utils import eager_mask
from transformers.models.bert.modeling_bert import BertCrossAttention, BertLayer

ATTENTION = "lean"  # name of `attention` for `attn_implementation`


def make_lean(model: BertForSequenceClassification) -> None:
    """Leave out work, in place: all but [CLS] in the last layer, and 32-bit copies of the attention scores.

    Attention stays as it is where it is not computed step by step ("eager"), as on a GPU. Neither choice is saved with
    the weights: a reloaded model computes everything until this is called again. `last_hidden_state` has one position.

    Args:
        model: a BERT with the classification head, which reads the pooler, which reads [CLS].
    """
    model.base_model.encoder.layer[-1].__class__ = LayerAtCls
    if model.config._attn_implementation == "eager":
        model.set_attn_implementation(ATTENTION)


class LayerAtCls(BertLayer):
    """A layer that computes the vector at [CLS] only: that position asks (query), all answer (key and value)."""

    def forward(self, hidden_states, attention_mask=None, *_, **__):
        """(batch, length, width) -> (batch, 1, width)."""
        cls = hidden_states[:, :1]
        seen = None if attention_mask is None else attention_mask[:, :, :1]
        attended, _ = BertCrossAttention.forward(self.attention.self, cls, hidden_states, seen)
        return self.feed_forward_chunk(self.attention.output(attended, cls))


def attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **_):
    """Attention step by step, the scores in the number format of the query throughout.

    Under autocast, the library's own version computes each softmax in 32 bits, from scores in 16 bits and for a product
    in 16 bits, so it copies a tensor of (length, length) twice for each head. It also scales the scores, not the query.

    Args:
        module: the attention layer.
        query, key, value: shape (batch, heads, length, width of a head).
        attention_mask: added to the scores; broadcasts to (batch, heads, queries, keys), or None.
        scaling: factor of the scores.
        dropout: share of the attention weights that is set to 0.

    Returns:
        Shapes (batch, queries, heads, width of a head) and (batch, heads, queries, keys).
    """
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores + attention_mask.clamp(min=torch.finfo(scores.dtype).min).to(scores.dtype)
    with torch.autocast("cpu", enabled=False):
        weights = drop(scores.softmax(dim=-1), dropout, module.training)
        mixed = weights @ value
    return mixed.transpose(1, 2).contiguous(), weights


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)
