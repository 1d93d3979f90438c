"""How far a job is, how fast it goes, and when it will be over. Pure functions of its row."""

from storage.records import Job, Status
from storage.times import seconds


def elapsed_secs(job: Job, now: float) -> float | None:
    """Since the engine began with it, up to its end; ``now`` in seconds since the epoch."""
    if job.started_at is None:
        return None
    end = seconds(job.completed_at) if job.completed_at else now
    return max(0.0, end - seconds(job.started_at))


def speed(job: Job, elapsed: float | None) -> float | None:
    """How much faster than it was spoken, as far as it has come."""
    if not elapsed or not job.duration_secs or not job.chunks_total or not job.chunks_done:
        return None
    return round(job.duration_secs * job.chunks_done / job.chunks_total / elapsed, 2)


def left_secs(job: Job, elapsed: float | None) -> float | None:
    """What the rest will take if it goes on as it went; None where nothing can be said yet."""
    if job.status is not Status.RUNNING or not elapsed or not job.chunks_done:
        return None
    assert job.chunks_total is not None
    return elapsed * (job.chunks_total - job.chunks_done) / job.chunks_done


def human(secs: float | None) -> str | None:
    """``1h 2m 3s``"""
    if secs is None:
        return None
    whole = round(secs)
    parts = [(whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{n}{unit}" for n, unit in parts if n) or "0s"
