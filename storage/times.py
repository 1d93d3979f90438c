"""The format of times in the database and in answers."""

from datetime import UTC, datetime


def utc(moment: float) -> str:
    """Seconds since the epoch as ``2026-05-10T14:00:00.000Z``, cut to milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def seconds(moment: str) -> float:
    """The seconds since the epoch of a time that `utc` wrote."""
    return datetime.fromisoformat(moment).timestamp()
