"""Finds out how many threads the engine should use on this computer."""

import os
import sys
from pathlib import Path


def usable_cores() -> int:
    """The number of physical cores that this process may use. More threads would be much slower."""
    allowed = os.sched_getaffinity(0)
    siblings = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(siblings), *_cgroup_cpus()))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _cgroup_cpus() -> list[int]:
    """The CPU quota of this process's control group, in whole cores; a huge number without one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return [sys.maxsize]
    return [sys.maxsize] if quota == "max" else [max(1, int(quota) // int(period))]
