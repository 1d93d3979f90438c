"""The hub's status document: how many jobs there are, and what the server is set up for."""

from collections.abc import Mapping

from app.hub.documents import HubConfig, HubStatus
from app.hub.presenters import SPEAKERS_WARNING
from app.services.info import ServerInfo
from storage.records import Status


def status_document(
    counts: Mapping[tuple[Status, bool], int],
    *,
    can_manage_all: bool,
    info: ServerInfo,
) -> HubStatus:
    """``counts``: jobs by status and whether they are being fetched."""
    return {
        "ok": True,
        "summary": {
            "queued": counts.get((Status.QUEUED, False), 0),
            "processing": counts.get((Status.QUEUED, True), 0)
            + sum(n for (status, _), n in counts.items() if status is Status.RUNNING),
            "completed": counts.get((Status.DONE, False), 0),
            "failed": counts.get((Status.FAILED, False), 0)
            + counts.get((Status.CANCELLED, False), 0),
        },
        "can_manage_all": can_manage_all,
        "config": _config_document(info),
    }


def _config_document(info: ServerInfo) -> HubConfig:
    most, fetch = info.upload_max_mb, info.configuration.fetch
    diarization = info.configuration.diarization
    return {
        "enabled": True,
        "default_model": info.default_model,
        "upload_max_mb": most,
        "upload_limit": {
            "configured_mb": most,
            "effective_max_mb": most,
            "effective_max_label": f"{most} MB" if most else "No limit",
            "limited_by": "configuration" if most else None,
            "php_upload_max_mb": None,
            "php_post_max_mb": None,
            "limited_by_php": False,
        },
        "ytdlp_configured": fetch.fetch_pages,
        "ytdlp_cookies": {
            "configured": info.cookie_lines is not None,
            "source": None if info.cookie_lines is None else "file",
            "line_count": info.cookie_lines or 0,
        },
        "cpu_threads": info.configuration.threads,
        "diarization": {
            "enabled": diarization.diarization,
            "provider": "voices" if info.diarizes_voices else "channels",
            "provider_supported": True,
            "min_speakers": 1,
            "max_speakers": diarization.max_speakers if info.diarizes_voices else 2,
            "timeout_seconds": int(diarization.diarization_timeout_secs),
            "warning": SPEAKERS_WARNING,
        },
    }
