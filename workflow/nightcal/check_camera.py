"""Show how a camera file interprets raw frames, as a help for writing camera files.

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

from nightcal.cameras.amplifiers import open_image
from nightcal.cameras.camera import Camera, Patterns, recognise_camera
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.colours import split_header
from nightcal.check_pixels import describe_pixels
from nightcal.cli import run
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import PLANES, find_pattern
from nightcal.io.header_values import MJD_ZERO
from nightcal.io.raw_header import RawHeader, read_header
from nightcal.measurement.astrometry.pointing import find_hint
from nightcal.planning.frames import find_night, interpret_header
from nightcal.planning.naming import make_printable
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import open_frames

STRIP = 64


@dataclass(slots=True)
class CameraCheck:
    """How a frame is interpreted, line by line; its type, its problems, and whether they reject it."""

    kind: str = ""
    rejected: bool = False
    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add_line(self, name: str, describe: Callable[[], str], required: bool = False) -> None:
        """Add a line, or a problem if it cannot be written; a required line rejects the frame."""
        try:
            self.lines.append((name, describe()))
        except FrameRejectedError as problem:
            self.lines.append((name, "unknown, see below"))
            self.add_problem(str(problem), required)

    def add_problem(self, problem: str, rejects: bool = True) -> None:
        """Add a problem, unless it is already listed."""
        self.rejected |= rejects
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def verdict(self) -> str:
        """What would happen to the frame."""
        if self.rejected:
            return "The frame would be rejected."
        return "The frame would be listed but not used." if self.kind == "other" else "The frame would be used."


def check_frame(camera: Camera, path: Path) -> CameraCheck:
    """Read a raw frame with a camera file.

    Parameters
    ----------
    camera : Camera
    path : Path
        The raw frame, including its pixels.

    Returns
    -------
    CameraCheck
        Problems with keywords that the frame type does not need do not reject the frame.
    """
    check = CameraCheck()
    try:
        header = read_header(path)
    except FrameRejectedError as problem:
        check.add_problem(str(problem))
        return check
    check.lines.append(("file", f"{_format_size(header)}, planes: {len(header.planes)}"))
    try:
        (header, camera), *others = split_header(header, camera)
    except FrameRejectedError as problem:
        check.add_problem(str(problem))
        return check
    if others:
        pattern = find_pattern(header, camera.bayer_pattern)
        text = f"{pattern}, split into {', '.join(PLANES)}; what follows is {camera.plane}"
        check.lines.append(("colours", text))
    for name, describe in LINES.items():
        check.add_line(name, partial(describe, camera, header))
    for role in camera.cards:
        if role not in EXPLAINED:
            check.add_line(role, partial(_describe_role(role), camera, header))
    for number in range(len(camera.amplifiers)):
        which = f" {number + 1}" if len(camera.amplifiers) > 1 else ""
        for name, describe_part in _describe_amplifier(camera, header, number):
            check.add_line(name + which, describe_part)
    frame = interpret_header(path, path.name, header, [camera])
    check.lines.extend(("warning", text) for text in frame.warnings)
    check.kind = frame.kind
    check.lines.extend(("warning", warning) for warning in frame.warnings)
    if frame.problem:
        check.rejected = True
        if not check.problems:
            check.add_problem(frame.problem)
    else:
        _check_pixels(camera, path, check)
    try:
        with open_image(path, camera) as image:
            check.lines.extend(describe_pixels(image, check.kind or _guess_type(camera, header)))
    except FrameRejectedError as problem:
        check.add_problem(str(problem))
    return check


def _guess_type(camera: Camera, header: RawHeader) -> str:
    """Find the type of a frame that is rejected for another reason; empty if it is unknown."""
    try:
        return camera.kind(header)
    except FrameRejectedError:
        return ""


def _check_pixels(camera: Camera, path: Path, check: CameraCheck) -> None:
    """Open the frame as for a stack, and read its pixels."""
    opened = open_frames([path], camera)
    for rejected in opened.rejected:
        check.add_problem(rejected.reason)
    for exposure in opened.frames:
        known = not opened.noise.warning
        check.lines.extend(_describe_parts(exposure, known))
        check.add_line("pixels", partial(_describe_pixels, exposure, "e-" if known else "ADU"), required=True)


def _describe_parts(exposure: CalibrationFrame, known: bool) -> Iterator[tuple[str, str]]:
    for n, (area, share) in enumerate(exposure.readout.shares, start=1):
        numbers = f"{share.gain:.4g} e-/ADU, {share.read_noise:.4g} e-" if known else "gain or read noise unknown"
        yield f"amplifier {n}", f"{area} of the trimmed image; {numbers}"


def _describe_pixels(exposure: CalibrationFrame, unit: str) -> str:
    readout = exposure.readout
    rows, columns = readout.shape
    flagged, samples = 0, []
    with readout.image:
        for start in range(0, rows, STRIP):
            electrons, flags = readout.rows(start, min(start + STRIP, rows))
            flagged += int(np.count_nonzero(flags))
            samples.append(electrons[::8, ::8][flags[::8, ::8] == 0])
        level = readout.mean_overscan_level
    values = np.concatenate(samples)
    median = f"median {np.median(values):.5g} {unit}" if values.size else "no usable pixels"
    overscan = "no overscan subtracted" if level is None else f"overscan level {level:.6g} ADU subtracted"
    return f"{columns} x {rows} after trimming; {median}, {overscan}; {flagged} saturated or missing"


def _describe_recognition(camera: Camera, header: RawHeader) -> str:
    if not camera.recognise:
        return "yes: the camera file has no recognise rules and accepts every frame"
    for rule in camera.recognise:
        if replace(camera, recognise=(rule,)).recognises(header):
            return f"yes, by {_format_rule(rule)}"
    rules = "; ".join(map(_format_rule, camera.recognise))
    raise FrameRejectedError(f"{camera.path.name} does not recognise the header; it requires {rules}")


def _describe_type(camera: Camera, header: RawHeader) -> str:
    kind = camera.kind(header)
    number = next(n for n in range(1, len(camera.types) + 1) if _agrees(camera, n, header))
    return f"{kind}, by rule {number}: {_format_rule(camera.types[number - 1][1])}{_quote_card(camera, header, 'type')}"


def _agrees(camera: Camera, rules: int, header: RawHeader) -> bool:
    """Check whether one of the first rules matches."""
    try:
        replace(camera, types=camera.types[:rules]).kind(header)
    except FrameRejectedError:
        return False
    return True


def _describe_start(camera: Camera, header: RawHeader) -> str:
    moment = MJD_ZERO + timedelta(days=camera.start(header))
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC (keywords searched: {_list_cards(camera, 'start')})"


def _describe_exposure(camera: Camera, header: RawHeader) -> str:
    return f"{camera.exposure_time(header):g} s{_quote_card(camera, header, 'exposure')}"


def _describe_night(camera: Camera, header: RawHeader) -> str:
    longitude = camera.east_longitude(header)
    where = "longitude unknown: UTC" if longitude is None else f"longitude {longitude:g} deg east"
    return f"{find_night(camera.start(header), longitude or 0.0)} ({where})"


def _describe_role(role: str) -> Callable[[Camera, RawHeader], str]:
    """Make a function that describes a role."""

    def find(camera: Camera, header: RawHeader) -> str:
        value = camera.value(header, role)
        searched = f"none (keywords searched: {_list_cards(camera, role)})"
        return searched if value is None else f"{value}{_quote_card(camera, header, role)}"

    return find


def _describe_temperature(camera: Camera, header: RawHeader) -> str:
    degrees = camera.temperature(header, "set_temperature")
    return _format_number(camera, header, degrees, "set_temperature", "deg C", "none")


def _describe_binning(camera: Camera, header: RawHeader) -> str:
    across, along = camera.bins(header)
    searched = " or ".join(" and ".join(cards) for cards in camera.binning) or "none"
    return f"{across} x {along} (keywords searched: {searched}; 1 x 1 if missing)"


def _describe_mode(camera: Camera, header: RawHeader) -> str:
    found = ", ".join(f"{card} = {value}" for setting in camera.settings(header) for card, value in setting.cards)
    searched = ", ".join(card for rule in camera.mode for card in rule.cards)
    return f"{found or 'none'} (keywords: {searched or 'none'})"


def _describe_flat_source(camera: Camera, header: RawHeader) -> str:
    return f"{camera.find_flat_source(header) or 'unknown'}, if the frame is a flat"


def _describe_pointing(camera: Camera, header: RawHeader) -> str:
    place = camera.pointing(header)
    searched = f"keywords searched: {_list_cards(camera, 'ra')} and {_list_cards(camera, 'dec')}"
    return f"none ({searched})" if place is None else f"RA {place[0]:.4f}, Dec {place[1]:+.4f} deg ({searched})"


def _describe_scale(camera: Camera, header: RawHeader) -> str:
    hint = find_hint(header, camera)
    where = hint.source.partition(", scale ")[2]
    without = "none: astrometry requires pixel_scale"
    return without if hint.scale is None else f"{hint.scale:.4g} arcsec per pixel as read out ({where})"


def _describe_bleeding(camera: Camera, header: RawHeader) -> str:
    towards = ", ".join(camera.bleed_directions)
    return f"{camera.bleed_pixels} pixels {towards} from a saturated pixel" if towards else "not given"


def _describe_crosstalk(camera: Camera, header: RawHeader) -> str:
    shares = np.abs(camera.read_crosstalk(header))
    if not shares.size or not shares.any():
        return f"none (keywords searched: {camera.crosstalk_cards or 'none'})"
    return f"{np.count_nonzero(shares)} coefficients, the largest {shares.max():.3g}"


def _describe_amplifier(camera: Camera, header: RawHeader, number: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield name and description of each property of an amplifier, counted from 0."""
    rule = camera.amplifiers[number]
    plane = header.planes[rule.plane] if rule.plane < len(header.planes) else header
    show = partial(_format_number, camera, plane)
    measured = "to be measured from bias frames and flats"
    yield "gain", lambda: show(camera.read_gain_and_noise(header, number)[0], "gain", "e-/ADU", measured)
    yield "read noise", lambda: show(camera.read_gain_and_noise(header, number)[1], "read_noise", "e-", measured)
    largest = "the largest integer of the data type"
    yield "saturation", lambda: show(camera.saturation_level(header, number), "saturation", "ADU", largest)
    yield "linear up to", lambda: show(camera.linearity_limit(header, number), "linearity", "ADU", "unknown")
    yield (
        "image",
        lambda: f"{camera.sections(header)[number].image} of {_format_size(plane)} ({_list_sections(rule.image)})",
    )
    if rule.detector:
        yield (
            "detector",
            lambda: f"{camera.sections(header)[number].detector or 'none'} ({_list_sections(rule.detector)})",
        )
    yield "overscan", lambda: _describe_overscan(camera, header, number)
    if rule.polynomial:
        yield "polynomial", lambda: f"{', '.join(f'{term:g}' for term in rule.polynomial)}"


def _describe_overscan(camera: Camera, header: RawHeader, number: int) -> str:
    searched = _list_sections([entry for entries in camera.amplifiers[number].overscan for entry in entries])
    areas = ", ".join(map(str, camera.sections(header)[number].overscans))
    if not areas:
        return f"none: step skipped ({searched})"
    inside = camera.sections(header)[number].image.shape == header.shape
    stays = "; it stays in the image: no section of the image is known" if inside else ""
    return f"{areas}, method {camera.overscan_method} ({searched}){stays}"


def _format_size(plane: RawHeader) -> str:
    return f"{plane.shape[1]} x {plane.shape[0]} pixels"


def _list_sections(entries: Sequence[str]) -> str:
    return f"searched: {', '.join(entries) or 'nothing'}"


def _format_number(camera: Camera, plane: RawHeader, number: float | None, role: str, unit: str, without: str) -> str:
    if number is None:
        return f"{without} (keywords searched: {_list_cards(camera, role)})"
    value = camera.value(plane, role)
    source = f"{camera.card(plane, role)} = {value}" if value not in (None, 0) else "camera file"
    return f"{number:.6g} {unit} ({source})"


def _list_cards(camera: Camera, role: str) -> str:
    return ", ".join(camera.cards.get(role, ())) or "none"


def _quote_card(camera: Camera, header: RawHeader, role: str) -> str:
    value = camera.value(header, role)
    return "" if value is None else f" ({camera.card(header, role)} = {value!r})"


def _format_rule(rule: Patterns) -> str:
    """Write a rule as in a camera file."""
    return ", ".join(f"{name}: {_format_values(wanted)}" for name, wanted in rule.items())


def _format_values(wanted: Sequence[Any]) -> str:
    return " or ".join("none" if pattern is None else str(pattern) for pattern in wanted)


LINES: dict[str, Callable[[Camera, RawHeader], str]] = {
    "recognised": _describe_recognition,
    "type": _describe_type,
    "start": _describe_start,
    "exposure": _describe_exposure,
    "night": _describe_night,
    "filter": _describe_role("filter"),
    "object": _describe_role("object"),
    "instrument": _describe_role("instrument"),
    "set temperature": _describe_temperature,
    "binning": _describe_binning,
    "mode": _describe_mode,
    "flat source": _describe_flat_source,
    "pointing": _describe_pointing,
    "scale": _describe_scale,
    "crosstalk": _describe_crosstalk,
    "bleeding": _describe_bleeding,
}
"""Descriptions of a header, in the order of the output."""

ELSEWHERE = {"gain", "read_noise", "saturation", "linearity", "ra", "dec", "pixel_scale"}
"""Roles that are part of other lines."""

EXPLAINED = {what.replace(" ", "_") for what in LINES} | ELSEWHERE
"""Roles that are described; for any other role the value of its keyword is shown."""


def print_checks(cameras: Sequence[Camera], frames: Sequence[Path]) -> bool:
    """Print how frames are interpreted, each with the first camera file that recognises it.

    Parameters
    ----------
    cameras : sequence of Camera
        Tried in this order; a single one is used for every frame.
    frames : sequence of Path

    Returns
    -------
    bool
        Whether all frames would be used.
    """
    good = True
    for path in frames:
        camera = cameras[0] if len(cameras) == 1 else _find_camera(path, cameras)
        check = check_frame(camera, path)
        print(f"{make_printable(str(path))}, read with {camera.path.name} ({camera.title})")
        for what, text in check.lines:
            print(f"  {what:<16}{make_printable(text)}")
        for problem in check.problems:
            print(f"  PROBLEM         {make_printable(problem)}.")
        print(f"{check.verdict}\n")
        good = good and not check.rejected
    return good


def _find_camera(path: Path, cameras: Sequence[Camera]) -> Camera:
    """Find the camera file for a frame; the last one if the frame cannot be read."""
    try:
        return recognise_camera(read_header(path), cameras)
    except FrameRejectedError:
        return cameras[-1]


def main() -> None:
    """Check frames; the exit status is 1 if a frame would be rejected."""
    parser = argparse.ArgumentParser(
        prog="python -m nightcal.check_camera", description="Show how a camera file interprets raw frames."
    )
    parser.add_argument("camera", type=Path, help="camera file, as in config/cameras")
    parser.add_argument("frames", type=Path, nargs="+", help="raw frames")
    args = parser.parse_args()
    sys.exit(0 if print_checks([load_camera(args.camera)], args.frames) else 1)


if __name__ == "__main__":
    run(main)
