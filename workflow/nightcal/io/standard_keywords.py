"""Keywords that other programs read: they describe the product, and what the raw frame said is kept beside them."""

from __future__ import annotations

from nightcal.io.keyword import ALL, SCIENCE, STACKS, Keyword

RAW_NAMES = {
    "BIASSEC": "RAWBIAS",
    "TRIMSEC": "RAWTRIM",
    "DATASEC": "RAWDATA",
    "GAIN": "RAWGAIN",
    "EGAIN": "RAWEGAIN",
    "RDNOISE": "RAWRDN",
    "READNOIS": "RAWREADN",
    "RDNOIS": "RAWRDNS",
    "ENOISE": "RAWENOIS",
    "RON": "RAWRON",
    "SATURATE": "RAWSATUR",
    "SATLEVEL": "RAWSATLV",
    "MAXLIN": "RAWMAXLN",
    "DATAMAX": "RAWDMAX",
    "DATAMIN": "RAWDMIN",
}
"""Keywords of raw frames that are not true of products, and the names under which their values are kept."""

WITHOUT_MEANING = frozenset((
    "PEDESTAL", "CBLACK", "CWHITE", "CSTRETCH", "O_BZERO", "O_BSCALE", "IRAF-MAX", "IRAF-MIN", "IRAF-BPX", "IRAFTYPE",
))  # fmt: skip
"""Keywords about the numbers or the display of a raw image, which mean nothing in a product."""


def _keep(name: str, raw: str) -> Keyword:
    return Keyword(name, f"{raw} of the raw frame", note=f"`{raw}` of the raw frame")


EXPOSURE = (
    Keyword("GAIN", "electrons per unit of this image", standard=True, note="1; with `unit: adu` the gain"),
    Keyword("RDNOISE", "read noise", "electron", standard=True),
    Keyword(
        "SATURATE",
        "a saturated pixel has this or more",
        standard=True,
        note="level of the product, in its unit, from which pixels with a flat of 1 are saturated; lowest of all "
        "amplifiers",
    ),
    Keyword("DATAMAX", "largest good value", standard=True, note="the same value"),
    Keyword("DATE-OBS", "start of exposure, UTC", products=(*SCIENCE, *STACKS), standard=True, note="start, UTC"),
    Keyword("MJD-OBS", "start of exposure, UTC", products=(*SCIENCE, *STACKS), standard=True, note="the same as MJD"),
    Keyword("TIMESYS", "time scale", products=ALL, standard=True, note="`UTC`"),
    Keyword(
        "EXPTIME",
        "exposure time",
        "s",
        (*SCIENCE, *STACKS),
        note="exposure time; 0 for a bias, 1 for a dark, which is per second; of flats the mean",
        standard=True,
    ),
    Keyword(
        "IMAGETYP",
        "type of frame",
        products=ALL,
        note="as in the raw frame, else `object`; for a master its kind, as `MASTER`",
        standard=True,
    ),
    Keyword("OBJECT", "name of the object", standard=True),
    Keyword(
        "FILTER",
        "filter",
        products=(*SCIENCE, *STACKS),
        note="filter, of all wheels; empty for bias and dark",
        standard=True,
    ),
    Keyword("AIRMASS", "airmass in the middle of the exposure", standard=True, note="computed if missing"),
    Keyword("OBSGEO-X", "place of the observatory", "m", standard=True, note="geocentric place of the observatory"),
    Keyword("OBSGEO-Y", "place of the observatory", "m", standard=True, note="likewise"),
    Keyword("OBSGEO-Z", "place of the observatory", "m", standard=True, note="likewise"),
    Keyword("OBSGEO-L", "longitude of the observatory", "deg", standard=True, note="longitude, east positive"),
    Keyword("OBSGEO-B", "latitude of the observatory", "deg", standard=True, note="latitude"),
    Keyword("OBSGEO-H", "height of the observatory", "m", standard=True, note="height"),
    Keyword("MJD-BEG", "DATE-BEG as MJD", standard=True, note="`DATE-BEG` as MJD, if the raw frame has that"),
    Keyword("MJD-END", "DATE-END as MJD", standard=True, note="likewise"),
    Keyword("RAWDATE", "DATE-OBS of the raw frame", note="the same, if it is not the start in UTC"),
    Keyword("RAWMJD", "MJD-OBS of the raw frame", note="likewise"),
    Keyword("RAWEXPT", "EXPTIME of the raw frame", note="the same, if it is another time"),
    Keyword("RAWFILT", "FILTER of the raw frame", note="the same, if it is another text"),
    *(_keep(name, raw) for raw, name in RAW_NAMES.items()),
)
"""In science frames and masters: the exposure, and the numbers of the image."""
