"""Calibrated frames of a simulated night next to their truth: honest error bars or not.

python -m nightcal.simulation.truth SCIENCE TRUTH
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

TOLERANCE = 0.02
STARLESS = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pulls:
    """Mean and standard deviation of (data - truth) / uncertainty over some pixels."""

    n_pixels: int
    mean: float
    width: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One science product next to its truth: all good pixels, and those of them without a star."""

    name: str
    everywhere: Pulls
    sky: Pulls

    @property
    def honest(self) -> bool:
        """Whether errors are as large as claimed and the data unbiased; never true without pixels."""
        pulls = self.everywhere, self.sky
        return all(abs(p.width - 1) <= TOLERANCE and abs(p.mean) <= TOLERANCE for p in pulls)


def compare_with_truth(science_folder: Path, truth_folder: Path) -> list[Comparison]:
    """Measure how honest the error bars of calibrated frames are.

    Parameters
    ----------
    science_folder : Path
        Products in electrons. Masked pixels and those hit by a cosmic ray are left out.
    truth_folder : Path
        As `nightcal.simulation.night` wrote it; a truth without a product counts as one without pixels.

    Returns
    -------
    list of Comparison
        One a truth, sorted by name.
    """
    return [_compare(Path(science_folder) / truth.name, truth) for truth in sorted(Path(truth_folder).glob("*.fits"))]


def _compare(product: Path, truth: Path) -> Comparison:
    if not product.exists():
        return Comparison(product.stem, _pulls(np.empty(0)), _pulls(np.empty(0)))
    with fits.open(product) as hdus:
        data, sigma, mask = (np.array(hdus[key].data, dtype=float) for key in (0, "UNCERT", "MASK"))
    with fits.open(truth) as hdus:
        expected, hit, sky = np.array(hdus[0].data, dtype=float), np.array(hdus["COSMIC"].data), hdus[0].header["SKY"]
    good = (mask == 0) & (hit == 0)
    starless = good & (expected - sky < STARLESS)
    return Comparison(product.stem, *(_pulls(((data - expected) / sigma)[which]) for which in (good, starless)))


def _pulls(pull: Floats) -> Pulls:
    if not pull.size:
        return Pulls(0, np.nan, np.nan)
    return Pulls(pull.size, float(pull.mean()), float(pull.std()))


@dataclass(frozen=True, slots=True)
class Measured:
    """What one science product says of the sky, next to the truth; NaN where it says nothing.

    Attributes
    ----------
    name : str
    position : float
        Rms distance over the frame between where its pixels look and where they are said to look [pix].
    zero_point, error : float
        Difference from the true zero point, for stars of the colour that it holds for, and its quoted error [mag].
    """

    name: str
    position: float
    zero_point: float
    error: float


def measured_sky(science_folder: Path, truth_folder: Path) -> list[Measured]:
    """Compare sky coordinates and zero points of calibrated frames with the truth.

    Parameters
    ----------
    science_folder, truth_folder : Path
        As for `compare_with_truth`.

    Returns
    -------
    list of Measured
        One a product that tells either, sorted by name.
    """
    found = []
    for truth in sorted(Path(truth_folder).glob("*.fits")):
        product = Path(science_folder) / truth.name
        header, true = fits.getheader(product) if product.exists() else fits.Header(), fits.getheader(truth)
        if "ZP" in header or str(header.get("WCSSTAT", "")).startswith("solved"):
            colour = true["ZPCOLOR"] * header.get("ZPCMEAN", np.nan)
            off = header.get("ZP", np.nan) - true["ZP"] - colour
            found.append(Measured(truth.stem, _misplaced(header, true), off, header.get("ZPERR", np.nan)))
    return found


def _misplaced(header: fits.Header, true: fits.Header) -> float:
    from astropy.wcs import WCS, FITSFixedWarning

    if not str(header.get("WCSSTAT", "")).startswith("solved"):
        return np.nan
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.linspace(0, true[f"NAXIS{n}"] - 1, 9) for n in (1, 2))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # that a date was written out
        there = WCS(true).all_world2pix(*WCS(header).all_pix2world(x, y, 0), 0)
    return float(np.sqrt(np.mean((there[0] - x) ** 2 + (there[1] - y) ** 2)))


def _sky_table(measured: Sequence[Measured]) -> str:
    lines = [f"{'frame':16}{'position off [pix]':>20}{'zero point off [mag]':>22}{'its error':>11}"]
    lines += [f"{m.name:16}{m.position:20.3f}{m.zero_point:22.4f}{m.error:11.4f}" for m in measured]
    return "\n".join(lines)


def verdict(comparisons: Sequence[Comparison]) -> str:
    """Say in an observer's words whether the error bars can be believed.

    Parameters
    ----------
    comparisons : sequence of Comparison
        As `compare_with_truth` returns them.

    Returns
    -------
    str
        One sentence; it names the frames that cannot.
    """
    dishonest = [c.name for c in comparisons if not c.honest]
    if dishonest:
        return (
            f"Do not trust the error bars of {', '.join(dishonest)}: a width above 1 means errors too small, below 1 "
            "too large; a mean other than 0 means that the calibration added or lost light."
        )
    return (
        "The error bars are honest: in every frame the pixels scatter about the truth as widely as their errors say "
        f"(width 1.00 +- {TOLERANCE}) and lie neither above nor below it (mean 0 +- {TOLERANCE})."
    )


def _table(comparisons: Sequence[Comparison]) -> str:
    lines = [
        f"{'(measured - true) / sigma':>42}{'without stars':>27}",
        f"{'frame':16}" + f"{'pixels':>9}{'mean':>9}{'width':>9}" * 2,
    ]
    for c in comparisons:
        pulls = (f"{p.n_pixels:9d}{p.mean:9.3f}{p.width:9.3f}" for p in (c.everywhere, c.sky))
        lines.append(f"{c.name:16}" + "".join(pulls))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; return the exit status, 1 if errors are wrong.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line; None for the program's own.

    Returns
    -------
    int
        0 if the errors of every frame are right, else 1; also 1 if there is no truth.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.simulation.truth", description="Are the error bars honest?"
    )
    parser.add_argument("science_folder", type=Path, metavar="SCIENCE", help="calibrated frames")
    parser.add_argument("truth_folder", type=Path, metavar="TRUTH", help="as nightcal.simulation.night wrote it")
    args = parser.parse_args(arguments)
    comparisons = compare_with_truth(args.science_folder, args.truth_folder)
    if not comparisons:
        print(f"{args.truth_folder}: no truth to compare with.")
        return 1
    print(_table(comparisons), verdict(comparisons), sep="\n")
    measured = measured_sky(args.science_folder, args.truth_folder)
    if measured:
        print("", _sky_table(measured), sep="\n")
    return int(not all(c.honest for c in comparisons))


if __name__ == "__main__":
    raise SystemExit(main())
