"""What can be set about how long jobs and recordings are kept."""

from dataclasses import dataclass

from actors.kernel.setting import setting

HOUR_S, DAY_S = 3600.0, 86_400.0


@dataclass(frozen=True)
class RetentionSettings:
    keep_upload_hours: float | None = setting(
        None,
        "Hours that a recording is kept after its job has ended; 0: not at all. "
        "Unset: as long as the disk has room, and then the oldest go first.",
        minimum=0,
    )
    keep_jobs_days: float | None = setting(
        None,
        "Days that a job is kept after its end, with its transcript and recording. "
        "Unset: for ever.",
        minimum=0,
    )

    @property
    def recording_secs(self) -> float | None:
        return None if self.keep_upload_hours is None else self.keep_upload_hours * HOUR_S

    @property
    def job_secs(self) -> float | None:
        return None if self.keep_jobs_days is None else self.keep_jobs_days * DAY_S
