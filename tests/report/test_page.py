import base64
import hashlib
import html.parser
import json
import re
import time

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.report.data import report_data
from lm_eval_cachesteer.report.page import as_script_data, render

from .support import answered, many, steered, unsteered, write_answers, write_sweep

ATTACKS = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<!-- <script> {{data}} {{scripts}} & \u2028 \u2029 \ud83d",
)


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: elements with their attributes, and the content of scripts."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.scripts = [], []
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append([dict(attrs), ""])

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self.lasttag == "script":
            self.scripts[-1][1] += data

    def handle_endtag(self, tag):
        if tag == "script":
            self.elements.append(("/script", {}))


def write_pair(folder, base, other):
    write_answers(folder / "base", {"ways": base}, unsteered())
    write_answers(folder / "other", {"ways": other}, steered("stepwise"), date="2026-11-02T10-00-00.000001")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    questions = [f"{attack[:40]} {i}?" for i, attack in enumerate(ATTACKS)]
    base = [answered(question, attack, exact_match=0.0) for question, attack in zip(questions, ATTACKS, strict=True)]
    write_pair(folder, base, base)
    return render(report_data([str(folder)]), "Title </title><script>window.hacked = 3</script>")


def test_hostile_outputs_add_no_element(content, tmp_path):
    harmless = [answered(f"{i}?", "A", exact_match=0.0) for i in range(len(ATTACKS))]
    write_pair(tmp_path, harmless, harmless)
    expected = Page(render(report_data([str(tmp_path)]), "Title"))
    found = Page(content)
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in expected.elements]
    (data,) = [json.loads(text) for attributes, text in found.scripts if attributes.get("type") == "application/json"]
    assert set(ATTACKS) < set(data["browser"]["texts"])


def test_nothing_is_loaded(content):
    page = Page(content)
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    styles = re.findall(r"<style>(.*?)</style>", content.decode(), re.DOTALL)
    assert not re.search(r"url\(|@import", "".join(styles))


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_from_elsewhere(content):
    page = Page(content)
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    scripts = [text for attributes, text in page.scripts if "type" not in attributes]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]


@pytest.mark.parametrize("text", [*ATTACKS, "plain", "quotes \" ' and \\", "\r\n\0", "日本 🙂"])
def test_data_for_scripts_is_read_back_unchanged(text):
    written = as_script_data({"text": text})
    assert json.loads(written) == {"text": text}
    assert not set(written) & set("<>&\u2028\u2029")
    written.encode()


def test_figures_without_a_value_are_refused_rather_than_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_script_data(float("nan"))


def test_one_report_of_the_same_runs_equals_another(tmp_path):
    write_pair(tmp_path, many(30, seed=1), many(30, seed=2))
    assert render(report_data([str(tmp_path)]), "T") == render(report_data([str(tmp_path)]), "T")


def test_the_data_say_what_was_read(tmp_path):
    write_pair(tmp_path, many(30, seed=1), many(30, seed=2))
    write_sweep(tmp_path / "sweep")
    (tmp_path / "results_2026-12-01.json").write_text("{")
    data = report_data([str(tmp_path)])
    assert data["summary"] == "2 runs · 1 sweep · tiny · ways · 2026-11-01 to 2026-11-02"
    assert "cannot be read" in data["remarks"][0]
    (sweep,) = data["sweeps"]
    assert sweep["recommended"] == (
        "Recommended (framed or starred): c_values 4, layers 1-; score 0.700; on held-out documents 0.650; "
        "there +0.050 (-0.040 to +0.140) from unsteered."
    )
    columns = [column["name"] for column in data["leaderboard"]["columns"]]
    assert "model" not in columns  # the same in every row
    rows = [dict(zip(columns, row, strict=True)) for row in data["leaderboard"]["rows"]]
    assert {row["configuration"][0] for row in rows} == {"unsteered (baseline)", "stepwise, c_values 5"}
    means = [sum(one["filters"]["none"][1]["exact_match"] for one in many(30, seed=seed)) / 30 for seed in (1, 2)]
    assert sorted(row["score"][1] for row in rows) == pytest.approx(sorted(means))


def test_a_sweep_alone_is_a_report(tmp_path):
    write_sweep(tmp_path)
    data = report_data([str(tmp_path)])
    assert (data["summary"], len(data["sweeps"]), data["browser"]["samples"]) == ("1 sweep", 1, [])


def test_folders_without_runs_are_refused(tmp_path):
    with pytest.raises(ResultsError, match="No results at"):
        report_data([str(tmp_path)])


def test_ten_thousand_samples_take_seconds(tmp_path):
    write_pair(tmp_path, many(10_000, seed=1), many(10_000, seed=2))
    start = time.process_time()
    content = render(report_data([str(tmp_path)]), "T")
    assert time.process_time() - start < 20
    assert len(content) < 20e6
