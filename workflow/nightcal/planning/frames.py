"""Read the headers of raw frames: a `Frame` for each file, with the reason if it cannot be used."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from nightcal.cameras.camera import Camera, recognise_camera
from nightcal.cameras.colours import split_header
from nightcal.cameras.processing_marks import find_alteration, find_colour_mosaic, find_processing
from nightcal.cameras.settings import Settings, read_row_order
from nightcal.cameras.unlisted_settings import find_unlisted_settings
from nightcal.detector.mosaic import place_amplifiers
from nightcal.errors import FrameRejectedError
from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.file_content import hash_content
from nightcal.io.header_values import MJD_ZERO
from nightcal.io.raw_files import explain_unopened, find_files
from nightcal.io.raw_header import RawHeader, read_header
from nightcal.planning.copies import reject_copies
from nightcal.planning.overrides import Override
from nightcal.warning_names import Warn, ignore_warning, name_warning

COMPARED = ("exposure", "start", "start_time", "middle", "end")
"""Roles of which all cards are compared."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of a raw file, interpreted.

    Attributes
    ----------
    path : Path
    name : str
        Path relative to the raw folder; for one colour of a mosaic followed by it, as in ``light_01.fits:G1``.
    problem : str
        Why the frame is rejected; empty for a good frame. The other attributes then hold what was read before the
        problem.
    camera, instrument : str
        Name of the camera file, and of the instrument if the file serves several.
    kind : str
        ``bias``, ``dark``, ``flat``, ``science`` or ``other``.
    target, filter : str
    flat_source : str
        What illuminated a flat: ``twilight``, ``dome``, or empty if unknown.
    pointing : (float, float) or None
        Right ascension and declination of a flat or science frame [deg].
    exposure_time : float
        [s]
    mjd : float or None
        Middle of the exposure [UTC].
    night : str
        Date of the evening, YYYYMMDD; a night runs from noon to noon at the observatory.
    set_temperature, temperature : float or None
        Set and measured [deg C].
    binning : (int, int)
        In x and y.
    settings : tuple of Setting
        Instrument, binning and readout mode, with the keywords that give them.
    unlisted : tuple of (str, str)
        From `find_unlisted_settings`.
    n_summed : int
        Number of readouts that were summed at the telescope; the exposure time is that of the sum.
    shape : (int, int)
        Rows and columns as read out.
    gain, read_noise : float or None
        [e-/ADU], [e-], from the header or the camera file.
    has_overscan : bool
        Whether every amplifier has overscan.
    area : str
        Section of the light-sensitive pixels, for each amplifier.
    amplifiers : int
    plane : str
        Colour of a split mosaic, of `nightcal.io.colour_mosaic.PLANES`; empty for whole frames.
    family : str
        Name that is common to the camera files whose frames may share masters; empty for that of the camera file.
    has_longitude : bool
        Whether the longitude of the observatory is known; if not, Greenwich is assumed.
    warnings : tuple of str
        What is doubtful in the header, and what was assumed; each begins with a name of `nightcal.warning_names`.
    content : str
        Hash of header and samples of the pixels, by which a replaced file is noticed; empty if not computed.
    override : Override or None
        What the observer says of the frame; the other attributes agree with it.
    """

    path: Path
    name: str
    problem: str = ""
    camera: str = ""
    instrument: str = ""
    kind: str = ""
    target: str = ""
    filter: str = ""
    flat_source: str = ""
    pointing: tuple[float, float] | None = None
    exposure_time: float = 0.0
    mjd: float | None = None
    night: str = ""
    set_temperature: float | None = None
    temperature: float | None = None
    binning: tuple[int, int] = (1, 1)
    settings: Settings = ()
    unlisted: tuple[tuple[str, str], ...] = ()
    n_summed: int = 1
    shape: tuple[int, int] = (0, 0)
    gain: float | None = None
    read_noise: float | None = None
    has_overscan: bool = False
    area: str = ""
    amplifiers: int = 1
    plane: str = ""
    family: str = ""
    has_longitude: bool = True
    warnings: tuple[str, ...] = ()
    content: str = ""
    override: Override | None = None

    @property
    def row_order(self) -> str:
        """Order in which rows are stored (``ROWORDER``), in lower case; empty if unknown."""
        return read_row_order(self.settings)

    @property
    def is_ignored(self) -> bool:
        """Whether the observer wants the frame not to be used."""
        return self.override is not None and bool(self.override.ignored)

    @property
    def file(self) -> str:
        """Path relative to the raw folder."""
        return self.name.removesuffix(name_plane("", self.plane)) if self.plane else self.name


def name_plane(name: str, plane: str) -> str:
    """Name one colour of a mosaic after its file."""
    return f"{name}:{plane}"


def scan(folder: Path, cameras: Sequence[Camera], leave_out: Sequence[Path] = ()) -> list[Frame]:
    """Read the header of every FITS file below a folder; other files that may hold raw frames are rejected.

    Parameters
    ----------
    folder : Path
        Searched recursively; links are followed, hidden files and folders skipped.
    cameras : sequence of Camera
        Tried in this order.
    leave_out : sequence of Path
        Folders not to search, such as the results.

    Returns
    -------
    list of Frame
        Sorted by name.
    """
    paths = sorted(find_files(folder, leave_out, unopened=True))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return reject_copies(
        [frame for path, name in zip(paths, names, strict=True) for frame in read_frames(path, name, cameras)]
    )


def read_frames(path: Path, name: str, cameras: Sequence[Camera]) -> list[Frame]:
    """Read the header of a raw file.

    Parameters
    ----------
    path : Path
    name : str
        Path relative to the raw folder.
    cameras : sequence of Camera

    Returns
    -------
    list of Frame
        One, with ``problem`` set if the file cannot be used; one for each colour of a mosaic that its camera file
        splits.
    """
    if unopened := explain_unopened(path.name):
        return [Frame(path, name, problem=unopened)]
    try:
        header = read_header(path)
    except FrameRejectedError as reason:
        return [Frame(path, name, problem=str(reason))]
    content = hash_content(path, header.data_start)
    return [replace(frame, content=content) for frame in _interpret_colours(path, name, header, cameras)]


def read_frame(path: Path, name: str, cameras: Sequence[Camera]) -> Frame:
    """Read the header of a raw file as that of one frame, of a split mosaic the first colour; as `read_frames`."""
    return read_frames(path, name, cameras)[0]


def _interpret_colours(path: Path, name: str, header: RawHeader, cameras: Sequence[Camera]) -> list[Frame]:
    camera = next((one for one in cameras if one.recognises(header) or not one.recognise), None)
    if camera is None or camera.bayer != "split":
        return [interpret_header(path, name, header, [camera] if camera else cameras)]
    try:
        colours = split_header(header, camera)
    except FrameRejectedError as reason:
        return [Frame(path, name, camera=camera.name, problem=str(reason))]
    frames = [
        interpret_header(path, name_plane(name, one.plane) if one.plane else name, part, [one]) for part, one in colours
    ]
    alike = len({frame.problem for frame in frames}) == 1 and bool(frames[0].problem)
    return [replace(frames[0], name=name, plane="")] if alike else frames


def interpret_header(path: Path, name: str, header: RawHeader, cameras: Sequence[Camera]) -> Frame:
    """Interpret a header.

    Parameters
    ----------
    path : Path
    name : str
        Name of the frame in the plan.
    header : RawHeader
        Of one colour if the camera file splits mosaics.
    cameras : sequence of Camera

    Returns
    -------
    Frame
        With ``problem`` set if the file cannot be used.
    """
    known: dict[str, Any] = {}
    warnings: list[str] = []
    try:
        for more in _interpret(header, cameras, warnings.append):
            known |= more
    except FrameRejectedError as reason:
        known = {"kind": _find_kind(header, cameras)} | known
        known["problem"] = known.get("problem") or str(reason)
    return Frame(path, name, **known, warnings=tuple(dict.fromkeys(warnings)))


def _find_kind(header: RawHeader, cameras: Sequence[Camera]) -> str:
    """Find the type of a rejected frame, so that rejected science frames can be counted; empty if it is unknown."""
    try:
        return recognise_camera(header, cameras).kind(header)
    except FrameRejectedError:
        return ""


def _interpret(header: RawHeader, cameras: Sequence[Camera], warn: Warn) -> Iterator[dict[str, Any]]:
    """Yield the attributes of a frame in parts, so that those before a problem are kept; pass warnings to ``warn``."""
    camera = recognise_camera(header, cameras)
    yield {"camera": camera.name, "family": camera.family, "shape": header.shape, "plane": camera.plane}
    yield {"problem": explain_unfit(header, camera, warn)}
    kind, no_kind = _attempt(partial(camera.kind, header, warn))
    exposure_time, no_exposure = _attempt(partial(camera.exposure_time, header, warn, kind or ""))
    start = camera.start(header, warn, exposure_time or 0.0)
    longitude = camera.east_longitude(header, warn)
    yield {"night": find_night(start, longitude or 0.0), "has_longitude": longitude is not None}
    if exposure_time is None:
        raise FrameRejectedError(no_exposure)
    yield {"exposure_time": exposure_time, "mjd": start + 0.5 * exposure_time / SECONDS_A_DAY}
    if kind is None:
        raise FrameRejectedError(no_kind)
    yield _read_details(header, camera, kind, exposure_time, warn)
    for card in _find_contradictions(header, camera):
        warn(name_warning("keyword twice", f"{card} occurs with different values; the first is used"))


T = TypeVar("T")


def _attempt(read: Callable[[], T]) -> tuple[T | None, str]:
    """Read a quantity; if the frame cannot be used without it, return the reason, for later."""
    try:
        return read(), ""
    except FrameRejectedError as reason:
        return None, str(reason)


def _find_contradictions(header: RawHeader, camera: Camera) -> list[str]:
    """Find keywords that occur with several values, except for times, of which all values are compared."""
    if not header.repeated:
        return []
    groups = [*camera.binning, *(rule.cards for rule in camera.mode), *camera.more_filters]
    groups += [cards for role, cards in camera.cards.items() if role not in COMPARED]
    used = [card for cards in groups for card in cards]
    return [card for card in dict.fromkeys(used) if card in header.repeated and _has_several_values(header, card)]


def _has_several_values(header: RawHeader, card: str) -> bool:
    values, unreadable = _attempt(partial(header.values, card))
    return bool(unreadable) or len(set(values or ())) > 1


def explain_unfit(header: RawHeader, camera: Camera, warn: Warn) -> str:
    """Explain why a frame is not a raw frame of one colour; empty if it is.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    warn : Warn
        Takes a warning if another program has saved the frame again.

    Returns
    -------
    str
    """
    processed = find_processing(header, camera.ignored_marks, camera.cards.get("type", ()))
    if processed:
        return processed
    if altered := find_alteration(header, camera.ignored_marks):
        warn(name_warning("saved again", f"{altered}, a program that may have changed the pixels; taken as raw"))
    mosaic = "" if camera.plane else find_colour_mosaic(header, camera.ignored_marks)
    return (
        f"{mosaic}, a colour mosaic: write bayer: split in {camera.path.name} to reduce its colours" if mosaic else ""
    )


def find_night(mjd: float, longitude: float) -> str:
    """Find the night of a time: the date of the evening, from noon to noon in local mean time.

    Parameters
    ----------
    mjd : float
        [UTC]
    longitude : float
        [deg east]

    Returns
    -------
    str
        YYYYMMDD.
    """
    return f"{MJD_ZERO + timedelta(days=mjd + _wrap_longitude(longitude) / 360 - 0.5):%Y%m%d}"


def _wrap_longitude(longitude: float) -> float:
    """Bring a longitude to -180 to 180: west of Greenwich local time is behind, not almost a day ahead."""
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180


def _read_details(header: RawHeader, camera: Camera, kind: str, exposure_time: float, warn: Warn) -> dict[str, Any]:
    if kind == "dark" and exposure_time == 0:
        kind = "bias"
    numbers = range(len(camera.amplifiers))
    sections, binning = camera.sections(header, warn), camera.bins(header, warn)
    for rule, amplifier in zip(camera.amplifiers, sections, strict=True):
        if rule.polynomial and not amplifier.overscans:
            raise FrameRejectedError("linearity cannot be corrected: no overscan to measure the bias level")
    if len(sections) > 1:
        place_amplifiers([section.image for section in sections], [section.detector for section in sections], binning)
    gains, read_noises = zip(*(camera.read_gain_and_noise(header, n, warn) for n in numbers), strict=True)
    for n in numbers:
        camera.saturation_level(header, n, warn)
        camera.linearity_limit(header, n, warn)
    camera.read_crosstalk(header)
    return {
        "kind": kind,
        "instrument": camera.describe(header, "instrument", warn),
        "target": camera.describe(header, "object", warn),
        "filter": _read_filter(header, camera) if kind in ("flat", "science") else "",
        "flat_source": camera.find_flat_source(header) if kind == "flat" else "",
        "pointing": _read_pointing(header, camera, kind, warn),
        "set_temperature": camera.temperature(header, "set_temperature", warn),
        "temperature": camera.temperature(header, "temperature", warn),
        "binning": binning,
        "settings": camera.settings(header),
        "unlisted": find_unlisted_settings(header, camera),
        "n_summed": camera.count_summed(header, warn),
        "gain": _average(gains),
        "read_noise": _average(read_noises),
        "has_overscan": all(amplifier.overscans for amplifier in sections),
        "area": ", ".join(map(str, sections)),
        "amplifiers": len(sections),
    }


def _read_pointing(header: RawHeader, camera: Camera, kind: str, warn: Warn) -> tuple[float, float] | None:
    """Read the pointing [deg]; of a flat without warnings, as its object is often that of an earlier frame."""
    if kind not in ("flat", "science"):
        return None
    return camera.pointing(header, warn if kind == "science" else ignore_warning)


def _read_filter(header: RawHeader, camera: Camera) -> str:
    """Read the filter; a colour of a mosaic is one, behind that of the header if there is any."""
    return f"{camera.filter(header)} {camera.plane}".strip()


def _average(numbers: Sequence[float | None]) -> float | None:
    """Average over amplifiers; None if a value is unknown."""
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if len(known) == len(numbers) else None


def make_frame(path: Path, header: RawHeader, camera: Camera) -> Frame:
    """Interpret the header of a frame that must be usable.

    Raises
    ------
    FrameRejectedError
        If the frame cannot be used.
    """
    frame = interpret_header(path, path.name, header, [camera])
    if frame.problem:
        raise FrameRejectedError(frame.problem)
    return frame
