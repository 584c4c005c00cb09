"""The page of a night in a browser: no error, columns sort, hovering over a frame lights its masters."""

import json
import re
import shutil
import subprocess

import pytest
from nightcal.report import make_report
from test_report import make_night, row, summary

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

ASK = """<script>{
const said = {};
const order = () => [...document.querySelectorAll('#science tbody tr')].map(row => row.id);
const button = [...document.querySelectorAll('#science th button')].find(one => one.textContent.startsWith('seeing'));
button.click(); said.up = order(); said.sorted = button.parentNode.getAttribute('aria-sort');
button.click(); said.down = order();
const box = document.querySelector('#filter input');
box.value = 's3'; box.dispatchEvent(new Event('input'));
said.shown = [...document.querySelectorAll('#science tbody tr')].filter(row => !row.hidden).map(row => row.id);
document.querySelector('[data-u]').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
said.lit = document.querySelectorAll('.lit').length;
said.asked = performance.getEntriesByType('resource').length;
said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.title = JSON.stringify(said);
}</script>"""


def open_page(path, width):
    """Open a page; return what a script in it says, and what Chromium logs of it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    options += [f"--window-size={width},900", f"--user-data-dir={path.parent}/profile"]
    done = subprocess.run([CHROMIUM, *options, path.as_uri()], capture_output=True, text=True, timeout=120)
    (title,) = re.findall("<title>(.*?)</title>", done.stdout)[:1]
    return json.loads(title), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("width", [1400, 500])
def test_the_page_works_in_a_browser(tmp_path, width):
    rows, products = make_night(6, s1=3.0, s4=1.5)
    rows[0] |= {"flat": "flat_V", "filter": "V <script>\"' \u202e"}
    rows.append(row("f.fits", "stacked", "masters/flat_V.fits", type="flat", filter="V", mjd_mid="60370.9"))
    page = tmp_path / "page.html"
    page.write_text(make_report(summary(), rows, dict(products)).replace("</body>", f"{ASK}</body>"))
    said, logged = open_page(page, width)
    assert logged == []
    assert (said["up"][0], said["up"][-1], said["sorted"]) == ("f4", "f1", "ascending")
    assert (said["down"][0], said["down"][-1]) == ("f1", "f4")
    assert said["shown"] == ["f3"]
    assert said["lit"] == 2
    assert said["asked"] == 0
    assert said["wide"] <= 0
