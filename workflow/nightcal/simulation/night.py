"""Simulate a night of raw CCD frames with known truth, for the demonstration and the tests.

python -m nightcal.simulation.night RAW TRUTH
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.cameras.camera_file import load_camera
from nightcal.errors import ConfigurationError
from nightcal.simulation.camera import SimulatedCamera, simulate_camera
from nightcal.simulation.schedule import EVENING, Kind, schedule_night
from nightcal.simulation.sky import CENTRE, PASSBANDS, SCALE, WHITE, make_camera_wcs, make_sky

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Raw = NDArray[np.uint16]
Rng = np.random.Generator

KINDS = {"Bias Frame": "bias", "Dark Frame": "dark", "Flat Field": "flat", "Light Frame": "science"}
SEED = 20240301
STUCK_ADU = 65535
FWHM = 3.0  # of the stars [pix]
DITHER = 4.0  # of the telescope between frames [arcsec]
POINTING_ERROR = 40.0  # of the coordinates that the telescope writes [arcsec]
SCALE_ERROR = 1.01  # of the pixel scale that it writes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chip:
    """The true detector: images of shape (ny, nx), without overscan, and its electronics.

    `read_noise` is the measured one: it includes the rounding to whole ADU, gain / sqrt(12). `bias_structure` is
    relative to the overscan level; its mean is not 0.
    """

    bias_structure: Floats  # e-
    dark_current: Floats  # e-/s
    response: Mapping[str, Floats]  # by filter; mean 1 in the central quarter of the area, without dead pixels
    hot: Mask
    dead: Mask
    stuck: Mask
    gain: float = 1.5  # e-/ADU
    read_noise: float = 6.0  # e-
    bias_level: float = 1000.0  # ADU
    overscan: int = 32  # columns, at the right
    saturation: float = 60000.0  # ADU

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive area."""
        ny, nx = self.bias_structure.shape
        return ny, nx


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedNight:
    """The detector, its raw frames in order of time, and their truths."""

    chip: Chip
    frames: tuple[Path, ...]
    truths: tuple[Path, ...]


def make_chip(
    shape: tuple[int, int] = (512, 512),
    filters: Sequence[str] = ("V", "R"),
    seed: int = SEED,
    *,
    n_hot: int = 20,
    n_dead: int = 10,
    stuck_column: bool = True,
    **scalars: Any,
) -> Chip:
    """Simulate a detector with realistic defects; the same arguments give the same detector.

    Parameters
    ----------
    shape : (ny, nx)
        Rows and columns of the light-sensitive area.
    filters : sequence of str
    seed : int
    n_hot : int
        Number of pixels with 2 to 50 e-/s of dark current.
    n_dead : int
        Number of pixels with a response of 0.02.
    stuck_column : bool
        Whether one column is stuck above a third of its height.
    **scalars
        Of `Chip`: gain, read_noise, bias_level, overscan, saturation.

    Returns
    -------
    Chip
    """
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])

    hot, dead, stuck = np.zeros((3, *shape), dtype=bool)
    if stuck_column:
        stuck[shape[0] // 3 :, rng.integers(shape[1])] = True
    defects = rng.choice(np.flatnonzero(~stuck), n_hot + n_dead, replace=False)
    hot.flat[defects[:n_hot]] = True
    dead.flat[defects[n_hot:]] = True

    bias_structure = 2 + 1.5 * y + 0.5 * x + rng.normal(0, 2, shape[1])
    dark_current = 0.02 + 0.005 * (x + y)
    dark_current[hot] = rng.uniform(2, 50, n_hot)

    response = {}
    centre = tuple(slice(n // 4, n - n // 4) for n in shape)
    for name in filters:
        flat = (1 - 0.1 * (x**2 + y**2)) * rng.normal(1, 0.01, shape)
        response[name] = np.where(dead, 0.02, flat / flat[centre][~dead[centre]].mean())

    maps = {"hot": hot, "dead": dead, "stuck": stuck} | scalars
    return Chip(bias_structure=bias_structure, dark_current=dark_current, response=response, **maps)


def expose(
    chip: Chip,
    rng: Rng,
    scene: Floats | float,
    exposure_time: float,
    filter_name: str | None,
    *,
    bias_drift: float = 0.0,
) -> Raw:
    """Simulate one raw frame.

    Parameters
    ----------
    chip : Chip
    rng : numpy.random.Generator
    scene : ndarray of shape (ny, nx), or float
        Signal for a response of 1 [e-/s]; 0 with a closed shutter.
    exposure_time : float
        [s]
    filter_name : str or None
        None for a bias or a dark.
    bias_drift : float
        Added to the bias level [ADU].

    Returns
    -------
    ndarray of uint16, shape (ny, nx + overscan)
        [ADU]
    """
    ny, nx = chip.shape
    analogue_noise = np.sqrt(chip.read_noise**2 - chip.gain**2 / 12)
    electrons = rng.normal(0, analogue_noise, (ny, nx + chip.overscan))
    electrons[:, :nx] += _collect_electrons(chip, rng, scene, exposure_time, filter_name)
    adu = np.rint(electrons / chip.gain + chip.bias_level + bias_drift)
    raw = np.clip(adu, 0, chip.saturation).astype(np.uint16)
    raw[:, :nx][chip.stuck] = STUCK_ADU
    return raw


def _collect_electrons(
    chip: Chip, rng: Rng, scene: Floats | float, exposure_time: float, filter_name: str | None
) -> Floats:
    """Simulate the charge of each pixel at readout [e-], with the bias structure."""
    response = 1.0 if filter_name is None else chip.response[filter_name]
    return rng.poisson((scene * response + chip.dark_current) * exposure_time) + chip.bias_structure


def add_cosmic_rays(raw: Raw, rng: Rng, n: int, chip: Chip) -> tuple[Raw, Mask]:
    """Add straight tracks of 1 to 7 pixels with 300 to 3000 ADU per pixel.

    Parameters
    ----------
    raw : ndarray of uint16, shape (ny, nx + overscan)
        [ADU]; unchanged.
    rng : numpy.random.Generator
    n : int
        Number of tracks.
    chip : Chip

    Returns
    -------
    frame : ndarray of uint16, shape (ny, nx + overscan)
        A new frame [ADU]; overscan and stuck pixels are unchanged.
    hit : ndarray of bool, shape (ny, nx)
        Pixels hit.
    """
    ny, nx = chip.shape
    charge = np.zeros(raw.shape)
    charge[:, :nx] = _draw_tracks((ny, nx), rng, n)
    ceiling = np.maximum(raw, chip.saturation)
    return np.minimum(raw + np.rint(charge), ceiling).astype(np.uint16), charge[:, :nx] > 0


def _draw_tracks(shape: tuple[int, int], rng: Rng, n: int) -> Floats:
    """Draw the charge of cosmic rays [ADU]."""
    ny, nx = shape
    angle, length, adu = rng.uniform(0, 2 * np.pi, n), rng.integers(1, 8, n), rng.uniform(300, 3000, n)
    step = np.arange(7)[:, None]
    y = np.floor(rng.uniform(0, ny, n) + step * np.sin(angle)).astype(int)
    x = np.floor(rng.uniform(0, nx, n) + step * np.cos(angle)).astype(int)
    on_chip = (step < length) & (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    charge = np.zeros(shape)
    np.add.at(charge, (y[on_chip], x[on_chip]), np.broadcast_to(adu, y.shape)[on_chip])
    return charge


def write_raw(
    path: Path,
    raw: Raw,
    chip: Chip,
    kind: Kind,
    exposure_time: float,
    filter_name: str | None,
    start_utc: datetime,
    object_name: str = "",
    pointing: tuple[float, float] | None = None,
) -> None:
    """Write a raw frame as the camera does: plain FITS, unsigned 16 bits, keywords of the observatory.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder must exist.
    raw : ndarray of uint16, shape (ny, nx + overscan)
        [ADU]
    chip : Chip
        For geometry, gain, read noise and saturation in the header.
    kind : str
        For ``IMAGETYP``.
    exposure_time : float
        [s]
    filter_name : str or None
        None for no ``FILTER`` keyword.
    start_utc : datetime
        Start of the exposure, without a time zone.
    object_name : str
        For ``OBJECT``.
    pointing : (float, float), optional
        Written as ``RA`` and ``DEC`` [deg]; None for no such keywords.
    """
    ny, nx = chip.shape
    cards: dict[str, Any] = {
        "INSTRUME": "Simulated CCD",
        "TELESCOP": "Simulated 1 m",
        "IMAGETYP": kind,
        "OBJECT": object_name,
        "EXPTIME": (exposure_time, "[s]"),
        "FILTER": filter_name,
        "DATE-OBS": (start_utc.isoformat(timespec="milliseconds"), "UTC, start of exposure"),
        "SET-TEMP": (-30.0, "[deg C]"),
        "CCD-TEMP": (-30.0, "[deg C]"),
        "XBINNING": 1,
        "YBINNING": 1,
        "GAIN": (chip.gain, "[e-/ADU]"),
        "RDNOISE": (chip.read_noise, "[e-]"),
        "SATURATE": (chip.saturation, "[ADU]"),
        "BIASSEC": f"[{nx + 1}:{nx + chip.overscan},1:{ny}]" if chip.overscan else None,
        "TRIMSEC": f"[1:{nx},1:{ny}]",
        "SITELONG": (-70.0, "[deg] east is positive"),
        "SITELAT": (-30.0, "[deg]"),
    }
    if pointing is not None:
        cards |= {
            "RA": (pointing[0], "[deg] of the telescope"),
            "DEC": (pointing[1], "[deg]"),
            "PIXSCALE": (SCALE * SCALE_ERROR, "[arcsec/pixel]"),
        }
    hdu = fits.PrimaryHDU(raw)
    hdu.header.update({key: value for key, value in cards.items() if value is not None})
    hdu.writeto(path, overwrite=True)


def simulate_night(
    folder: Path,
    truth_folder: Path,
    *,
    seed: int = SEED,
    shape: tuple[int, int] = (384, 384),
    n_bias: int = 16,
    n_dark: int = 9,
    dark_exposure: float = 180.0,
    filters: Sequence[str] = ("V", "R"),
    n_flat: int = 9,
    n_science: int = 8,
    sky: Sequence[float] = (0.4, 8.0),
    n_stars: int = 150,
    cosmics: int = 25,
    calibration_cosmics: int = 4,
    camera: SimulatedCamera | None = None,
) -> SimulatedNight:
    """Simulate the night of 2024-03-01: raw frames, a star catalogue, and the truth of each science frame.

    Parameters
    ----------
    folder, truth_folder : Path
        The truth must be outside the raw folder: it would be taken for a raw frame.
    n_bias, n_dark, n_flat, n_science : int
        Number of frames: flats per filter, biases of evening and morning together, science frames of all filters.
    filters, sky : sequence of str, sequence of float
        Filters, and their sky in turn [e-/s/pix].
    n_stars : int
        Stars in each science frame.
    cosmics, calibration_cosmics : int
        Cosmic rays in each science frame, and in every fourth calibration frame.
    camera : SimulatedCamera, optional
        Reads out the detector and sets its ``shape``; by default, one amplifier with overscan at the right.

    Notes
    -----
    A truth holds the perfectly calibrated frame (float32) [e-] with its WCS; in its header the signal of the sky
    (SKY), the zero point for colour 0 (ZP) and the colour term (ZPCOLOR); and the extension COSMIC (uint8), 1 where a
    cosmic ray was added. The catalogue is ``stars.csv``, with the raw frames. The same arguments give the same bytes.
    """
    if Path(truth_folder).resolve().is_relative_to(Path(folder).resolve()):
        raise ValueError(f"{truth_folder} is inside the raw folder {folder}; expected a truth folder outside it.")
    for path in (folder, truth_folder):
        Path(path).mkdir(parents=True, exist_ok=True)

    if camera is None:
        chip = make_chip(shape, filters, seed)
    else:
        shape = camera.shape
        chip = make_chip(shape, filters, seed, gain=float(np.mean(camera.gains)), overscan=0)
    shots = schedule_night(n_bias, n_dark, dark_exposure, filters, n_flat, n_science, sky, chip.gain)
    field_rng, *rngs = np.random.default_rng(seed).spawn(1 + len(shots))
    sky_stars = make_sky(shape, n_stars, field_rng)
    sky_stars.write_catalog(Path(folder) / "stars.csv", field_rng)
    frames, truths = [], []
    for i, (shot, rng) in enumerate(zip(shots, rngs, strict=True)):
        is_science = shot.kind == "Light Frame"
        pointing = _offset_place(CENTRE, rng.normal(0, DITHER, 2)) if is_science else None
        written_pointing = _offset_place(pointing, rng.normal(0, POINTING_ERROR, 2)) if pointing else None
        scene = np.full(shape, shot.rate)
        if pointing:
            scene += sky_stars.render(shot.filter_name, pointing, FWHM)
        hours = (shot.start - EVENING) / timedelta(hours=1)
        drift = 5 * np.sin(2 * np.pi * hours / 12) + rng.normal(0, 0.5)
        tracks = cosmics if is_science else calibration_cosmics * (i % 4 == 1)
        frames.append(Path(folder) / f"{shot.stem}.fits")
        name = "Field 1" if is_science else ""
        if camera is None:
            raw = expose(chip, rng, scene, shot.exposure_time, shot.filter_name, bias_drift=drift)
            raw, hit = add_cosmic_rays(raw, rng, tracks, chip)
            exposure = shot.kind, shot.exposure_time, shot.filter_name, shot.start
            write_raw(frames[-1], raw, chip, *exposure, name, written_pointing)
        else:
            charge = _draw_tracks(shape, rng, tracks)
            electrons = _collect_electrons(chip, rng, scene, shot.exposure_time, shot.filter_name) + charge * chip.gain
            planes, hit = camera.digitise(electrons, rng, drift, chip.stuck), charge > 0
            others: dict[str, Any] = {"filter": shot.filter_name} if shot.filter_name else {}
            others |= {"object": name} if name else {}
            if written_pointing:
                others |= {"ra": written_pointing[0], "dec": written_pointing[1], "pixel_scale": SCALE * SCALE_ERROR}
            camera.write(frames[-1], planes, KINDS[shot.kind], shot.exposure_time, shot.start, **others)
        if pointing:
            truths.append(Path(truth_folder) / f"{shot.stem}.fits")
            passband = PASSBANDS.get(shot.filter_name or "", WHITE)
            known: dict[str, Any] = {"SKY": (shot.rate * shot.exposure_time, "[e-] of it from the sky")}
            known |= {"ZP": (passband.zero_point, "[mag] of 1 e-/s, colour 0"), "ZPCOLOR": passband.colour_term}
            _write_truth(truths[-1], scene * shot.exposure_time, hit, known, pointing)
    return SimulatedNight(chip, tuple(frames), tuple(truths))


def _offset_place(place: tuple[float, float], offset: Floats) -> tuple[float, float]:
    """Offset a position by some arcseconds to east and north."""
    ra, dec = place
    return ra + offset[0] / 3600 / np.cos(np.radians(dec)), dec + offset[1] / 3600


def _write_truth(
    path: Path, electrons: Floats, hit: Mask, known: Mapping[str, Any], pointing: tuple[float, float]
) -> None:
    """Write the truth of a science frame."""
    wcs = make_camera_wcs((electrons.shape[0], electrons.shape[1]), pointing)
    primary = fits.PrimaryHDU(electrons.astype(np.float32), wcs.to_header(relax=True))
    primary.header["BUNIT"] = "electron"
    primary.header.update(known)
    cosmic = fits.ImageHDU(hit.astype(np.uint8), name="COSMIC")
    fits.HDUList([primary, cosmic]).writeto(path, overwrite=True)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.simulation.night", description="Simulate a night with known truth."
    )
    parser.add_argument("folder", type=Path, metavar="RAW", help="folder for the raw frames")
    parser.add_argument("truth_folder", type=Path, metavar="TRUTH", help="folder for the truth of the science frames")
    parser.add_argument("--size", type=int, default=384, help="pixels on a side (%(default)s)")
    parser.add_argument("--camera", type=Path, help="camera file, as in config/cameras; --size is then per amplifier")
    parser.add_argument("--binning", type=int, default=1, help="in x and y, with --camera (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes (%(default)s)")
    for kind, default in {"bias": 16, "dark": 9, "flat": 9, "science": 8}.items():
        each = " per filter" if kind == "flat" else ""
        parser.add_argument(
            f"--{kind}", type=int, default=default, dest=f"n_{kind}", help=f"{kind} frames{each} (%(default)s)"
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate a night; report a wrong camera file in one line."""
    args = vars(_make_parser().parse_args(arguments))
    size, path, binning = args.pop("size"), args.pop("camera"), args.pop("binning")
    try:
        camera = None if path is None else simulate_camera(load_camera(path), size, (binning, binning))
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    night = simulate_night(**args, shape=(size, size), camera=camera)
    print(f"{args['folder']}: {len(night.frames)} raw frames, {len(night.truths)} with a truth.")


if __name__ == "__main__":
    main()
