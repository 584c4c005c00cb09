"""Reading a night's headers: one `Frame` record a file, with what is unusable and why."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera, recognise
from nightcal.detector.mosaic import place
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import MJD_ZERO
from nightcal.io.raw_header import SUFFIXES, RawHeader, read_header, stem

SECONDS_A_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Frame:
    """What one raw file's header says.

    Attributes
    ----------
    path : Path
    name : str
        The path below the raw folder.
    problem : str
        Why the frame is set aside, in one sentence; empty for a good frame. The other attributes then hold what
        could be read before the problem.
    camera, instrument : str
        Name of the camera file, and of the instrument where one file serves several.
    kind : str
        ``bias``, ``dark``, ``flat``, ``science`` or ``other``.
    target, filter : str
    light : str
        What lit a flat: ``twilight``, ``dome``, or nothing where that is unknown.
    pointing : (float, float) or None
        Right ascension and declination of a flat or science frame [deg], where its header tells.
    exposure : float
        [s]
    mjd : float or None
        Middle of the exposure [UTC].
    night : str
        Date of the evening, YYYYMMDD, from noon to noon at the observatory.
    set_temperature, temperature : float or None
        Set and measured [deg C].
    binning : (int, int)
        In x and y.
    mode : str
        Readout mode, from the cards that the camera file names.
    shape : (int, int)
        Rows and columns as read out.
    gain, read_noise : float or None
        [e-/ADU], [e-], from the header or the camera file.
    has_overscan : bool
        Whether every amplifier has overscan.
    area : str
        Section of the light-sensitive pixels, of each amplifier if there are several.
    amplifiers : int
    has_longitude : bool
        Whether the header or the camera file tells the longitude of the observatory; else Greenwich's is taken.
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
    mode: str = ""
    shape: tuple[int, int] = (0, 0)
    gain: float | None = None
    read_noise: float | None = None
    has_overscan: bool = False
    area: str = ""
    amplifiers: int = 1
    has_longitude: bool = True


def scan(folder: Path, cameras: Sequence[Camera], leave_out: Sequence[Path] = ()) -> list[Frame]:
    """Read the header of every FITS file below a folder.

    Parameters
    ----------
    folder : Path
        Searched to any depth, links followed; hidden files and folders are passed over.
    cameras : sequence of Camera
        In the order in which they are asked.
    leave_out : sequence of Path
        Folders not to search, such as that of the results.

    Returns
    -------
    list of Frame
        Sorted by name.
    """
    paths = sorted(find(folder, leave_out))
    return without_copies([read_frame(path, path.relative_to(folder).as_posix(), cameras) for path in paths])


def without_copies(frames: Sequence[Frame]) -> list[Frame]:
    """Set aside a second file of one exposure: packed beside unpacked, or the same name in another folder.

    Stacked as if it were another exposure, it would make errors too small.
    """
    first: dict[tuple[Any, ...], str] = {}
    found = []
    for frame in frames:
        if not frame.problem and "{" not in frame.name:
            original = first.setdefault((stem(frame.path.name).lower(), *_EXPOSURE(frame)), frame.name)
            if original != frame.name:
                frame = replace(frame, problem=f"a copy of {original}: same name, type, time and exposure")
        found.append(frame)
    return found


_EXPOSURE = attrgetter(*(attribute.name for attribute in fields(Frame) if attribute.name not in ("path", "name")))


def find(folder: Path, leave_out: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield the files below a folder whose names are those of FITS files.

    Parameters
    ----------
    folder : Path
        Searched to any depth, links followed; hidden files and folders are passed over.
    leave_out : sequence of Path
        Folders not to search.

    Yields
    ------
    Path
        Below ``folder``, in the order of the file system.
    """
    skipped = {os.path.realpath(path) for path in leave_out}
    seen = set()
    for directory, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen or real in skipped:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(directory, name)


def read_frame(path: Path, name: str, cameras: Sequence[Camera]) -> Frame:
    """Read one file's header.

    Parameters
    ----------
    path : Path
    name : str
        What the frame is called in the plan.
    cameras : sequence of Camera

    Returns
    -------
    Frame
        With ``problem`` set if the file cannot be used.
    """
    try:
        header = read_header(path)
    except FrameRejectedError as reason:
        return Frame(path, name, problem=str(reason))
    return understand(path, name, header, cameras)


def understand(path: Path, name: str, header: RawHeader, cameras: Sequence[Camera]) -> Frame:
    """Say what a header that has been read means; parameters and result as for `read_frame`."""
    known: dict[str, Any] = {}
    try:
        for more in _meaning(header, cameras):
            known |= more
    except FrameRejectedError as reason:
        known["problem"] = str(reason)
    return Frame(path, name, **known)


def _meaning(header: RawHeader, cameras: Sequence[Camera]) -> Iterator[dict[str, Any]]:
    """Yield attributes of a frame, part by part: what comes before a problem is kept."""
    camera = recognise(header, cameras)
    yield {"camera": camera.name, "shape": header.shape}
    start = camera.start(header)
    longitude = camera.east_longitude(header)
    yield {"night": night_of(start, longitude or 0.0), "has_longitude": longitude is not None}
    exposure_time = camera.exposure_time(header)
    yield {"exposure_time": exposure_time, "mjd": start + 0.5 * exposure_time / SECONDS_A_DAY}
    yield _details(header, camera, exposure_time)


def night_of(mjd: float, longitude: float) -> str:
    """Night of a moment: the date of its evening, from noon to noon in local mean time.

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
    return f"{MJD_ZERO + timedelta(days=mjd + _east(longitude) / 360 - 0.5):%Y%m%d}"


def _east(longitude: float) -> float:
    """Longitude from -180 to 180: local time runs behind that of Greenwich in the west, not a day ahead."""
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180


def _details(header: RawHeader, camera: Camera, exposure_time: float) -> dict[str, Any]:
    kind = camera.kind(header)
    if kind == "dark" and exposure_time == 0:
        raise FrameRejectedError("a dark of 0 s holds no dark current")
    numbers = range(len(camera.amplifiers))
    sections, binning = camera.sections(header), camera.bins(header)
    for rule, amplifier in zip(camera.amplifiers, sections, strict=True):
        if rule.polynomial and not amplifier.overscans:
            raise FrameRejectedError("its response cannot be made linear: no overscan tells the bias level")
    if len(sections) > 1:
        place([section.image for section in sections], [section.detector for section in sections], binning)
    gains, read_noises = zip(*(camera.read_gain_and_noise(header, n) for n in numbers), strict=True)
    for n in numbers:
        camera.saturation_level(header, n)
        camera.linearity_limit(header, n)
    camera.crosstalk_of(header)
    return {
        "kind": kind,
        "instrument": str(camera.value(header, "instrument") or ""),
        "target": str(camera.value(header, "object") or ""),
        "filter": str(camera.value(header, "filter") or "") if kind in ("flat", "science") else "",
        "flat_source": camera.find_flat_source(header) if kind == "flat" else "",
        "pointing": camera.pointing(header) if kind in ("flat", "science") else None,
        "set_temperature": camera.number(header, "set_temperature", -273.15, 100, "degrees Celsius"),
        "temperature": _measured_temperature(header, camera),
        "binning": binning,
        "mode": camera.readout_mode(header),
        "gain": _mean(gains),
        "read_noise": _mean(read_noises),
        "has_overscan": all(amplifier.overscans for amplifier in sections),
        "area": ", ".join(map(str, sections)),
        "amplifiers": len(sections),
    }


def _mean(numbers: Sequence[float | None]) -> float | None:
    """Mean over amplifiers; None if one is unknown."""
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if len(known) == len(numbers) else None


def _measured_temperature(header: RawHeader, camera: Camera) -> float | None:
    """Read a thermometer that may be broken: a number that cannot be true sets no frame aside."""
    try:
        return camera.number(header, "temperature", -273.15, 100, "degrees Celsius")
    except FrameRejectedError:
        return None


def good_frame(path: Path, header: RawHeader, camera: Camera) -> Frame:
    """Read what is known of a raw frame.

    Raises
    ------
    FrameRejectedError
        If it cannot be used.
    """
    frame = understand(path, path.name, header, [camera])
    if frame.problem:
        raise FrameRejectedError(frame.problem)
    return frame
