"""The engine child: ``python -m actors.engine.child SOCKET_FD``.

Loads one model, transcribes the windows that it is sent, and ends when the socket closes. It is a
child process for two reasons: its exit gives back all its VRAM, and if CUDA aborts the process,
only one chunk is lost and not the server.
"""

import os
import re
import socket
import sys
import threading
import time
from queue import SimpleQueue

import _pywhispercpp as whisper
import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.engine import protocol
from actors.engine.protocol import EngineSegment, Failed, Loaded, Result, Window, frame
from actors.engine.words import Token, words_of
from storage.records import RATE

MIN_SAMPLES = RATE * 12 // 10
"""Samples. whisper.cpp finds no text in less than a second of audio, so silence is appended to
shorter windows."""
BEST_OF = 2
"""How many samples are decoded at each fallback temperature. The default, five, takes 1.8 times
as long."""
OUT_OF_MEMORY_CODE = -7
"""The code that whisper_full returns. After it, freeing the context would crash, too."""

# Parts of whisper.cpp's messages, in whisper_init_* and whisper_model_load.
LOAD_FAILED = ("failed to load model", "failed to open", "_cache_init() failed", "to allocate")
INVALID_FILE = ("bad magic", "unknown tensor", "wrong size in", "not all tensors", "wrong shape")
GPU_TAKEN = re.compile(r"whisper_backend_init_gpu: using (\S+) backend")
GPU_FAILED = "whisper_backend_init_gpu: failed to initialize"


class LoadFailed(Exception):
    """The model did not load; the message is whisper.cpp's."""


class EngineBroken(Exception):
    """The engine is in a state in which only exit is safe."""


class Engine:
    """One whisper.cpp context."""

    def __init__(self, load: protocol.Load, abort: threading.Event, log_lines: list[str]) -> None:
        self._abort, self._threads = abort, load.threads
        params = whisper.whisper_context_default_params()
        params.use_gpu = load.use_gpu
        self._context = whisper.whisper_init_from_file_with_params(load.path, params)
        # A failed load returns an object around NULL, which crashes when it is first used. Only
        # the log lines show the failure. (If the GPU cannot be used, this is logged as well, but
        # then the model is loaded on the CPU.)
        if failures := [line for line in log_lines if any(sign in line for sign in LOAD_FAILED)]:
            raise LoadFailed(failures[0])
        self._english_only = not whisper.whisper_is_multilingual(self._context)
        self._end_of_text = whisper.whisper_token_eot(self._context)

    def warm_up(self) -> None:
        """Run one inference on silence: the first one is wrong on some GPUs and slow on all."""
        silence = np.zeros(MIN_SAMPLES, np.float32)
        params = self._params("en", False, None)
        code = whisper.whisper_full(self._context, params, silence, MIN_SAMPLES)
        if code == OUT_OF_MEMORY_CODE:
            raise MemoryError
        if code:
            raise LoadFailed(f"the engine's first inference failed with code {code}")

    def transcribe(self, window: Window) -> Result | Failed:
        began = time.monotonic()
        samples = _floats(_joined_samples(window))
        params = self._params(window.language, window.translate, window.prompt)
        try:
            code = whisper.whisper_full(self._context, params, samples, len(samples))
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
        language = whisper.whisper_lang_str(whisper.whisper_full_lang_id(self._context))
        count = whisper.whisper_full_n_segments(self._context)
        segments = tuple(self._segment(n, language) for n in range(count))
        return Result(window.id, language, segments, time.monotonic() - began)

    def _params(
        self, language: str | None, translate: bool, prompt: str | None
    ) -> "whisper.whisper_full_params":
        # New parameters for each call, because a value that was set once would stay set.
        params = whisper.whisper_full_default_params(whisper.WHISPER_SAMPLING_GREEDY)
        params.n_threads = self._threads
        params.greedy = {"best_of": BEST_OF}
        # English-only models cannot detect the language: they would report a random one.
        params.language = "en" if self._english_only else language or "auto"
        params.translate = translate and not self._english_only
        params.initial_prompt = prompt or ""
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
        return EngineSegment(text, start, end, words_of(self._tokens(n), language, start, end))

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


def _joined_samples(window: Window) -> NDArray[np.int16]:
    pcm = np.memmap(window.pcm, "<i2", mode="r")
    return np.concatenate([pcm[span.start : span.end] for span in window.spans])


def _floats(heard: NDArray[np.int16]) -> NDArray[np.float32]:
    samples = np.zeros(max(len(heard), MIN_SAMPLES), np.float32)
    np.divide(heard, 32768, out=samples[: len(heard)])
    return samples


class ServerConnection:
    """The socket to the server.

    A separate thread reads it, so that an Abort or the end of the connection is noticed while an
    inference runs.
    """

    def __init__(self, connection: socket.socket, abort: threading.Event) -> None:
        self._connection, self._abort = connection, abort
        self._batches: SimpleQueue[tuple[Window, ...]] = SimpleQueue()
        self._decode = msgspec.msgpack.Decoder(protocol.ToEngine).decode

    def send(self, message: protocol.FromEngine) -> None:
        try:
            self._connection.sendall(frame(message))
        except OSError:
            os._exit(0)

    def receive(self) -> protocol.ToEngine:
        (length,) = protocol.LENGTH.unpack(self._exactly(protocol.LENGTH.size))
        message: protocol.ToEngine = self._decode(self._exactly(length))
        return message

    def follow(self) -> None:
        """Read messages until the process ends; runs in the reader thread."""
        while True:
            match self.receive():
                case protocol.Transcribe(batch):
                    self._abort.clear()
                    self._batches.put(batch)
                case protocol.Abort():
                    self._abort.set()

    def next_batch(self) -> tuple[Window, ...]:
        return self._batches.get()

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                part = self._connection.recv(length - len(data))
            except OSError:  # the server died before it had read all our answers
                part = b""
            if not part:  # the server has ended or has closed the socket: nothing to clean up
                os._exit(0)
            data += part
        return bytes(data)


def main(fd: int) -> None:
    abort = threading.Event()
    pipe = ServerConnection(socket.socket(fileno=fd), abort)
    log_lines: list[str] = []
    whisper.whisper_log_set(lambda _level, text: log_lines.append(text.strip()))
    load = pipe.receive()
    assert isinstance(load, protocol.Load)
    began = time.monotonic()
    try:
        engine = Engine(load, abort, log_lines)
        loaded = time.monotonic()
        engine.warm_up()
    except (LoadFailed, MemoryError) as error:
        pipe.send(Failed(None, _failure_kind(log_lines, error), f"the model did not load: {error}"))
        os._exit(1)
    build = whisper.whisper_print_system_info().strip(" |\n")
    pipe.send(Loaded(loaded - began, time.monotonic() - loaded, 1, _device(log_lines), build))
    threading.Thread(target=pipe.follow, daemon=True).start()
    whisper.whisper_log_set(lambda _level, _text: None)
    while True:
        for window in pipe.next_batch():
            if abort.is_set():
                pipe.send(Failed(window.id, "aborted", "aborted"))
                continue
            try:
                pipe.send(engine.transcribe(window))
            except EngineBroken:
                pipe.send(Failed(window.id, "out_of_memory", "the engine ran out of memory"))
                os._exit(1)


def _device(log_lines: list[str]) -> str:
    """The device that the model was loaded on, from whisper.cpp's log lines.

    If no GPU can be used, whisper.cpp uses the CPU and reports no error.
    """
    if any(GPU_FAILED in line for line in log_lines):
        return "CPU"
    return next((taken[1] for taken in map(GPU_TAKEN.search, log_lines) if taken), "CPU")


def _failure_kind(log_lines: list[str], error: Exception) -> str:
    if isinstance(error, MemoryError) or any("alloc" in line for line in log_lines):
        return "out_of_memory"
    if any(sign in line for line in log_lines for sign in INVALID_FILE):
        return "invalid"
    return "engine"


if __name__ == "__main__":
    main(int(sys.argv[1]))
