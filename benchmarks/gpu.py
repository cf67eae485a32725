"""How fast a GPU fine-tunes a model of bert-base's size, and what part of its matrix rate that is.

The weights are random, which does not change the speed; so no hub is needed. Prints and writes as JSON: tokens a second
at 256 and 512 tokens, the share of the card's measured matrix rate in the precision that the course uses there, peak
memory, and the time that lesson 02 would take on IMDB's 25,000 reviews. Run it with: python -m benchmarks.gpu
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.rates import flops, timed
from utils import machine
from utils.console import run_program
from utils.environment import begin
from utils.files import set_aside, write_atomically

RESULT = Path(__file__).parent / "results" / "gpu.json"
REVIEWS, MEAN_TOKENS = 25_000, {256: 229, 512: 282}  # of IMDB's reviews, cut to so many tokens, in WordPiece


def main() -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="of the model (%(default)s, as bert-base)")
    parser.add_argument("--steps", type=int, default=20, help="timed training steps (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="reviews of a step (%(default)s)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512], help="tokens (%(default)s)")
    parser.add_argument("--out", type=Path, default=RESULT, help="file of the result (%(default)s)")
    options = parser.parse_args()
    profile = begin("embedded", uses=[])
    device, dtype = torch.device(profile.device), getattr(torch, profile.precision)
    rate = machine.matrix_rate(profile.device, profile.precision)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}: {rate / 1e12:.2f} TFLOP/s in {profile.precision}, measured")
    result = {"device": name, "precision": profile.precision, "matrix_flops": rate, "torch": torch.__version__}
    rows = []
    if options.out.exists():
        print(f"{options.out} was there before; it is now {set_aside(options.out).name}.")
    for length in options.lengths:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        model = BertForSequenceClassification(BertConfig(
            num_hidden_layers=options.layers, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )).to(device)  # fmt: skip
        seconds = step_seconds(model, options.batch, length, options.steps, dtype)
        tokens = options.batch * length / seconds
        rows.append({
            "tokens": length, "batch": options.batch, "layers": options.layers,
            "step_seconds": seconds, "tokens_per_second": tokens,
            "share_of_matrix_rate": flops(model, [length] * options.batch) / seconds / rate,
            "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
            "minutes_for_imdb": REVIEWS * MEAN_TOKENS.get(length, length) / tokens / 60,
        })  # fmt: skip
        print(", ".join(f"{key} {value:.4g}" for key, value in rows[-1].items() if value is not None))
        write_atomically(options.out, json.dumps(result | {"rows": rows}, indent=1) + "\n", "Give --out another file.")
    return 0


def step_seconds(model, batch: int, length: int, steps: int, dtype: torch.dtype) -> float:
    """Mean seconds of a training step, forward, backward and AdamW, after three that are not timed."""
    device = model.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(enabled=dtype == torch.float16)
    ids = torch.randint(1000, 30000, (batch, length), device=device)
    labels, seen = torch.randint(0, 2, (batch,), device=device), torch.ones_like(ids)

    def step():
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = model(input_ids=ids, attention_mask=seen, labels=labels).loss
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    return timed(lambda: [step() for _ in range(steps)], device) / steps


if __name__ == "__main__":
    run_program(main)
