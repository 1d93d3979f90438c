"""whisper.cpp: models as ggml files, on a CPU or with CUDA or Vulkan."""

import math
import re
import threading
import time
from collections.abc import Iterator, Sequence

import _pywhispercpp as whisper
import numpy as np

from actors.engine import protocol
from actors.engine.backends import EngineBroken, LoadFailed
from actors.engine.backends.audio import samples_of
from actors.engine.backends.language_choice import (
    FINE_S,
    PART_S,
    joined,
    later,
    likely_languages,
    only,
    only_part,
    parts_of,
    whole,
)
from actors.engine.protocol import EngineSegment, Failed, Result, Window
from actors.engine.words import Token, words_of
from storage.records import RATE, Quality, Span

MIN_SAMPLES = RATE * 12 // 10
"""Samples. whisper.cpp finds no text in less than a second of audio, so silence is appended to
shorter windows."""
HEARD_S, TAIL_S = 5, 3
"""Seconds from the start of a part in which its language is looked for, and of silence that the
encoder hears after them."""
POSITIONS_A_SECOND = 50
"""Of what the encoder makes of the audio."""
BEST_OF = 2
"""How many samples are decoded at each fallback temperature. The default, five, takes 1.8 times
as long."""
LEAST_PROBABILITY = 1e-9
"""What takes the place of a probability of 0, which has no logarithm."""
OUT_OF_MEMORY_CODE = -7
"""The code that whisper_full returns. After it, freeing the context would crash, too."""

# Parts of whisper.cpp's messages, in whisper_init_* and whisper_model_load.
LOAD_FAILED = ("failed to load model", "failed to open", "_cache_init() failed", "to allocate")
INVALID_FILE = ("bad magic", "unknown tensor", "wrong size in", "not all tensors", "wrong shape")
GPU_TAKEN = re.compile(r"whisper_backend_init_gpu: using (\S+) backend")
GPU_FAILED = "whisper_backend_init_gpu: failed to initialize"


class WhisperCpp:
    """One whisper.cpp context."""

    batch = 1

    def __init__(self, load: protocol.Load, abort: threading.Event) -> None:
        self._abort, self._threads = abort, load.threads
        self._log_lines: list[str] = []
        whisper.whisper_log_set(lambda _level, text: self._log_lines.append(text.strip()))
        params = whisper.whisper_context_default_params()
        params.use_gpu = load.use_gpu
        self._context = whisper.whisper_init_from_file_with_params(load.path, params)
        # A failed load returns an object around NULL, which crashes when it is first used. Only
        # the log lines show the failure. (If the GPU cannot be used, this is logged as well, but
        # then the model is loaded on the CPU.)
        failures = [line for line in self._log_lines if any(sign in line for sign in LOAD_FAILED)]
        if failures:
            raise LoadFailed(_failure_kind(self._log_lines), failures[0])
        self.device = _device(self._log_lines)
        self.build = whisper.whisper_print_system_info().strip(" |\n")
        self._english_only = not whisper.whisper_is_multilingual(self._context)
        self._end_of_text = whisper.whisper_token_eot(self._context)
        self._languages = [
            whisper.whisper_lang_str(n) for n in range(whisper.whisper_lang_max_id() + 1)
        ]

    def warm_up(self) -> None:
        silence = np.zeros(MIN_SAMPLES, np.float32)
        params = self._params("en")
        code = whisper.whisper_full(self._context, params, silence, MIN_SAMPLES)
        if code == OUT_OF_MEMORY_CODE:
            raise LoadFailed("out_of_memory", "the engine's first inference ran out of memory")
        if code:
            raise LoadFailed(
                _failure_kind(self._log_lines),
                f"the engine's first inference failed with code {code}",
            )
        whisper.whisper_log_set(lambda _level, _text: None)

    def transcribe(self, windows: Sequence[Window]) -> Iterator[Result | Failed]:
        yield from map(self._transcribe, windows)

    def _transcribe(self, window: Window) -> Result | Failed:
        began = time.monotonic()
        segments: list[EngineSegment] = []
        try:
            for part, language in self._parts_by_language(window):
                samples = samples_of(only_part(window, part), least=MIN_SAMPLES)
                params = self._params(language, window)
                code = whisper.whisper_full(self._context, params, samples, len(samples))
                if code or self._abort.is_set():
                    break
                count = whisper.whisper_full_n_segments(self._context)
                segments += (
                    later(self._segment(n, language), part.start / RATE) for n in range(count)
                )
        except MemoryError:
            code = OUT_OF_MEMORY_CODE
        if self._abort.is_set():
            return Failed(window.id, "aborted", "aborted")
        if code == OUT_OF_MEMORY_CODE:
            raise EngineBroken
        if code:
            return Failed(
                window.id, "engine", f"whisper inference failed: whisper_full gave {code}"
            )
        return Result(window.id, tuple(segments), time.monotonic() - began)

    def _parts_by_language(self, window: Window) -> list[tuple[Span, str]]:
        """Where in the window which language is spoken.

        To hear all of it would take as long as to transcribe it. So only its first and its last
        part are looked at, and the others if those two are in different languages.
        """
        # English-only models cannot detect the language: they would report a random one.
        given = "en" if self._english_only else window.language
        if given:
            return [(whole(window), given)]
        parts = parts_of(window, PART_S)
        ends = parts if len(parts) == 1 else [parts[0], parts[-1]]
        heard = [only(self._likely(window, part), window.languages) for part in ends]
        found = set(likely_languages(heard, window.history))
        if len(found) == 1:
            return [(whole(window), found.pop())]
        parts = parts_of(window, FINE_S)
        heard = [self._likely(window, part) for part in parts]
        among = [{language: each[language] for language in found} for each in heard]
        return joined(list(zip(parts, likely_languages(among, window.history), strict=True)))

    def _likely(self, window: Window, part: Span) -> dict[str, float]:
        """How likely each language is in the first seconds of a part.

        whisper_lang_auto_detect encodes 30 s, which takes as long as the window itself. It encodes
        less only if the last whisper_full did: so one is begun, and ended before it encodes.

        Raises:
            MemoryError: the engine ran out of memory.
        """
        heard = samples_of(only_part(window, part), least=MIN_SAMPLES)[: HEARD_S * RATE]
        params = self._params("en")
        params.audio_ctx = (len(heard) + TAIL_S * RATE) * POSITIONS_A_SECOND // RATE
        whisper.assign_encoder_begin_callback(params, lambda *_: False)
        code = whisper.whisper_full(self._context, params, heard, len(heard))
        chances = np.zeros(len(self._languages), np.float32)
        if not code:
            code = whisper.whisper_lang_auto_detect(self._context, 0, self._threads, chances)
        if code == OUT_OF_MEMORY_CODE:
            raise MemoryError
        return dict(zip(self._languages, chances.tolist(), strict=True))

    def _params(self, language: str, window: Window | None = None) -> "whisper.whisper_full_params":
        # New parameters for each call, because a value that was set once would stay set.
        params = whisper.whisper_full_default_params(
            whisper.WHISPER_SAMPLING_BEAM_SEARCH
            if window and window.quality is Quality.BEST
            else whisper.WHISPER_SAMPLING_GREEDY
        )
        params.n_threads = self._threads
        params.greedy = {"best_of": BEST_OF}
        params.language = language
        if window:
            params.translate = window.translate and not self._english_only
            params.initial_prompt = window.prompt or ""
            if window.quality is Quality.FAST:
                params.temperature_inc = 0.0  # no second try
        params.no_context = True
        params.token_timestamps = True
        params.print_progress = params.print_realtime = params.print_timestamps = False
        whisper.assign_abort_callback(params, self._abort.is_set)
        return params

    def _segment(self, n: int, language: str) -> EngineSegment:
        context = self._context
        start = whisper.whisper_full_get_segment_t0(context, n) / 100
        end = max(start, whisper.whisper_full_get_segment_t1(context, n) / 100)
        text = whisper.whisper_full_get_segment_text(context, n).decode(errors="replace").strip()
        tokens = self._tokens(n)
        words = words_of(tokens, language, start, end)
        return EngineSegment(text, start, end, language, words, avg_logprob=_mean_logprob(tokens))

    def _tokens(self, n: int) -> list[Token]:
        context = self._context
        data = [
            whisper.whisper_full_get_token_data(context, n, k)
            for k in range(whisper.whisper_full_n_tokens(context, n))
        ]
        return [
            Token(whisper.whisper_token_to_bytes(context, t.id), t.t0 / 100, t.t1 / 100, t.p)
            for t in data
            if t.id < self._end_of_text
        ]


def _mean_logprob(tokens: Sequence[Token]) -> float | None:
    if not tokens:
        return None
    return sum(math.log(max(each.probability, LEAST_PROBABILITY)) for each in tokens) / len(tokens)


def _device(log_lines: list[str]) -> str:
    """The device that the model was loaded on, from whisper.cpp's log lines.

    If no GPU can be used, whisper.cpp uses the CPU and reports no error.
    """
    if any(GPU_FAILED in line for line in log_lines):
        return "CPU"
    return next((taken[1] for taken in map(GPU_TAKEN.search, log_lines) if taken), "CPU")


def _failure_kind(log_lines: list[str]) -> str:
    if any("alloc" in line for line in log_lines):
        return "out_of_memory"
    if any(sign in line for line in log_lines for sign in INVALID_FILE):
        return "invalid"
    return "engine"
