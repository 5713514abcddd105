"""The page as a reader meets it, in headless Chromium."""

import base64
import json
import time

import pytest

from lm_eval_cachesteer.report.data import report_data
from lm_eval_cachesteer.report.page import render

from .support import answered, many, scored, steered, unsteered, write_answers, write_sweep

pytestmark = pytest.mark.browser

ATTACKS = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<!--<script>",
    "{{scripts}} \u2028 \ud83d",
)
BASE = (
    answered("Which way is up?", "It is B because of the floor.", "It is B.", exact_match=0.0),
    answered("Which way is down?", "It is A.", "It is A.", exact_match=1.0),
    answered("Which way is left?", "It is C.", "It is C.", exact_match=0.0),
    answered("Which way is right?", "It is A.", "It is A.", exact_match=1.0),
    answered("Hostile <b>question</b>", *ATTACKS[:2], exact_match=0.0),
)
STEPS = "Step 1: I look at the floor here. Step 2: It is A because of the ceiling."
STEERED = (
    answered("Which way is up?", STEPS, "It is A.", exact_match=1.0),
    answered("Which way is down?", "It is B.", "It is B.", exact_match=0.0),
    answered("Which way is left?", "It is C.", "It is C.", exact_match=0.0),
    answered("Which way is right?", STEPS, "It is A.", exact_match=1.0),
    answered("Hostile <b>question</b>", *ATTACKS[2:], exact_match=0.0),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two tasks, three runs, a sweep, and answers that attack the page."""
    folder = tmp_path_factory.mktemp("runs")
    base = {"ways": BASE, "forces": [scored("Down?", {" up": -1.0, " down": -2.0}, "1", acc=0.0)]}
    other = {"ways": STEERED, "forces": [scored("Down?", {" up": -3.5, " down": -0.5}, "1", acc=1.0)]}
    write_answers(folder / "base", base, unsteered())
    write_answers(folder / "stepwise", other, steered("stepwise"), date="2026-11-02T10-00-00.000001")
    hostile = steered("<i>hostile</i>", model="tiny")
    write_answers(folder / "hostile", {"ways": STEERED}, hostile, date="2026-11-03T10-00-00.000001")
    write_sweep(folder / "sweep")
    return written(folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """10,000 samples of two runs."""
    folder = tmp_path_factory.mktemp("large")
    write_answers(folder / "base", {"arith": many(10_000, seed=1)}, unsteered())
    write_answers(folder / "other", {"arith": many(10_000, seed=2)}, steered("cot"), date="2026-11-02T10-00-00.000001")
    return written(folder)


def written(folder):
    path = folder / "report.html"
    path.write_bytes(render(report_data([str(folder)]), "Steering <report>"))
    return path


@pytest.fixture
def look(chromium):
    """Opens a page; at the end no error may stand in the console."""
    chromium.get_log("browser")

    def opened(path, *, width=1280, height=900, dark=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        prefer(chromium, "dark" if dark else "light")
        chromium.get(path.as_uri())
        return chromium

    yield opened
    assert chromium.execute_script("return typeof window.hacked") == "undefined"
    assert chromium.get_log("browser") == []


def prefer(browser, scheme):
    """What the reader's system asks for; without motion, so that clicks do not miss."""
    asked = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in asked.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def one(browser, selector):
    return browser.find_element("css selector", selector)


def press(browser, keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(keys).perform()


def outcome(browser, name):
    """Clicks the filter of an outcome."""
    one(browser, f"#outcomes button[value='{name}']").click()


def choose(browser, select, option):
    from selenium.webdriver.support.select import Select

    Select(one(browser, select)).select_by_visible_text(option)


def search(browser, phrase):
    one(browser, "#search").clear()
    one(browser, "#search").send_keys(phrase)
    time.sleep(0.3)  # the page waits for the last key


def listed(browser):
    return [row.text.splitlines()[1] for row in find(browser, "#list .row")]


def shown(browser):
    return one(browser, "#content h3").text


def screenshot(browser, path):
    browser.execute_script("scrollTo(0, 0)")
    time.sleep(0.2)
    size = browser.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(taken["data"]))
    assert path.stat().st_size > 20_000  # more than a blank page


def test_the_leaderboard_is_sorted_by_click_and_by_keyboard(look, page):
    browser = look(page)
    button = next(button for button in find(browser, "#runs thead button") if button.text.startswith("score"))
    heading = button.find_element("xpath", "..")
    column = [cell.text for cell in find(browser, "#runs thead th")].index(button.text)

    def scores():
        cells = [row.find_elements("css selector", "th, td")[column].text for row in find(browser, "#runs tbody tr")]
        return [float(text.split()[0]) for text in cells]

    button.click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert scores() == sorted(scores(), reverse=True)
    assert len(set(scores())) > 1
    press(browser, "\ue007")  # Enter: the button has the focus
    assert heading.get_attribute("aria-sort") == "ascending"
    assert scores() == sorted(scores())
    assert {heading.get_attribute("scope") for heading in find(browser, "#runs thead th")} == {"col"}
    assert {heading.get_attribute("scope") for heading in find(browser, "#runs tbody th")} == {"row"}


def test_samples_are_filtered_by_task_run_outcome_style_and_search(look, page):
    browser = look(page)
    everything = int(one(browser, "#outcomes button[value=''] .count").text)
    assert everything == 11  # five documents in two runs, one in one
    choose(browser, "#by-task", "ways")
    choose(browser, "#by-run", "stepwise, c_values 5")
    assert listed(browser) == [sample["question"] for sample in BASE]
    outcome(browser, "flipped right")
    assert listed(browser) == ["Which way is up?"]
    outcome(browser, "flipped wrong")
    assert listed(browser) == ["Which way is down?"]
    outcome(browser, "both right")
    assert listed(browser) == ["Which way is right?"]
    outcome(browser, "")
    choose(browser, "#by-style", "more stepwise")
    assert listed(browser) == ["Which way is up?", "Which way is right?"]
    choose(browser, "#by-style", "any")
    search(browser, "OF THE CEILING")
    assert listed(browser) == ["Which way is up?", "Which way is right?"]
    search(browser, "a phrase that nobody said")
    assert listed(browser) == []
    assert "No sample passes" in one(browser, "#content").text


def test_keys_walk_through_the_samples(look, page):
    browser = look(page)
    choose(browser, "#by-task", "ways")
    choose(browser, "#by-run", "stepwise, c_values 5")
    one(browser, "#samples-heading").click()
    walked = []
    for key in ("j", "j", "k", "\ue014", "\ue012"):  # the last two: arrows right and left
        press(browser, key)
        walked.append(shown(browser))
    assert walked == [BASE[place]["question"] for place in (1, 2, 1, 2, 1)]
    assert one(browser, "#position").text == "2 of 5"
    assert one(browser, ".row[aria-selected=true]").text.splitlines()[1] == walked[-1]
    one(browser, "#next").click()
    assert shown(browser) == BASE[2]["question"]
    one(browser, "#list").send_keys("\ue010")  # End
    assert shown(browser) == BASE[4]["question"]
    assert not one(browser, "#next").is_enabled()
    press(browser, "?")
    assert one(browser, "#help").is_displayed()
    press(browser, "\ue00c")
    assert not one(browser, "#help").is_displayed()
    press(browser, "/")
    press(browser, "jjj")
    assert one(browser, "#search").get_attribute("value") == "jjj"


def test_what_changed_is_marked_and_can_be_left_unmarked(look, page):
    browser = look(page)
    choose(browser, "#by-task", "ways")
    outcome(browser, "flipped right")
    first = one(browser, ".answers")
    removed = [part.text.strip() for part in first.find_elements("css selector", ".base del")]
    added = [part.text.strip() for part in first.find_elements("css selector", ".other ins")]
    assert removed == ["B", "floor"]
    assert added == ["Step 1: I look at the floor here. Step 2:", "A", "ceiling"]
    assert first.find_element("css selector", ".what").text == "7 words, then 17; 5 of them kept."
    assert first.find_element("css selector", ".other .text").text == STEPS
    assert len(find(browser, ".answers")) == 2  # a pair for each repeat
    press(browser, "d")
    assert find(browser, "#content del, #content ins") == []
    assert one(browser, ".answers .other .text").text == STEPS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the same words", "the same words"),
        ("", "something new"),
        ("one two three four five six", "one two 3 four five six"),
        ("  leading, and\n\ntrailing \n", "leading and\ntrailing!"),
        ("猫が好きです。", "犬が好きです。"),
        ("lorem ipsum dolor. " * 3000, "lorem dolor ipsum! " * 3000),
        ("x" * 20_000, "y " * 20_000),
    ],
)
def test_differences_put_together_are_the_texts_and_take_little_time(look, page, before, after):
    browser = look(page)
    script = """
        const times = [0, 1, 2].map(() => {
            const started = performance.now();
            compareTexts(...arguments);
            return performance.now() - started;
        });
        return [compareTexts(...arguments), Math.min(...times)];
    """  # other work of the machine slows some of them
    runs, milliseconds = browser.execute_script(script, before, after)
    for part, text in (("before", before), ("after", after)):
        # Spaces before the first word belong to it.
        assert "".join("".join(run[part]) for run in runs) == text
    for run in runs:
        if run["same"]:
            assert [token.strip() for token in run["before"]] == [token.strip() for token in run["after"]]
    assert milliseconds < 1000
    if before == after:
        assert [run["same"] for run in runs] == [True]


def test_outputs_are_text_and_nothing_else(look, page):
    browser = look(page)
    choose(browser, "#by-task", "ways")
    choose(browser, "#by-run", "stepwise, c_values 5")
    search(browser, "hostile")
    assert shown(browser) == "Hostile <b>question</b>"
    # A half of a surrogate pair cannot leave the browser.
    texts = browser.execute_script(
        "return [...document.querySelectorAll('#content .text')]"
        ".map((text) => text.textContent.replaceAll('\\ud83d', '[half]'))"
    )
    assert texts == [ATTACKS[0], ATTACKS[2], ATTACKS[1], ATTACKS[3].replace("\ud83d", "[half]")]
    assert find(browser, "#content img, #content script, #content .text b") == []
    assert browser.title == "Steering <report>"
    choose(browser, "#by-run", "<i>hostile</i>, c_values 5")
    named = browser.execute_script(
        "return [...document.querySelectorAll('.plot text')].map((text) => text.textContent)"
    )
    assert any("<i>hostile</i>, c_values 5" in text for text in named)
    assert find(browser, ".plot i, .plot a") == []


def test_only_the_scripts_of_the_page_run(look, page, chromium):
    browser = look(page)
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 3';"
        "document.body.append(script); const image = new Image(); image.src = 'http://127.0.0.1:9/x.png'"
    )
    time.sleep(0.2)
    refused = [entry["message"] for entry in chromium.get_log("browser")]
    assert len(refused) == 2
    assert all("Content Security Policy" in message for message in refused)


def test_likelihoods_of_choices_are_shown(look, page):
    browser = look(page)
    choose(browser, "#by-task", "forces")
    rows = [
        [cell.text for cell in row.find_elements("css selector", "th, td")]
        for row in find(browser, "#content table")[0].find_elements("css selector", "tbody tr")
    ]
    assert rows == [
        ["up", "-1.00 highest", "-3.50", "\N{MINUS SIGN}2.50"],
        ["down target", "-2.00", "-0.50 highest", "+1.50"],
    ]
    assert "flipped right" in one(browser, ".what").text


def test_plots_are_drawn_and_say_the_verdict_in_words(look, page):
    browser = look(page)
    plots = find(browser, ".plot .main-svg")
    assert plots
    choose(browser, "#differences select", "exact_match · tiny")
    text = one(browser, "#differences .plot").text
    assert "no significant difference" in text
    assert "stepwise, c_values 5" in text
    assert one(browser, "#differences .plot").get_attribute("aria-label").startswith("Differences in exact_match")
    assert find(browser, "#sweeps .heatmaplayer image, #sweeps .heatmaplayer path")
    assert "0.700" in one(browser, "#sweeps .plot").text
    assert "c_values 4, layers 1-" in one(browser, "#sweeps").text
    assert len(find(browser, "#distributions .violinlayer .violin")) >= 2 * 3


@pytest.mark.parametrize(
    ("name", "width", "dark"), [("desktop", 1280, False), ("phone", 390, False), ("dark", 1280, True)]
)
def test_the_page_fits_the_screen(look, page, artefacts, name, width, dark):
    browser = look(page, width=width, height=844, dark=dark)
    choose(browser, "#by-task", "ways")
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    panes = [pane.rect for pane in find(browser, ".answers:first-of-type .answer")[:2]]
    assert (panes[0]["y"] == panes[1]["y"]) == (width > 700)
    script = "return getComputedStyle(arguments[0])[arguments[1]]"
    background = browser.execute_script(script, one(browser, ":root"), "backgroundColor")
    canvas = browser.execute_script(script, one(browser, "#distributions .main-svg"), "background-color")
    assert background == canvas == ("rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)")
    screenshot(browser, artefacts(name))


def test_plots_follow_the_color_scheme_while_the_page_is_open(look, page):
    browser = look(page)
    ink = "return getComputedStyle(document.querySelector('#distributions .xtick text')).fill"
    light = browser.execute_script(ink)
    prefer(browser, "dark")
    time.sleep(0.3)
    assert (light, browser.execute_script(ink)) == ("rgb(27, 33, 38)", "rgb(228, 232, 235)")


def test_a_choice_of_samples_is_said_to_be_one(look, tmp_path):
    write_answers(tmp_path / "base", {"arith": many(9, seed=1)}, unsteered())
    write_answers(tmp_path / "other", {"arith": many(9, seed=2)}, steered("cot"), date="2026-11-02T10-00-00.000001")
    path = tmp_path / "report.html"
    path.write_bytes(render(report_data([str(tmp_path)], max_samples=4, seed=7), "T"))
    browser = look(path)
    assert "Of 9 pairs, 4 chosen at random are here (seed 7)." in one(browser, "#kept").text
    assert one(browser, "#position").text == "1 of 4"


def test_ten_thousand_samples_do_not_freeze(look, large):
    browser = look(large)
    timed = "const t = performance.now(); {} return [performance.now() - t, document.querySelectorAll('.row').length]"
    steps = {
        "filter": "document.querySelector('#outcomes button[value=\"flipped right\"]').click();",
        "search": "document.getElementById('search').value = 'number 77'; filter();",
        "search in vain": "document.getElementById('search').value = 'zzz'; filter();",
        "all": "document.getElementById('search').value = ''; document.querySelector('#outcomes button').click();",
        "last": "select(9999);",
    }
    for name, step in steps.items():
        milliseconds, rows = browser.execute_script(timed.format(step))
        assert milliseconds < 1000, name
        assert rows < 60, name
    assert one(browser, "#position").text == "10000 of 10000"
    samples = json.loads(browser.execute_script("return document.getElementById('data').textContent"))["browser"][
        "samples"
    ]
    assert len(samples) == 10_000
