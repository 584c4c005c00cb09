"""Gather what the masters of a night say about pixels into a bad pixel mask.

python scripts/make_bad_pixel_mask.py bias.fits dark.fits flat_V.fits --out bpm.fits
"""

from pathlib import Path

from nightcal.command import parser, run
from nightcal.exposures import copy_setup
from nightcal.fitsio import provenance, write_product
from nightcal.masters import load_master, make_bad_pixel_mask


def main() -> None:
    arguments = parser(__doc__, frames=None)
    arguments.add_argument("masters", nargs="+", type=Path, help="master bias, darks and flats of one camera and mode")
    arguments.add_argument("--out", type=Path, required=True, help="the bad pixel mask")
    args = arguments.parse_args()
    masters = [load_master(path) for path in args.masters]
    product = make_bad_pixel_mask(masters)
    copy_setup(product.header, masters)
    provenance(product.header, {})
    write_product(args.out, product)


if __name__ == "__main__":
    run(main)
