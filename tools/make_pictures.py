"""Makes the pictures of the README from the runs of `make demo`: `make pictures`. Needs Chromium and its driver.

`cachesteer report` draws the runs; the lengths of its answers and one sample are photographed.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

IMAGES = Path("docs/images")
RUNS = Path("runs/demo")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1100,1000"),
)
SECTIONS = {
    "report-lengths.png": "distributions",
    "report-sample.png": "samples",
}


def main() -> None:
    """Draws and photographs the report."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if not all(programs.values()):
        sys.exit("Chromium and its driver are needed (Debian: apt-get install chromium chromium-driver).")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        command = ["report", str(RUNS), "--metric", "stepwise", "--out", str(page), "--title", "make demo"]
        subprocess.run([sys.executable, "-m", "lm_eval_cachesteer", *command], check=True)  # noqa: S603
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs["chromium"])
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs["chromedriver"]))
        try:
            browser.get(page.as_uri())
            browser.implicitly_wait(10)
            IMAGES.mkdir(parents=True, exist_ok=True)
            for name, section in SECTIONS.items():
                element = browser.find_element(By.ID, section)
                browser.execute_script("arguments[0].scrollIntoView()", element)
                time.sleep(2)  # plots are drawn once they are seen
                (IMAGES / name).write_bytes(element.screenshot_as_png)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
