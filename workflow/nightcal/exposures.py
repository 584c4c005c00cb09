"""Raw frames opened the way their camera file says: the step between a list of paths and the masters or products."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.bad_pixels import USUAL, Limits, make_bad_pixel_mask
from nightcal.calibration import Calibration
from nightcal.camera import Camera
from nightcal.cards import set_cards, warn, warnings_of
from nightcal.detector.amplifiers import Amplifier, readout_of
from nightcal.detector.overscan import OverscanMethods
from nightcal.detector.readout import Electronics
from nightcal.detector.saturation import Bleed
from nightcal.errors import SetAside
from nightcal.fitsio import Product
from nightcal.frames import Frame, understand
from nightcal.headers import RawHeader
from nightcal.layers import Exposure, Refusal
from nightcal.masters import refused_master
from nightcal.photon_transfer import ASSUMED, Noise, measure_noise
from nightcal.provenance import file_hash, provenance
from nightcal.raw_image import RawImage
from nightcal.tiles import Tiles, grids_of, read_tiles

log = logging.getLogger(__name__)

AREA_LENGTH = 200
"""Characters of the areas of many amplifiers that go into one card."""

UNKNOWN_READ_NOISE = "read noise unknown, 0 e- assumed: uncertainties are too small"


def noise_of(header: RawHeader, camera: Camera, measured: Noise | None, amplifier: int = 0) -> Noise:
    """Gain and read noise of an amplifier: from header or camera file, else measured, else assumed.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    measured : Noise or None
    amplifier : int
        From 0.

    Returns
    -------
    Noise
        A measured read noise, known in ADU, is brought to electrons with the gain that is used.
    """
    gain, read_noise = camera.noise_cards(header, amplifier)
    found = (measured or ASSUMED).of(amplifier)
    if gain is None:
        return replace(found, read_noise=found.read_noise if read_noise is None else read_noise)
    if read_noise is None:
        warning = "" if measured else UNKNOWN_READ_NOISE
        return Noise(
            gain, found.read_noise * gain / found.gain, f"gain from header or camera file, {found.source}", warning
        )
    return Noise(gain, read_noise, "header or camera file")


def mean_noise(noises: Sequence[Noise]) -> Noise:
    """Mean gain and mean square read noise of all amplifiers; source and warning are the first one's that warns."""
    said = next((noise for noise in noises if noise.warning), noises[0])
    gain = sum(noise.gain for noise in noises) / len(noises)
    read_noise = (sum(noise.read_noise**2 for noise in noises) / len(noises)) ** 0.5
    return said if len(noises) == 1 else replace(said, gain=gain, read_noise=read_noise)


def noise_of_master(master: object) -> Noise | None:
    """Gain and read noise that a master was made with, for frames of a night that could not measure them."""
    if not isinstance(master, Calibration) or master.refused or "GAINSRC" not in master.header:
        return None
    header = master.header
    if {ASSUMED.warning, UNKNOWN_READ_NOISE} & set(warnings_of(header)):
        return None
    numbers = range(1, header.get("NCAMPS", 1) + 1)
    cards = [(f"GAINUS{n:02d}", f"RNUSED{n:02d}") for n in numbers]
    each = tuple((header[gain], header[noise]) for gain, noise in cards if gain in header and noise in header)
    source = f"{header['GAINSRC']} of {header['NIGHT']}"
    return Noise(header["GAINUSED"], header["RNUSED"], source, amplifiers=each if len(each) == len(cards) else ())


def better_noise(measured: Noise | None, bias: object) -> Noise | None:
    """Choose between what the night measured and what its master bias was made with: a gain that was not assumed.

    Parameters
    ----------
    measured : Noise or None
        Of the night.
    bias : Calibration or None
        The master bias; anything else counts as None.

    Returns
    -------
    Noise or None
        ``measured`` if it has no warning, else that of the bias if it is known, else ``measured``.
    """
    if measured is not None and not measured.warning:
        return measured
    return noise_of_master(bias) or measured


def amplifiers_of(header: RawHeader, camera: Camera, noises: Sequence[Noise]) -> list[Amplifier]:
    """Geometry and numbers of a frame's amplifiers.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    noises : sequence of Noise
        Gain [e-/ADU] and read noise [e-] of each, as `noise_of` finds them.

    Returns
    -------
    list of Amplifier

    Raises
    ------
    SetAside
        If a section cannot be read or does not fit the image, or the level of saturation or the end of linearity is no
        number.
    """
    method = OverscanMethods.named(camera.overscan_method)
    parts = zip(camera.amplifiers, camera.sections(header), noises, strict=True)
    return [
        Amplifier(
            Electronics(
                overscans=sections.overscans,
                overscan_method=method,
                image_area=sections.image,
                gain=noise.gain,
                read_noise=noise.read_noise,
                saturation=camera.saturation_level(header, n),
                polynomial=rule.polynomial,
                linearity=camera.linearity_limit(header, n),
                bleed=Bleed(camera.bleed_directions, camera.bleed_pixels),
            ),
            sections.detector,
            rule.plane,
            rule.from_right,
            rule.from_top,
        )
        for n, (rule, sections, noise) in enumerate(parts)
    ]


@dataclass(frozen=True, slots=True)
class Opened:
    """Calibration frames ready for stacking.

    Attributes
    ----------
    camera : Camera
    exposures : list of Exposure
    refused : list of Refusal
        What could not be opened.
    frames : list of Frame
        Records of the exposures.
    noise : Noise
        Of the first exposure.
    """

    camera: Camera
    exposures: list[Exposure]
    refused: list[Refusal]
    frames: list[Frame]
    noise: Noise


def open_exposures(paths: Sequence[Path], camera: Camera, measured: Noise | None = None) -> Opened:
    """Open calibration frames for stacking.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera
    measured : Noise, optional
        Gain and read noise for frames whose headers do not tell.

    Returns
    -------
    Opened
    """
    opened = Opened(camera, [], [], [], measured or ASSUMED)
    for path in paths:
        frame = None
        try:
            image = RawImage(path)
            frame = good_frame(path, image.header, camera)
            noises = [noise_of(image.header, camera, measured, n) for n in range(len(camera.amplifiers))]
            amplifiers = amplifiers_of(image.header, camera, noises)
            readout = readout_of(image, amplifiers, camera.bins(image.header), camera.crosstalk_of(image.header))
        except SetAside as reason:
            log.warning("%s: set aside: %s.", path.name, reason)
            opened.refused.append(Refusal(path, str(reason), frame.mjd if frame else None))
            continue
        image.close()
        exposure = Exposure(readout, frame.exposure, frame.mjd or 0.0, light=frame.light, pointing=frame.pointing)
        opened.exposures.append(exposure)
        opened.frames.append(frame)
        opened = replace(opened, noise=mean_noise(noises) if len(opened.frames) == 1 else opened.noise)
    return opened


def finish_master(
    kind: str, opened: Opened, make: Callable[[], Product], options: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Product:
    """Make a master and complete its header; without a usable frame, an empty master that says why.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark`` or ``flat``.
    opened : Opened
        The frames of the master.
    make : function
        Makes the master, or raises `SetAside`.
    options : mapping
        What mattered besides camera file, gain and read noise.
    warnings : sequence of str
        For the header.

    Returns
    -------
    Product
    """
    try:
        product = make()
    except SetAside as reason:
        log.warning("master %s: %s.", kind, reason)
        product = refused_master(kind, (1, 1), str(reason))
    if opened.frames:
        describe_setup(product.header, opened.frames[0])
    describe_noise(product.header, opened.noise)
    for text in warnings:
        warn(product.header, text)
    for text in warnings_of(product.header):
        log.warning("master %s: %s.", kind, text)
    noise = {"gain": opened.noise.gain, "read_noise": opened.noise.read_noise}
    provenance(product.header, {**options, **noise, "camera": file_hash(opened.camera.path)})
    for exposure in opened.exposures:
        exposure.readout.image.close()
    return product


def describe_noise(header: fits.Header, noise: Noise) -> None:
    """Say in a product's header where gain and read noise come from, and what is wrong with them.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product; changed in place.
    noise : Noise
        What was used.
    """
    set_cards(header, [("GAINSRC", noise.source, "source of gain and read noise")])
    if noise.warning:
        warn(header, noise.warning)


def describe_setup(header: fits.Header, frame: Frame) -> None:
    """Say in a master's header for which frames it serves, so that a library of masters can be searched.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master; changed in place.
    frame : Frame
        The first of those stacked.
    """
    area = wrap(frame.area, AREA_LENGTH)
    cards: list[tuple[str, Any, str]] = [  # the first ones are SETUP_CARDS
        ("NIGHT", frame.night, "date of the evening"),
        ("NCCAMERA", frame.camera, "camera file"),
        ("NCINSTR", frame.instrument, "instrument"),
        ("NCXBIN", frame.binning[0], "binning in x"),
        ("NCYBIN", frame.binning[1], "binning in y"),
        ("NCMODE", frame.mode, "readout mode"),
        ("NCAREA", "".join(area[:1]), "light-sensitive pixels of the raw frames"),
        ("NCOVSC", frame.has_overscan, "frames have overscan"),
        ("NCNX", frame.shape[1], "columns of the raw frames"),
        ("NCNY", frame.shape[0], "rows of the raw frames"),
        ("NCAMPS", frame.amplifiers, "amplifiers of the raw frames"),
        ("FILTER", frame.filter, "filter"),
    ]
    cards += [(f"NCAREA{n:02d}", piece, "and so on") for n, piece in enumerate(area[1:], start=2)]
    temperatures = ("SET-TEMP", frame.set_temperature, "[deg C]"), ("CCD-TEMP", frame.temperature, "[deg C] measured")
    cards += [card for card in temperatures if card[1] is not None]
    if frame.light:
        cards.append(("NCLIGHT", frame.light, "what lit the flat"))
    set_cards(header, cards)


SETUP_CARDS = (
    "NIGHT", "NCCAMERA", "NCINSTR", "NCXBIN", "NCYBIN", "NCMODE", "NCAREA", "NCOVSC", "NCNX", "NCNY", "NCAMPS",
)  # fmt: skip
"""Cards of `describe_setup` that masters of one setup share, but for what goes on in ``NCAREA02`` and so on."""


def bad_pixel_mask_of(
    masters: Sequence[Calibration], given: Sequence[Calibration] = (), limits: Limits = USUAL
) -> Product:
    """Make a bad pixel mask and complete its header; without anything to make it from, an empty one that says why.

    Parameters
    ----------
    masters, given, limits
        As for `make_bad_pixel_mask`.

    Returns
    -------
    Product
        The image is the mask; 1 x 1, with ``REFUSED``, if it is empty.
    """
    try:
        product = make_bad_pixel_mask(masters, given, limits)
    except SetAside as reason:
        return refused_master("bpm", (1, 1), str(reason))
    source = next((master.header for master in masters if not master.refused), fits.Header())
    names = [card for card in source if card in SETUP_CARDS or card.startswith("NCAREA")]
    set_cards(product.header, [(card, source[card], source.comments[card]) for card in names])
    digests = {"masters": [master.digest for master in masters], "given": [mask.digest for mask in given]}
    provenance(product.header, digests | asdict(limits))
    return product


def measure_noise_of(paths: Sequence[Path], camera: Camera) -> Noise:
    """Measure gain and read noise from raw bias frames and flats; what cannot be read is left out.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera

    Returns
    -------
    Noise
    """
    opened = open_exposures(paths, camera, Noise(1.0, 0.0, "ADU"))
    frames = sorted(zip(opened.frames, opened.exposures, strict=True), key=lambda pair: (pair[0].filter, pair[0].mjd))

    def tiles(kind: str, name: str | None = None) -> Iterator[list[Tiles]]:
        for frame, exposure in frames:
            if frame.kind == kind and name in (None, frame.filter):
                try:
                    yield _tiles_in_adu(exposure)
                except SetAside as reason:
                    log.warning("%s: left out: %s.", frame.name, reason)

    filters = dict.fromkeys(frame.filter for frame, _ in frames if frame.kind == "flat")
    noise = measure_noise(tiles("bias"), {name: tiles("flat", name) for name in filters})
    log.info("gain %.3f e-/ADU, read noise %.2f e- (%s)", noise.gain, noise.read_noise, noise.source)
    return noise


def _tiles_in_adu(exposure: Exposure) -> list[Tiles]:
    readout = exposure.readout
    with readout.image:
        tiles = read_tiles(readout, grids_of(readout))
    return [found / np.float32(part.gain) for found, part in zip(tiles, readout.parts, strict=True)]


def good_frame(path: Path, header: RawHeader, camera: Camera) -> Frame:
    """Read what is known of a raw frame.

    Raises
    ------
    SetAside
        If it cannot be used.
    """
    frame = understand(path, path.name, header, [camera])
    if frame.problem:
        raise SetAside(frame.problem)
    return frame
