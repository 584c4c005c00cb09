"""Stack raw bias frames into a master bias.

python scripts/make_master_bias.py night/bias*.fits --camera config/cameras/generic.yaml --out bias.fits
"""

from pathlib import Path

from nightcal.cli import add_stacking, make_parser, read_camera, read_stacking, run, write_master
from nightcal.masters.make import make_master_bias


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="the master bias")
    add_stacking(arguments)
    args = arguments.parse_args()
    write_master(args, make_master_bias(args.frames, read_camera(args), **read_stacking(args)))


if __name__ == "__main__":
    run(main)
