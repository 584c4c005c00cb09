"""Find where the observatory stands: longitude, latitude and height, from header and camera file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nightcal.cameras.camera import Camera
from nightcal.cameras.longitude import says_radians
from nightcal.io.header_values import parse_degrees, parse_quantity
from nightcal.io.raw_header import RawHeader, Value

LOWEST, HIGHEST = -500.0, 10_000.0
"""Limits of the height of an observatory [m]."""

EQUATORIAL_RADIUS, FLATTENING = 6_378_140.0, 1 / 298.257
"""Of the ellipsoid of FITS, IAU 1976 [m]; it lies within 3 m of WGS 84, and sea level up to 100 m from both."""

_NORTH_SOUTH = str.maketrans("NS", "EW")


@dataclass(frozen=True, slots=True)
class Site:
    """The place of an observatory.

    Attributes
    ----------
    longitude, latitude : float
        Geodetic [deg], east and north positive.
    height : float or None
        Above sea level [m]; None if unknown.
    """

    longitude: float
    latitude: float
    height: float | None = None

    @property
    def geocentric(self) -> tuple[float, float, float] | None:
        """Geocentric coordinates (ITRS) [m], by FITS paper IV, 4.1.3; None if the height is unknown."""
        if self.height is None:
            return None
        longitude, latitude = math.radians(self.longitude), math.radians(self.latitude)
        eccentricity2 = FLATTENING * (2 - FLATTENING)
        normal = EQUATORIAL_RADIUS / math.sqrt(1 - eccentricity2 * math.sin(latitude) ** 2)
        across = (normal + self.height) * math.cos(latitude)
        z = (normal * (1 - eccentricity2) + self.height) * math.sin(latitude)
        return across * math.cos(longitude), across * math.sin(longitude), z


def find_site(header: RawHeader, camera: Camera) -> Site | None:
    """Find the site of an observatory.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
        Used if the header does not give a number.

    Returns
    -------
    Site or None
        None if longitude or latitude is unknown.
    """
    longitude = camera.east_longitude(header)
    latitude = _read_latitude(header, camera.cards.get("latitude", ()))
    latitude = camera.latitude if latitude is None else latitude
    if longitude is None or latitude is None or (longitude, latitude) == (0, 0):
        return None
    height = _read_height(header, camera.cards.get("height", ()))
    return Site((longitude + 180) % 360 - 180, latitude, camera.height if height is None else height)


def _read_latitude(header: RawHeader, cards: Sequence[str]) -> float | None:
    for card in cards:
        value = header.find(card)
        degrees = parse_degrees(_name_east_and_west(value))
        if degrees is not None and says_radians(header, card):
            degrees = math.degrees(degrees)
        if degrees is not None and abs(degrees) <= 90:
            return degrees
    return None


def _name_east_and_west(value: Value | None) -> Value | None:
    """Write N and S at the beginning or end of an angle as E and W, which `parse_degrees` knows."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return text[:1].translate(_NORTH_SOUTH) + text[1:-1] + text[1:][-1:].translate(_NORTH_SOUTH)


def _read_height(header: RawHeader, cards: Sequence[str]) -> float | None:
    for card in cards:
        quantity = parse_quantity(header.find(card))
        if quantity is not None and LOWEST <= quantity[0] <= HIGHEST and quantity[1].lower() in ("", "m", "metres"):
            return quantity[0]
    return None
