# ---
# jupyter:
#   course:
#     name: 05_resuming_by_hand
#     title: "Deeper 05: Resuming by hand"
#     goals:
#       - say what a training must save so that it can go on as if nothing had happened
#       - find out what each part of that state is worth, by leaving it out
#     minutes_cpu: under 1
#     needs: lesson 05
# ---

# %% [markdown]
# The `Trainer` resumes a training that was interrupted. Lesson 05's loop does not, yet. What has to be saved?
#
# ## 1. A small training
#
# So that nothing takes time: a linear layer on frozen vectors would do, but then there is little state. Take a small
# BERT with random weights, a few random sentences, dropout and a schedule.

# %%
import torch
from torch.utils.data import DataLoader, RandomSampler
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup, set_seed

ids = torch.randint(5, 50, (48, 10), generator=torch.Generator().manual_seed(0))
rows = [{"input_ids": row, "labels": int(row[0] > 27)} for row in ids]


class Training:
    def __init__(self):
        set_seed(0)
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        self.model = BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=16, **sizes))
        self.model.train()
        self.optimizer = torch.optim.AdamW(params=self.model.parameters(), lr=3e-3)
        self.scheduler = get_linear_schedule_with_warmup(self.optimizer, num_warmup_steps=3, num_training_steps=24)
        self.generator = torch.Generator()
        sampler = RandomSampler(rows, generator=self.generator)
        self.loader = DataLoader(dataset=rows, batch_size=8, sampler=sampler)


# %% [markdown]
# Its loop, which can begin at any epoch:


# %%
def run(training, first, last):
    losses = []
    for epoch in range(first, last):
        training.generator.manual_seed(epoch)
        for batch in training.loader:
            loss = training.model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(training.model.parameters(), max_norm=1.0)
            training.optimizer.step()
            training.scheduler.step()
            training.optimizer.zero_grad()
            losses.append(loss.item())
    return losses


whole = run(Training(), 0, 4)
print(f"{len(whole)} steps, loss {whole[0]:.3f} at the first, {whole[-1]:.3f} at the last")

# %% [markdown]
# ## 2. Save, and go on
#
# Four things change from step to step: the weights, the optimizer's running means, the schedule's counter, and the
# random numbers that dropout takes. (The order of the sentences is drawn from the number of the epoch, so it needs no
# saving between epochs. Inside an epoch, skip the batches that were seen:
# `itertools.islice(training.loader, seen, None)`.) **Predict:** stopped after two epochs, saved, made anew, loaded: are
# the later losses equal to the last digit?


# %%
from utils.resume import run_folder

checkpoint = run_folder("05-by-hand") / "training.pt"


def save(training):
    state = {name: getattr(training, name).state_dict() for name in ("model", "optimizer", "scheduler")}
    torch.save(state | {"random": torch.get_rng_state()}, checkpoint)


def load(training, leave_out=""):
    state = torch.load(checkpoint, weights_only=True)
    for name in ("model", "optimizer", "scheduler"):
        if name != leave_out:
            getattr(training, name).load_state_dict(state[name])
    if leave_out != "random":
        torch.set_rng_state(state["random"])


# %%
# NBVAL_CHECK_OUTPUT
first = Training()
before = run(first, 0, 2)
save(first)
second = Training()
load(second)
print("equal to the training that ran through:", before + run(second, 2, 4) == whole)

# %% [markdown]
# (Write to another name and rename, as lesson 02's `Trainer` does with whole folders: a checkpoint that was cut off in
# the middle must never be read.)
#
# ## 3. What is each part worth?
#
# Leave out one part at a time. **Predict:** which omission shows at the first step, and which is the worst?

# %%
for part in ("model", "optimizer", "scheduler", "random"):
    third = Training()
    load(third, leave_out=part)
    after = run(third, 2, 4)
    apart = [abs(a - b) for a, b in zip(after, whole[12:], strict=True)]
    print(f"without {part:<10} the first loss differs by {apart[0]:.5f}, the largest difference is {max(apart):.5f}")

# %% [markdown]
# Without the weights you begin again. Without the optimizer's means the first loss is right and the steps after it are
# not: AdamW begins with no idea of the gradients' usual size. Without the schedule's counter, warm-up comes a second
# time. Without the random state dropout drops others. None of these is an error, so only a comparison finds them.
#
# A scheduler made of a function, as `LambdaLR`, saves its counter and not the function: make it with the same number of
# steps.

# %% [markdown]
# ## To remember
#
# - A checkpoint holds weights, optimizer, schedule and random state; and the place in the data.
# - What is missing raises no error: compare a resumed training with one that ran through.
# - Draw the order of an epoch from its number, and there is nothing to save about it.
