"""OpenAI's answers, from a job and its segments. Pure functions.

The shapes are those of OpenAI's API reference for audio: Transcription, TranscriptionVerbose,
TranscriptionDiarized, and the events of a stream.
"""

import math
from collections.abc import Sequence

from app.openai.orders import Format, Wanted
from app.transcripts.attribution import labels
from app.transcripts.formats import FORMATS
from app.transcripts.whisper_json import (
    Document,
    language_name,
    segment_of,
    text_of,
    words_of,
)
from storage.records import Job, Segment, Task, Turn

_LEAST_PROBABILITY = 1e-9
"""What takes the place of a probability of 0, which has no logarithm."""


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
        return text_of(segments, job.order.written_in) + "\n", "text/plain"
    write, media_type = FORMATS[format_.value]
    return write(segments), media_type


def _verbose(wanted: Wanted, job: Job, segments: Sequence[Segment], text: str) -> Document:
    found: Document = {
        "task": job.order.task.value,
        "language": language_name(job.language),
        "duration": _duration(job),
        "text": text,
    }
    if wanted.segments:
        found["segments"] = [segment_of(segment) for segment in segments]
    if wanted.words:
        found["words"] = words_of(segments)
    return found | {"usage": usage(job)}


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
