"""Common parts of the scripts: arguments, log and error messages."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcal.errors import ConfigurationError

if TYPE_CHECKING:  # imports take time: a script imports only what it uses
    from nightcal.cameras.camera import Camera
    from nightcal.detector.gain import GainAndReadNoise
    from nightcal.io.product import Product
    from nightcal.masters.choose import Choice
    from nightcal.masters.flat_selection import FlatLimits
    from nightcal.planning.overrides import Overrides
    from nightcal.science.measure import Measurements

# read when numpy is imported: no script uses BLAS, and starting its threads takes time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# the same for astroscrappy: a job uses only the cores that Snakemake gives it
os.environ.setdefault("OMP_NUM_THREADS", "1")

OPEN_FILES = 1024


def make_parser(description: str | None, *, frames: str | None = "raw frames") -> argparse.ArgumentParser:
    """Make a parser, with the common arguments of scripts that read raw frames."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if frames:
        parser.add_argument("frames", nargs="+", type=Path, help=frames)
        add_camera(parser)
        parser.add_argument("--measured-gain", type=Path, help="measured gain and read noise (measure_gain.py)")
        parser.add_argument(
            "--gain",
            choices=["auto", "header", "measured"],
            default="auto",
            help="which gain to use if header and measurement differ",
        )
        parser.add_argument(
            "--overrides",
            type=parse_json,
            default={},
            help='what holds instead of headers, as JSON: {"night/dark_3.fits": {"type": "dark", "exposure": 30}}',
        )
    return parser


def add_camera(parser: argparse.ArgumentParser) -> None:
    """Add the camera file, and the colour to read if it splits mosaics."""
    parser.add_argument("--camera", type=Path, required=True, help="camera file, as in config/cameras")
    parser.add_argument("--plane", default="", help="colour of a mosaic, if the camera file splits it: R, G1, G2 or B")


def read_camera(args: argparse.Namespace) -> Camera:
    """Read the camera file, and the colour to read if it splits mosaics."""
    from nightcal.cameras.camera_file import load_camera

    return replace(load_camera(args.camera), plane=args.plane)


def read_more_cameras(args: argparse.Namespace) -> list[Camera]:
    """Read the camera files of frames that other programs took with the same camera."""
    from nightcal.cameras.camera_file import load_camera

    return [replace(load_camera(path), plane=args.plane) for path in args.more_cameras]


def read_overrides(args: argparse.Namespace) -> Overrides:
    """Read what holds instead of headers, from the arguments of scripts that read raw frames."""
    from nightcal.planning.overrides import parse_overrides

    return parse_overrides(args.overrides)


def add_masters(parser: argparse.ArgumentParser, *steps: str) -> None:
    """Add the masters of some steps, in order of preference, and the warnings that go with each."""
    for step in steps:
        parser.add_argument(
            f"--{step}",
            nargs="+",
            default=[],
            type=Path,
            help=f"master {step}; of several the first whose verdict (../verdicts) is not rejected",
        )
    parser.add_argument(
        "--warn-with",
        nargs=2,
        action="append",
        default=[],
        metavar=("MASTER", "WARNING"),
        help="a warning for the header if this master is used",
    )
    parser.add_argument(
        "--age-of",
        nargs=2,
        action="append",
        default=[],
        metavar=("MASTER", "GRADE"),
        help="plan, usable or risky, for the header if this master is used",
    )


def choose_masters(args: argparse.Namespace, *steps: str) -> dict[str, Choice]:
    """Choose the master of each step among those of `add_masters`, by step."""
    from nightcal.masters.choose import choose_master

    warnings: dict[str, list[str]] = {}
    for path, text in args.warn_with:
        warnings.setdefault(str(Path(path)), []).append(text)
    ages = {str(Path(path)): grade for path, grade in args.age_of}
    return {step: choose_master(step, getattr(args, step.replace("-", "_")), warnings, ages) for step in steps}


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add the folder that keeps the products."""
    parser.add_argument(
        "--keep", type=Path, help="folder that keeps the products: they are restored if nothing changed"
    )


def make_or_restore(
    args: argparse.Namespace, products: Sequence[Path | None], chosen: Mapping[str, Choice], make: Callable[[], None]
) -> None:
    """Make the products of a script, or restore them if they are kept and nothing has changed of what they are made.

    Parameters
    ----------
    args : Namespace
        All arguments of the script, with those of `add_keep`.
    products : sequence of Path or None
    chosen : mapping of str to Choice
        From `choose_masters`: candidates that are not used do not count.
    make : function
    """
    if args.keep is None:
        make()
        return
    from nightcal.io.kept_products import KeptProducts, hash_inputs

    left_out = {"frames", "keep", "threads", "warn_with", "age_of", *chosen}
    values = {name: value for name, value in vars(args).items() if name not in left_out}
    outputs = [path for path in products if path is not None]
    written = {name for name in ("out", "maps", "catalogs", "thumbnails") if name in values}
    values |= {name: repr(values[name]) for name in written}
    values |= {f"master {step}": choice.describe() for step, choice in chosen.items()}
    kept = KeptProducts(args.keep, outputs, hash_inputs(args.frames, values))
    if not kept.restore():
        make()
        kept.save()


def parse_json(text: str) -> Any:
    """Parse a JSON argument."""
    try:
        return json.loads(text)
    except ValueError as mistake:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not JSON; expected something like '{{\"sources\": {{}}}}'"
        ) from mistake


def read_measured_gain(args: argparse.Namespace) -> GainAndReadNoise | None:
    """Read the measured gain, with what it is used for; None without ``--measured-gain``."""
    from nightcal.detector.gain import read_gain

    return replace(read_gain(args.measured_gain), use=args.gain) if args.measured_gain else None


def add_stacking(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for stacking."""
    parser.add_argument("--frame-sigma", type=float, default=3.5, help="clipping for the level of a frame [rstd]")
    parser.add_argument("--stack-sigma", type=float, default=3.0, help="clipping of a pixel along the stack [rstd]")
    parser.add_argument("--warn", action="append", default=[], help="a warning for the header")
    parser.add_argument("--threads", type=int, default=1, help="number of threads")
    parser.add_argument("--no-floor", action="store_true", help="clip by the rstd alone, however small it is")
    parser.add_argument("--maps", type=Path, help="summary of the master (.npz), by which it is judged")


def read_stacking(args: argparse.Namespace, *choices: Choice) -> dict[str, Any]:
    """Read the arguments of `add_stacking`, and the measured gain, as the functions that make masters take them.

    The chosen masters add their warnings.
    """
    from nightcal.masters.common import Rejection

    return {
        "measured": read_measured_gain(args),
        "rejection": Rejection(args.frame_sigma, args.stack_sigma, not args.no_floor),
        "threads": args.threads,
        "warnings": [*args.warn, *(text for choice in choices for text in choice.warnings)],
        "overrides": read_overrides(args),
    }


def write_master(args: argparse.Namespace, product: Product) -> None:
    """Write a master, and the summary by which it is judged, to the paths of the arguments."""
    from nightcal.io.product import write_product

    write_product(args.out, product)
    if args.maps:
        from nightcal.io.master_maps import write_maps
        from nightcal.masters.map_master import map_master

        write_maps(args.maps, map_master(product, args.out.stem))


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for measurements in science frames."""
    parser.add_argument("--measure", type=parse_json, default={}, help="steps and their options, as JSON: see above")
    parser.add_argument("--stars", nargs="+", default=[], type=Path, help="catalogues of reference stars")
    parser.add_argument("--columns", type=parse_json, default={}, help="names of their columns, as JSON")
    parser.add_argument("--fields", nargs="+", default=[], type=Path, help="downloaded catalogues of single fields")


def read_measuring(args: argparse.Namespace) -> Measurements | None:
    """Read the arguments of `add_measuring`; None if nothing is to be measured."""
    if not args.measure:
        return None
    from nightcal.science.measure import read_measurements

    return read_measurements(args.measure, args.stars, args.columns, args.fields)


def add_flat_limits(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the selection of flats."""
    parser.add_argument("--faintest", type=float, default=5.0, help="smallest signal-to-noise ratio of a pixel")
    parser.add_argument(
        "--departure", type=float, default=2.0, help="largest difference in shape from the other flats [percent]"
    )
    parser.add_argument(
        "--dither", type=float, default=10.0, help="smallest offset between twilight flats with stars [arcsec]"
    )


def read_flat_limits(args: argparse.Namespace) -> FlatLimits:
    """Read the arguments of `add_flat_limits`."""
    from nightcal.masters.flat_selection import FlatLimits

    return FlatLimits(args.faintest, args.departure, args.dither)


def _allow_many_open_files() -> None:
    """Raise the limit of open files: a stack keeps each of its frames open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(main: Callable[[], None]) -> None:
    """Run a script: log to standard error, and report a mistake of the user in one line."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    _allow_many_open_files()
    try:
        main()
    except ConfigurationError as mistake:
        sys.exit(str(mistake))
