"""Records to show, with only what matters to a test said."""

from pathlib import Path
from typing import Any

from actors.models.catalogue import Catalogue
from actors.models.vram import Gpu
from actors.system import Configuration
from app.services.info import ServerInfo
from app.settings import Settings
from storage.records import Job, Order, Status

AT = "2026-05-10T14:00:00.000Z"


def job(**changes: Any) -> Job:
    """The native guide's example: three chunks of seven are done."""
    fields: dict[str, Any] = {
        "number": 1, "id": "550e8400-e29b-41d4-a716-446655440000", "status": Status.RUNNING,
        "order": Order(language="en"), "size_bytes": 1, "detected_language": None,
        "duration_secs": 120.5, "chunks_total": 7, "chunks_done": 3, "segments": 0, "crashes": 0,
        "error": None, "created_at": AT, "started_at": None, "completed_at": None, "stage": None,
        "stage_detail": None, "stage_at": None, "heartbeat_at": None, "output_at": None,
    }  # fmt: skip
    return Job(**fields | changes)


def configuration(folder: Path, *, model: str = "demo") -> Configuration:
    """A server on a CPU with the default settings."""
    settings = Settings.from_environment({})
    return Configuration(
        data_dir=folder, catalogue=Catalogue(folder, default=model), suitable_model="base",
        gpu=Gpu(), device=None, threads=4, models=settings.models, engine=settings.engine,
        fetch=settings.fetch, webhooks=settings.webhooks, language_model=settings.language_model,
        diarization=settings.diarization, retention=settings.retention,
    )  # fmt: skip


def server_info(base_url: str, *, model: str, upload_max_mb: int | None = None) -> ServerInfo:
    return ServerInfo(
        configuration=configuration(Path("/nowhere"), model=model), base_url=base_url,
        upload_max_mb=upload_max_mb, cookie_lines=None, diarizes_voices=True,
    )  # fmt: skip
