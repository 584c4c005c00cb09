"""Options of the measurements, as an observer sets them in ``config.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

from nightcal.errors import ConfigurationError
from nightcal.io.options import Options, option


@dataclass(frozen=True)
class TrailOptions(Options):
    """Which trails of satellites and aeroplanes are flagged."""

    section: ClassVar[str] = "trails"
    disabled: ClassVar[str] = "no search for trails of satellites and aeroplanes"

    minimum_length: float = option(
        200.0,
        "length of the shortest trail",
        unit="pixels",
        minimum=100,
        advice="longer if long galaxies or jets are flagged",
    )
    margin: float = option(
        1.5,
        "pixels flagged on both sides beyond the visible edge of a trail",
        unit="pixels",
        minimum=0,
        advice="more if sources are found along the edges of trails",
    )


@dataclass(frozen=True)
class CosmicRayOptions(Options):
    """Limits of the search for cosmic rays."""

    section: ClassVar[str] = "cosmic_rays"
    disabled: ClassVar[str] = "no search for cosmic rays"

    sigclip: float = option(
        4.5,
        "smallest Laplacian of a hit, in units of the noise",
        above=0,
        advice="a lower value finds fainter hits, but also flags noise: single pixels, about one in ten thousand",
    )
    sigfrac: float = option(
        0.3,
        "fraction of sigclip required next to a hit",
        above=0,
        maximum=1,
        advice="higher if too many pixels around hits are flagged",
    )
    objlim: float = option(
        5.0,
        "how much sharper than a star a hit must be",
        above=0,
        advice="higher if star cores are flagged; hits on stars are then missed",
    )
    iterations: int = option(
        4,
        "maximum number of iterations; each searches around the hits of the previous one",
        minimum=1,
        maximum=20,
        advice="more for long, broad tracks; the search ends early if there are no new hits",
    )
    clean: bool = option(
        False,
        "true: replace hit pixels by the mean of their neighbours; the flag is kept",
        advice="true for images without visible hits; the replaced values are estimates",
    )
    sharp_fwhm: float = option(
        2.2, "use sharp_objlim instead of objlim if the FWHM is below this or unknown", unit="pixels", minimum=0
    )
    sharp_objlim: float = option(
        7.0,
        "objlim for such frames, in which star cores look like hits",
        above=0,
        advice="5 if you would rather flag one star core in a hundred than miss one hit in fifteen",
    )

    spare_stars: bool = option(
        True,
        "true: on starlight, flag only what is sharper than the stars of the frame",
        advice="false to search as astroscrappy does",
    )

    def adapt_to_seeing(self, fwhm: float) -> CosmicRayOptions:
        """Adapt the options to the seeing of a frame.

        Parameters
        ----------
        fwhm : float
            [pixels]; NaN if unknown, which counts as sharp.

        Returns
        -------
        CosmicRayOptions
            With the `objlim` to use: that for sharp stars if need be, never a lower one.
        """
        return self if fwhm >= self.sharp_fwhm else replace(self, objlim=max(self.objlim, self.sharp_objlim))


@dataclass(frozen=True)
class SourceOptions(Options):
    """How sources are found and measured."""

    section: ClassVar[str] = "sources"
    disabled: ClassVar[str] = "no catalogues, hence no astrometry and no zero point"

    threshold: float = option(
        5.0,
        "smallest signal-to-noise ratio of a source after the matched filter",
        above=0,
        advice="4 to find fainter sources at the cost of some spurious ones; in 16 million pixels, noise exceeds 5 "
        "about five times, but rarely in `minimum_area` adjacent pixels",
    )
    minimum_area: int = option(
        3,
        "smallest number of connected pixels above the threshold",
        minimum=1,
        advice="5 if hot pixels are detected as sources",
    )
    background_box: int = option(
        64,
        "side of the boxes in which the sky is measured",
        unit="pixels",
        minimum=8,
        advice="several times the size of galaxies or defocused stars, if that is larger; 32 for a nebula with fine "
        "structure",
    )
    deblend_levels: int = option(64, "number of brightness levels for deblending", minimum=1)
    deblend_contrast: float = option(
        0.0005,
        "smallest fraction of the flux for a component to be a separate source; 1: no deblending",
        minimum=0,
        maximum=1,
        advice="0.005 if large galaxies break into pieces; keep the default for globular clusters",
    )
    apertures: tuple[float, ...] = option(
        (1.5, 2.0, 3.0, 6.0),
        "diameters, ascending; the largest should contain nearly all the flux of a star",
        schema={
            "type": "array",
            "minItems": 1,
            "items": {"type": "number", "exclusiveMinimum": 0, "description": "a diameter above 0"},
            "description": "a list of diameters",
        },
        advice="keep the largest near 6 FWHM: the zero point treats its flux as the total flux of a star",
    )
    aperture_unit: str = option(
        "fwhm",
        "unit of the diameters: fwhm (of the stars of the frame) or pixel",
        choices=("fwhm", "pixel"),
        advice="`pixel` for the same apertures in all frames of a night",
    )
    kron_factor: float = option(
        2.5,
        "size of the Kron aperture in Kron radii",
        above=0,
        advice="for comparison with the magnitudes of another program",
    )
    kron_minimum: float = option(
        3.5, "smallest size of the Kron aperture in standard deviations of the source", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(low >= high for low, high in pairwise(self.apertures)):
            found = ", ".join(f"{diameter:g}" for diameter in self.apertures)
            raise ConfigurationError(f"sources.apertures is [{found}]; expected ascending diameters.")


@dataclass(frozen=True)
class AstrometryOptions(Options):
    """How sources are matched with reference stars, and which match is accepted."""

    section: ClassVar[str] = "astrometry"
    disabled: ClassVar[str] = "no positions on the sky, hence no zero point"

    search_radius: float = option(
        30.0,
        "largest error of the pointing in the header",
        unit="arcmin",
        minimum=0.1,
        maximum=600,
        advice="larger if the telescope points less accurately; smaller if it points well, so that bad frames "
        "fail sooner",
    )
    scale_tolerance: float = option(
        0.1,
        "largest relative error of the pixel scale",
        minimum=0.001,
        maximum=0.5,
        advice="larger if the scale in the header is less accurate; smaller is faster",
    )
    distortion: int = option(
        3,
        "highest order of the distortion polynomial: 3, 2, or 1 for none",
        choices=(1, 2, 3),
        advice="1 if the optics have none; lower if the corners lack stars, since polynomials diverge there",
    )
    smallest_number: int = option(
        6, "smallest number of matched stars for a solution to be accepted", minimum=4, maximum=1000
    )
    largest_rms: float = option(
        1.0,
        "largest rms distance between stars and sources for a solution to be accepted",
        unit="pixels",
        minimum=0.01,
        maximum=10,
        advice="larger if images are trailed; smaller for a stricter limit",
    )
    largest_chance: float = option(
        1e-6, "largest probability that the match is due to chance", minimum=0, maximum=0.01, advice="rarely needed"
    )
    blind: bool = option(
        False,
        "true: try solve-field (astrometry.net), if installed, on frames that are not solved",
        advice="true if the headers have no pointing; see below",
    )


BAND = {"type": "string", "minLength": 1, "description": "the name of a band"}
RULE = {
    "type": "object",
    "description": "band, colour, colour_term and names",
    "additionalProperties": False,
    "required": ["band"],
    "properties": {
        "band": BAND,
        "colour": {
            "type": ["array", "null"], "minItems": 2, "maxItems": 2, "items": BAND, "description": "two bands, or null"
        },
        "colour_term": {"type": ["number", "null"], "description": "magnitudes per magnitude, or null"},
        "names": {
            "type": "array", "items": {"type": ["string", "number"], "description": "a name"},
            "description": "a list of names",
        },
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FilterRule:
    """Catalogue band and colour with which a filter of the camera is compared.

    Attributes
    ----------
    band : str
        The band of the catalogue nearest to the filter.
    colour : tuple of two str, optional
        Bands whose difference is the colour, as ``("g", "r")`` for g - r. None: no colour term.
    colour_term : float, optional
        Known from better nights [mag per mag of colour]; used if the stars of the frame cannot determine it. None: 0.
    """

    band: str
    colour: tuple[str, str] | None = None
    colour_term: float | None = None


@dataclass(frozen=True)
class PhotometryOptions(Options):
    """Which comparison stars are used for the zero point, and how it is fitted."""

    section: ClassVar[str] = "photometry"
    disabled: ClassVar[str] = "no zero point and no magnitudes"

    minimum_snr: float = option(
        20.0,
        "smallest expected signal-to-noise ratio of a comparison star",
        minimum=3,
        advice="lower for fields with few stars",
    )
    largest_error: float = option(
        0.1,
        "largest error of the catalogue magnitude of a comparison star",
        unit="magnitudes",
        minimum=0.001,
        advice="lower for a catalogue with many poor stars",
    )
    most_crowded: float = option(
        0.05,
        "largest flux of neighbours in the aperture, as a fraction of the star's; that flux is subtracted",
        minimum=0,
        advice="lower if the shape of stars varies over the field",
    )
    clip: float = option(3.5, "stars farther from the fit than this are rejected", unit="sigma", minimum=2)
    fit_colour_term: bool = option(
        True, "false: always use the colour_term of the filter", advice="false is steadier in a time series"
    )
    fewest_for_colour: int = option(10, "smallest number of stars for fitting the colour term", minimum=4)
    narrowest_colour: float = option(
        0.15, "smallest standard deviation of the colours for fitting the colour term", unit="magnitudes", minimum=0.01
    )
    resamples: int = option(500, "number of bootstrap samples for the errors", minimum=100)
    seed: int = option(1, "seed of the bootstrap", minimum=0)
    filters: Mapping[str, FilterRule] = option(
        {},
        "for each filter, by its name in headers: catalogue band, colour, other names; and colour_term for frames "
        "with too few stars to fit it",
        schema={"type": "object", "description": "filters by name", "additionalProperties": RULE},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        rules = {name: _rule(rule) for name, rule in self.filters.items()}
        object.__setattr__(self, "filters", rules)

    @classmethod
    def select(cls, section: Mapping[str, Any], filters: Collection[str]) -> dict[str, Any]:
        """Keep the rules of some filters, under the names that these filters have in headers."""
        rules = section.get("filters", {})
        known = {name: find_rule(rules, name) for name in sorted(filters)}
        return {**section, "filters": {name: rule for name, rule in known.items() if rule}}

    def for_filter(self, name: str) -> Self:
        """Keep the rule of one filter."""
        return replace(self, filters={key: rule for key, rule in self.filters.items() if key == name})


def _rule(rule: FilterRule | Mapping[str, Any]) -> FilterRule:
    if isinstance(rule, FilterRule):
        return rule
    colour = rule.get("colour")
    return FilterRule(rule["band"], None if colour is None else (colour[0], colour[1]), rule.get("colour_term"))


def find_rule(rules: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    """Find the rule of a filter.

    Parameters
    ----------
    rules : mapping of str to mapping
        As in the configuration: by name, with other names in ``names``.
    name : str
        Name of the filter in a header.

    Returns
    -------
    dict or None
        The rule with that name or other name; else the only rule whose name differs in upper and lower case alone.
    """
    named = [(str(alias), rule) for key, rule in rules.items() for alias in (key, *rule.get("names", ()))]
    found = [rule for alias, rule in named if alias == name]
    found = found or [rule for alias, rule in named if alias.lower() == name.lower()]
    if not found or any(rule is not found[0] for rule in found):
        return None
    return {key: value for key, value in found[0].items() if key != "names"}
