"""The page as text: nothing in it runs but its own script, and every figure says what it is made of."""

import base64
import copy
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from rag.evaluation.report.case_data import script_data
from rag.evaluation.report.rows import outcome_rows
from rag.evaluation.report.why import waterfalls
from rag.evaluation.report_html import render_report
from rag.evaluation.report_json import build_report
from rag.evaluation.types import CaseResult, Manifest, RunRecord, System

SCRIPTS = sorted(entry.name for entry in files("rag.evaluation.report").iterdir() if entry.name.endswith(".js"))
UNSAFE = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|setHTML"
    r"|\beval\b|\bFunction\(|javascript:|fetch\(|XMLHttpRequest|WebSocket|import\(|\.style\.|localStorage"
)
VOID = {"meta", "link", "input", "br"}


class Parsed(HTMLParser):
    """Start tags with their attributes, the text inside each kind of element, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]][-1] += data

    @property
    def visible(self) -> str:
        """All text that a reader sees."""
        return " ".join(" ".join(parts) for tag, parts in self.text.items() if tag not in ("script", "style"))


@pytest.fixture(scope="module")
def html(report: dict[str, Any]) -> str:
    return render_report(report)


@pytest.fixture(scope="module")
def page(html: str) -> Parsed:
    return Parsed(html)


def test_every_element_is_closed_and_every_id_is_used_once(page: Parsed) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(ids)


def test_texts_of_documents_models_and_people_stay_text(html: str, page: Parsed, report: dict[str, Any]) -> None:
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [attributes.get("type") for attributes in scripts] == ["application/json", "application/json", None]
    assert not [tag for tag, _ in page.tags if tag in ("img", "iframe", "object", "embed", "base", "i")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text["h1"] == [""] and "document.title" in page.text["bdi"][0]
    assert page.text["title"][0] == f"{report['name']} – comparison report"
    assert html.count("<b>") == html.count("</b>")
    assert "grounded &lt;b&gt;" in html and "grounded <b>" not in html


def test_nothing_points_outside(page: Parsed) -> None:
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "formaction", "style", "ping", "background"} & set(attributes), tag
        if "href" in attributes:
            assert attributes["href"] == "data:," or re.fullmatch(r"#[a-z]+", attributes["href"] or "")
    css = page.text["style"][0]
    assert set(re.findall(r"url\(([^)]*)\)", css)) == {"#hatch", "#dots", "#rows"}
    assert "@import" not in css and "@font-face" not in css


def test_the_policy_lets_only_this_style_and_script_apply(page: Parsed) -> None:
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for name, text in (("style-src", page.text["style"][0]), ("script-src", page.text["script"][-1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules.pop(name) == f"'sha256-{digest}'"
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_build_text_and_never_markup(name: str) -> None:
    text = (files("rag.evaluation.report") / name).read_text(encoding="utf-8")
    assert not re.search(UNSAFE, text)
    assert "</script" not in text and "<!--" not in text


def test_the_cases_come_out_of_the_page_as_they_went_in(page: Parsed, report: dict[str, Any]) -> None:
    embedded = page.text["script"][-2]
    assert not set(embedded) & set("<>&\u2028\u2029")
    assert json.loads(embedded) == script_data(report, ())
    first = json.loads(embedded)["cases"][0]
    assert first["question"] == report["case_rows"][0]["question"]
    assert [answer["text"] for answer in first["answers"]] == [a["text"] for a in report["case_rows"][0]["answers"]]


def test_the_same_report_gives_the_same_bytes_in_any_process(html: str, report: dict[str, Any], tmp_path: Path) -> None:
    stored = tmp_path / "report.json"
    stored.write_text(json.dumps(report), encoding="utf-8")
    code = (
        "import hashlib, json, pathlib, sys\n"
        "from rag.evaluation.report_html import render_report\n"
        "report = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'))\n"
        "sys.stdout.write(hashlib.sha256(render_report(report).encode()).hexdigest())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(stored)],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == hashlib.sha256(html.encode()).hexdigest()
    assert render_report(report) == html


def test_figures_stand_with_their_parts(html: str, report: dict[str, Any]) -> None:
    table = html[html.index('id="figures"') : html.index('id="cases"')]
    for system in report["systems"]:
        accuracy = system["figures"]["accuracy"]
        assert f"{accuracy['numerator']:.0f} ÷ {accuracy['denominator']}" in table
    undefined = report["systems"][3]["figures"]["hallucination_rate"]
    assert undefined["value"] is None and undefined["undefined"]
    assert f'<span class="soft">({undefined["undefined"]} of {undefined["n"]})</span>' in table


def test_what_is_undefined_is_never_printed_as_a_number(report: dict[str, Any]) -> None:
    emptied = copy.deepcopy(report)
    for system in emptied["systems"]:
        for figure in system["figures"].values():
            figure.update(value=None, numerator=0.0, denominator=0, undefined=figure["n"], low=None, high=None)
    html = render_report(emptied)
    table = html[html.index('class="figures"') : html.index('id="cases"')]
    n_cells = sum(len(system["figures"]) for system in report["systems"])
    assert table.count('<span class="undefined">undefined</span>') == n_cells
    visible = Parsed(html).visible
    assert not re.search(r"\b(nan|NaN|None|null|inf|undefined%)\b", visible)
    assert "Hallucination rates are undefined" in visible


def test_plots_have_a_name_a_description_and_only_finite_places(html: str, page: Parsed) -> None:
    plots = [attributes for tag, attributes in page.tags if attributes.get("class") == "plot"]
    assert [plot["aria-labelledby"] for plot in plots] == [
        f"{key}-title {key}-desc" for key in ("rates", "risk", "cost", "reliability")
    ]
    assert len(page.text["desc"]) == len(plots) and all(page.text["desc"])
    for _, attributes in page.tags:
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width"):
            value = attributes.get(name)
            assert value is None or re.fullmatch(r"-?\d+(\.\d+)?%?", value), (name, value)
        assert "nan" not in (attributes.get("points") or "")


def test_the_waterfall_adds_up(report: dict[str, Any]) -> None:
    (steps,) = waterfalls(report)
    assert steps["recovered"] is None  # an oracle system says more than wrong answers asked again
    kinds = [row["kind"] for row in steps["rows"]]
    assert kinds == ["level", "gained", "lost", "level", "gained", "lost", "level"]
    counts = [row["n"] for row in steps["rows"]]
    assert counts[0] + counts[1] + counts[2] == counts[3]
    assert counts[3] + counts[4] + counts[5] == counts[6]
    assert steps["n"] == 47  # 48 answerable cases, one of which a system failed on
    right = [
        sum(answer["outcome"] == "correct" for answer in case["answers"] if answer["system"] == "closed_book")
        for case in report["case_rows"]
        if case["answerable"] and case["case_id"] != "q0001"
    ]
    assert counts[0] == sum(right)


def test_wrong_answers_asked_again_stand_in_for_an_oracle_system(report: dict[str, Any]) -> None:
    without = copy.deepcopy(report)
    without["systems"] = [system for system in without["systems"] if system["mode"] != "oracle"]
    without["comparisons"] = [
        one for one in without["comparisons"] if one["system"] != "oracle_with_a_very_long_unbroken_name"
    ]
    (steps,) = waterfalls(without)
    assert [row["kind"] for row in steps["rows"]] == ["level", "gained", "lost", "level"]
    recovered = steps["recovered"]
    said = f"{recovered['numerator']:.0f} of {recovered['denominator']} wrong answers of <bdi>grounded &lt;b&gt;</bdi>"
    assert 0 < recovered["numerator"] <= 9 and said in render_report(without)


def test_obedience_is_drawn_where_it_was_asked_for(html: str, report: dict[str, Any]) -> None:
    assert "9 follows the evidence" in html
    assert "Does it follow the evidence?" not in render_report({**report, "obedience": {}})


def test_a_judge_who_is_too_weak_is_said_to_be_at_the_top_and_in_its_section(html: str, report: dict[str, Any]) -> None:
    assert report["judge"]["decidable"] is False
    headline = html[: html.index('id="outcomes"')]
    assert "Not decidable by the judge." in headline
    assert '<p class="verdict not-decidable"><b>✗ Not decidable</b>' in html
    trusted = copy.deepcopy(report)
    trusted["judge"]["decidable"] = True
    html = render_report(trusted)
    assert "Not decidable" not in html and "✓ Decidable" in html


def test_transition_cells_count_the_cases_that_they_filter(html: str, report: dict[str, Any]) -> None:
    comparison = report["comparisons"][0]
    for before, row in comparison["transitions"].items():
        for after, n in row.items():
            cell = re.search(
                rf'data-system="1" data-baseline="0" data-from="{before}" data-to="{after}"[^>]*><b>(\d+)', html
            )
            assert cell is not None and int(cell[1]) == n


def test_stored_lines_add_what_was_retrieved(report: dict[str, Any]) -> None:
    line = {"case_id": "q0002", "system": "closed_book", "retrieved_passage_ids": [8, 5], "citation_counts": None}
    answers = script_data(report, [line])["cases"][2]["answers"]
    assert answers[0]["retrieved"] == [8, 5]
    assert "retrieved" not in answers[1]


def test_bars_count_cases_and_claims(report: dict[str, Any]) -> None:
    for row, system in zip(outcome_rows(report), report["systems"], strict=True):
        counted = [sum(part.n for part in bar["parts"]) for bar in row["bars"]]
        claims = system["claims"]
        n_claims = claims["supported"] + claims["contradicted"] + claims["unsupported"] + claims["undefined"]
        assert counted == [48, 12, n_claims] if n_claims else counted == [48, 12]
    assert system["claims"]["supported"] == 0  # the last one was never judged


def test_one_system_alone_and_without_answers() -> None:
    manifest = Manifest(
        name="alone",
        collection="default",
        seed=0,
        created_at="yesterday",
        cases_sha256="",
        systems=(System(name="only", mode="closed_book"),),
    )
    html = render_report(build_report(RunRecord(manifest=manifest, cases=(), results=()), n_resamples=5))
    page = Parsed(html)
    assert page.open == []
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert not {"differences", "transitions", "why", "cost", "slices"} & ids
    linked = {a["href"] for tag, a in page.tags if tag == "a"}
    assert {link[1:] for link in linked if link} <= ids
    assert "yesterday" in page.visible


def test_systems_that_only_abstain_have_plots_with_a_height(record: RunRecord) -> None:
    silent = tuple(
        CaseResult(case_id=result.case_id, system=result.system, text="I do not know.", abstained=True, outcome=outcome)
        for result in record.results
        for case in record.cases
        if case.case_id == result.case_id
        for outcome in [("abstained" if case.answerable else "right_abstention")]
    )
    html = render_report(build_report(dataclasses.replace(record, results=silent), n_resamples=5))
    assert "undefined" in html and not re.search(r"\b(nan|None)\b", Parsed(html).visible)


def test_half_a_surrogate_pair_does_not_break_the_file(report: dict[str, Any]) -> None:
    broken = copy.deepcopy(report)
    broken["name"] = "half \ud83d pair"
    broken["case_rows"][0]["question"] = "what is \udc00?"
    html = render_report(broken)
    assert "half ? pair" in html and '"question":"what is ??"' in html
    assert html.encode()


def test_five_thousand_cases(report: dict[str, Any]) -> None:
    many = copy.deepcopy(report)
    rows = many["case_rows"]
    many["case_rows"] = [{**rows[place % len(rows)], "case_id": f"q{place}"} for place in range(5000)]
    html = render_report(many)
    assert len(html) < 20_000_000
    start = html.index('id="case-data">') + len('id="case-data">')
    assert len(json.loads(html[start : html.index("</script>", start)])["cases"]) == 5000
    assert html.count("<option") < 700


def test_a_choice_of_documents_is_left_out_where_it_would_be_too_long(report: dict[str, Any]) -> None:
    many = copy.deepcopy(report)
    row = many["case_rows"][1]
    many["case_rows"] = [{**row, "case_id": f"q{place}", "document": f"d{place}"} for place in range(501)]
    assert 'id="f-document"' not in render_report(many)
    many["case_rows"].pop()
    assert 'id="f-document"' in render_report(many)


def test_documents_are_counted_only_where_cases_name_them(report: dict[str, Any]) -> None:
    def facts(n_documents: int) -> str:
        shown = {**report, "cases": {**report["cases"], "n_documents": n_documents}}
        return re.search(r'<p class="facts">(.*?)</p>', render_report(shown), re.DOTALL)[1]

    assert "about 7 documents" in facts(7)
    assert "document" not in facts(report["cases"]["n"])
