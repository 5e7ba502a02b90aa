"""A headless Chromium of the system, as a reader's browser: with a width, a theme, a console and pictures."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
TALLEST = 16_000  # pixels of a picture, beyond which Chromium draws none


def missing() -> str:
    """Why no browser can be driven here; "" where one can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed; `pip install selenium` brings it"
    if CHROMIUM is None or DRIVER is None:
        return "no browser is installed; Debian's chromium and chromium-driver bring one"
    return ""


class Browser:
    """What the tests ask of a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.width = 0

    def look(self, page: Path, width: int = 1400, theme: str = "light", anchor: str = "") -> None:
        """Open a page afresh, at a width in CSS pixels, 900 high."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + anchor)
        self.width = width

    def js(self, script: str, *values: Any) -> Any:
        """What a piece of script returns."""
        return self.driver.execute_script(script, *values)

    def console(self) -> list[str]:
        """What the page has said since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def pixels(self, x: float, y: float, width: float, height: float) -> set[tuple[int, int, int]]:
        """The colours in a part of what is in view."""
        from matplotlib.image import imread

        drawn = self.driver.execute_cdp_cmd("Page.captureScreenshot", {})
        shown = (255 * imread(io.BytesIO(base64.b64decode(drawn["data"])))).round().astype(int)[..., :3]
        rows = shown[round(y) : round(y + height), round(x) : round(x + width)]
        return {(int(red), int(green), int(blue)) for row in rows for red, green, blue in row}

    def picture(self, name: str, whole: bool = True) -> None:
        """Kept in the folder that COSMOS_PICTURES names, if it names one; of the whole page or of what is in view."""
        folder = os.environ.get("COSMOS_PICTURES")
        if not folder:
            return
        asked: dict[str, Any] = {"captureBeyondViewport": whole}
        if whole:
            height = min(TALLEST, self.js("return document.documentElement.scrollHeight"))
            asked["clip"] = {"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1}
        drawn = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(drawn["data"]))


@contextmanager
def started() -> Iterator[Browser]:
    """A browser, ended at the end."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:  # which Chromium's sandbox is not made for
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
