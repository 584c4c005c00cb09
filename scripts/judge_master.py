"""Compare a master with the last accepted one of its kind, and write the verdict on it.

python scripts/judge_master.py results/20240302/verdicts/bias_x.npz \
    --earlier results/20240301/verdicts/bias_x.npz results/20240301/verdicts/bias_x.json \
    --out results/20240302/verdicts/bias_x.json
"""

import logging
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.io.master_maps import MasterMaps, read_maps
from nightcal.io.verdict import find_verdict, read_verdict, write_verdict
from nightcal.masters.judge import Earlier, judge


def read_any_maps(path: Path) -> MasterMaps:
    """Read the summary of a master, or summarise a master of a library that has none."""
    if path.suffix == ".npz":
        return read_maps(path)
    from nightcal.masters.map_master import map_master_file

    return map_master_file(path)


def read_earlier(maps: Path, verdict: str) -> Earlier:
    """Read an earlier master and the verdict on it; that on a master of a library stands beside it."""
    return Earlier(read_any_maps(maps), find_verdict(maps) if verdict == "-" else read_verdict(Path(verdict)))


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("maps", type=Path, help="summary of the master (.npz), or the master itself")
    arguments.add_argument(
        "--earlier",
        nargs=2,
        action="append",
        default=[],
        metavar=("MAPS", "VERDICT"),
        help="an earlier master and its verdict, the latest first; - for the verdict beside a master of a library",
    )
    arguments.add_argument("--by-hand", default="", help="what the observer says: accept, or reject and why")
    arguments.add_argument("--out", type=Path, required=True, help="the verdict (JSON)")
    args = arguments.parse_args()
    earlier = [read_earlier(Path(maps), verdict) for maps, verdict in args.earlier]
    verdict = judge(read_any_maps(args.maps), earlier, args.by_hand)
    logging.getLogger(__name__).info("%s: %s: %s.", verdict.master, verdict.outcome.word, verdict.why)
    write_verdict(args.out, verdict)


if __name__ == "__main__":
    run(main)
