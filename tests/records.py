"""Records to show, with only what matters to a test said."""

from typing import Any

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
