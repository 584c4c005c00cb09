"""Normalise and stack one filter's raw flats into a master flat.

python scripts/make_master_flat.py night/flat_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --out flat_V.fits
"""

from dataclasses import asdict
from pathlib import Path

from nightcal.cli import (
    add_flat_limits,
    add_rejection,
    load_optional_master,
    make_parser,
    open_frames,
    read_flat_limits,
    read_rejection,
    run,
)
from nightcal.io.product import write_product
from nightcal.masters.finish import finish_master
from nightcal.masters.flat import make_master_flat


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--bias", type=Path, help="master bias")
    arguments.add_argument("--dark", type=Path, help="master dark")
    add_flat_limits(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="the master flat")
    add_rejection(arguments)
    args = arguments.parse_args()
    bias, dark = load_optional_master(args.bias), load_optional_master(args.dark)
    rejection, limits = read_rejection(args), read_flat_limits(args)
    opened = open_frames(args, bias)
    master = finish_master(
        "flat",
        opened,
        lambda: make_master_flat(opened.frames, bias, dark, rejection, opened.rejected, args.threads, limits),
        asdict(rejection) | asdict(limits),
        args.warn,
    )
    write_product(args.out, master)


if __name__ == "__main__":
    run(main)
