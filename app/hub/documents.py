"""The shapes of what the hub dialect says, for the type checker and for /docs.

Moments are ISO 8601 in UTC, lengths seconds; None where there is nothing to say.
"""

from typing import Literal, TypedDict

from app.transcripts.document import SegmentEvidence

State = Literal["queued", "downloading", "transcribing", "finalizing", "completed", "failed"]
TextState = Literal["pending", "running", "completed", "failed"]
SpeakersState = Literal["pending", "running", "completed", "failed", "skipped", "unavailable"]
CallbackState = Literal["pending", "retrying", "delivered", "failed"]
LivenessState = Literal["inactive", "active", "quiet", "suspect", "stale"]


class LogEntry(TypedDict):
    at: str
    message: str


class Liveness(TypedDict):
    """Whether somebody works on the job now, from its heartbeats."""

    state: LivenessState
    summary: str
    heartbeat_at: str | None
    heartbeat_age_seconds: float | None
    last_output_at: str | None
    last_output_age_seconds: float | None
    runner_id: str | None
    current_step: str | None
    stale_after_seconds: int
    is_stale: bool


class May(TypedDict):
    """What may be done with a job now."""

    can_cancel_now: bool
    can_restart_now: bool
    can_reset_for_retry: bool
    can_delete: bool
    can_analyze_transcript: bool


class HubSegment(SegmentEvidence):
    start: float
    end: float
    text: str
    speaker_label: str | None


class MadeText(TypedDict):
    """What a language model wrote; ``text`` is None in lists and until the job is completed."""

    status: TextState
    text: str | None
    model: str | None
    updated_at: str
    error: str | None


class Analysis(MadeText):
    language: str | None


class Translation(MadeText):
    target_language: str
    target_language_label: str
    source_language: str | None
    source_language_label: str | None
    truncated: bool


class Diarization(TypedDict):
    """Who speaks when; ``labelled_segment_count`` is None in lists."""

    status: SpeakersState
    provider: str | None
    updated_at: str | None
    error: str | None
    warning: str | None
    speaker_count: int
    labelled_segment_count: int | None
    speaker_labels: list[str]


class HubLeftOut(TypedDict):
    """What the engine wrote and the transcript does not have."""

    start: float | None
    end: float | None
    text: str
    reason: str


class CallbackStatus(TypedDict):
    url: str
    status: CallbackState
    http_status: int | None
    last_attempt_at: str | None
    delivered_at: str | None
    error: str | None


class ShareLink(TypedDict):
    """A public page."""

    url: str
    token: str
    created_at: str
    expires_at: str | None
    has_password: bool
    with_audio: bool
    with_downloads: bool
    last_accessed_at: str | None
    access_count: int


class HubJob(May):
    """A job; lists leave out what was said and the log."""

    id: int
    queue_channel: str
    queue_channel_label: str
    status: State
    status_label: str
    cancelled: bool
    progress_percent: int
    stage_label: str
    stage_detail: str | None
    stage_updated_at: str | None
    runtime_log: list[LogEntry]
    last_error: str | None
    notices: list[str]
    source_type: Literal["url", "upload"]
    source_url: str | None
    source_label: str | None
    source_note: str | None
    source_filename: str | None
    source_mime: str | None
    source_size_bytes: int | None
    source_duration_seconds: float | None
    source_duration_human: str | None
    model: str
    language: str | None
    analysis_language_preference: str | None
    translation_target_languages: list[str]
    diarization_requested: bool
    created_at: str
    started_at: str | None
    completed_at: str | None
    processing_elapsed_seconds: float | None
    processing_elapsed_human: str | None
    observed_throughput_multiplier: float | None
    observed_throughput_summary: str | None
    cpu_threads_configured: int
    liveness: Liveness
    cancel_requested_at: str | None
    transcript_text: str | None
    transcript_segments: list[HubSegment]
    left_out: list[HubLeftOut]
    speaker_aware_transcript: str | None
    analysis: Analysis | None
    translations: list[Translation]
    diarization: Diarization
    callback: CallbackStatus | None
    share: ShareLink | None


class UploadLimit(TypedDict):
    configured_mb: int | None
    effective_max_mb: int | None
    effective_max_label: str
    limited_by: str | None
    php_upload_max_mb: None
    php_post_max_mb: None
    limited_by_php: bool


class Cookies(TypedDict):
    """For pages that yt-dlp reads."""

    configured: bool
    source: str | None
    line_count: int


class DiarizationConfig(TypedDict):
    enabled: bool
    provider: str
    provider_supported: bool
    min_speakers: int
    max_speakers: int
    timeout_seconds: int
    warning: str


class HubConfig(TypedDict):
    enabled: bool
    default_model: str
    upload_max_mb: int | None
    upload_limit: UploadLimit
    ytdlp_configured: bool
    ytdlp_cookies: Cookies
    cpu_threads: int
    diarization: DiarizationConfig


class Counts(TypedDict):
    """Of the jobs that the caller may see."""

    queued: int
    processing: int
    completed: int
    failed: int


# Answers.


class Answer(TypedDict):
    ok: Literal[True]


class Said(Answer):
    message: str


class OneJob(Answer):
    job: HubJob


class JobAndMessage(OneJob):
    message: str


class ManyJobs(Answer):
    """Newest first."""

    jobs: list[HubJob]


class HubStatus(Answer):
    summary: Counts
    can_manage_all: bool
    config: HubConfig


class Shared(Answer):
    share: ShareLink


class Started(Said):
    """How many jobs wait and will be worked on, and how many failed ones were put back."""

    started: int
    reset: int


class User(TypedDict):
    id: int
    email: str


class SignedIn(TypedDict):
    """``access_token`` is a bearer token for ``expires_in`` seconds."""

    access_token: str
    token_type: str
    expires_in: int
    user: User


class HubError(TypedDict):
    """What every refusal but a 422 says."""

    ok: Literal[False]
    message: str


class FieldErrors(HubError):
    errors: dict[str, list[str]]
