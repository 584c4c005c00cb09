"""Calibrate raw science frames with the masters chosen for them, and measure them.

python scripts/reduce_science.py night/m13_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --flat flat_V.fits --bad-pixels bpm.fits --out m13_V1.fits m13_V2.fits \
    --measure '{"cosmic_rays": {}, "sources": {}, "astrometry": {}}' --stars stars.csv --catalogs V1.fits V2.fits
"""

from pathlib import Path

from nightcal import cli
from nightcal.errors import ConfigurationError
from nightcal.io.master import load_optional_master
from nightcal.science.reduce import ScienceBatch, reduce_frames


def main() -> None:
    arguments = cli.make_parser(__doc__, frames="raw science frames")
    cli.add_masters(arguments, "bias", "dark", "flat", "fringe")
    arguments.add_argument("--bad-pixels", type=Path, help="bad pixel mask, if there is one")
    arguments.add_argument("--unit", default="electron", choices=["electron", "adu"], help="unit of the products")
    arguments.add_argument("--warn", action="append", default=[], help="a warning for the headers")
    arguments.add_argument("--out", nargs="+", type=Path, required=True, help="a product per frame")
    cli.add_measuring(arguments)
    cli.add_keep(arguments)
    arguments.add_argument("--catalogs", nargs="+", default=[], type=Path, help="a table of sources per frame")
    arguments.add_argument("--thumbnails", nargs="+", default=[], type=Path, help="a small picture per frame")
    args = arguments.parse_args()
    lists = {"out": args.out, "catalogs": args.catalogs or args.out, "thumbnails": args.thumbnails or args.out}
    for option, names in lists.items():
        if len(names) != len(args.frames):
            raise ConfigurationError(f"--{option} has {len(names)} names; expected {len(args.frames)}, one a frame.")
    chosen = cli.choose_masters(args, "bias", "dark", "flat", "fringe")
    masters = {step: choice.master for step, choice in chosen.items() if step != "fringe"}
    masters["bpm"] = load_optional_master(args.bad_pixels)

    def reduce() -> None:
        batch = ScienceBatch(
            camera=cli.read_camera(args),
            masters=masters,
            measured=cli.read_measured_gain(args),
            unit=args.unit,
            warnings=[*args.warn, *(text for choice in chosen.values() for text in choice.warnings)],
            measurements=cli.read_measuring(args),
            overrides=cli.read_overrides(args),
            fringe=chosen["fringe"] if args.fringe else None,
        )
        reduce_frames(args.frames, args.out, batch, args.catalogs, args.thumbnails)

    cli.make_or_restore(args, [*args.out, *args.catalogs, *args.thumbnails], chosen, reduce)


if __name__ == "__main__":
    cli.run(main)
