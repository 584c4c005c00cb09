"""What the scripts share: their arguments, their log, and how they say no."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcal.errors import ConfigurationError

if TYPE_CHECKING:  # a script imports what it uses, when it uses it
    from nightcal.io.master import MasterFrame
    from nightcal.masters.common import Rejection
    from nightcal.masters.flat_selection import FlatLimits
    from nightcal.stacking.open_frames import OpenFrames

# numpy reads it when it is imported: no script uses BLAS, and starting its threads costs
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# the same of astroscrappy: jobs run side by side, and a job has the cores that Snakemake gives it
os.environ.setdefault("OMP_NUM_THREADS", "1")

OPEN_FILES = 1024


def parser(description: str | None, *, frames: str | None = "raw frames") -> argparse.ArgumentParser:
    """Make a parser with the arguments that scripts on raw frames have in common."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if frames:
        made.add_argument("frames", nargs="+", type=Path, help=frames)
        made.add_argument("--camera", type=Path, required=True, help="camera file, as in config/cameras")
        made.add_argument(
            "--measured-gain", type=Path, help="gain and read noise, if headers lack them (measure_gain.py)"
        )
    return made


def json_of(text: str) -> Any:
    """Read an argument that is JSON."""
    try:
        return json.loads(text)
    except ValueError as mistake:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no JSON; expected something as '{{\"sources\": {{}}}}'"
        ) from mistake


def add_rejection(made: argparse.ArgumentParser) -> None:
    """Add the arguments of stacks."""
    made.add_argument("--frame-sigma", type=float, default=3.5, help="half-width for a frame's level [rstd]")
    made.add_argument("--stack-sigma", type=float, default=3.0, help="half-width along the stack [rstd]")
    made.add_argument("--warn", action="append", default=[], help="a warning for the header")
    made.add_argument("--threads", type=int, default=1, help="threads that stack side by side")
    made.add_argument("--no-floor", action="store_true", help="trust the rstd of a few frames, however small")


def rejection_of(args: argparse.Namespace) -> Rejection:
    """Arguments of `add_rejection` as the record that masters take."""
    from nightcal.masters.common import Rejection

    return Rejection(args.frame_sigma, args.stack_sigma, not args.no_floor)


def add_flat_limits(made: argparse.ArgumentParser) -> None:
    """Add the arguments of what is asked of flats."""
    made.add_argument("--faintest", type=float, default=5.0, help="smallest signal-to-noise ratio of a pixel")
    made.add_argument("--departure", type=float, default=2.0, help="largest departure from the set's shape [percent]")
    made.add_argument("--dither", type=float, default=10.0, help="least distance of twilight flats with stars [arcsec]")


def flat_limits_of(args: argparse.Namespace) -> FlatLimits:
    """Arguments of `add_flat_limits` as the record that `nightcal.masters.flat.make_master_flat` takes."""
    from nightcal.masters.flat_selection import FlatLimits

    return FlatLimits(args.faintest, args.departure, args.dither)


def open_frames(args: argparse.Namespace, bias: MasterFrame | None = None) -> OpenFrames:
    """Open the frames that a script was given, with the gain of their master bias where no better one is known."""
    from nightcal.cameras.amplifiers import choose_gain
    from nightcal.cameras.camera_file import load_camera
    from nightcal.detector.photon_transfer import read_gain
    from nightcal.stacking.open_frames import open_frames

    measured = read_gain(args.measured_gain) if args.measured_gain else None
    return open_frames(args.frames, load_camera(args.camera), choose_gain(measured, bias))


def optional_master(path: Path | None) -> MasterFrame | None:
    """Load a master that may not be there."""
    from nightcal.io.master import load_master

    return None if path is None else load_master(path)


def _allow_many_open_files() -> None:
    """Raise the number of files a process may have open: a stack keeps one for each of its frames."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(main: Callable[[], None]) -> None:
    """Run a script: log to standard error, a user's mistake in one line."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    _allow_many_open_files()
    try:
        main()
    except ConfigurationError as mistake:
        sys.exit(str(mistake))
