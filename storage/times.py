"""Moments as the database and the wire hold them."""

from datetime import UTC, datetime


def utc(moment: float) -> str:
    """Seconds since the epoch as ``2026-05-10T14:00:00.000Z``, cut to milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def seconds(moment: str) -> float:
    """What `utc` wrote, in seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()
