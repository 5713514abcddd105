"""A headless Chromium that opens pages from files."""

import os
import re
import shutil
from pathlib import Path

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1280,900"),
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A driver for Chromium with a fresh profile."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        reason = "Chromium and its driver are not installed (Debian: apt-get install chromium chromium-driver)."
        if os.environ.get("CACHESTEER_REQUIRE_BROWSER") == "1":
            pytest.fail(f"CACHESTEER_REQUIRE_BROWSER=1, but {reason}")
        pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path_factory.mktemp("downloads"))})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def artefacts(tmp_path, request):
    """Where screenshots of this test go: gives the path for a name."""
    folder = Path(os.environ.get("CACHESTEER_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: folder / f"report-{re.sub('[^a-z0-9]+', '-', name.lower())}.png"
