"""How likely it is that somebody speaks: Silero VAD, version 6, as faster-whisper packages it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from actors.media.speech import UNIT, Likelihood

CONTEXT = 64
"""Samples before each unit that the model sees, too."""
STATE = (1, 1, 128)
MEAN_OF = 2048
"""Samples (128 ms): long beside the lowest voice, short beside a syllable's change."""


def voice_session() -> onnxruntime.InferenceSession:
    """The model, loaded; it has no threads, so that a process with it may fork."""
    options = onnxruntime.SessionOptions()
    # Two threads take as long as one, and spin beside the engine.
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        _model(), sess_options=options, providers=["CPUExecutionProvider"]
    )


class VoiceActivity:
    """Follows one recording, in memory that is the same for any length: the model keeps a state."""

    def __init__(self, session: onnxruntime.InferenceSession | None = None) -> None:
        """``session``: of `voice_session`, where one has been made already."""
        self._session = session or voice_session()
        self._state = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        self._before = np.zeros(CONTEXT, np.float32)
        self._last: NDArray[np.float32] | None = None

    def of(self, samples: NDArray[np.int16]) -> Likelihood:
        """The likelihood of the next units. ``samples``: s16[n * UNIT] at 16 kHz."""
        floats = self._without_offset(samples.astype(np.float32) / np.float32(32768))
        floats = np.concatenate([self._before, floats])
        self._before = floats[-CONTEXT:]
        units = np.lib.stride_tricks.sliding_window_view(floats, CONTEXT + UNIT)[::UNIT]
        h, c = self._state
        found, h, c = self._session.run(
            None, {"input": np.ascontiguousarray(units), "h": h, "c": c}
        )
        self._state = h, c
        likelihood: Likelihood = np.round(found.reshape(-1) * 255).astype(np.uint8)
        return likelihood

    def _without_offset(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """``samples`` less their mean over the last MEAN_OF: the model misses speech beside a
        constant offset, as cheap sound cards make it."""
        if self._last is None:
            self._last = np.full(MEAN_OF, samples[:MEAN_OF].mean(), np.float32)
        longer = np.concatenate([self._last, samples])
        self._last = longer[-MEAN_OF:]
        summed = np.cumsum(longer, dtype=np.float64)
        means = (summed[MEAN_OF:] - summed[:-MEAN_OF]) / MEAN_OF
        return samples - means.astype(np.float32)


def _model() -> Path:
    # Only the file: importing the package would load its engine, too.
    package = find_spec("faster_whisper")
    assert package is not None
    assert package.origin
    return Path(package.origin).parent / "assets" / "silero_vad_v6.onnx"
