"""Find the pixels that are flagged as cosmic rays in most science frames of a night.

python scripts/find_persistent_hits.py results/20240301/science/*.fits --catalogs results/20240301/catalogs \
    --out results/20240301/persistent_hits_x.fits
"""

from pathlib import Path

from astropy.io import fits
from nightcal.cli import make_parser, run
from nightcal.io.source_catalog import read_positions
from nightcal.science.persistent_hits import find_persistent_hits, write_hits


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("products", nargs="+", type=Path, help="calibrated science frames of one setup")
    arguments.add_argument("--catalogs", type=Path, help="folder of their source catalogues, if there are any")
    arguments.add_argument("--out", type=Path, required=True, help="the pixels, as a mask")
    args = arguments.parse_args()
    good = [path for path in args.products if "EMPTY" not in fits.getheader(path)]
    masks = (fits.getdata(path, "MASK") for path in good)
    catalogs = (args.catalogs / path.name if args.catalogs else None for path in good)
    write_hits(args.out, find_persistent_hits(zip(masks, map(read_positions, catalogs), strict=True)))


if __name__ == "__main__":
    run(main)
