"""Download the reference stars of each field of a night: the only step that needs a network.

python scripts/fetch_stars.py refcat2 --folder stars --faintest 19 --field 205.5 28.4 0.5 --field 206.1 27.9 0.5
"""

from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.errors import ConfigurationError
from nightcal.measurement.star_catalog.cone import SOURCES, NotDownloaded, download_cone, round_cone


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("catalogue", help=" or ".join(SOURCES))
    arguments.add_argument("--folder", type=Path, required=True, help="folder for the stars, a file per field")
    arguments.add_argument("--faintest", type=float, default=19.0, help="magnitude limit (%(default)s)")
    arguments.add_argument(
        "--field", nargs=3, type=float, action="append", default=[], metavar=("RA", "DEC", "RADIUS"), help="[deg]"
    )
    args = arguments.parse_args()
    if args.catalogue not in SOURCES:
        raise ConfigurationError(
            f"catalog.download is {args.catalogue}; expected {' or '.join(SOURCES)}, as in"
            " --config 'catalog={download: refcat2}'."
        )
    if not args.field:
        print("No science frame has a pointing in its header: nothing to download.")
    for cone in sorted({round_cone(*field) for field in args.field}, key=lambda cone: (cone.ra, cone.dec)):
        path = args.folder / cone.name_file(args.catalogue, args.faintest)
        try:
            stars = "exists" if path.exists() else f"{download_cone(cone, args.catalogue, path, args.faintest)} stars"
        except NotDownloaded as reason:
            raise ConfigurationError(f"{path}: {reason}") from reason
        print(f"{path}: {stars}")


if __name__ == "__main__":
    run(main)
