"""Science frames: calibrated, and written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightcal.calibrator import Calibrator, refused_product
from nightcal.camera import Camera
from nightcal.cards import set_cards, warn, warnings_of
from nightcal.errors import SetAside
from nightcal.exposures import amplifiers_of, better_noise, describe_noise, good_frame, mean_noise, noise_of
from nightcal.fitsio import write_product
from nightcal.headers import RawHeader, read_header
from nightcal.photon_transfer import Noise
from nightcal.reduction import Reduction

log = logging.getLogger(__name__)


def reduce_frames(
    paths: Sequence[Path],
    outs: Sequence[Path],
    camera: Camera,
    measured: Noise | None,
    calibrator: Calibrator,
    warnings: Sequence[str] = (),
) -> None:
    """Calibrate science frames that have the same masters, and write them; parameters as for `reduce_frame`."""
    calibrator.expect(len(paths), _first_shape(paths))
    for path, out in zip(paths, outs, strict=True):
        reduce_frame(path, out, camera, measured, calibrator, warnings)


def _first_shape(paths: Sequence[Path]) -> tuple[int, int]:
    """Rows and columns of the first frame that can be read."""
    for path in paths:
        try:
            return read_header(path).shape
        except SetAside:
            continue
    return 0, 0


def reduce_frame(
    path: Path, out: Path, camera: Camera, measured: Noise | None, calibrator: Calibrator, warnings: Sequence[str] = ()
) -> None:
    """Calibrate one science frame and write it; of a frame that cannot be used, an empty, flagged product.

    Parameters
    ----------
    path, out : Path
        The raw frame and its product, which is replaced if it exists.
    camera : Camera
    measured : Noise or None
        As for `open_exposures`.
    calibrator : Calibrator
        With the masters of this frame.
    warnings : sequence of str
        For the header.
    """
    raw: RawHeader | None = None
    try:
        raw = read_header(path)
        reduction = _reduction(path, raw, camera, measured, calibrator)
        for text in warnings:
            warn(reduction.header, text)
        reduction.write(out)
    except (SetAside, ValueError) as reason:
        log.warning("%s: set aside: %s.", path.name, reason)
        product = refused_product(path, str(reason), calibrator.unit, raw)
        for text in warnings:
            warn(product.header, text)
        write_product(out, product)
        return
    skipped = reduction.header.get("SKIPPED", "")
    remarks = [f"skipped: {skipped}"] * bool(skipped) + warnings_of(reduction.header)
    log.info("%s: calibrated%s", path.name, "".join(f"; {remark}" for remark in remarks))


def _reduction(path: Path, raw: RawHeader, camera: Camera, measured: Noise | None, calibrator: Calibrator) -> Reduction:
    """Get a science frame ready, with everything that its header should tell."""
    frame = good_frame(path, raw, camera)
    known = better_noise(measured, calibrator.master_bias)
    noises = [noise_of(raw, camera, known, n) for n in range(len(camera.amplifiers))]
    reduction = calibrator.prepare(
        path,
        amplifiers=amplifiers_of(raw, camera, noises),
        binning=camera.bins(raw),
        crosstalk=camera.crosstalk_of(raw),
        exposure=frame.exposure,
    )
    header = reduction.header
    describe_noise(header, mean_noise(noises))
    cards: list[tuple[str, Any, str]] = [("MJD-MID", frame.mjd, "middle of the exposure, UTC")]
    for step in ("BIAS", "DARK", "FLAT", "BPM"):
        if f"{step}MJD" in header:
            cards.append((f"{step}AGE", frame.mjd - header[f"{step}MJD"], "[d] from master to frame"))
    set_cards(header, [("NIGHT", frame.night, "date of the evening"), *cards])
    return reduction
