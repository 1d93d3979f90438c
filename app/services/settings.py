"""What can be set about what people may submit."""

from dataclasses import dataclass

from actors.kernel.setting import setting


@dataclass(frozen=True)
class SubmissionSettings:
    queue_when_unloaded: bool = setting(
        False, "Accept jobs in every state of the model, instead of answering 503."
    )
    upload_max_mb: int = setting(0, "The largest upload, in MB; 0 is no limit.", minimum=0)
    quota_jobs: int = setting(
        0, "Jobs of one account that may be open at once; 0 is no limit.", minimum=0
    )
    quota_audio_minutes: float = setting(
        0, "Minutes of audio of one account in a day; 0 is no limit.", minimum=0
    )
    max_queued_jobs: int = setting(
        10_000,
        "Jobs that may be queued at once: when there are so many, the server accepts no new "
        "ones and answers 503; 0 is no limit.",
        minimum=0,
    )
    max_queue_hours: float = setting(
        720,
        "Hours that the first queued job may have waited: while it has waited longer, the server "
        "accepts no new ones and answers 503; 0 is no limit.",
        minimum=0,
    )

    @property
    def most_bytes(self) -> int | None:
        """Of one upload; None: no limit."""
        return self.upload_max_mb << 20 or None
