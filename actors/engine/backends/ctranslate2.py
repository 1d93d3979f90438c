"""CTranslate2: models as folders, on a CPU or with CUDA, several windows at once."""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import ctranslate2
import msgspec
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

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
    together,
    whole,
)
from actors.engine.backends.second_look import unheard
from actors.engine.protocol import EngineSegment, Failed, Result, Window
from actors.engine.words import Token, words_of
from storage.records import RATE, Quality, Span

BATCH = 8
"""How many windows are decoded together. On two cores, a window of base takes 0.7 times as long in
a batch of 8 as alone."""
WINDOW_S, TAIL_S = 30, 5
"""Seconds. Whisper learned from windows of 30 s, but it need not encode more than the audio and
some silence after it. With 5 s of silence it takes a quarter of the time and makes as few errors
(43 clips in nine languages: 9.8 % of the words either way; with 3 s 11.2 %). With less than 2 s it
repeats itself."""
MOST_PROMPT_TOKENS = 223
"""Half of the decoder's context, less one token: OpenAI's decoding.py."""
MOST_TOKENS, TOKENS_A_SECOND, SPARE_TOKENS = 224, 15, 50
"""Half of the decoder's context, and how much of that a window may use. A loop in a short window
would otherwise fill all of it while the rest of the batch waits."""
FEW_DIFFERENT, FAST_TOKENS_A_SECOND = 0.25, 8
"""A text with so few different tokens among all, and so many in a second, is a loop that has ended
by itself. People say up to five words a second, most of which are one or two tokens."""
TIMESTAMP_S = 0.02
REACH_S = 0.1
"""Seconds of speech behind a join that a word has at least, if it is spoken there."""
FRAMES_A_SECOND = 100
POSITIONS_A_SECOND = 50
"""Of what the encoder makes of the frames."""
UNSURE, SILENT = -1.0, 0.6
"""The mean log probability of a token below which a text is not trusted, and the probability of
silence above which such a text is taken for none: OpenAI's transcribe.py. Its third sign, that a
text repeats itself, is not used here, because people do repeat themselves; only a loop fills all of
the context that its window may use."""
BEAMS = 5
PENALTY = 1.05
"""For a text that has become a loop, decoded once more. Beams find the same loop, which is likely
by itself; this is the least that leads out of it, and it leaves a word that is said eight times."""
MOST_LOOKS = 3
"""How often speech for which there is no text is heard again: each look may end too early, too."""
MEMORY_SIGNS = ("out of memory", "bad_alloc", "ALLOC_FAILED", "Failed to allocate")


class CTranslate2:
    """One CTranslate2 model, with faster-whisper's tokenizer and features."""

    batch = BATCH

    def __init__(self, load: protocol.Load, abort: threading.Event) -> None:
        self._abort = abort
        on_gpu = load.use_gpu and ctranslate2.get_cuda_device_count() > 0
        self.device = "CUDA" if on_gpu else "CPU"
        try:
            self._whisper = WhisperModel(
                load.path,
                device=self.device.lower(),
                compute_type="float16" if on_gpu else "int8",
                cpu_threads=load.threads,
                local_files_only=True,
            )
        except Exception as error:  # the tokenizer's library raises no narrower type
            raise LoadFailed(_kind(error, otherwise="invalid"), str(error)) from error
        self._model = self._whisper.model
        self.build = f"CTranslate2 {ctranslate2.__version__}, {self._model.compute_type}"

    def warm_up(self) -> None:
        try:
            encoded = self._model.encode(self._features([np.zeros(RATE, np.float32)]))
            tokenizer = self._tokenizer("en", translate=False)
            self._decode(encoded, [_prompt(tokenizer, [])], [1.0])
        except (RuntimeError, MemoryError) as error:
            raise LoadFailed(_kind(error, otherwise="engine"), str(error)) from error

    def transcribe(self, windows: Sequence[Window]) -> Iterator[Result | Failed]:
        # In a batch, all prompts must have their start token at the same place.
        groups: defaultdict[tuple[int, Quality], list[tuple[Window, list[int]]]] = defaultdict(list)
        for window in windows:
            before = self._prompt_tokens(window.prompt)
            groups[len(before), window.quality].append((window, before))
        for group in groups.values():
            together, befores = zip(*group, strict=True)
            try:
                yield from self._transcribe_together(together, befores)
            except (RuntimeError, MemoryError) as error:
                if _kind(error, otherwise="engine") == "out_of_memory":
                    raise EngineBroken from error
                yield from (Failed(window.id, "engine", str(error)) for window in together)

    def _transcribe_together(
        self, windows: Sequence[Window], befores: Sequence[list[int]]
    ) -> Iterator[Result]:
        """Transcribe windows of one quality whose prompts, ``befores``, are as long as each other
        in tokens."""
        began = time.monotonic()
        samples, encoded = self._encode(windows)
        parts = self._parts_by_language(windows, encoded)
        found: list[list[EngineSegment]] = [[] for _ in windows]
        whole_ones = [n for n, each in enumerate(parts) if len(each) == 1]
        if whole_ones:
            heard = self._hear(
                [windows[n] for n in whole_ones],
                [befores[n] for n in whole_ones],
                [samples[n] for n in whole_ones],
                _some_of(encoded, whole_ones),
                [parts[n][0][1] for n in whole_ones],
            )
            for n, segments in zip(whole_ones, heard, strict=True):
                found[n] = segments
        cut = [(n, part) for n, each in enumerate(parts) if len(each) > 1 for part, _ in each]
        self._add_parts(found, windows, befores, cut)
        if windows[0].quality is not Quality.FAST:
            self._look_again(found, windows, befores)
        took = (time.monotonic() - began) / len(windows)
        for window, segments in zip(windows, found, strict=True):
            yield Result(window.id, tuple(segments), took)

    def _add_parts(
        self,
        found: list[list[EngineSegment]],
        windows: Sequence[Window],
        befores: Sequence[list[int]],
        parts: Sequence[tuple[int, Span]],
    ) -> None:
        """Hear parts of windows, each with its window's number; add what they say to ``found``."""
        for start in range(0, len(parts), BATCH):
            if self._abort.is_set():
                break
            some = parts[start : start + BATCH]
            heard = self._hear_parts(
                [(windows[n], part) for n, part in some], [befores[n] for n, _ in some]
            )
            for (n, part), segments in zip(some, heard, strict=True):
                found[n] += (later(segment, part.start / RATE) for segment in segments)

    def _look_again(
        self,
        found: list[list[EngineSegment]],
        windows: Sequence[Window],
        befores: Sequence[list[int]],
    ) -> None:
        """Hear speech for which there is no text again, by itself; add to ``found`` what is sure
        enough, in the order of time."""
        in_language = [
            msgspec.structs.replace(window, language=segments[0].language) if segments else window
            for window, segments in zip(windows, found, strict=True)
        ]
        # Where a look has found something, the next one may find more.
        grown = list(range(len(windows)))
        for _ in range(MOST_LOOKS):
            missing = [(n, part) for n in grown for part in unheard(windows[n], found[n])]
            again: list[list[EngineSegment]] = [[] for _ in windows]
            self._add_parts(again, in_language, befores, missing)
            sure = {n: [each for each in again[n] if _is_sure(each)] for n, _ in missing}
            grown = [n for n, segments in sure.items() if segments]
            for n in grown:
                found[n] = sorted(found[n] + sure[n], key=lambda each: each.start)

    def _hear_parts(
        self, parts: Sequence[tuple[Window, Span]], befores: Sequence[list[int]]
    ) -> list[list[EngineSegment]]:
        """As `_hear`, for parts of windows, which are encoded and looked at by themselves."""
        windows = [only_part(window, part) for window, part in parts]
        samples, encoded = self._encode(windows)
        found = self._languages(windows, encoded, {n: [whole(w)] for n, w in enumerate(windows)})
        return self._hear(windows, befores, samples, encoded, [each[0][1] for each in found])

    def _hear(
        self,
        windows: Sequence[Window],
        befores: Sequence[list[int]],
        samples: Sequence[NDArray[np.float32]],
        encoded: ctranslate2.StorageView,
        languages: Sequence[str],
    ) -> list[list[EngineSegment]]:
        """The segments of each window, each in its one language."""
        secs = [len(each) / RATE for each in samples]
        tokenizers = [
            self._tokenizer(language, translate=window.translate)
            for window, language in zip(windows, languages, strict=True)
        ]
        prompts = [
            _prompt(tokenizer, before)
            for tokenizer, before in zip(tokenizers, befores, strict=True)
        ]
        quality = windows[0].quality
        beams = BEAMS if quality is Quality.BEST else 1
        outputs = self._decode(encoded, prompts, secs, beams=beams)
        loops = [n for n, each in enumerate(outputs) if each.is_loop]
        unsure = [n for n, each in enumerate(outputs) if each.is_unsure and not each.is_loop]
        if quality is not Quality.BALANCED:
            unsure = []
        for numbers, beams, penalty in ((loops, 1, PENALTY), (unsure, BEAMS, 1.0)):
            if not numbers or self._abort.is_set():
                continue
            second = self._decode(
                _some_of(encoded, numbers),
                [prompts[n] for n in numbers],
                [secs[n] for n in numbers],
                beams=beams,
                penalty=penalty,
            )
            for n, again in zip(numbers, second, strict=True):
                outputs[n] = max(outputs[n], again, key=lambda each: each.rank)
        pieces = [
            list(_pieces(output.tokens, tokenizer, length))
            for output, tokenizer, length in zip(outputs, tokenizers, secs, strict=True)
        ]
        if not self._abort.is_set():
            self._align(encoded, windows, tokenizers, secs, pieces)
        return [
            [
                _behind_joins(
                    piece.segment(tokenizers[n], languages[n], outputs[n]), _joins(windows[n])
                )
                for piece in pieces[n]
            ]
            for n in range(len(windows))
        ]

    def _encode(
        self, windows: Sequence[Window]
    ) -> tuple[list[NDArray[np.float32]], ctranslate2.StorageView]:
        """The windows' samples, and what the encoder makes of them."""
        samples = [samples_of(window, least=1) for window in windows]
        return samples, self._model.encode(self._features(samples))

    def _features(self, samples: Sequence[NDArray[np.float32]]) -> ctranslate2.StorageView:
        """The log-mel spectra of windows, all as long as the longest and its tail need."""
        length = min(WINDOW_S * RATE, max(map(len, samples)) + TAIL_S * RATE)
        spectra = [
            self._whisper.feature_extractor(
                np.pad(each[:length], (0, max(0, length - len(each)))), padding=0
            )
            for each in samples
        ]
        return ctranslate2.StorageView.from_array(np.stack(spectra).astype(np.float32))

    def _parts_by_language(
        self, windows: Sequence[Window], encoded: ctranslate2.StorageView
    ) -> list[list[tuple[Span, str]]]:
        """Where in each window which language is spoken."""
        coarse = {n: parts_of(window, PART_S) for n, window in enumerate(windows)}
        found = self._languages(windows, encoded, coarse, PART_S)
        for n, parts in enumerate(found):
            if len(parts) > 1:
                fine = {0: parts_of(windows[n], FINE_S)}
                among = {language for _, language in parts}
                row = _some_of(encoded, [n])
                [found[n]] = self._languages([windows[n]], row, fine, FINE_S, among)
        return found

    def _languages(
        self,
        windows: Sequence[Window],
        encoded: ctranslate2.StorageView,
        parts: Mapping[int, Sequence[Span]],
        least_s: float = PART_S,
        among: Collection[str] = (),
    ) -> list[list[tuple[Span, str]]]:
        """The parts of each window, each with its language; neighbours with the same are joined.

        ``parts``: those of each window, by its number, none shorter than ``least_s`` seconds unless
        it is the only one. ``among``: the languages to choose from, if not those of the windows.
        """
        given = [w.language if self._model.is_multilingual else "en" for w in windows]
        wanted = [n for n, language in enumerate(given) if language is None]
        heard = self._likely(encoded, {n: parts[n] for n in wanted}, least_s)
        recordings: defaultdict[str, list[int]] = defaultdict(list)
        for n in wanted:
            recordings[windows[n].pcm].append(n)
        found = [[(whole(w), language or "")] for w, language in zip(windows, given, strict=True)]
        for numbers in recordings.values():
            pieces = [
                only(each, among or windows[n].languages) for n in numbers for each in heard[n]
            ]
            path = iter(likely_languages(pieces, windows[numbers[0]].history))
            for n in numbers:
                found[n] = joined([(part, next(path)) for part in parts[n]])
        return found

    def _likely(
        self,
        encoded: ctranslate2.StorageView,
        parts: Mapping[int, Sequence[Span]],
        least_s: float,
    ) -> dict[int, list[dict[str, float]]]:
        """How likely each language is in each part, by the windows' numbers.

        Where there are several, the decoder hears slices of ``least_s`` seconds of what the encoder
        has made of the whole window.
        """
        alone = [n for n, each in parts.items() if len(each) == 1]
        cut = [n for n, each in parts.items() if len(each) > 1]
        likely: dict[int, list[dict[str, float]]] = {n: [] for n in parts}
        if alone:
            guesses = self._model.detect_language(_some_of(encoded, alone))
            for n, guess in zip(alone, guesses, strict=True):
                likely[n].append(_shares(guess))
        if cut:
            rows = np.array(encoded.to_device(ctranslate2.Device.cpu))
            length = round(least_s * POSITIONS_A_SECOND)
            starts = {
                (n, part): range(
                    part.start * POSITIONS_A_SECOND // RATE,
                    part.end * POSITIONS_A_SECOND // RATE - length + 1,
                    length,
                )
                for n in cut
                for part in parts[n]
            }
            slices = [rows[n, k : k + length] for (n, _), starts in starts.items() for k in starts]
            guesses = iter(
                self._model.detect_language(ctranslate2.StorageView.from_array(np.stack(slices)))
            )
            for (n, _), each in starts.items():
                likely[n].append(together([_shares(next(guesses)) for _ in each]))
        return likely

    def _tokenizer(self, language: str, *, translate: bool) -> Tokenizer:
        return Tokenizer(
            self._whisper.hf_tokenizer,
            self._model.is_multilingual,
            "translate" if translate else "transcribe",
            language,
        )

    def _prompt_tokens(self, prompt: str | None) -> list[int]:
        if not prompt or not prompt.strip():
            return []
        encoding = self._whisper.hf_tokenizer.encode(" " + prompt.strip(), add_special_tokens=False)
        return list(encoding.ids[-MOST_PROMPT_TOKENS:])

    def _decode(
        self,
        encoded: ctranslate2.StorageView,
        prompts: Sequence[list[int]],
        secs: Sequence[float],
        *,
        beams: int = 1,
        penalty: float = 1.0,
    ) -> "list[_Output]":
        """``penalty``: by how much a token that was written already is made less likely."""
        most = min(MOST_TOKENS, SPARE_TOKENS + round(TOKENS_A_SECOND * max(secs)))
        results = self._model.generate(
            encoded,
            list(prompts),
            beam_size=beams,
            repetition_penalty=penalty,
            max_length=2 * most,  # it generates up to half of this: CTranslate2's whisper.cc
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [
            _Output(
                each.sequences_ids[0],
                each.scores[0],
                each.no_speech_prob,
                is_loop=_is_loop(each.sequences_ids[0], most, length),
            )
            for each, length in zip(results, secs, strict=True)
        ]

    def _align(
        self,
        encoded: ctranslate2.StorageView,
        windows: Sequence[Window],
        tokenizers: Sequence[Tokenizer],
        secs: Sequence[float],
        pieces: "Sequence[list[_Piece]]",
    ) -> None:
        """Find when each token was said, in the windows that need it."""
        together: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for n, window in enumerate(windows):
            if pieces[n] and (window.words or _goes_across_a_join(window, pieces[n])):
                together[tuple(tokenizers[n].sot_sequence)].append(n)
        for start, numbers in together.items():
            results = self._model.align(
                _some_of(encoded, numbers),
                list(start),
                [[token for piece in pieces[n] for token in piece.tokens] for n in numbers],
                [round(secs[n] * FRAMES_A_SECOND) for n in numbers],
            )
            for n, result in zip(numbers, results, strict=True):
                times = _token_times(result.alignments)
                at = 0
                for piece in pieces[n]:
                    end = at + len(piece.tokens)
                    piece.times = times[at : end + 1]
                    piece.probabilities = list(result.text_token_probs[at:end])
                    at = end


@dataclass(frozen=True)
class _Output:
    tokens: list[int]
    mean_logprob: float
    no_speech_prob: float
    is_loop: bool

    @property
    def is_unsure(self) -> bool:
        return self.mean_logprob < UNSURE

    @property
    def is_silence(self) -> bool:
        return self.no_speech_prob > SILENT and self.is_unsure

    @property
    def rank(self) -> tuple[bool, float]:
        return not self.is_loop, self.mean_logprob


@dataclass
class _Piece:
    """The tokens of a segment's text; times are in seconds from the start of the window."""

    tokens: list[int]
    start: float
    end: float
    times: list[float] = field(default_factory=list)
    """When each token begins, and when the last one ends; empty if nobody has asked."""
    probabilities: list[float] = field(default_factory=list)

    def segment(self, tokenizer: Tokenizer, language: str, output: _Output) -> EngineSegment:
        text = tokenizer.decode(self.tokens).strip()
        evidence = output.is_silence, output.mean_logprob, output.no_speech_prob
        if not self.times:
            return EngineSegment(text, self.start, self.end, language, (), *evidence)
        if self.times[0] == self.times[-1]:  # the alignment found nothing
            self.times = np.linspace(self.start, self.end, len(self.times)).tolist()
        characters = []
        at = 0
        for part, ids in zip(*tokenizer.split_tokens_on_unicode(self.tokens), strict=True):
            end = at + len(ids)
            mean = sum(self.probabilities[at:end]) / len(ids)
            characters.append(Token(part.encode(), self.times[at], self.times[end], mean))
            at = end
        start = min(self.times[0], self.end)
        stop = max(start, self.times[-1])
        words = words_of(characters, language, start, stop)
        return EngineSegment(text, start, stop, language, words, *evidence)


def _pieces(tokens: Sequence[int], tokenizer: Tokenizer, length: float) -> Iterator[_Piece]:
    """The segments that the timestamps among the tokens mark.

    One without an end goes to the end of the window, which is ``length`` seconds long.
    """
    first = tokenizer.timestamp_begin
    start, text = 0.0, list[int]()
    for token in tokens:
        if token < tokenizer.eot:
            text.append(token)
        elif token >= first:
            time_s = min(length, (token - first) * TIMESTAMP_S)
            if text:
                yield _Piece(text, start, max(start, time_s))
                text = []
            start = time_s
    if text:
        yield _Piece(text, start, max(start, length))


def _is_loop(tokens: Sequence[int], most: int, secs: float) -> bool:
    """Whether a text did not end by itself, or repeats a little faster than anybody speaks."""
    repeats = len(set(tokens)) < FEW_DIFFERENT * len(tokens)
    return len(tokens) >= most or (repeats and len(tokens) > FAST_TOKENS_A_SECOND * secs)


def _is_sure(segment: EngineSegment) -> bool:
    return not segment.is_silence and (segment.avg_logprob or 0.0) >= UNSURE


def _shares(guesses: Sequence[tuple[str, float]]) -> dict[str, float]:
    return {token[2:-2]: share for token, share in guesses}  # from <|en|>


def _goes_across_a_join(window: Window, pieces: Sequence[_Piece]) -> bool:
    """Whether a segment begins in one span of the window and ends in another.

    The server cuts it there, and needs its words' times for that.
    """
    joins = _joins(window)
    return any(piece.start < join < piece.end for piece in pieces for join, _ in joins)


def _joins(window: Window) -> list[tuple[float, float]]:
    """Where its spans were joined, and where somebody speaks after that: seconds of the window."""
    ends = accumulate(span.length for span in window.spans)
    found = []
    for at, span in zip(ends, window.spans[1:], strict=False):
        spoken = (max(s.start, span.start) for s in window.speech if s.end > span.start)
        found.append((at / RATE, (at + next(spoken, span.start) - span.start) / RATE))
    return found


def _behind_joins(segment: EngineSegment, joins: Sequence[tuple[float, float]]) -> EngineSegment:
    """The segment; its words that reach back over a pause that was cut out begin behind it.

    An alignment lets a word begin where the one before it ends, and end where the next one begins,
    whatever pause is between. So a word that goes across a pause was said behind it if somebody
    speaks there before the word ends.
    """
    words = list(segment.words)
    for n, word in enumerate(words):
        for join, speaks in joins:
            if word.start < join and speaks < word.end - REACH_S:
                words[n] = word = msgspec.structs.replace(word, start=join)
    return msgspec.structs.replace(segment, words=tuple(words))


def _token_times(alignments: Sequence[tuple[int, int]]) -> list[float]:
    """When each token begins, in seconds; the last is the end of the text.

    ``alignments``: pairs of a token's index and an encoder position, in order.
    """
    times: list[float] = []
    for token, position in alignments:
        if token >= len(times):
            times.append(position * TIMESTAMP_S)
    return times


def _prompt(tokenizer: Tokenizer, before: list[int]) -> list[int]:
    return [*([tokenizer.sot_prev, *before] if before else []), *tokenizer.sot_sequence]


def _some_of(encoded: ctranslate2.StorageView, numbers: Sequence[int]) -> ctranslate2.StorageView:
    """These rows, in their order; a copy unless it is all of them."""
    if len(numbers) == encoded.shape[0]:
        return encoded
    rows = np.array(encoded.to_device(ctranslate2.Device.cpu))[list(numbers)]
    return ctranslate2.StorageView.from_array(rows)


def _kind(error: Exception, *, otherwise: str) -> str:
    """The kind of failure, as in `protocol.Failed`."""
    out = isinstance(error, MemoryError) or any(sign in str(error) for sign in MEMORY_SIGNS)
    return "out_of_memory" if out else otherwise
