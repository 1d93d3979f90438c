"""``python -m bench.torture kills --episodes 2000 --seed 1`` and so on; exits with 1 if a promise
did not hold."""

import argparse
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.torture import faults, kills, load, media, power_cuts
from bench.torture.box import Materials, shim
from bench.torture.report import Report


def main() -> int:
    args = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended as well
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Under nohup: the servers would inherit that, and would rightly not stop on SIGHUP.
        signal.signal(signal.SIGHUP, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="whisperbox-torture-") as name:
        folder = Path(name)
        materials = Materials.make(folder / "materials")
        reports: list[Report] = args.run(folder, materials, args)
    for report in reports:
        print(report)
    return 1 if any(report.failures for report in reports) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parts = parser.add_subparsers(required=True, metavar="PART")
    each = parts.add_parser("kills", help="kill the server and its children at random")
    each.add_argument("--episodes", type=int, default=100)
    each.add_argument("--seed", type=int, default=1)
    each.set_defaults(run=lambda f, m, a: [kills.run(f, m, a.episodes, a.seed)])
    each = parts.add_parser("cuts", help="cut the power at random moments")
    each.add_argument("--cuts", type=int, default=100)
    each.add_argument("--starts", type=int, default=3, help="servers started after a cut")
    each.add_argument("--secs", type=float, default=8, help="seconds of work to record")
    each.add_argument("--seed", type=int, default=1)
    each.add_argument("--blind", help="take syncs of such paths as not done: must find losses")
    each.set_defaults(
        run=lambda f, m, a: [power_cuts.run(f, m, a.cuts, a.starts, a.secs, a.seed, a.blind)]
    )
    each = parts.add_parser("faults", help="troubles that pass: " + ", ".join(faults.FAULTS))
    each.add_argument("names", nargs="*", metavar="NAME", help="only these; without: all")
    each.set_defaults(run=lambda f, m, a: [faults.run(f, m, a.names or list(faults.FAULTS))])
    each = parts.add_parser("load", help="receivers, searches, streams, slow, overload")
    each.add_argument("names", nargs="*", metavar="NAME", help="only these; without: all")
    each.add_argument("--minutes", type=float, default=5, help="of overload")
    each.set_defaults(run=lambda f, m, a: [load.run(f, m, a.names, a.minutes)])
    each = parts.add_parser("media", help="files that no recorder writes: time and memory")
    each.set_defaults(run=lambda f, m, a: [media.run(f, m)])
    each = parts.add_parser("short", help="20 kills, 20 cuts and the quick faults: `make check`")
    each.set_defaults(run=lambda f, m, a: short(f, m))
    return parser


def short(folder: Path, materials: Materials) -> list[Report]:
    """The part of `make check`: the kinds that have found most, in two minutes."""
    if shutil.which("gcc") is None:
        print("skipped: kills at file operations and power cuts need gcc")
        return []
    parts = (
        partial(kills.run, folder, materials, episodes=20, seed=1),
        partial(power_cuts.run, folder, materials, cuts=20, starts=1, secs=5, seed=1),
        partial(faults.run, folder, materials, faults.QUICK, quick=True),
    )
    shim()
    with ThreadPoolExecutor(len(parts)) as pool:  # most of them wait most of the time
        running = [pool.submit(part) for part in parts]
    return [part.result() for part in running]


if __name__ == "__main__":
    sys.exit(main())
