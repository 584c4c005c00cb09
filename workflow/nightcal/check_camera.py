"""What a camera file makes of raw frames, for whoever writes one.

python -m nightcal.check_camera config/cameras/mine.yaml /path/to/frame.fits
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nightcal.cameras.camera import Camera, Patterns
from nightcal.cameras.camera_file import load_camera
from nightcal.cli import run
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import MJD_ZERO
from nightcal.io.raw_header import RawHeader, read_header
from nightcal.measurement.astrometry.pointing import find_hint
from nightcal.planning.frames import night_of, understand
from nightcal.planning.naming import printable
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import open_frames

STRIP = 64


@dataclass(slots=True)
class CameraCheck:
    """What was understood of a frame, line by line, its type, what is wrong, and whether that sets it aside."""

    kind: str = ""
    set_aside: bool = False
    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, what: str, find: Callable[[], str], needed: bool = False) -> None:
        """Add a line, or the problem that there is instead; without what is needed the frame is set aside."""
        try:
            self.lines.append((what, find()))
        except FrameRejectedError as problem:
            self.lines.append((what, "cannot be told: see below"))
            self.add(str(problem), needed)

    def add(self, problem: str, set_aside: bool = True) -> None:
        """Add a problem, once."""
        self.set_aside |= set_aside
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def verdict(self) -> str:
        """What would become of the frame."""
        if self.set_aside:
            return "The frame would be set aside."
        return "The frame would be listed and not used." if self.kind == "other" else "The frame would be used."


def check_frame(camera: Camera, path: Path) -> CameraCheck:
    """Read a raw frame with a camera file.

    Parameters
    ----------
    camera : Camera
    path : Path
        The raw frame; all its pixels are read.

    Returns
    -------
    CameraCheck
        Problems that do not set the frame aside are of cards that its type does without.
    """
    understood = CameraCheck()
    try:
        header = read_header(path)
    except FrameRejectedError as problem:
        understood.add(str(problem))
        return understood
    understood.lines.append(("file", f"{_size(header)}, planes: {len(header.planes)}"))
    for what, find in LINES.items():
        understood.say(what, partial(find, camera, header))
    for role in camera.cards:
        if role not in EXPLAINED:
            understood.say(role, partial(_text(role), camera, header))
    for number in range(len(camera.amplifiers)):
        which = f" {number + 1}" if len(camera.amplifiers) > 1 else ""
        for what, tell in _of_amplifier(camera, header, number):
            understood.say(what + which, tell)
    frame = understand(path, path.name, header, [camera])
    understood.kind = frame.kind
    if frame.problem:
        understood.set_aside = True
        if not understood.problems:
            understood.add(frame.problem)
    else:
        _check_pixels(camera, path, understood)
    return understood


def _check_pixels(camera: Camera, path: Path, understood: CameraCheck) -> None:
    """Open the frame as for a stack and read it."""
    opened = open_frames([path], camera)
    for refusal in opened.refused:
        understood.add(refusal.reason)
    for exposure in opened.exposures:
        known = not opened.noise.warning
        understood.lines.extend(_parts(exposure, known))
        understood.say("pixels", partial(_pixels, exposure, "e-" if known else "ADU"), needed=True)


def _parts(exposure: CalibrationFrame, known: bool) -> Iterator[tuple[str, str]]:
    for part in exposure.readout.parts:
        numbers = f"{part.gain:.4g} e-/ADU, {part.read_noise:.4g} e-" if known else "gain or read noise not told"
        yield f"amplifier {part.name}", f"{part.area} of the image that is kept; {numbers}"


def _pixels(exposure: CalibrationFrame, unit: str) -> str:
    readout = exposure.readout
    rows, columns = readout.shape
    saturated, some = 0, []
    with readout.image:
        for start in range(0, rows, STRIP):
            electrons, flags = readout.rows(start, min(start + STRIP, rows))
            saturated += int(np.count_nonzero(flags))
            some.append(electrons[::8, ::8][flags[::8, ::8] == 0])
        level = readout.mean_level
    values = np.concatenate(some)
    middle = f"median {np.median(values):.5g} {unit}" if values.size else "no usable pixel"
    off = "nothing taken off" if level is None else f"overscan level of {level:.6g} ADU taken off"
    return f"{columns} x {rows} are kept; {middle}, {off}; {saturated} saturated or missing"


def _recognised(camera: Camera, header: RawHeader) -> str:
    if not camera.recognise:
        return "yes: the camera file has no rules to recognise, it reads every frame"
    for rule in camera.recognise:
        if replace(camera, recognise=(rule,)).recognises(header):
            return f"yes, by {_in_words(rule)}"
    rules = "; ".join(map(_in_words, camera.recognise))
    raise FrameRejectedError(f"{camera.path.name} does not recognise the header: it asks for {rules}")


def _type(camera: Camera, header: RawHeader) -> str:
    kind = camera.kind(header)
    number = next(n for n in range(1, len(camera.types) + 1) if _agrees(camera, n, header))
    return f"{kind}, by rule {number}: {_in_words(camera.types[number - 1][1])}{_said(camera, header, 'type')}"


def _agrees(camera: Camera, rules: int, header: RawHeader) -> bool:
    """Whether one of the first rules tells the type."""
    try:
        replace(camera, types=camera.types[:rules]).kind(header)
    except FrameRejectedError:
        return False
    return True


def _start(camera: Camera, header: RawHeader) -> str:
    moment = MJD_ZERO + timedelta(days=camera.start(header))
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC (looked for in {_looked(camera, 'start')})"


def _exposure(camera: Camera, header: RawHeader) -> str:
    return f"{camera.exposure_time(header):g} s{_said(camera, header, 'exposure')}"


def _night(camera: Camera, header: RawHeader) -> str:
    longitude = camera.east_longitude(header)
    where = "no longitude: counted at Greenwich" if longitude is None else f"longitude {longitude:g} deg east"
    return f"{night_of(camera.start(header), longitude or 0.0)} ({where})"


def _text(role: str) -> Callable[[Camera, RawHeader], str]:
    """Find the text of a role."""

    def find(camera: Camera, header: RawHeader) -> str:
        value = camera.value(header, role)
        looked = _looked(camera, role)
        return f"none (looked for in {looked})" if value is None else f"{value}{_said(camera, header, role)}"

    return find


def _temperature(camera: Camera, header: RawHeader) -> str:
    degrees = camera.number(header, "set_temperature", -273.15, 100, "degrees Celsius")
    return _number(camera, header, degrees, "set_temperature", "deg C", "none")


def _binning(camera: Camera, header: RawHeader) -> str:
    across, along = camera.bins(header)
    looked = " or ".join(" and ".join(cards) for cards in camera.binning) or "no card"
    return f"{across} x {along} (looked for in {looked}; 1 x 1 without)"


def _mode(camera: Camera, header: RawHeader) -> str:
    return f"{camera.readout_mode(header) or 'none'} (from {', '.join(camera.mode) or 'no card'})"


def _light(camera: Camera, header: RawHeader) -> str:
    return f"{camera.find_flat_source(header) or 'not told'}, if it is a flat"


def _pointing(camera: Camera, header: RawHeader) -> str:
    place = camera.pointing(header)
    looked = f"looked for in {_looked(camera, 'ra')} and {_looked(camera, 'dec')}"
    return f"none ({looked})" if place is None else f"RA {place[0]:.4f}, Dec {place[1]:+.4f} deg ({looked})"


def _scale(camera: Camera, header: RawHeader) -> str:
    hint = find_hint(header, camera)
    where = hint.source.partition(", scale ")[2]
    without = "none: give pixel_scale, or no frame can be placed on the sky"
    return without if hint.scale is None else f"{hint.scale:.4g} arcsec a pixel as read out ({where})"


def _bleeding(camera: Camera, header: RawHeader) -> str:
    towards = ", ".join(camera.bleed_directions)
    return f"within {camera.bleed_pixels} pixels {towards} of saturated ones" if towards else "none told"


def _crosstalk(camera: Camera, header: RawHeader) -> str:
    shares = np.abs(camera.crosstalk_of(header))
    if not shares.size or not shares.any():
        return f"none (looked for in {camera.crosstalk_cards or 'no card'})"
    return f"{np.count_nonzero(shares)} coefficients, the largest {shares.max():.3g}"


def _of_amplifier(camera: Camera, header: RawHeader, number: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield what is told of an amplifier, counted from 0."""
    rule = camera.amplifiers[number]
    plane = header.planes[rule.plane] if rule.plane < len(header.planes) else header
    said = partial(_number, camera, plane)
    yield (
        "gain",
        lambda: said(camera.read_gain_and_noise(header, number)[0], "gain", "e-/ADU", "to be measured from flats"),
    )
    yield (
        "read noise",
        lambda: said(
            camera.read_gain_and_noise(header, number)[1], "read_noise", "e-", "to be measured from bias frames"
        ),
    )
    largest = "the largest number that the file can hold"
    yield "saturation", lambda: said(camera.saturation_level(header, number), "saturation", "ADU", largest)
    yield "linear up to", lambda: said(camera.linearity_limit(header, number), "linearity", "ADU", "not told")
    yield "image", lambda: f"{camera.sections(header)[number].image} of {_size(plane)} ({_tried(rule.image)})"
    if rule.detector:
        yield "detector", lambda: f"{camera.sections(header)[number].detector or 'none'} ({_tried(rule.detector)})"
    yield "overscan", lambda: _overscan(camera, header, number)
    if rule.polynomial:
        yield "polynomial", lambda: f"{', '.join(f'{term:g}' for term in rule.polynomial)}"


def _overscan(camera: Camera, header: RawHeader, number: int) -> str:
    tried = _tried([entry for entries in camera.amplifiers[number].overscan for entry in entries])
    areas = ", ".join(map(str, camera.sections(header)[number].overscans))
    return f"{areas}, by {camera.overscan_method} ({tried})" if areas else f"none: step skipped ({tried})"


def _size(plane: RawHeader) -> str:
    return f"{plane.shape[1]} x {plane.shape[0]} pixels"


def _tried(entries: Sequence[str]) -> str:
    return f"looked for in {', '.join(entries) or 'nothing'}"


def _number(camera: Camera, plane: RawHeader, number: float | None, role: str, unit: str, without: str) -> str:
    if number is None:
        return f"{without} (looked for in {_looked(camera, role)})"
    said = camera.value(plane, role)
    source = f"{camera.card(plane, role)} = {said}" if said not in (None, 0) else "camera file"
    return f"{number:.6g} {unit} ({source})"


def _looked(camera: Camera, role: str) -> str:
    return ", ".join(camera.cards.get(role, ())) or "no card"


def _said(camera: Camera, header: RawHeader, role: str) -> str:
    value = camera.value(header, role)
    return "" if value is None else f" ({camera.card(header, role)} = {value!r})"


def _in_words(rule: Patterns) -> str:
    """Write a rule as it stands in a camera file."""
    return ", ".join(f"{name}: {_one_of(wanted)}" for name, wanted in rule.items())


def _one_of(wanted: Sequence[Any]) -> str:
    return " or ".join("none" if pattern is None else str(pattern) for pattern in wanted)


LINES: dict[str, Callable[[Camera, RawHeader], str]] = {
    "recognised": _recognised,
    "type": _type,
    "start": _start,
    "exposure": _exposure,
    "night": _night,
    "filter": _text("filter"),
    "object": _text("object"),
    "instrument": _text("instrument"),
    "set temperature": _temperature,
    "binning": _binning,
    "mode": _mode,
    "flat_source": _light,
    "pointing": _pointing,
    "scale": _scale,
    "crosstalk": _crosstalk,
    "bleeding": _bleeding,
}
"""What is told of a header, in that order."""

ELSEWHERE = {"gain", "read_noise", "saturation", "linearity", "ra", "dec", "pixel_scale"}
"""Roles that other lines tell of."""

EXPLAINED = {what.replace(" ", "_") for what in LINES} | ELSEWHERE
"""Roles that have a line of their own; of any other the value of its card is told."""


def main() -> None:
    """Check frames, and end with 1 if one of them would be set aside."""
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.check_camera", description="Tell what a camera file makes of raw frames."
    )
    parser.add_argument("camera", type=Path, help="camera file, as in config/cameras")
    parser.add_argument("frames", type=Path, nargs="+", help="raw frames")
    args = parser.parse_args()
    camera = load_camera(args.camera)
    good = True
    for path in args.frames:
        understood = check_frame(camera, path)
        print(f"{printable(str(path))}, read with {camera.path.name} ({camera.title})")
        for what, text in understood.lines:
            print(f"  {what:<16}{printable(text)}")
        for problem in understood.problems:
            print(f"  PROBLEM         {printable(problem)}.")
        print(f"{understood.verdict}\n")
        good = good and not understood.set_aside
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    run(main)
