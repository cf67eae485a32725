"""Shared pieces of the tests: the committed lessons' own code, and a tiny encoder."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
# Read when a Hugging Face library is first imported; no test needs the hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"


@pytest.fixture
def from_lesson():
    """Take functions out of a committed notebook: `from_lesson("02", "head_and_tail", tokenizer=…)`."""

    def take(lesson: str, *names: str, **scope):
        import nbformat

        (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
        code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        for name in names:
            (definition,) = (
                node
                for source in code
                for node in ast.parse(source).body
                if isinstance(node, ast.FunctionDef) and node.name == name
            )
            exec(compile(ast.Module([definition], []), f"{path.name}:{name}", "exec"), scope)
        return [scope[name] for name in names]

    return take


@pytest.fixture
def tiny_model():
    """A BERT classifier of one layer, width 16, 50 token ids; the same weights each time."""
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=32, **sizes))
