"""The models of `tests.scripted` in the form that CTranslate2 loads: a folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from ctranslate2.specs import WhisperSpec

from tests.scripted import END_OF_TEXT, FIRST_LANGUAGE, FIRST_TIMESTAMP, scripted_tensors
from tools.ggml_whisper import Frame
from tools.real_weights import byte_letters

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da".split()
)
SPECIAL = {
    50257: "<|endoftext|>",
    50258: "<|startoftranscript|>",
    50358: "<|translate|>",
    50359: "<|transcribe|>",
    50360: "<|startoflm|>",
    50361: "<|startofprev|>",
    50362: "<|nospeech|>",
    50363: "<|notimestamps|>",
}


def scripted_folder(
    folder: Path, script: str, language: int = 0, state: int = 64, layers: int = 1
) -> Path:
    """Write a model that answers as that of `tests.scripted.scripted_model` does."""
    frame, tensors = scripted_tensors(script, language, state, layers)
    d = frame.dimensions
    spec = WhisperSpec(layers, d.n_audio_head, layers, d.n_text_head)
    spec.encoder.position_encodings.encodings = tensors["encoder.positional_embedding"]
    for name in ("conv1", "conv2"):
        conv = getattr(spec.encoder, name)
        conv.weight = tensors[f"encoder.{name}.weight"]
        conv.bias = tensors[f"encoder.{name}.bias"].reshape(-1)
    _normalise(spec.encoder.layer_norm, tensors, "encoder.ln_post")
    spec.decoder.position_encodings.encodings = tensors["decoder.positional_embedding"]
    spec.decoder.embeddings.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = tensors["decoder.token_embedding.weight"]
    _normalise(spec.decoder.layer_norm, tensors, "decoder.ln")
    for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        for number, layer in enumerate(side.layer):
            _fill(layer, tensors, f"{name}.blocks.{number}")
    words = _vocabulary(frame)
    spec.register_vocabulary(words)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + 99))
    spec.config.alignment_heads = [(layers - 1, 0)]
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True)
    spec.save(str(folder))
    _tokenizer(words).save(str(folder / "tokenizer.json"))
    return folder


def _fill(layer: Any, tensors: Mapping[str, np.ndarray], block: str) -> None:
    def weight(name: str) -> np.ndarray:
        return tensors[f"{block}.{name}.weight"]

    def bias(name: str) -> np.ndarray:
        return tensors[f"{block}.{name}.bias"]

    def joined(attention: str, *parts: str) -> tuple[np.ndarray, np.ndarray]:
        whole = [f"{attention}.{part}" for part in parts]
        biases = [
            np.zeros(len(weight(n)), np.float32) if n.endswith("key") else bias(n) for n in whole
        ]
        return np.concatenate([weight(n) for n in whole]), np.concatenate(biases)

    own, cross = layer.self_attention, getattr(layer, "attention", None)
    _normalise(own.layer_norm, tensors, f"{block}.attn_ln")
    own.linear[0].weight, own.linear[0].bias = joined("attn", "query", "key", "value")
    own.linear[1].weight, own.linear[1].bias = joined("attn", "out")
    if cross is not None:
        _normalise(cross.layer_norm, tensors, f"{block}.cross_attn_ln")
        cross.linear[0].weight, cross.linear[0].bias = joined("cross_attn", "query")
        cross.linear[1].weight, cross.linear[1].bias = joined("cross_attn", "key", "value")
        cross.linear[2].weight, cross.linear[2].bias = joined("cross_attn", "out")
    _normalise(layer.ffn.layer_norm, tensors, f"{block}.mlp_ln")
    layer.ffn.linear_0.weight, layer.ffn.linear_0.bias = weight("mlp.0"), bias("mlp.0")
    layer.ffn.linear_1.weight, layer.ffn.linear_1.bias = weight("mlp.2"), bias("mlp.2")


def _normalise(norm: Any, tensors: Mapping[str, np.ndarray], name: str) -> None:
    norm.gamma, norm.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _vocabulary(frame: Frame) -> list[str]:
    """Each token as GPT-2 writes it: every byte as one printable character."""
    character = byte_letters()
    words = ["".join(character[byte] for byte in word) for word in frame.words[:END_OF_TEXT]]
    named = SPECIAL | {FIRST_LANGUAGE + n: f"<|{code}|>" for n, code in enumerate(LANGUAGES)}
    for number in range(len(words), frame.dimensions.n_vocab):
        seconds = (number - FIRST_TIMESTAMP) * 0.02
        otherwise = f"<|{seconds:.2f}|>" if seconds >= 0 else f"<|unused{number}|>"
        words.append(named.get(number, otherwise))
    return words


def _tokenizer(words: list[str]) -> tokenizers.Tokenizer:
    model = {"type": "BPE", "vocab": {word: n for n, word in enumerate(words)}, "merges": []}
    added = [
        {
            "id": n, "content": word, "special": True, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False,
        }
        for n, word in enumerate(words)
        if END_OF_TEXT <= n < FIRST_TIMESTAMP
    ]  # fmt: skip
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    whole = {
        "version": "1.0",
        "model": model,
        "added_tokens": added,
        "pre_tokenizer": level,
        "decoder": level,
    }
    return tokenizers.Tokenizer.from_str(json.dumps(whole))
