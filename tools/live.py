"""What the live page computes with: tokenizers and weights of `models`, written as scripts that a browser loads.

As scripts, because a page from disk may load them and may not fetch files; in float16, as in `models`, because int8
changes what the models say; in UTF-16, where each number is one character, because base64 would take a third more.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tools.notebooks.files import ROOT

MODELS = {name: ROOT / "models" / name for name in ("mini-bert", "mini-gpt", "mini-t5")}
SUPPORTED = {
    "model_type": ("bert", "gpt2", "t5"), "is_gated_act": (False,), "add_cross_attention": (False,),
    "hidden_act": ("gelu",), "activation_function": ("gelu_new", "gelu_pytorch_tanh"), "dense_act_fn": ("relu",),
}  # fmt: skip
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # GPT-2 stores them as (in, out), all others (out, in)
UNCASED = {
    "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True
}  # fmt: skip
NO_CHARACTERS = re.compile('["\\\\\n\r\ud800-\udfff]')  # which a script's string must spell out
SURROGATES = range(0xD800, 0xE000)


def pack(folder: Path) -> None:
    """Write tokenizers.data.js, all three, and NAME.data.js for each model into a folder.

    Raises:
        ValueError: a model that the page's engine cannot run.
    """
    tokenizers = {name: json.loads((path / "tokenizer.json").read_text("utf-8")) for name, path in MODELS.items()}
    if tokenizers["mini-bert"]["normalizer"] != UNCASED:
        raise ValueError("models/mini-bert: the live page knows the normalizer of BERT's uncased models only.")
    for name, path in MODELS.items():
        script = model_script(name)
        (folder / f"{name}.data.js").write_bytes(script)
        limit = settings(path / "tokenizer_config.json")["model_max_length"]
        tokenizers[name]["course"] = {"limit": limit, "megabytes": round(len(script) / 1e6)}
    script = f"live.receiveTokenizers({as_json(tokenizers)}, {as_json(character_classes())});\n"
    (folder / "tokenizers.data.js").write_text(script, encoding="utf-8")


def model_script(name: str) -> bytes:
    """A script that hands a model's sizes, the shapes of its tensors and their numbers to the page.

    Its first two bytes say UTF-16, and browsers believe them more than what a server says.
    """
    import numpy as np
    from safetensors.numpy import load_file

    config = settings(MODELS[name] / "config.json")
    for field, values in SUPPORTED.items():
        if config.get(field, values[0]) not in values:
            raise ValueError(f"models/{name}: the live page knows {field} {values}, not {config[field]!r}.")
    tensors = {
        name: np.ascontiguousarray(tensor.T if name.endswith(TRANSPOSED) else tensor, dtype="<f2")
        for name, tensor in load_file(MODELS[name] / "model.safetensors").items()
    }
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    numbers = b"".join(tensor.tobytes() for tensor in tensors.values()).decode("utf-16-le", "surrogatepass")
    numbers = NO_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", numbers)
    script = f'\ufefflive.receiveModel("{name}", {as_json(config)}, {as_json(shapes)}, "{numbers}");\n'
    return script.encode("utf-16-le")


def character_classes() -> dict[str, str]:
    """Which characters the library's tokenizers remove, take apart or set apart, or count as letters and numbers.

    Read off the library, because its Unicode is another than the browser's. Each as the inside of a RegExp's brackets.
    """
    from tokenizers import Regex
    from tokenizers.normalizers import BertNormalizer, Replace
    from tokenizers.pre_tokenizers import BertPreTokenizer

    letters = [chr(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES]
    bert = BertNormalizer(strip_accents=True, lowercase=False)
    normal = dict(zip(letters, bert.normalize_str("".join(f"xy{c}" for c in letters)).split("xy")[1:], strict=True))
    cut = BertPreTokenizer().pre_tokenize_str

    def of_kind(kind: str) -> set[str]:
        return set(letters) - set(Replace(Regex(rf"\p{{{kind}}}"), "").normalize_str("".join(letters)))

    return {
        "removed": ranges(c for c in letters if not normal[c]),
        "composed": ranges(c for c in letters if normal[c].strip() not in ("", c)),
        "chinese": ranges(c for c in letters if normal[c].startswith(" ") and normal[c] != " "),
        "punctuation": ranges(c for c in letters if unicodedata.category(c)[0] in "PSM" and len(cut(f"a{c}a")) == 3),
        "letter": ranges(of_kind("L")),
        "number": ranges(of_kind("N")),
    }


def ranges(letters: Iterable[str]) -> str:
    r"""Characters as ranges of a RegExp, for example r"\u{41}-\u{5a}"."""
    found: list[list[int]] = []
    for code in sorted(map(ord, letters)):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(rf"\u{{{first:x}}}-\u{{{last:x}}}" for first, last in found)


def facts() -> dict[str, str]:
    """The numbers that the live page's text gives, by the names that it has for them."""
    numbers = {name: settings(path / "numbers.json") for name, path in MODELS.items()}
    sizes = {name: settings(path / "config.json") for name, path in MODELS.items()}
    weights = [found["parameters"] / 1e6 for found in numbers.values()]
    pieces = [found["vocab_size"] for found in sizes.values()]
    masked = numbers["mini-bert"]["masked tokens"]["reviews"]
    return {
        "weights": f"{min(weights):.1f} to {max(weights):.1f}",
        "pieces": f"{min(pieces):,}" if len(set(pieces)) == 1 else f"{min(pieces):,} to {max(pieces):,}",
        "first_guess": f"{masked['mini-bert, one masked']['top 1']:.0%}",
        "counted": f"{masked['5-gram, both sides']['top 1']:.0%}",
    }


def settings(path: Path) -> dict:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def as_json(content: object) -> str:
    """Without spaces, and in ASCII: a script's characters then do not depend on how a server labels it."""
    return json.dumps(content, separators=(",", ":"))
