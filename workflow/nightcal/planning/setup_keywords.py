"""A detector setup as header keywords, written and read in one place."""

from __future__ import annotations

from itertools import count, takewhile
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from nightcal.planning.dark_scaling import Span
from nightcal.planning.frames import Frame
from nightcal.planning.records import PlannedMaster, Setup

if TYPE_CHECKING:
    from astropy.io import fits


AREA_LENGTH = 200
"""Characters of the areas of many amplifiers that go into one card."""


def describe_setup(header: fits.Header, frame: Frame) -> None:
    """Say in a master's header for which frames it serves, so that a library of masters can be searched.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master; changed in place.
    frame : Frame
        The first of those stacked.
    """
    from nightcal.io.keywords import set_cards

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
    if frame.flat_source:
        cards.append(("FLATSRC", frame.flat_source, "what lit the flat"))
    set_cards(header, cards)


SETUP_CARDS = (
    "NIGHT", "NCCAMERA", "NCINSTR", "NCXBIN", "NCYBIN", "NCMODE", "NCAREA", "NCOVSC", "NCNX", "NCNY", "NCAMPS",
)  # fmt: skip
"""Cards of `describe_setup` that masters of one setup share, but for what goes on in ``NCAREA02`` and so on."""


def _described(path: Path, header: fits.Header) -> PlannedMaster:
    setup = Setup(
        camera=header["NCCAMERA"],
        instrument=header["NCINSTR"],
        binning=(header["NCXBIN"], header["NCYBIN"]),
        mode=header["NCMODE"],
        shape=(header["NCNY"], header["NCNX"]),
        has_overscan=header["NCOVSC"],
        area=_area(header),
        amplifiers=header.get("NCAMPS", 1),
    )
    return PlannedMaster(
        header["MASTER"],
        path.stem,
        header["NIGHT"],
        setup,
        header["MJD-AVG"],
        filter=header.get("FILTER", ""),
        flat_source=header.get("FLATSRC", ""),
        set_temperature=header.get("SET-TEMP") if header["MASTER"] == "dark" else None,
        temperature=header.get("CCD-TEMP") if header["MASTER"] == "dark" else None,
        exposures=_exposures(header) if header["MASTER"] == "dark" else (0.0, 0.0),
        path=path,
    )


def _area(header: fits.Header) -> str:
    """Areas of all amplifiers, which may go on over several cards."""
    names = takewhile(header.__contains__, (f"NCAREA{n:02d}" for n in count(2)))
    return " ".join([header["NCAREA"], *(header[name] for name in names)])


def _exposures(header: fits.Header) -> Span:
    """Shortest and longest exposure of a dark; one number where its header knows no more."""
    return float(header.get("EXPMIN", header["EXPTIME"])), float(header.get("EXPMAX", header["EXPTIME"]))
