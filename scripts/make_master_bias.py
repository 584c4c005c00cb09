"""Stack raw bias frames into a master bias.

python scripts/make_master_bias.py night/bias*.fits --camera config/cameras/generic.yaml --out bias.fits
"""

from pathlib import Path

from nightcal.cli import (
    add_keep,
    add_stacking,
    make_or_restore,
    make_parser,
    read_camera,
    read_stacking,
    run,
    write_master,
)
from nightcal.masters.make import make_master_bias


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="the master bias")
    arguments.add_argument("--serves-mjd", type=float, help="time of the science frames that it serves [MJD]")
    add_stacking(arguments)
    add_keep(arguments)
    args = arguments.parse_args()

    def make() -> None:
        options = read_stacking(args)
        write_master(args, make_master_bias(args.frames, read_camera(args), serves=args.serves_mjd, **options))

    make_or_restore(args, [args.out, args.maps], {}, make)


if __name__ == "__main__":
    run(main)
