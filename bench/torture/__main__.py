"""``python -m bench.torture kills --episodes 2000 --seed 1`` and so on; exits with 1 if a promise
did not hold."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.torture import kills, power_cuts
from bench.torture.box import Materials
from bench.torture.report import Report


def main() -> int:
    args = _parser().parse_args()
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
