"""Amplifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightcal.cameras.camera import Camera
from nightcal.detector.amplifiers import Amplifier
from nightcal.detector.overscan import OverscanMethods
from nightcal.detector.photon_transfer import ASSUMED, GainAndReadNoise
from nightcal.detector.readout import Electronics
from nightcal.detector.saturation import Bleed
from nightcal.io.keywords import warnings_of
from nightcal.io.master import MasterFrame
from nightcal.io.raw_header import RawHeader

UNKNOWN_READ_NOISE = "read noise unknown, 0 e- assumed: uncertainties are too small"


def find_gain(
    header: RawHeader, camera: Camera, measured: GainAndReadNoise | None, amplifier: int = 0
) -> GainAndReadNoise:
    """Gain and read noise of an amplifier: from header or camera file, else measured, else assumed.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    measured : GainAndReadNoise or None
    amplifier : int
        From 0.

    Returns
    -------
    GainAndReadNoise
        A measured read noise, known in ADU, is brought to electrons with the gain that is used.
    """
    gain, read_noise = camera.read_gain_and_noise(header, amplifier)
    found = (measured or ASSUMED).of(amplifier)
    if gain is None:
        return replace(found, read_noise=found.read_noise if read_noise is None else read_noise)
    if read_noise is None:
        warning = "" if measured else UNKNOWN_READ_NOISE
        return GainAndReadNoise(
            gain, found.read_noise * gain / found.gain, f"gain from header or camera file, {found.source}", warning
        )
    return GainAndReadNoise(gain, read_noise, "header or camera file")


def average_gain(noises: Sequence[GainAndReadNoise]) -> GainAndReadNoise:
    """Mean gain and mean square read noise of all amplifiers; source and warning are the first one's that warns."""
    said = next((noise for noise in noises if noise.warning), noises[0])
    gain = sum(noise.gain for noise in noises) / len(noises)
    read_noise = (sum(noise.read_noise**2 for noise in noises) / len(noises)) ** 0.5
    return said if len(noises) == 1 else replace(said, gain=gain, read_noise=read_noise)


def gain_of_master(master: object) -> GainAndReadNoise | None:
    """Gain and read noise that a master was made with, for frames of a night that could not measure them."""
    if not isinstance(master, MasterFrame) or master.refused or "GAINSRC" not in master.header:
        return None
    header = master.header
    if {ASSUMED.warning, UNKNOWN_READ_NOISE} & set(warnings_of(header)):
        return None
    numbers = range(1, header.get("NCAMPS", 1) + 1)
    cards = [(f"GAINUS{n:02d}", f"RNUSED{n:02d}") for n in numbers]
    each = tuple((header[gain], header[noise]) for gain, noise in cards if gain in header and noise in header)
    source = f"{header['GAINSRC']} of {header['NIGHT']}"
    return GainAndReadNoise(
        header["GAINUSED"], header["RNUSED"], source, amplifiers=each if len(each) == len(cards) else ()
    )


def choose_gain(measured: GainAndReadNoise | None, bias: object) -> GainAndReadNoise | None:
    """Choose between what the night measured and what its master bias was made with: a gain that was not assumed.

    Parameters
    ----------
    measured : GainAndReadNoise or None
        Of the night.
    bias : MasterFrame or None
        The master bias; anything else counts as None.

    Returns
    -------
    GainAndReadNoise or None
        ``measured`` if it has no warning, else that of the bias if it is known, else ``measured``.
    """
    if measured is not None and not measured.warning:
        return measured
    return gain_of_master(bias) or measured


def amplifiers_of(header: RawHeader, camera: Camera, noises: Sequence[GainAndReadNoise]) -> list[Amplifier]:
    """Geometry and numbers of a frame's amplifiers.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    noises : sequence of GainAndReadNoise
        Gain [e-/ADU] and read noise [e-] of each, as `find_gain` finds them.

    Returns
    -------
    list of Amplifier

    Raises
    ------
    FrameRejectedError
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
