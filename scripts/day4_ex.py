"""Lesson 02's script, whole: fine-tune a pretrained encoder on film reviews. `scripts/finetune.py` has options."""

import sys

sys.path.insert(0, ".")  # start it in the course's folder: python scripts/day4_ex.py
from utils.environment import begin

profile = begin(uses=["encoder", "imdb"])

# The notebook runs the lines from here on.
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

from utils.resume import run_folder

dataset = load_dataset(profile.imdb)
for part, size in {"train": profile.train_size, "test": profile.test_size}.items():
    dataset[part] = dataset[part].shuffle(seed=0).select(range(size))
tokenizer = AutoTokenizer.from_pretrained(profile.encoder, truncation_side="left")


def tokenize(batch):
    return tokenizer(batch["text"], truncation=True, max_length=profile.max_length)


tokenized = dataset.map(tokenize, batched=True)


set_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(
    profile.encoder, id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1}, attention_probs_dropout_prob=0.0
)
args = TrainingArguments(
    output_dir=run_folder("02-fine-tuning"),
    eval_strategy="epoch",
    learning_rate=profile.learning_rate,
    per_device_train_batch_size=profile.batch_size,
    num_train_epochs=1,
    save_strategy="no",
    logging_steps=5,
    disable_tqdm=False,
    **profile.arithmetic,
)


def accuracy(answers):
    return {"accuracy": (answers.predictions.argmax(axis=1) == answers.label_ids).mean()}


trainer = Trainer(
    model=model,
    args=args,
    train_dataset=tokenized["train"],
    eval_dataset=tokenized["test"],
    processing_class=tokenizer,
    compute_metrics=accuracy,
)
trainer.train()
