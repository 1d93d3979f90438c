"""The native dialect's documents, and pure functions that make them from records.

A field that the guide may omit has the default None and is left out then.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from actors.models.messages import Loading, ModelState, Ready, Unloaded, WaitingForGpu
from actors.models.vram import Vram
from app.transcripts.document import JobDocument, SegmentDocument, job_document
from storage.records import Delivery, Job, LeftOut, Segment


class JobPage(msgspec.Struct):
    jobs: Annotated[list[JobDocument], Meta(description="Newest first, without segments")]
    next: Annotated[int | None, Meta(description="The `before` of the next page")]


class Accepted(msgspec.Struct):
    job_id: str


class ModelDocument(msgspec.Struct, omit_defaults=True):
    state: Annotated[str, Meta(description="unloaded, loading, waiting_for_gpu or ready")]
    loaded_at: str | None = None
    vram_needed_mb: int | None = None
    vram_free_mb: int | None = None
    retry_in_secs: int | None = None
    vram_used_mb: int | None = None
    vram_total_mb: int | None = None
    model: Annotated[str | None, Meta(description="The model that is loaded or loading")] = None
    downloaded: Annotated[
        float | None, Meta(description="Share of the download that is done, while there is one")
    ] = None
    error: Annotated[str | None, Meta(description="Why the last load failed")] = None


class ProgressEvent(msgspec.Struct):
    type: Literal["progress"]
    percent: int
    chunk: Annotated[int, Meta(description="Chunks that are done")]
    chunks_total: int


class SegmentEvent(msgspec.Struct):
    type: Literal["segment"]
    segment: SegmentDocument


class DoneEvent(msgspec.Struct):
    type: Literal["done"]
    job: JobDocument


class ErrorEvent(msgspec.Struct):
    type: Literal["error"]
    message: str | None


class ModelEvent(msgspec.Struct, omit_defaults=True):
    type: Literal["model_loading", "model_ready", "model_unloaded", "model_waiting_for_gpu"]
    loaded_at: str | None = None
    vram_needed_mb: int | None = None
    vram_free_mb: int | None = None
    retry_in_secs: int | None = None
    downloaded: Annotated[
        float | None, Meta(description="Share of the download that is done, while there is one")
    ] = None
    error: Annotated[str | None, Meta(description="Why the last load failed")] = None


class Outcome(msgspec.Struct):
    status: str


class Health(msgspec.Struct):
    status: str
    gpu_name: str | None
    vram_total_mb: int | None
    model: str
    queue_depth: int
    model_state: str


class ErrorDocument(msgspec.Struct):
    error: str


class NotReadyDocument(msgspec.Struct):
    error: str
    state: str
    retry_after_secs: int


def model_document(state: ModelState, vram: Vram | None) -> ModelDocument:
    seen: dict[str, Any] = {}
    if vram is not None:
        seen = {"vram_used_mb": vram.used_mb, "vram_total_mb": vram.total_mb}
    match state:
        case Unloaded(problem):
            return ModelDocument(state="unloaded", error=problem, **seen)
        case Loading(model, pulled):
            return ModelDocument(state="loading", model=model, downloaded=pulled, **seen)
        case WaitingForGpu():
            return ModelDocument(
                state="waiting_for_gpu",
                vram_needed_mb=state.vram_needed_mb,
                vram_free_mb=state.vram_free_mb,
                retry_in_secs=state.retry_in_secs,
                model=state.model,
                **seen,
            )
        case Ready(model, loaded_at):
            return ModelDocument(state="ready", loaded_at=loaded_at, model=model, **seen)


def model_event(state: ModelState) -> ModelEvent:
    """The payload of /model/events; its ``type`` is the event's name."""
    match state:
        case Unloaded(problem):
            return ModelEvent("model_unloaded", error=problem or None)
        case Loading(pulled=pulled):
            return ModelEvent("model_loading", downloaded=pulled)
        case WaitingForGpu():
            return ModelEvent(
                "model_waiting_for_gpu",
                vram_needed_mb=state.vram_needed_mb,
                vram_free_mb=state.vram_free_mb,
                retry_in_secs=state.retry_in_secs,
            )
        case Ready(loaded_at=loaded_at):
            return ModelEvent("model_ready", loaded_at=loaded_at)


def webhook_body(
    delivery: Delivery, job: Job | None, segments: Sequence[Segment], left_out: Sequence[LeftOut]
) -> bytes:
    """A job's webhook is the whole job; the model's are small, with a ``type`` and no ``id``."""
    if job is not None:
        return msgspec.json.encode(job_document(job, segments, left_out))
    body: dict[str, Any] = {"type": delivery.event}
    if delivery.event == "model_ready":
        body["loaded_at"] = delivery.happened_at
    return msgspec.json.encode(body)
