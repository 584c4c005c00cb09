"""Open raw frames with gain, read noise and geometry of their amplifiers, from camera file and header."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nightcal.cameras.camera import Camera
from nightcal.cameras.colours import select_colour
from nightcal.cameras.corrected_camera import find_facts
from nightcal.cameras.gain_cards import describe_gain_setting, name_gain, name_saturation
from nightcal.cameras.quantities import list_keywords
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.gain import ASSUMED, GainAndReadNoise
from nightcal.detector.mosaic_readout import open_readout
from nightcal.detector.overscan import OverscanMethods
from nightcal.detector.readout import Readout
from nightcal.detector.saturation import Bleed
from nightcal.io.colour_plane import ColourPlane
from nightcal.io.keywords import read_warnings
from nightcal.io.master import MasterFrame
from nightcal.io.raw_header import RawHeader
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.warning_names import name_warning

UNKNOWN_READ_NOISE = name_warning("unknown read noise", "0 e- assumed: uncertainties are too small")

UNCERTAIN = 0.003
"""Error of a measured gain, as a fraction, from which it is told if no keyword gives the gain."""

SAID = "the observer's rules"
"""Source of a gain."""


def find_gain(
    header: RawHeader, camera: Camera, measured: GainAndReadNoise | None, amplifier: int = 0
) -> GainAndReadNoise:
    """Find gain and read noise of an amplifier: from the observer, header or camera file, else measured, else assumed.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    measured : GainAndReadNoise or None
        Replaces a gain that is a setting of the camera; as its ``use`` says, also others.
    amplifier : int
        Counted from 0.

    Returns
    -------
    GainAndReadNoise
        A measured read noise is converted with the gain in use.
    """
    facts = find_facts(camera)
    if facts.gain is None:
        found = _find_gain(header, camera, measured, amplifier)
        return found if facts.read_noise is None else replace(found, read_noise=facts.read_noise)
    _, read_noise = camera.read_gain_and_noise(header, amplifier)
    fallback = (measured or ASSUMED).select_amplifier(amplifier)
    if read_noise is not None:
        return GainAndReadNoise(facts.gain, read_noise, SAID)
    converted = fallback.read_noise * facts.gain / fallback.gain
    return GainAndReadNoise(facts.gain, converted, f"{SAID}, {fallback.source}", "" if measured else UNKNOWN_READ_NOISE)


def _find_gain(
    header: RawHeader, camera: Camera, measured: GainAndReadNoise | None, amplifier: int
) -> GainAndReadNoise:
    gain, read_noise = camera.read_gain_and_noise(header, amplifier)
    fallback = (measured or ASSUMED).select_amplifier(amplifier)
    setting = describe_gain_setting(camera, header, amplifier)
    if gain is None:
        if setting and not fallback.warning:
            warning = f"{setting}: {fallback.gain:.3g} e-/ADU and {fallback.read_noise:.3g} e- used, {fallback.source}"
            return replace(fallback, warning=name_warning("gain setting", warning))
        warning = fallback.warning or _explain_uncertain(header, camera, amplifier, fallback)
        warning = name_warning("gain setting", f"{setting}: {fallback.warning}") if setting else warning
        noise = fallback.read_noise if read_noise is None else read_noise
        return replace(fallback, read_noise=noise, warning=warning)
    if fallback.replaces(gain):
        return replace(fallback, warning=_explain_replaced(header, camera, amplifier, fallback))
    doubt = ""
    if setting and not fallback.is_good:
        doubt = name_warning("gain setting", f"{setting}, yet taken as {gain:g} e-/ADU: not measured; give `gain`")
    if read_noise is None:
        warning = "" if measured else UNKNOWN_READ_NOISE
        return GainAndReadNoise(
            gain,
            fallback.read_noise * gain / fallback.gain,
            f"gain from header or camera file, {fallback.source}",
            doubt or warning,
        )
    return GainAndReadNoise(gain, read_noise, "header or camera file", doubt)


def _explain_uncertain(header: RawHeader, camera: Camera, amplifier: int, measured: GainAndReadNoise) -> str:
    """Explain that only a measurement gives the gain; empty if its error is too small to matter."""
    error = measured.errors[0][0] if measured.errors else 0.0
    _, plane = camera.find_plane(amplifier, header)
    if measured.use == "measured" or error < UNCERTAIN * measured.gain or camera.value(plane, "gain") is not None:
        return ""
    missing = f"no {list_keywords(camera.cards.get('gain', ()))} in the header"
    found = f"{_describe_with_error(measured.gain, error)} e-/ADU used, {measured.source}"
    return name_warning("unknown gain", f"{missing}; {found}")


def _explain_replaced(header: RawHeader, camera: Camera, amplifier: int, measured: GainAndReadNoise) -> str:
    """Explain why a measured gain is used instead of that of header or camera file; empty if the observer wants it."""
    if measured.use == "measured":
        return ""
    gain, read_noise = camera.read_gain_and_noise(header, amplifier)
    setting = describe_gain_setting(camera, header, amplifier)
    said = setting or f"{name_gain(camera, header, amplifier)} is {gain:g} e-/ADU"
    noise = "" if read_noise is None else f", read noise {read_noise:g} e-"
    gain_and_error = _describe_with_error(measured.gain, measured.errors[0][0])
    found = f"{gain_and_error} e-/ADU and {measured.read_noise:.3g} e- used, {measured.source}"
    return name_warning("gain setting" if setting else "gain differs", f"{said}{noise}; {found}")


def _describe_with_error(value: float, error: float) -> str:
    """Write a value to the digit of its error, as in ``1.701 +- 0.004``."""
    decimals = max(-math.floor(math.log10(error)), 0) if error > 0 else 3
    return f"{value:.{decimals}f} +- {error:.{decimals}f}"


def average_gain(noises: Sequence[GainAndReadNoise]) -> GainAndReadNoise:
    """Average gain and read noise over amplifiers; source and warning are those of the first with a warning."""
    first = next((noise for noise in noises if noise.warning), noises[0])
    gain = sum(noise.gain for noise in noises) / len(noises)
    read_noise = (sum(noise.read_noise**2 for noise in noises) / len(noises)) ** 0.5
    return first if len(noises) == 1 else replace(first, gain=gain, read_noise=read_noise)


def read_master_gain(master: object) -> GainAndReadNoise | None:
    """Read the gain and read noise used for a master; None if unknown."""
    if not isinstance(master, MasterFrame) or master.why_empty or "GAINSRC" not in master.header:
        return None
    header = master.header
    if any(text.endswith((ASSUMED.warning, UNKNOWN_READ_NOISE)) for text in read_warnings(header)):
        return None
    numbers = range(1, header.get("NCAMPS", 1) + 1)
    cards = [(f"GAINUS{n:02d}", f"RNUSED{n:02d}") for n in numbers]
    known = tuple((header[gain], header[noise]) for gain, noise in cards if gain in header and noise in header)
    source = f"{header['GAINSRC']} of {header['NIGHT']}"
    return GainAndReadNoise(
        header["GAINUSED"], header["RNUSED"], source, amplifiers=known if len(known) == len(cards) else ()
    )


def choose_gain(measured: GainAndReadNoise | None, bias: object) -> GainAndReadNoise | None:
    """Choose the gain measured in the night, or that of its master bias if the night has none.

    Parameters
    ----------
    measured : GainAndReadNoise or None
        Measured in the night.
    bias : MasterFrame or None
        The master bias.

    Returns
    -------
    GainAndReadNoise or None
        ``measured`` unless it has a warning and the gain of the bias is known.
    """
    if measured is not None and not measured.warning:
        return measured
    known = read_master_gain(bias)
    if known is None or measured is None:
        return known or measured
    return replace(known, step=measured.step, tops=measured.tops, use=measured.use)


def open_image(path: Path, camera: Camera) -> RawImage:
    """Open a raw frame, or the colour of a mosaic that a camera reads.

    Raises
    ------
    FrameRejectedError
        If the file cannot be used, or as for `split_header`.
    """
    image = RawImage(path)
    header = select_colour(image.header, camera)
    return image if header is image.header else ColourPlane(image, header)


def open_raw(
    image: RawImage, camera: Camera, measured: GainAndReadNoise | None = None, turned: bool = False
) -> tuple[Readout, GainAndReadNoise]:
    """Open a raw frame, with its camera file.

    Parameters
    ----------
    image : RawImage
    camera : Camera
    measured : GainAndReadNoise, optional
        For frames whose headers lack gain or read noise.
    turned : bool
        Read the rows of the light-sensitive area in the opposite order.

    Returns
    -------
    readout : Readout
    gain : GainAndReadNoise
        Values in use, averaged over the amplifiers, and their origin.

    Raises
    ------
    FrameRejectedError
        If a section cannot be read or does not fit the image, or if a gain, saturation or linearity limit is invalid.
    """
    amplifiers, gain = read_amplifiers(image.header, camera, measured)
    if turned:
        amplifiers = [replace(amplifier, image_area=_turn(amplifier.image_area)) for amplifier in amplifiers]
    for plane in image.planes:
        plane.rescales = True
    return open_readout(image, amplifiers, camera.bins(image.header), camera.read_crosstalk(image.header)), gain


def _turn(area: Area | None) -> Area | None:
    return None if area is None else replace(area, flip_y=not area.flip_y)


def read_amplifiers(
    header: RawHeader, camera: Camera, measured: GainAndReadNoise | None = None
) -> tuple[list[Amplifier], GainAndReadNoise]:
    """Read the amplifiers of a frame from its header and camera file; parameters and errors as for `open_raw`."""
    gains = [find_gain(header, camera, measured, n) for n in range(len(camera.amplifiers))]
    adc = measured or ASSUMED
    method = OverscanMethods[camera.overscan_method]
    summed = camera.count_summed(header)  # so many times the variance of one readout
    gains = [replace(gain, read_noise=gain.read_noise * summed**0.5) for gain in gains]
    rules = zip(camera.amplifiers, camera.sections(header), gains, strict=True)
    amplifiers = [
        Amplifier(
            overscans=sections.overscans,
            overscan_method=method,
            image_area=sections.image,
            gain=gain.gain,
            read_noise=gain.read_noise,
            saturation=camera.saturation_level(header, n),
            polynomial=rule.polynomial,
            linearity=camera.linearity_limit(header, n),
            bleed=Bleed(camera.bleed_directions, camera.bleed_pixels),
            detector=sections.detector,
            plane=rule.plane,
            from_right=rule.from_right,
            from_top=rule.from_top,
            step=adc.step,
            top=adc.find_top(n),
            searches_top=True,
            saturation_card=name_saturation(camera, header, n),
        )
        for n, (rule, sections, gain) in enumerate(rules)
    ]
    return amplifiers, average_gain(gains)
