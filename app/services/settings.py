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

    @property
    def most_bytes(self) -> int | None:
        """Of one upload; None: no limit."""
        return self.upload_max_mb << 20 or None
