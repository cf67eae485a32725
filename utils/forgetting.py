"""What has an encoder forgotten? Put it back under the layer it was pretrained with, and ask.

Two measures, for lessons 04 and 05: the loss at hidden tokens, and grammar by minimal pairs, scored as by Salazar et
al. (2020), arXiv 1910.14659: the sum of the losses of all tokens of a sentence, each hidden in turn.
"""

from __future__ import annotations

import numpy as np
import torch

from utils.minimal_pairs import pairs


class Forgetting:
    """Measures an encoder under the masked-language head of the model that it came from.

    Args:
        original: a BERT with its masked-language head, as pretrained; only its head is used.
        tokenizer: of that model.
        texts: on which tokens are hidden, cut at 64 tokens; every seventh is hidden, so that short texts may drop out.
    """

    def __init__(self, original, tokenizer, texts: list[str]) -> None:
        self.head, self.tokenizer = original.cls.eval(), tokenizer
        rows = tokenizer(texts, truncation=True, max_length=64)["input_ids"]
        hidden = [(row, range(1 + len(row) % 7, len(row) - 1, 7)) for row in rows]
        self.hidden = [(row, places) for row, places in hidden if places]
        self.pairs = [tokenizer(text)["input_ids"] for kind in pairs().values() for pair in kind for text in pair]

    @torch.inference_mode()
    def measure(self, body, grammar: bool = True) -> dict[str, list]:
        """Ask the encoder `body`, a `BertModel`, in evaluation mode; without `grammar`, the hidden tokens only.

        Returns:
            "hidden": for each text of `self.hidden` the mean loss at its hidden tokens, in nats; "grammar": for each
            minimal pair 1 if the right sentence is the likelier one, else 0.
        """
        body.eval()
        found = {"hidden": self._mean_losses(body, self.hidden).tolist()}
        return found | {"grammar": self._grammar(body)} if grammar else found

    def _grammar(self, body) -> list[int]:
        one_by_one = [(row, [place]) for row in self.pairs for place in range(1, len(row) - 1)]
        losses = self._mean_losses(body, one_by_one)
        ends = np.cumsum([len(row) - 2 for row in self.pairs])[:-1]
        nats = np.array([of_sentence.sum() for of_sentence in np.split(losses, ends)])
        return (nats[::2] < nats[1::2]).astype(int).tolist()

    def _mean_losses(self, body, rows: list[tuple]) -> np.ndarray:
        """For each pair of token ids and hidden places, the mean loss at these places. Shape (rows,)."""
        losses, device = np.empty(len(rows)), next(body.parameters()).device
        order = sorted(range(len(rows)), key=lambda number: len(rows[number][0]))
        for start in range(0, len(order), 128):
            numbers = order[start : start + 128]
            batch = self.tokenizer.pad({"input_ids": [rows[number][0] for number in numbers]}, return_tensors="pt")
            ids, hidden = batch["input_ids"], torch.zeros_like(batch["input_ids"], dtype=torch.bool)
            for line, number in enumerate(numbers):
                hidden[line, list(rows[number][1])] = True
            seen = torch.where(hidden, self.tokenizer.mask_token_id, ids).to(device)
            states = body(input_ids=seen, attention_mask=batch["attention_mask"].to(device)).last_hidden_state
            guesses = self.head.to(device)(states[hidden.to(device)]).float().cpu()
            found = torch.nn.functional.cross_entropy(guesses, ids[hidden], reduction="none")
            losses[numbers] = [of_row.mean().item() for of_row in found.split(hidden.sum(dim=1).tolist())]
        return losses
