from pathlib import Path

import numpy as np
import pytest

from tests.scripted import DEMO
from tools.ggml_whisper import BLOCK, encode, read_frame, tokenise


def test_a_frame_comes_back_as_written(scripted: Path) -> None:
    demo, made = read_frame(DEMO), read_frame(scripted)
    assert made.words == demo.words
    assert (made.filters == demo.filters).all()
    assert (demo.dimensions.n_vocab, made.dimensions.n_audio_state) == (51865, 64)


def test_words_are_spelled_with_the_longest_tokens() -> None:
    words = read_frame(DEMO).words
    assert b"".join(words[t] for t in tokenise(" hello Grüße", words)).decode() == " hello Grüße"
    assert len(tokenise(" hello", words)) == 1


@pytest.mark.parametrize(("kind", "size", "error"), [("q8_0", 34, 1 / 127), ("q5_0", 22, 1 / 15)])
def test_a_quantised_block_is_as_near_as_its_bits_allow(kind: str, size: int, error: float) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (4, BLOCK)).astype(np.float32)
    data = encode(values, kind)
    assert len(data) == 4 * size
    blocks = np.frombuffer(data, np.uint8).reshape(4, size)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if kind == "q8_0":
        codes = blocks[:, 2:].view(np.int8).astype(np.float32)
    else:
        fifth = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little")
        low, high = blocks[:, 6:] & 15, blocks[:, 6:] >> 4
        codes = (np.concatenate([low, high], axis=1) + 16.0 * fifth) - 16
    assert np.abs(codes * scale - values).max() <= error


def test_another_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="not a ggml file"):
        read_frame(tmp_path / "x")
