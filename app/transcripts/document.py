"""A job and its transcript as JSON: the native dialect's document, which the pages offer, too.

A field that may be left out has the default None and is left out then.
"""

from collections.abc import Sequence
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from storage.records import Job, LeftOut, Segment, Status


class WordDocument(msgspec.Struct):
    text: str
    start: Annotated[float, Meta(description="Seconds")]
    end: Annotated[float, Meta(description="Seconds")]
    probability: Annotated[float, Meta(description="0 to 1")]


class SegmentEvidence(TypedDict):
    """What speaks for a segment, by the names of both dialects."""

    language: str | None
    avg_logprob: float | None
    no_speech_prob: float | None
    compression_ratio: float | None
    speech_share: float | None


class SegmentDocument(msgspec.Struct, omit_defaults=True):
    index: Annotated[int, Meta(description="From 0, without a gap")]
    start: Annotated[float, Meta(description="Seconds")]
    end: Annotated[float, Meta(description="Seconds")]
    text: str
    words: Annotated[
        list[WordDocument], Meta(description="Filled when `word_timestamps` was submitted")
    ]
    repair: Annotated[
        str | None, Meta(description="What was done to a looping segment, where anything was")
    ] = None
    language: Annotated[
        str | None, Meta(description="ISO 639-1, what was heard in this segment")
    ] = None
    avg_logprob: Annotated[
        float | None, Meta(description="Mean log probability of the tokens; below -1 is doubtful")
    ] = None
    no_speech_prob: Annotated[
        float | None, Meta(description="0 to 1: how likely nobody speaks; CTranslate2 only")
    ] = None
    compression_ratio: Annotated[
        float | None, Meta(description="Above 2.4, the text repeats itself")
    ] = None
    speech_share: Annotated[
        float | None, Meta(description="0 to 1: the part of its time in which somebody speaks")
    ] = None


class LeftOutDocument(msgspec.Struct):
    start: Annotated[float, Meta(description="Seconds")]
    end: Annotated[float, Meta(description="Seconds")]
    text: Annotated[str, Meta(description="What the engine wrote")]
    reason: Annotated[str, Meta(description="Why the transcript does not have it")]


class JobDocument(msgspec.Struct, omit_defaults=True):
    id: str
    status: Annotated[str, Meta(description="queued, running, done, failed or cancelled")]
    task: Annotated[str, Meta(description="transcribe or translate")]
    progress: Annotated[int, Meta(description="0 to 100")]
    segments: Annotated[list[SegmentDocument], Meta(description="Filled when the status is done")]
    created_at: str
    language: Annotated[str | None, Meta(description="ISO 639-1, given or detected")] = None
    duration_secs: float | None = None
    error: Annotated[str | None, Meta(description="Where the status is failed")] = None
    webhook_url: str | None = None
    filename: str | None = None
    model: Annotated[str | None, Meta(description="Where one was submitted")] = None
    completed_at: str | None = None
    notices: Annotated[
        list[str], Meta(description="What to know about the recording, in sentences, if anything")
    ] = []
    left_out: Annotated[
        list[LeftOutDocument], Meta(description="What is not in the transcript, if anything")
    ] = []


def job_document(
    job: Job, segments: Sequence[Segment] = (), left_out: Sequence[LeftOut] = ()
) -> JobDocument:
    """``segments`` are shown only where the job is done."""
    return JobDocument(
        id=job.id,
        status=job.status.value,
        task=job.order.task.value,
        progress=job.percent,
        segments=[segment_document(s) for s in segments] if job.status is Status.DONE else [],
        created_at=job.created_at,
        language=job.language,
        duration_secs=None if job.duration_secs is None else round(job.duration_secs, 3),
        error=job.error,
        webhook_url=job.order.webhook_url,
        filename=job.order.filename,
        model=job.order.model,
        completed_at=job.completed_at,
        notices=list(job.notices),
        left_out=[
            LeftOutDocument(round(x.start, 3), round(x.end, 3), x.text, x.reason) for x in left_out
        ],
    )


def segment_document(segment: Segment) -> SegmentDocument:
    return SegmentDocument(
        index=segment.index,
        start=round(segment.start, 3),
        end=round(segment.end, 3),
        text=segment.text,
        words=[
            WordDocument(w.text, round(w.start, 3), round(w.end, 3), round(w.probability, 4))
            for w in segment.words
        ],
        repair=segment.repair,
        **segment_evidence(segment),
    )


def segment_evidence(segment: Segment) -> SegmentEvidence:
    evidence = segment.evidence
    return {
        "language": segment.language,
        "avg_logprob": _rounded(evidence.avg_logprob),
        "no_speech_prob": _rounded(evidence.no_speech_prob),
        "compression_ratio": _rounded(evidence.compression_ratio),
        "speech_share": _rounded(evidence.speech_share),
    }


def _rounded(value: float | None) -> float | None:
    # + 0.0, because a small negative number becomes -0.0
    return None if value is None else round(value, 3) + 0.0
