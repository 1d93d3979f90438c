"""OpenAI's answers, from a job and its segments. Pure functions.

The shapes are those of OpenAI's API reference for audio: Transcription, TranscriptionVerbose,
TranscriptionDiarized, and the events of a stream.
"""

import math
from collections.abc import Sequence
from typing import Any

from actors.engine.languages import LANGUAGES
from actors.engine.words import UNSPACED
from app.openai.orders import Format, Wanted
from app.transcripts.attribution import labels
from app.transcripts.document import segment_evidence
from app.transcripts.formats import FORMATS
from storage.records import Job, Segment, Task, Turn

Document = dict[str, Any]
_LEAST_PROBABILITY = 1e-9
"""What takes the place of a probability of 0, which has no logarithm."""


def text_of(segments: Sequence[Segment], written_in: str | None) -> str:
    """``written_in``: as `storage.records.Order.written_in`."""
    return "".join(
        delta(segment, written_in, is_first=n == 0) for n, segment in enumerate(segments)
    ).strip()


def delta(segment: Segment, written_in: str | None, *, is_first: bool) -> str:
    """What a segment adds to the text of those before it."""
    spaced = (written_in or segment.language) not in UNSPACED
    return (" " if spaced and not is_first else "") + segment.text.strip()


def document(
    wanted: Wanted, job: Job, segments: Sequence[Segment], turns: Sequence[Turn] = ()
) -> Document:
    """The answer in one of the JSON forms."""
    text = text_of(segments, job.order.written_in)
    match wanted.format:
        case Format.VERBOSE_JSON:
            return _verbose(wanted, job, segments, text)
        case Format.DIARIZED_JSON:
            return {
                "task": Task.TRANSCRIBE.value,
                "duration": _duration(job),
                "text": text,
                "segments": speaker_segments(segments, turns),
                "usage": usage(job),
            }
        case _:
            found: Document = {"text": text}
            if wanted.logprobs:
                found["logprobs"] = logprobs(segments)
            return found | {"usage": usage(job)}


def plain(format_: Format, job: Job, segments: Sequence[Segment]) -> tuple[str, str]:
    """The answer in one of the other forms, and its media type."""
    if format_ is Format.TEXT:
        return text_of(segments, job.order.written_in) + "\n", "text/plain; charset=utf-8"
    write, media_type = FORMATS[format_.value]
    return write(segments), media_type


def _verbose(wanted: Wanted, job: Job, segments: Sequence[Segment], text: str) -> Document:
    found: Document = {
        "task": job.order.task.value,
        "language": LANGUAGES.get(job.language or "", job.language or "").lower(),
        "duration": _duration(job),
        "text": text,
    }
    if wanted.segments:
        found["segments"] = [_segment(segment) for segment in segments]
    if wanted.words:
        found["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in segments
            for word in segment.words
        ]
    return found | {"usage": usage(job)}


def _segment(segment: Segment) -> Document:
    """With our own evidence beside OpenAI's. What it has and we do not is what means nothing."""
    evidence = segment_evidence(segment)
    return {
        "id": segment.index,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        **evidence,
        "avg_logprob": evidence["avg_logprob"] or 0.0,
        "compression_ratio": evidence["compression_ratio"] or 0.0,
        "no_speech_prob": evidence["no_speech_prob"] or 0.0,
    }


def speaker_segments(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[Document]:
    """The speakers are A, B, … in the order in which they speak; before any was heard, A."""
    letters: dict[str, str] = {}
    speaker = "A"
    found = []
    for segment, label in zip(segments, labels(segments, turns), strict=True):
        if label is not None:
            speaker = letters.setdefault(label, _letter(len(letters)))
        found.append(
            {
                "type": "transcript.text.segment",
                "id": f"seg_{segment.index:03}",
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "speaker": speaker,
            }
        )
    return found


def _letter(number: int) -> str:
    """A to Z, then AA, AB, … as the columns of a spreadsheet."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("A") + last)


def logprobs(segments: Sequence[Segment]) -> list[Document]:
    """Of each word: the server keeps no probabilities of single tokens."""
    return [
        {
            "token": word.text,
            "bytes": list(word.text.encode()),
            "logprob": round(math.log(max(word.probability, _LEAST_PROBABILITY)), 4) + 0.0,
        }
        for segment in segments
        for word in segment.words
    ]


def delta_event(segment: Segment, text: str, wanted: Wanted) -> Document:
    found: Document = {"type": "transcript.text.delta", "delta": text}
    return found | ({"logprobs": logprobs([segment])} if wanted.logprobs else {})


def done_event(wanted: Wanted, job: Job, segments: Sequence[Segment]) -> Document:
    found: Document = {
        "type": "transcript.text.done",
        "text": text_of(segments, job.order.written_in),
    }
    if wanted.logprobs:
        found["logprobs"] = logprobs(segments)
    return found | {"usage": usage(job)}


def usage(job: Job) -> Document:
    return {"type": "duration", "seconds": math.ceil(_duration(job))}


def _duration(job: Job) -> float:
    return round(job.duration_secs or 0.0, 3)
