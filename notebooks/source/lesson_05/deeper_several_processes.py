# ---
# jupyter:
#   course:
#     name: 05_several_processes
#     title: "Deeper 05: Several processes"
#     goals:
#       - say which lines of a loop change for several processes, and see the losses stay as they were
#       - say what Accelerate does to the batch, the steps and the schedule, with split_batches and without
#       - configure the same script for several GPUs or machines
#     minutes_cpu: about a minute
#     needs: lesson 05
# ---

# %% [markdown]
# *Data parallelism* gives each process, on its own GPU or machine, a copy of the network and sentences of its own; then
# all average their gradients. *Accelerate*, the library below the `Trainer`, does this for a loop like lesson 05's.
# Does it change the training?
#
# ## 1. Which lines change
#
# `scripts/several_processes.py` trains mini-bert with such a loop. **Predict** which of its lines differ from a loop
# for one process.

# %%
# NBVAL_CHECK_OUTPUT
script = course / "scripts/several_processes.py"
for line in script.read_text(encoding="utf-8").splitlines():
    if "# different" in line:
        print(line.strip())

# %% [markdown]
# `split_batches=True` splits a batch of 16 among the processes. **Predict:** one process, then two: do the losses
# agree?

# %%
from notebooks.source.lesson_05 import cards, runs

losses = {name: runs.losses_of_script(profile, count) for name, count in (("one process", 1), ("two, split", 2))}
for step in (0, -1):
    print("   ".join(f"{name} {values[step]:.7f}" for name, values in losses.items()))
cards.same_losses(profile, *losses.values())

# %% [markdown]
# They agree but for rounding. Accelerate's default is another one.
#
# ## 2. Who gets which sentences
#
# Accelerate wraps the loader. In one process you can ask it what each of two would get. Twelve sentences, batches of
# four. **Predict** the batches of the two processes, with `split_batches` and without.

# %%
# NBVAL_CHECK_OUTPUT
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, SequentialSampler

for split in (True, False):
    print(f"split_batches={split}")
    for process in range(2):
        batches = BatchSampler(sampler=SequentialSampler(range(12)), batch_size=4, drop_last=False)
        shard = BatchSamplerShard(batches, num_processes=2, process_index=process, split_batches=split)
        print(f"   process {process}: {list(shard)}")

# %% [markdown]
# With `True` the two share each batch: three steps of four sentences. With `False`, the default, each takes whole
# batches in turn: a step sees eight sentences, and there are fewer steps. (Where the batches run out, sentences from
# the start are taken again, so that no process waits for the other.)
#
# ## 3. The schedule
#
# A prepared scheduler knows about that. By default it advances once for each process, so that a schedule which was
# counted in single-process steps ends with the epoch. **Predict:** with 12 steps to its end, how many does it take
# after one step of the optimizer, with two processes?

# %%
# NBVAL_CHECK_OUTPUT
from types import SimpleNamespace
from unittest import mock

import torch
from accelerate import scheduler as accelerated
from torch.optim.lr_scheduler import LambdaLR

for split in (True, False):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    inner = LambdaLR(optimizer, lr_lambda=lambda step: 1 - step / 12)
    state = SimpleNamespace(num_processes=2)
    with mock.patch.object(accelerated, "AcceleratorState", lambda state=state: state):
        prepared = accelerated.AcceleratedScheduler(inner, optimizers=[], split_batches=split)
        optimizer.step()
        prepared.step()
    print(f"split_batches={split}: after one step the schedule is at {inner.last_epoch} of 12")

# %% [markdown]
# (`mock.patch` pretends that there are two processes.)
#
# ## 4. Measured
#
# The script once more, on two processes as by default (`--whole-batches`), and on one with batches of 32. **Predict:**
# how many steps has each, and which losses agree?

# %%
losses["two, whole batches"] = runs.losses_of_script(profile, 2, "--whole-batches")
losses["one, batches of 32"] = runs.losses_of_script(profile, 1, "--batch", "32")
for name, values in losses.items():
    print(f"{name:<19} {len(values)} steps, first loss {values[0]:.5f}, last {values[-1]:.5f}")

# %%
from utils import plots

fig, ax = plots.figure(2.6)
for (name, values), style, color in zip(
    losses.items(), ("-", "--", "-", ":"), (plots.BLACK, plots.ORANGE, plots.BLUE, plots.GREEN), strict=True
):
    seen = [320 * 2 * (step + 1) / len(values) for step in range(len(values))]
    ax.plot(seen, values, style, color=color, label=name)
ax.set(xlabel="sentences seen, over all processes", ylabel="loss of the step (nats)")
ax.legend(fontsize=8)
title = "Two processes that split the batch draw the line of one"
fig.suptitle(title)
plots.show(fig, f"{title}; two that take whole batches have half as many steps, each over 32 sentences.")

# %%
alike = max(abs(a - b) for a, b in zip(losses["one process"], losses["two, split"], strict=True))
whole = max(abs(a - b) for a, b in zip(losses["one, batches of 32"], losses["two, whole batches"], strict=True))
print(f"split, against one process: no loss differs by more than {alike:.1e}")
print(f"whole batches, against one process with batches of 32: up to {whole:.1e}")

# %% [markdown]
# So the default is a training with batches twice as large, to the last rounding: the schedule, which advances by two
# in each step, fits as well. The learning rate belongs to the larger batch: choose it anew.
#
# ## 5. The configuration
#
# The file for two processes on this machine:

# %%
# NBVAL_CHECK_OUTPUT
print((course / "scripts/two_processes.yaml").read_text(encoding="utf-8"))

# %% [markdown]
# And what it says for two machines with eight GPUs each:
#
# ```yaml
# compute_environment: LOCAL_MACHINE
# distributed_type: MULTI_GPU
# num_machines: 2
# num_processes: 16          # over all machines
# machine_rank: 0            # 1 on the second machine
# main_process_ip: 10.0.0.1  # of the first machine, as the second sees it
# main_process_port: 29500
# mixed_precision: bf16
# ```
#
# With 16 processes and `split_batches=True`, a batch of 16 gives each a single sentence: make it larger, and choose the
# rate anew. Gradual unfreezing needs more, because the processes agree at the start on which gradients they exchange:
# let all weights be trainable then, and ask for `find_unused_parameters`.

# %% [markdown]
# ## To remember
#
# - `split_batches=True` keeps the batch; the default multiplies it by the number of processes.
# - By default a prepared schedule advances once for each process, so that it ends with the training.
# - The average of the processes' gradients is the gradient of all only where their parts are equal.
