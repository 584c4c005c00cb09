"""Compare the result of a program with that of nightcal, in units of nightcal's error of each pixel.

python -m benchmarks.agreement TASK PEER RESULT REFERENCE
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from astropy.io import fits

from benchmarks.peers import with_ccdproc, with_nightcal

SCALE_FREE = ("flat", "science", "night")
"""Tasks with an arbitrary scale: flats are normalised by a mean, a median, or the mean of the centre."""
RSTD = 1.4826


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between result and reference over the pixels that are good in both.

    Attributes
    ----------
    median, rms, rstd : float
        In units of the error of each pixel; `rstd` ignores outliers.
    scale : float
        Factor by which the result was multiplied first; 1 if the scale is not arbitrary.
    """

    median: float
    rms: float
    rstd: float
    scale: float


def compare(result: np.ndarray, reference: Path, scale_free: bool) -> Difference:
    """Compare an image with a product of nightcal.

    Parameters
    ----------
    result : ndarray
        In the unit of the product; NaN for pixels that are not to be used.
    reference : Path
    scale_free : bool
        Whether to scale the result to the median of the reference first.

    Returns
    -------
    Difference
    """
    image = with_nightcal.read(reference)
    with fits.open(reference) as hdus:
        error = hdus["UNCERT"].data.astype(np.float64)
    good = np.isfinite(image) & np.isfinite(result) & (error > 0)
    image, result, error = image[good], result[good], error[good]
    scale = float(np.median(image[image != 0]) / np.median(result[image != 0])) if scale_free else 1.0
    deviation = (scale * result - image) / error
    median = float(np.median(deviation))
    rstd = RSTD * float(np.median(np.abs(deviation - median)))
    return Difference(median, float(np.sqrt(np.mean(deviation**2))), rstd, scale)


def compare_masks(result: Path, reference: Path) -> Difference:
    """Compare masks of hit pixels; a pixel that differs counts as 1."""
    differs = np.load(result) != np.load(reference)
    return Difference(float(np.median(differs)), float(np.sqrt(np.mean(differs))), float(differs.any()), 1.0)


def worst(differences: list[Difference]) -> Difference:
    """Find the largest value of each statistic, and the scale farthest from 1."""
    return Difference(
        max((d.median for d in differences), key=abs),
        max(d.rms for d in differences),
        max(d.rstd for d in differences),
        max((d.scale for d in differences), key=lambda scale: abs(np.log(scale))),
    )


def _pairs(task: str, peer: str, result: Path, reference: Path) -> Iterator[tuple[np.ndarray, Path]]:
    """Yield images of the program and the products to compare them with; of a night, only some frames."""
    if task != "night":
        module = import_module(f"benchmarks.peers.{peer}")
        gain = fits.getval(reference, "GAINUSED") if getattr(module, "IN_ADU", False) else 1.0
        yield gain * module.read(result), reference
        return
    products = sorted(reference.glob("*/science/*.fits"))
    for product in products[:: max(1, len(products) // 6)]:
        if peer in ("with_nightcal", "another_nightcal"):
            yield with_nightcal.read(result / product.relative_to(reference)), product
        else:
            yield with_ccdproc.read(result / product.name), product


def main() -> None:
    """Print the difference as JSON."""
    task, peer, result, reference = sys.argv[1:]
    if task == "cosmic_rays":
        print(json.dumps(asdict(compare_masks(Path(result), Path(reference)))))
        return
    pairs = _pairs(task, peer, Path(result), Path(reference))
    print(json.dumps(asdict(worst([compare(image, path, task in SCALE_FREE) for image, path in pairs]))))


if __name__ == "__main__":
    main()
