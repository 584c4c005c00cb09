"""Normalise and stack one filter's raw flats into a master flat.

python scripts/make_master_flat.py night/flat_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --out flat_V.fits
"""

from dataclasses import asdict
from pathlib import Path

from nightcal.cli import (
    add_flat_limits,
    add_rejection,
    flat_limits_of,
    open_frames,
    optional_master,
    parser,
    rejection_of,
    run,
)
from nightcal.io.product import write_product
from nightcal.masters.finish import finish_master
from nightcal.masters.flat import make_master_flat


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--bias", type=Path, help="master bias")
    arguments.add_argument("--dark", type=Path, help="master dark")
    add_flat_limits(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="the master flat")
    add_rejection(arguments)
    args = arguments.parse_args()
    bias, dark = optional_master(args.bias), optional_master(args.dark)
    rejection, limits = rejection_of(args), flat_limits_of(args)
    opened = open_frames(args, bias)
    master = finish_master(
        "flat",
        opened,
        lambda: make_master_flat(opened.exposures, bias, dark, rejection, opened.refused, args.threads, limits),
        asdict(rejection) | asdict(limits),
        args.warn,
    )
    write_product(args.out, master)


if __name__ == "__main__":
    run(main)
