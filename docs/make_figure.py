"""Draw the figure of the README from the demonstration night: raw, calibrated, uncertainty, sources.

python docs/make_figure.py demo
"""

import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.visualization import ZScaleInterval
from PIL import Image
from scipy.ndimage import binary_dilation

matplotlib.use("Agg")
from matplotlib import pyplot

FRAME = "field_V_001.fits"
OUT = Path(__file__).parent / "figures" / "demo.png"


def main() -> None:
    """Draw the four panels."""
    demo = Path(sys.argv[1])
    night = demo / "results" / "20240301"
    raw = fits.getdata(demo / "raw" / FRAME).astype(float)
    with fits.open(night / "science" / FRAME) as product:
        image, sigma, mask = (product[name].data for name in ("PRIMARY", "UNCERT", "MASK"))
    sources = Table.read(night / "catalogs" / FRAME)
    figure, panels = pyplot.subplots(1, 4, figsize=(12, 3.3), width_ratios=(416, 384, 384, 384), layout="constrained")
    flagged = np.ma.masked_equal(binary_dilation(mask != 0), False)  # single pixels would not be seen
    for panel, title, values in zip(
        panels,
        ("raw [ADU]", "calibrated [e-], flagged pixels red", "uncertainty [e-]", f"{len(sources)} sources"),
        (raw, image, sigma, image),
        strict=True,
    ):
        low, high = ZScaleInterval().get_limits(values[np.isfinite(values)])
        panel.imshow(values, origin="lower", cmap="gray", vmin=low, vmax=high)
        panel.set_title(title, fontsize=10)
        panel.set_axis_off()
    panels[1].imshow(flagged, origin="lower", cmap="autumn", interpolation="nearest")
    panels[3].scatter(sources["XWIN_IMAGE"] - 1, sources["YWIN_IMAGE"] - 1, s=30, ec="#3a9bd9", fc="none", lw=0.8)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    OUT.parent.mkdir(exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(128).save(OUT, optimize=True)  # in half the space


if __name__ == "__main__":
    main()
