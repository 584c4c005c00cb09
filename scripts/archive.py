"""Add the accepted masters of reduced nights to a library.

python scripts/archive.py results/20240301 results/20240302 --library archive
"""

import logging
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.errors import ConfigurationError
from nightcal.masters.archive import archive_night


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("nights", nargs="+", type=Path, help="results of nights")
    arguments.add_argument("--library", type=Path, help="folder of the library")
    args = arguments.parse_args()
    if args.library is None:
        raise ConfigurationError("configuration: archive is null; expected the folder of a library, for its masters.")
    for night in args.nights:
        added = archive_night(night, args.library)
        logging.getLogger(__name__).info("%s: %d files added to %s.", night.name, len(added), args.library)


if __name__ == "__main__":
    run(main)
