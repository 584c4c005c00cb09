"""A night of raw CCD frames whose truth is known, for the demonstration and the tests.

python -m nightcal.simulation.night RAW TRUTH
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.cameras.camera_file import load_camera
from nightcal.errors import ConfigurationError
from nightcal.simulation.camera import SimulatedCamera, simulate_camera
from nightcal.simulation.sky import CENTRE, PASSBANDS, SCALE, WHITE, camera_wcs, make_sky

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Raw = NDArray[np.uint16]
Rng = np.random.Generator
Kind = Literal["Bias Frame", "Dark Frame", "Flat Field", "Light Frame"]

KINDS = {"Bias Frame": "bias", "Dark Frame": "dark", "Flat Field": "flat", "Light Frame": "science"}
SEED = 20240301
EVENING = datetime(2024, 3, 1)
READOUT = timedelta(seconds=12)
FLAT_ADU = 20000.0
STUCK_ADU = 65535
FWHM = 3.0  # of the stars [pixels]
DITHER = 4.0  # of the telescope between frames [arcsec]
POINTING_ERROR = 40.0  # of the coordinates that the telescope writes [arcsec]
SCALE_ERROR = 1.01  # of the pixel scale that it writes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chip:
    """The true detector: images of shape (ny, nx), without overscan, and the numbers of its electronics.

    `read_noise` is what an observer measures: it contains the rounding to whole ADU, gain / sqrt(12).
    `bias_structure` is counted from the level of the overscan, so that its mean is not zero.
    """

    bias_structure: Floats  # e-
    dark_current: Floats  # e-/s
    response: Mapping[str, Floats]  # by filter; mean 1 in the central quarter of the area, dead pixels left out
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


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure of the schedule; `rate` is the uniform light of sky or lamp [e-/s/pixel]."""

    stem: str
    kind: Kind
    exposure_time: float
    filter_name: str | None = None
    rate: float = 0.0
    start: datetime = EVENING


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedNight:
    """The chip and what it wrote, in the order of the night."""

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
    """Grow a chip with the blemishes of a real one; the same arguments give the same chip.

    Parameters
    ----------
    shape : (ny, nx)
        Rows and columns of the light-sensitive area.
    filters : sequence of str
    seed : int
    n_hot : int
        Pixels with 2 to 50 e-/s of dark current.
    n_dead : int
        Pixels with a response of 0.02.
    stuck_column : bool
        Whether one column sticks from a third of its height up.
    **scalars
        Those of `Chip`: gain, read_noise, bias_level, overscan, saturation.

    Returns
    -------
    Chip
    """
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])

    hot, dead, stuck = np.zeros((3, *shape), dtype=bool)
    if stuck_column:
        stuck[shape[0] // 3 :, rng.integers(shape[1])] = True
    blemished = rng.choice(np.flatnonzero(~stuck), n_hot + n_dead, replace=False)
    hot.flat[blemished[:n_hot]] = True
    dead.flat[blemished[n_hot:]] = True

    bias_structure = 2 + 1.5 * y + 0.5 * x + rng.normal(0, 2, shape[1])
    dark_current = 0.02 + 0.005 * (x + y)
    dark_current[hot] = rng.uniform(2, 50, n_hot)

    response = {}
    centre = tuple(slice(n // 4, n - n // 4) for n in shape)
    for name in filters:
        light = (1 - 0.1 * (x**2 + y**2)) * rng.normal(1, 0.01, shape)
        response[name] = np.where(dead, 0.02, light / light[centre][~dead[centre]].mean())

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
    """Take one raw frame.

    Parameters
    ----------
    chip : Chip
    rng : numpy.random.Generator
    scene : ndarray of shape (ny, nx), or float
        Rate of photoelectrons where the response is 1 [e-/s]; 0 behind a closed shutter.
    exposure : float
        [s]
    filter_name : str or None
        None for a bias or a dark.
    bias_drift : float
        What the electronics add to the bias level in this frame [ADU].

    Returns
    -------
    ndarray of uint16, shape (ny, nx + overscan)
        [ADU]
    """
    ny, nx = chip.shape
    analogue_noise = np.sqrt(chip.read_noise**2 - chip.gain**2 / 12)
    electrons = rng.normal(0, analogue_noise, (ny, nx + chip.overscan))
    electrons[:, :nx] += _collected(chip, rng, scene, exposure_time, filter_name)
    adu = np.rint(electrons / chip.gain + chip.bias_level + bias_drift)
    raw = np.clip(adu, 0, chip.saturation).astype(np.uint16)
    raw[:, :nx][chip.stuck] = STUCK_ADU
    return raw


def _collected(chip: Chip, rng: Rng, scene: Floats | float, exposure_time: float, filter_name: str | None) -> Floats:
    """Electrons that pixels hold when they are read out, the structure of the bias with them."""
    response = 1.0 if filter_name is None else chip.response[filter_name]
    return rng.poisson((scene * response + chip.dark_current) * exposure_time) + chip.bias_structure


def add_cosmic_rays(raw: Raw, rng: Rng, n: int, chip: Chip) -> tuple[Raw, Mask]:
    """Add straight tracks of 1 to 7 pixels with 300 to 3000 ADU in each pixel.

    Parameters
    ----------
    raw : ndarray of uint16, shape (ny, nx + overscan)
        [ADU]; stays as it is.
    rng : numpy.random.Generator
    n : int
        Tracks.
    chip : Chip

    Returns
    -------
    frame : ndarray of uint16, shape (ny, nx + overscan)
        A new frame [ADU], whose overscan and stuck pixels are as they were.
    hit : ndarray of bool, shape (ny, nx)
        Pixels hit.
    """
    ny, nx = chip.shape
    charge = np.zeros(raw.shape)
    charge[:, :nx] = _tracks((ny, nx), rng, n)
    ceiling = np.maximum(raw, chip.saturation)
    return np.minimum(raw + np.rint(charge), ceiling).astype(np.uint16), charge[:, :nx] > 0


def _tracks(shape: tuple[int, int], rng: Rng, n: int) -> Floats:
    """Charge of cosmic rays [ADU]."""
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
    """Write a raw frame as the camera would: plain FITS, unsigned 16 bits, the observatory's header words.

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
    exposure : float
        [s]
    filter_name : str or None
        None for no ``FILTER`` card.
    start_utc : datetime
        Start of the exposure, without a time zone.
    object_name : str
        For ``OBJECT``.
    pointing : (float, float), optional
        Where the telescope believes to look [deg]; None for no such cards.
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
    """Write the raw frames of the night of 2024-03-01, a catalogue of its stars, and the truth of each science frame.

    Parameters
    ----------
    folder, truth_folder : Path
        The truth must lie outside the raw folder, where it would pass for a frame of the night.
    n_bias, n_dark, n_flat, n_science : int
        Frames: biases of evening and morning together, flats in each filter, science frames in all filters together.
    filters, sky : sequence of str, sequence of float
        Filters and, in turn, their sky [e-/s/pixel].
    n_stars : int
        Stars in each science frame.
    cosmics, calibration_cosmics : int
        Cosmic rays in each science frame, and in every fourth calibration frame.
    camera : SimulatedCamera, optional
        What reads the detector out, in place of one amplifier with overscan at the right; ``shape`` is then its own.

    Notes
    -----
    A truth has the electrons of a perfect calibration (scene x exposure, float32) in its primary HDU, the sky's
    share of them in the card SKY, the sky coordinates of its pixels, the zero point ZP of a star without colour
    and the colour term ZPCOLOR, and 1 in the extension COSMIC (uint8) where a cosmic ray was added. The catalogue is
    ``stars.csv``, beside the raw frames. The same arguments give the same bytes.
    """
    if Path(truth_folder).resolve().is_relative_to(Path(folder).resolve()):
        raise ValueError(f"{truth_folder}: inside the raw folder {folder}; expected a truth folder outside it.")
    for path in (folder, truth_folder):
        Path(path).mkdir(parents=True, exist_ok=True)

    if camera is None:
        chip = make_chip(shape, filters, seed)
    else:
        shape = camera.shape
        chip = make_chip(shape, filters, seed, gain=float(np.mean(camera.gains)), overscan=0)
    bias = [Shot(f"bias_{i:03d}", "Bias Frame", 0.0) for i in range(1, n_bias + 1)]
    dark = [Shot(f"dark_{i:03d}", "Dark Frame", dark_exposure) for i in range(1, n_dark + 1)]
    flat = [
        Shot(f"flat_{name}_{i:03d}", "Flat Field", 4.0 + i, name, adu * chip.gain / (4 + i))
        for name in filters
        for i, adu in enumerate(np.linspace(1.08, 0.92, n_flat) * FLAT_ADU, start=1)
    ]
    science = []
    for i, exposure in enumerate(np.rint(np.linspace(60, 180, n_science))):
        turn, which = divmod(i, len(filters))
        stem = f"field_{filters[which]}_{turn + 1:03d}"
        science.append(Shot(stem, "Light Frame", float(exposure), filters[which], sky[which % len(sky)]))
    half = (n_bias + 1) // 2
    blocks = {21.5: bias[:half], 21.75: dark, 23.25: flat, 25.0: science, 33.5: bias[half:]}
    shots = list(_in_time(blocks))

    field_rng, *rngs = np.random.default_rng(seed).spawn(1 + len(shots))
    sky_stars = make_sky(shape, n_stars, field_rng)
    sky_stars.write_catalog(Path(folder) / "stars.csv", field_rng)
    frames, truths = [], []
    for i, (shot, rng) in enumerate(zip(shots, rngs, strict=True)):
        light = shot.kind == "Light Frame"
        pointing = _towards(CENTRE, rng.normal(0, DITHER, 2)) if light else None
        believed = _towards(pointing, rng.normal(0, POINTING_ERROR, 2)) if pointing else None
        scene = np.full(shape, shot.rate)
        if pointing:
            scene += sky_stars.image(shot.filter_name, pointing, FWHM)
        hours = (shot.start - EVENING) / timedelta(hours=1)
        drift = 5 * np.sin(2 * np.pi * hours / 12) + rng.normal(0, 0.5)
        tracks = cosmics if light else calibration_cosmics * (i % 4 == 1)
        frames.append(Path(folder) / f"{shot.stem}.fits")
        name = "Field 1" if light else ""
        if camera is None:
            raw = expose(chip, rng, scene, shot.exposure_time, shot.filter_name, bias_drift=drift)
            raw, hit = add_cosmic_rays(raw, rng, tracks, chip)
            write_raw(
                frames[-1], raw, chip, shot.kind, shot.exposure_time, shot.filter_name, shot.start, name, believed
            )
        else:
            charge = _tracks(shape, rng, tracks)
            electrons = _collected(chip, rng, scene, shot.exposure_time, shot.filter_name) + charge * chip.gain
            planes, hit = camera.digitise(electrons, rng, drift, chip.stuck), charge > 0
            said: dict[str, Any] = {"filter": shot.filter_name} if shot.filter_name else {}
            said |= {"object": name} if name else {}
            if believed:
                said |= {"ra": believed[0], "dec": believed[1], "pixel_scale": SCALE * SCALE_ERROR}
            camera.write(frames[-1], planes, KINDS[shot.kind], shot.exposure_time, shot.start, **said)
        if pointing:
            truths.append(Path(truth_folder) / f"{shot.stem}.fits")
            passband = PASSBANDS.get(shot.filter_name or "", WHITE)
            known: dict[str, Any] = {"SKY": (shot.rate * shot.exposure_time, "[e-] of it from the sky")}
            known |= {"ZP": (passband.zero_point, "[mag] of 1 e-/s, colour 0"), "ZPCOLOR": passband.colour_term}
            _write_truth(truths[-1], scene * shot.exposure_time, hit, known, pointing)
    return SimulatedNight(chip, tuple(frames), tuple(truths))


def _in_time(blocks: Mapping[float, Sequence[Shot]]) -> Iterator[Shot]:
    """Start each block at its hour after 0 h UTC of the evening's date, or when the one before has ended."""
    clock = EVENING
    for hour, shots in blocks.items():
        clock = max(clock, EVENING + timedelta(hours=hour))
        for shot in shots:
            yield replace(shot, start=clock)
            clock += timedelta(seconds=shot.exposure_time) + READOUT


def _towards(place: tuple[float, float], offset: Floats) -> tuple[float, float]:
    """Move a place on the sky by some arcseconds to the east and to the north."""
    ra, dec = place
    return ra + offset[0] / 3600 / np.cos(np.radians(dec)), dec + offset[1] / 3600


def _write_truth(
    path: Path, electrons: Floats, hit: Mask, known: Mapping[str, Any], pointing: tuple[float, float]
) -> None:
    wcs = camera_wcs((electrons.shape[0], electrons.shape[1]), pointing)
    primary = fits.PrimaryHDU(electrons.astype(np.float32), wcs.to_header(relax=True))
    primary.header["BUNIT"] = "electron"
    primary.header.update(known)
    cosmic = fits.ImageHDU(hit.astype(np.uint8), name="COSMIC")
    fits.HDUList([primary, cosmic]).writeto(path, overwrite=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.simulation.night", description="A night with known truth."
    )
    parser.add_argument("folder", type=Path, metavar="RAW", help="folder for the raw frames")
    parser.add_argument("truth_folder", type=Path, metavar="TRUTH", help="folder for the truth of the science frames")
    parser.add_argument("--size", type=int, default=384, help="pixels on a side (%(default)s)")
    parser.add_argument("--camera", type=Path, help="camera file, as in config/cameras; --size is then of an amplifier")
    parser.add_argument("--binning", type=int, default=1, help="in x and y, with --camera (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes (%(default)s)")
    for kind, default in {"bias": 16, "dark": 9, "flat": 9, "science": 8}.items():
        each = " in each filter" if kind == "flat" else ""
        parser.add_argument(
            f"--{kind}", type=int, default=default, dest=f"n_{kind}", help=f"{kind} frames{each} (%(default)s)"
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a night; a mistake in the camera file is said in one line."""
    try:
        _write_night(arguments)
    except ConfigurationError as mistake:
        raise SystemExit(str(mistake)) from None


def _write_night(arguments: Sequence[str] | None) -> None:
    args = vars(_parser().parse_args(arguments))
    size, path, binning = args.pop("size"), args.pop("camera"), args.pop("binning")
    camera = None if path is None else simulate_camera(load_camera(path), size, (binning, binning))
    night = simulate_night(**args, shape=(size, size), camera=camera)
    print(f"{args['folder']}: {len(night.frames)} raw frames, {len(night.truths)} of them with a truth.")


if __name__ == "__main__":
    main()
