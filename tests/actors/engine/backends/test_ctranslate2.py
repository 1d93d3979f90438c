"""The CTranslate2 backend, with scripted weights through the real library."""

import threading
from pathlib import Path
from typing import Any

import pytest

from actors.engine import protocol
from actors.engine.backends import LoadFailed, ctranslate2
from actors.engine.backends.ctranslate2 import (
    CTranslate2,
    _behind_joins,
    _is_loop,
    _Output,
    _pieces,
    _token_times,
)
from actors.engine.protocol import EngineSegment, EngineWord, Result, Window
from storage.records import RATE, Quality, Span
from tests.audio import babble
from tests.scripted_folder import scripted_folder

HELLO = "<|0.00|> Hello world.<|2.00|><|2.50|> How are you?<|4.00|>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_folder(tmp_path_factory.mktemp("models") / "hello", HELLO, language=2)


@pytest.fixture(scope="module")
def engine(folder: Path) -> CTranslate2:
    return CTranslate2(protocol.Load(str(folder), use_gpu=False, threads=2), threading.Event())


@pytest.fixture
def pcm(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcm"
    path.write_bytes(babble((30.0, True)).tobytes())
    return path


def window(
    pcm: Path, number: int = 1, *, seconds: float = 5, language: str | None = None,
    translate: bool = False, prompt: str | None = None, words: bool = True,
    quality: Quality = Quality.BALANCED,
) -> Window:  # fmt: skip
    spans = (Span(0, round(seconds * RATE)),)
    return Window(number, str(pcm), spans, spans, language, {}, translate, prompt, words, quality)


def results(engine: CTranslate2, *windows: Window) -> list[Result]:
    answers = list(engine.transcribe(windows))
    return [answer for answer in answers if isinstance(answer, Result)]


def test_windows_of_one_batch_have_their_own_languages_tasks_and_lengths(
    engine: CTranslate2, pcm: Path
) -> None:
    first, second, third = results(
        engine,
        window(pcm, 1),
        window(pcm, 2, language="fr", seconds=30),
        window(pcm, 3, language="en", translate=True, seconds=4.5),
    )
    assert [each.segments[0].language for each in (first, second, third)] == ["de", "fr", "en"]
    for each in (first, second, third):
        assert [s.text for s in each.segments[:2]] == ["Hello world.", "How are you?"]


def test_windows_with_prompts_of_other_lengths_are_answered_too(
    engine: CTranslate2, pcm: Path
) -> None:
    batch = [window(pcm, 1), window(pcm, 2, prompt="Bob"), window(pcm, 3, prompt="  ")]
    assert sorted(each.id for each in results(engine, *batch)) == [1, 2, 3]


def test_times_of_words_are_found_only_for_those_who_want_them(
    engine: CTranslate2, pcm: Path
) -> None:
    with_words, without = results(engine, window(pcm, 1), window(pcm, 2, words=False))
    assert [w.text for s in with_words.segments for w in s.words] == (
        "Hello world. How are you?".split()
    )
    assert [s.words for s in without.segments] == [(), ()]
    assert [(s.start, s.end) for s in without.segments] == [(0.0, 2.0), (2.5, 4.0)]


def test_a_segment_that_goes_across_a_join_has_its_words_in_any_case(
    engine: CTranslate2, pcm: Path
) -> None:
    spans = Span(0, RATE), Span(5 * RATE, 9 * RATE)
    (result,) = results(
        engine, Window(1, str(pcm), spans, spans, "en", {}, False, None, words=False)
    )
    assert [w.text for w in result.segments[0].words] == ["Hello", "world."]


def test_a_word_that_reaches_back_over_a_pause_begins_behind_it() -> None:
    """An alignment lets a word begin where the one before it ends."""
    words = tuple(
        EngineWord(text, start, end, 0.9)
        for text, start, end in (("Americans,", 1.0, 2.1), ("ask", 2.1, 3.0), ("not", 3.0, 3.4))
    )
    segment = EngineSegment("Americans, ask not", 1.0, 3.4, "en", words)
    behind = [(word.text, word.start) for word in _behind_joins(segment, [(2.4, 2.5)]).words]
    assert behind == [("Americans,", 1.0), ("ask", 2.4), ("not", 3.0)]
    assert _behind_joins(segment, [(2.95, 2.95)]) == segment, "it ends there"


def test_a_word_before_a_pause_stays_there_though_the_alignment_stretches_it_to_the_next() -> None:
    """Somebody says "Two.", waits, and goes on."""
    words = EngineWord("Two.", 0.0, 1.2, 0.9), EngineWord("When", 1.2, 1.5, 0.9)
    segment = EngineSegment("Two. When", 0.0, 1.5, "en", words)
    assert _behind_joins(segment, [(1.0, 1.25)]) == segment


def test_no_segment_ends_after_its_window(engine: CTranslate2, pcm: Path) -> None:
    (result,) = results(engine, window(pcm, seconds=3, words=False))
    assert [(s.start, s.end) for s in result.segments] == [(0.0, 2.0), (2.5, 3.0)]


def test_a_window_of_a_few_samples_is_answered(engine: CTranslate2, pcm: Path) -> None:
    assert len(results(engine, window(pcm, seconds=0.001))) == 1


@pytest.mark.parametrize("damaged", ["model.bin", "tokenizer.json"])
def test_a_damaged_folder_can_never_be_loaded(folder: Path, tmp_path: Path, damaged: str) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(b"{" if file.name == damaged else file.read_bytes())
    with pytest.raises(LoadFailed) as failed:
        CTranslate2(protocol.Load(str(copy), use_gpu=False, threads=2), threading.Event())
    assert failed.value.kind == "invalid"


def test_a_segment_without_an_end_goes_to_the_end_of_the_window(engine: CTranslate2) -> None:
    tokenizer = engine._tokenizer("en", translate=False)
    begin = tokenizer.timestamp_begin
    pieces = list(_pieces([begin, 1, 2, begin + 50, begin + 60, 3], tokenizer, 2.0))
    assert [(p.tokens, p.start, p.end) for p in pieces] == [([1, 2], 0.0, 1.0), ([3], 1.2, 2.0)]


def test_a_token_begins_where_the_alignment_first_reaches_it() -> None:
    assert _token_times([(0, 0), (0, 5), (1, 10), (2, 10), (2, 20), (3, 30)]) == pytest.approx(
        [0.0, 0.2, 0.2, 0.6]
    )


def output(logprob: float, *, no_speech: float = 0.0, loop: bool = False) -> _Output:
    return _Output([1], logprob, no_speech, loop)


def test_an_unsure_result_where_the_model_hears_no_speech_is_silence() -> None:
    assert output(-1.1, no_speech=0.7).is_silence
    assert not output(-0.9, no_speech=0.7).is_silence
    assert not output(-1.1, no_speech=0.5).is_silence


def test_a_loop_is_worse_than_an_unsure_result() -> None:
    sure, unsure, loop = output(-0.5), output(-1.5), output(-0.1, loop=True)
    assert [each.is_unsure for each in (sure, unsure, loop)] == [False, True, False]
    assert sorted((sure, unsure, loop), key=lambda each: each.rank) == [loop, unsure, sure]


def test_a_text_that_repeats_a_word_faster_than_people_speak_is_a_loop() -> None:
    no, said = [50364, *[407, 11] * 60, 50614], [50364, *[407, 11] * 8, 50614]
    assert _is_loop(no, most=150, secs=6.7)
    assert not _is_loop(said, most=150, secs=6.7), "eight times is what was said"
    assert not _is_loop(list(range(120)), most=150, secs=6.7), "different words, however fast"


def test_speech_that_the_text_does_not_reach_is_heard_again_by_itself(
    engine: CTranslate2, pcm: Path
) -> None:
    (result,) = results(engine, window(pcm, seconds=12, words=False))
    texts = [segment.text for segment in result.segments]
    assert texts[:4] == ["Hello world.", "How are you?"] * 2
    starts = [segment.start for segment in result.segments]
    assert starts == sorted(starts)
    assert starts[2] > 4, "in the time of the window"
    assert result.segments[-1].end <= 12


def test_a_text_that_does_not_end_is_a_loop(tmp_path: Path, pcm: Path) -> None:
    endless = scripted_folder(tmp_path / "endless", "<|0.00|>" + " Hello" * 440)
    engine = CTranslate2(protocol.Load(str(endless), use_gpu=False, threads=2), threading.Event())
    (result,) = results(engine, window(pcm, seconds=2, words=False))
    (segment,) = result.segments
    assert len(segment.text.split()) < 100, "a window of 2 s may not use the whole context"


@pytest.mark.parametrize(
    ("quality", "beams"), [(Quality.FAST, [1]), (Quality.BALANCED, [1, 5]), (Quality.BEST, [5])]
)
def test_an_unsure_text_is_decoded_with_beams_unless_the_quality_is_fast(
    engine: CTranslate2, pcm: Path, monkeypatch: pytest.MonkeyPatch, quality: Quality,
    beams: list[int],
) -> None:  # fmt: skip
    monkeypatch.setattr(ctranslate2, "UNSURE", 1.0)
    decode, used = engine._decode, list[int]()

    def decoding(*given: Any, beams: int = 1, penalty: float = 1.0) -> list[_Output]:
        used.append(beams)
        return decode(*given, beams=beams, penalty=penalty)

    monkeypatch.setattr(engine, "_decode", decoding)
    (result,) = results(engine, window(pcm, quality=quality, words=False))
    assert used == beams
    assert [segment.text for segment in result.segments] == ["Hello world.", "How are you?"]


def test_speech_without_text_is_not_heard_again_where_the_quality_is_fast(
    engine: CTranslate2, pcm: Path
) -> None:
    (result,) = results(engine, window(pcm, seconds=12, words=False, quality=Quality.FAST))
    assert [segment.text for segment in result.segments] == ["Hello world.", "How are you?"]
