"""What can be set about telling speakers apart."""

from dataclasses import dataclass

from actors.kernel.setting import setting


@dataclass(frozen=True)
class DiarizationSettings:
    diarization: bool = setting(
        True,
        "Whether speakers are told apart, where a job of the hub API does not say otherwise.",
    )
    max_speakers: int = setting(10, "The most speakers that a recording can have.", minimum=1)
    diarization_timeout_secs: float = setting(
        3600, "How long telling the speakers of one recording apart may take.", minimum=1
    )
