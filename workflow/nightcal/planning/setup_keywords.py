"""The setup of a detector as keywords of a master: written, copied and read here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from nightcal.cameras.camera import BINNING
from nightcal.cameras.settings import INSTRUMENT, Setting, Settings
from nightcal.planning.frames import Frame
from nightcal.planning.records import PlannedMaster, Setup
from nightcal.planning.temperature import depends_on_temperature

if TYPE_CHECKING:
    from astropy.io import fits

AREA_LENGTH = 200
"""Longest part of an area description in a keyword; the rest goes to ``NCAREA02`` and so on."""

_SHARED = (
    "NIGHT", "NCCAMERA", "NCFAMILY", "NCINSTR", "NCXBIN", "NCYBIN", "NCMODE", "NCOVSC", "NCNX", "NCNY", "NCAMPS",
    "NCPLANE",
)  # fmt: skip
"""Keywords that all masters of a setup and night share, besides ``NCAREA`` and its continuation."""


def write_setup(header: fits.Header, frame: Frame) -> None:
    """Write the setup into the header of a master, so that it can serve other nights as part of a library.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    frame : Frame
        The first of the stacked frames.
    """
    from nightcal.io.keywords import set_cards

    area = wrap(frame.area, AREA_LENGTH)
    values: dict[str, Any] = {
        "NIGHT": frame.night,
        "NCCAMERA": frame.camera,
        "NCINSTR": frame.instrument,
        "NCXBIN": frame.binning[0],
        "NCYBIN": frame.binning[1],
        "NCMODE": Setup.from_frame(frame).mode,
        "NCAREA": "".join(area[:1]),
        "NCOVSC": frame.has_overscan,
        "NCNX": frame.shape[1],
        "NCNY": frame.shape[0],
        "NCAMPS": frame.amplifiers,
        "FILTER": frame.filter,
    }
    values |= {"NCFAMILY": frame.family} if frame.family else {}
    values |= {"NCPLANE": frame.plane} if frame.plane else {}
    values |= {"NCROWS": frame.row_order} if frame.row_order else {}
    values |= {"NSUMMED": frame.n_summed} if frame.n_summed > 1 else {}
    values |= {f"NCSET{n:03d}": text for n, text in enumerate(_dump_settings(frame.settings), start=1)}
    values |= {f"NCAREA{n:02d}": piece for n, piece in enumerate(area[1:], start=2)}
    temperatures = {"SET-TEMP": frame.set_temperature, "CCD-TEMP": frame.temperature}
    values |= {keyword: degrees for keyword, degrees in temperatures.items() if degrees is not None}
    set_cards(header, values | ({"FLATSRC": frame.flat_source} if frame.flat_source else {}))


def copy_setup(source: fits.Header, target: fits.Header) -> None:
    """Copy the setup from the header of a master to that of the bad pixel mask made from it."""
    from nightcal.io.keywords import set_cards

    names = [name for name in source if name in _SHARED or name.startswith(("NCAREA", "NCROWS", "NCSET"))]
    set_cards(target, [(name, source[name], source.comments[name]) for name in names])


def _dump_settings(settings: Settings) -> list[str]:
    """Write settings as texts of label, name of the setting, keyword and value."""
    return ["|".join((s.label, s.name, card, value)) for s in settings for card, value in s.cards]


def load_settings(header: Mapping[str, Any]) -> Settings:
    """Read the settings from the header of a master.

    Of an older master instrument and binning only.

    Raises
    ------
    ValueError
        If a keyword has another form.
    """
    if "NCSET001" not in header:
        older = {INSTRUMENT: header["NCINSTR"], BINNING: f"{header['NCXBIN']}x{header['NCYBIN']}"}
        return tuple(Setting(label, label, ((label, text),)) for label, text in older.items() if text)
    texts = [str(header[name]) for name in takewhile(header.__contains__, (f"NCSET{n:03d}" for n in count(1)))]
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for text in texts:
        label, name, card, value = text.split("|", 3)
        found.setdefault((label, name), []).append((card, value))
    return tuple(Setting(label, name, tuple(cards)) for (label, name), cards in found.items())


def read_planned_master(path: Path, header: Mapping[str, Any]) -> PlannedMaster:
    """Read the header of a library master.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a keyword is missing or has the wrong type.
    """
    parts = takewhile(header.__contains__, (f"NCAREA{n:02d}" for n in count(2)))
    setup = Setup(
        camera=header["NCCAMERA"],
        instrument=header["NCINSTR"],
        binning=(header["NCXBIN"], header["NCYBIN"]),
        settings=load_settings(header),
        shape=(header["NCNY"], header["NCNX"]),
        has_overscan=header["NCOVSC"],
        area=" ".join([header["NCAREA"], *(header[name] for name in parts)]),
        amplifiers=header.get("NCAMPS", 1),
        plane=header.get("NCPLANE", ""),
        family=header.get("NCFAMILY", ""),
    )
    is_dark = header["MASTER"] == "dark"
    seconds = [float(header.get(name, header["EXPTIME"])) for name in ("EXPMIN", "EXPMAX")] if is_dark else [0.0, 0.0]
    pedestal = float(header.get("PEDEXP", 0.0)) if header["MASTER"] in ("bias", "dark") else 0.0
    by_temperature = pedestal > 0 or depends_on_temperature(header["MASTER"], setup.has_overscan)
    return PlannedMaster(
        header["MASTER"],
        path.stem,
        header["NIGHT"],
        setup,
        header["MJD-AVG"],
        filter=header.get("FILTER", ""),
        flat_source=header.get("FLATSRC", ""),
        set_temperature=header.get("SET-TEMP") if by_temperature else None,
        temperature=header.get("CCD-TEMP") if by_temperature else None,
        exposures=(seconds[0], seconds[1]),
        pedestal_exposure=pedestal,
        path=path,
    )
