"""Compile the loops for large stacks, once for all jobs.

NUMBA_CACHE_DIR=.snakemake/kernels python scripts/warm_kernels.py --out .snakemake/kernels/here.ok
"""

from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.io.atomic import write_text
from nightcal.numerics.kernels import warm


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("--out", type=Path, required=True, help="file written when done")
    args = arguments.parse_args()
    write_text(args.out, warm())


if __name__ == "__main__":
    run(main)
