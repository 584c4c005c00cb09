"""Compare the calibrated frames of a simulated night, and their error bars, with the truth.

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
    """Comparison of one science product with the truth: all good pixels, and those without a star."""

    name: str
    everywhere: Pulls
    sky: Pulls

    @property
    def honest(self) -> bool:
        """Whether the errors are correct and the data unbiased; never true without pixels."""
        pulls = self.everywhere, self.sky
        return all(abs(p.width - 1) <= TOLERANCE and abs(p.mean) <= TOLERANCE for p in pulls)


def compare_with_truth(science_folder: Path, truth_folder: Path) -> list[Comparison]:
    """Compare the pixels of calibrated frames with the truth.

    Parameters
    ----------
    science_folder : Path
        Products in electrons. Masked pixels and pixels hit by a cosmic ray are ignored.
    truth_folder : Path
        From `nightcal.simulation.night`. A truth without a product counts as a product without pixels.

    Returns
    -------
    list of Comparison
        One per truth, sorted by name.
    """
    return [_compare(Path(science_folder) / truth.name, truth) for truth in sorted(Path(truth_folder).glob("*.fits"))]


def _compare(product: Path, truth: Path) -> Comparison:
    """Compare one product with its truth."""
    if not product.exists():
        return Comparison(product.stem, _measure_pulls(np.empty(0)), _measure_pulls(np.empty(0)))
    with fits.open(product) as hdus:
        data, sigma, mask = (np.array(hdus[key].data, dtype=float) for key in (0, "UNCERT", "MASK"))
    with fits.open(truth) as hdus:
        expected, hit, sky = np.array(hdus[0].data, dtype=float), np.array(hdus["COSMIC"].data), hdus[0].header["SKY"]
    good = (mask == 0) & (hit == 0)
    starless = good & (expected - sky < STARLESS)
    return Comparison(product.stem, *(_measure_pulls(((data - expected) / sigma)[which]) for which in (good, starless)))


def _measure_pulls(pull: Floats) -> Pulls:
    """Measure mean and width of some pulls."""
    if not pull.size:
        return Pulls(0, np.nan, np.nan)
    return Pulls(pull.size, float(pull.mean()), float(pull.std()))


@dataclass(frozen=True, slots=True)
class SkyComparison:
    """Comparison of the astrometry and zero point of one product with the truth; NaN if missing.

    Attributes
    ----------
    name : str
    position : float
        Rms error of the WCS over the frame [pix].
    zero_point, error : float
        Error of the zero point at its mean colour, and its quoted error [mag].
    """

    name: str
    position: float
    zero_point: float
    error: float


def compare_sky(science_folder: Path, truth_folder: Path) -> list[SkyComparison]:
    """Compare astrometry and zero points of calibrated frames with the truth.

    Parameters
    ----------
    science_folder, truth_folder : Path
        As for `compare_with_truth`.

    Returns
    -------
    list of SkyComparison
        One per product with either, sorted by name.
    """
    found = []
    for truth in sorted(Path(truth_folder).glob("*.fits")):
        product = Path(science_folder) / truth.name
        header, true = fits.getheader(product) if product.exists() else fits.Header(), fits.getheader(truth)
        if "ZP" in header or str(header.get("WCSSTAT", "")).startswith("solved"):
            colour = true["ZPCOLOR"] * header.get("ZPCMEAN", np.nan)
            off = header.get("ZP", np.nan) - true["ZP"] - colour
            found.append(
                SkyComparison(truth.stem, _measure_misplacement(header, true), off, header.get("ZPERR", np.nan))
            )
    return found


def _measure_misplacement(header: fits.Header, true: fits.Header) -> float:
    """Measure the rms error of a WCS over the frame [pix]."""
    from astropy.wcs import WCS, FITSFixedWarning

    if not str(header.get("WCSSTAT", "")).startswith("solved"):
        return np.nan
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.linspace(0, true[f"NAXIS{n}"] - 1, 9) for n in (1, 2))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # dates in the header
        there = WCS(true).all_world2pix(*WCS(header).all_pix2world(x, y, 0), 0)
    return float(np.sqrt(np.mean((there[0] - x) ** 2 + (there[1] - y) ** 2)))


def _format_sky_table(measured: Sequence[SkyComparison]) -> str:
    """Format the comparison of the sky for the terminal."""
    lines = [f"{'frame':16}{'position off [pix]':>20}{'zero point off [mag]':>22}{'its error':>11}"]
    lines += [f"{m.name:16}{m.position:20.3f}{m.zero_point:22.4f}{m.error:11.4f}" for m in measured]
    return "\n".join(lines)


def summarise(comparisons: Sequence[Comparison]) -> str:
    """Summarise in one sentence whether the error bars are honest.

    Parameters
    ----------
    comparisons : sequence of Comparison
        From `compare_with_truth`.

    Returns
    -------
    str
        Names the frames whose error bars are wrong.
    """
    dishonest = [c.name for c in comparisons if not c.honest]
    if dishonest:
        return (
            f"Do not trust the error bars of {', '.join(dishonest)}: a width above 1 means that errors are too small, "
            "below 1 too large; a mean other than 0 means that the calibration added or lost signal."
        )
    return (
        "The error bars are correct: in every frame the pixels scatter about the truth as much as their errors predict "
        f"(width 1.00 +- {TOLERANCE}), without bias (mean 0 +- {TOLERANCE})."
    )


def _format_table(comparisons: Sequence[Comparison]) -> str:
    """Format the comparison of pixels for the terminal."""
    lines = [
        f"{'(measured - true) / sigma':>42}{'without stars':>27}",
        f"{'frame':16}" + f"{'pixels':>9}{'mean':>9}{'width':>9}" * 2,
    ]
    for c in comparisons:
        pulls = (f"{p.n_pixels:9d}{p.mean:9.3f}{p.width:9.3f}" for p in (c.everywhere, c.sky))
        lines.append(f"{c.name:16}" + "".join(pulls))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison and return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line; by default those of the program.

    Returns
    -------
    int
        0 if the errors of every frame are correct, else 1; also 1 without a truth.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.simulation.truth",
        description="Compare products with the truth: are the error bars correct?",
    )
    parser.add_argument("science_folder", type=Path, metavar="SCIENCE", help="calibrated frames")
    parser.add_argument("truth_folder", type=Path, metavar="TRUTH", help="from nightcal.simulation.night")
    args = parser.parse_args(arguments)
    comparisons = compare_with_truth(args.science_folder, args.truth_folder)
    if not comparisons:
        print(f"{args.truth_folder}: no truth found.")
        return 1
    print(_format_table(comparisons), summarise(comparisons), sep="\n")
    measured = compare_sky(args.science_folder, args.truth_folder)
    if measured:
        print("", _format_sky_table(measured), sep="\n")
    return int(not all(c.honest for c in comparisons))


if __name__ == "__main__":
    raise SystemExit(main())
