"""Write the page of all nights in a folder of results.

python scripts/make_index.py results --out results/index.html
"""

import fcntl
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.io.atomic import write_text
from nightcal.report.index import make_index, read_nights


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("results", type=Path, help="folder with a subfolder for each night")
    arguments.add_argument("--out", type=Path, required=True, help="the page")
    args = arguments.parse_args()
    lock = args.results / "logs" / "index.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # of two nights that end at once, the later one sees both
        write_text(args.out, make_index(read_nights(args.results)))


if __name__ == "__main__":
    run(main)
