"""Pages as they are built: whole, needing nothing else, heard and seen by everybody, with every number's origin."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import reports
from reports import content
from reports.html import best_first, inline
from reports.html.samples import sample_data
from reports.table import Column, Row, RowGroup, Table, TableCell
from tests.reports.conftest import FakeRun
from tests.reports.every_page import write_every_page
from tests.reports.pages import Element, contrast, parsed, themes

KINDS = ("report", "panels", "comparison", "history", "speed")
TEXT, MARK = 4.5, 3.0  # the least contrast of text, and of what is no text (WCAG 2.2, 1.4.3 and 1.4.11)


@pytest.fixture(scope="session")
def every_page(tmp_path_factory, run_report) -> dict[str, Path]:
    return write_every_page(tmp_path_factory.mktemp("pages"), run_report["html"])


@pytest.fixture(params=KINDS)
def page(request, every_page) -> tuple[str, Element]:
    """The text of a page of each kind, and its tree."""
    text = every_page[request.param].read_text(encoding="utf-8")
    return text, parsed(text)


def test_a_page_needs_nothing_else(page):
    _, tree = page
    assert not tree.all("link", "img", "iframe", "object", "embed", "base", "video", "audio", "source")
    for element in tree.all():
        assert "src" not in element.attributes and not any(name.startswith("on") for name in element.attributes)
        for name in ("href", "xlink:href"):
            target = element.attributes.get(name, "#")
            assert target.startswith(("#", "../cells/")), target
    style = "".join(element.text for element in tree.all("style"))
    assert "@import" not in style and "@font-face" not in style and not re.search(r"url\((?!#)", style)
    assert "http" not in style.replace("http://www.w3.org", "")


def test_a_page_lets_one_script_run_and_load_nothing(page):
    _, tree = page
    scripts = [element for element in tree.all("script") if element.attributes.get("type") != "application/json"]
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].text.encode()).digest()).decode()
    [policy] = [e.attributes["content"] for e in tree.all("meta") if "http-equiv" in e.attributes]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["script-src"] == f"'sha256-{digest}'" and rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "style-src", "img-src", "script-src", "base-uri", "form-action"}
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "fetch(", "XMLHttpRequest", "import("):
        assert word not in scripts[0].text
    assert len(scripts[0].text) < 20_000


def test_ids_are_unique_and_links_lead_somewhere(page):
    _, tree = page
    ids = [element.attributes["id"] for element in tree.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in tree.all():
        names = [
            element.attributes[n] for n in ("aria-labelledby", "aria-describedby", "for") if n in element.attributes
        ]
        names += [
            element.attributes[name][1:]
            for name in ("href", "xlink:href")
            if element.attributes.get(name, "")[:1] == "#"
        ]
        assert set(names) <= set(ids), (element.tag, names)
    used = re.findall(r"url\(#([^)]+)\)", page[0])
    assert set(used) <= set(ids)


def test_a_page_can_be_heard_and_reached_by_keyboard(page):
    _, tree = page
    [html] = tree.all("html")
    assert html.attributes["lang"] == "en"
    [body] = tree.all("body")
    order = [child.tag for child in body.children if isinstance(child, Element)]
    assert order[:5] == ["a", "header", "nav", "main", "footer"]
    assert body.all("a")[0].classes == {"skip"} and body.all("a")[0].attributes["href"] == "#main"
    assert len(tree.all("h1")) == 1 and all("aria-label" in nav.attributes for nav in tree.all("nav"))
    for table in tree.all("table"):
        [caption] = table.all("caption")
        assert caption.text.strip()
        assert all(head.attributes.get("scope") in ("col", "row", "colgroup", "rowgroup") for head in table.all("th"))
        scroll = table.parent
        assert scroll is not None and "scroll" in scroll.classes
        assert scroll.attributes["tabindex"] == "0" and scroll.attributes["aria-labelledby"] == caption.attributes["id"]
    for drawing in (element for element in tree.all("div") if "picture" in element.classes):
        assert drawing.attributes["role"] == "img" and drawing.attributes["aria-label"]
    for control in tree.all("input", "select"):
        assert control.within("label")
    levels = [int(heading.tag[1]) for heading in tree.all("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_no_block_but_what_is_for_scale_is_grey(every_page):
    """Cosmos is no floor, nor are batches after the first, nor is the last bar."""
    for kind, path in every_page.items():
        for body in parsed(path.read_text(encoding="utf-8")).all("tbody"):
            title = "".join(row.text for row in body.all("tr") if "block" in row.classes).strip()
            assert ("floors" in body.classes) == (title == "For scale"), (kind, title)
    speed = every_page["speed"].read_text(encoding="utf-8")
    assert len(parsed(speed).all("tbody")) > 3
    style = speed[speed.index("<style>") : speed.index("</style>")]
    rules = [rule.rpartition("{")[::2] for rule in style.split("}")]
    by_place = [body for selector, body in rules if re.search(r":(first|last|nth|not)-", selector)]
    assert by_place and not any(re.search(r"(^|;)\s*(color|opacity)\s*:", body) for body in by_place)


def test_every_number_of_an_entry_leads_to_its_origin(every_page):
    tree = parsed(every_page["report"].read_text(encoding="utf-8"))
    behind = {e.attributes["id"]: e for e in tree.all("div") if "behind" in e.classes}
    shown = 0
    for table in (t for t in tree.all("table") if "sortable" in t.classes):
        for row in (r for body in table.all("tbody") for r in body.all("tr") if "block" not in r.classes):
            for cell in (c for c in row.all("td") if "data-value" in c.attributes):
                [link] = [a for a in cell.all("a") if "data-score" in a.attributes]
                assert link.attributes["href"][1:] in behind
                shown += 1
    assert shown > 100
    for origin in behind.values():
        told = origin.text
        for what in ("Samples", "Seed 0", "System", "Setting", "Made with", "Commands", "Evaluator"):
            assert what in told
        assert "python -m benchmarks run --task detox" in told and "python -m benchmarks show " in told
        named = [row.attributes["data-score"] for row in origin.all("tr") if "data-score" in row.attributes]
        assert {"J", "STA", "rudeness left", "BLEU", "FL", "Length"} <= set(named)
        assert "J|v1|world grammar 1|exact:True" in told
    [ours] = [origin for origin in behind.values() if origin.attributes["aria-label"] == "cosmos (fast)"]
    kinds = [b.text for b in ours.all("b")]
    shown = [float(re.search(r"J ([\d.]+)", d.text).group(1)) for d in ours.all("dd") if re.match("best|worst", d.text)]
    assert kinds == ["best", "best", "worst", "worst"] and shown == sorted(shown, reverse=True) and len(shown) == 4


def test_the_best_stands_first_in_its_block_and_the_head_says_so(every_page):
    tree = parsed(every_page["report"].read_text(encoding="utf-8"))
    glance = next(table for table in tree.all("table") if table.attributes["id"] == "table-glance")
    [sorted_by] = [head for head in glance.all("th") if "aria-sort" in head.attributes]
    assert (sorted_by.attributes["data-title"], sorted_by.attributes["aria-sort"]) == ("J", "descending")
    for body in glance.all("tbody"):
        values = [float(row.all("td")[0].attributes["data-value"]) for row in body.all("tr") if row.all("td")]
        assert values == sorted(values, reverse=True) and values


def test_rows_without_a_value_stand_last():
    rows = tuple(Row(str(v), "", "", (TableCell(v, str(v)),)) for v in (2.0, None, 1.0, 3.0))
    for direction, order in (("lower", ["1.0", "2.0", "3.0", "None"]), ("none", ["2.0", "None", "1.0", "3.0"])):
        table = Table("t", "c", (Column("x", direction=direction),), (RowGroup("", rows),))
        assert [row.title for row in best_first(table).blocks[0].rows] == order


def test_colours_that_meet_can_be_told_apart(page):
    found = themes(page[0])
    assert set(found) == {"light", "dark", "print"}
    assert found["light"]["paper"] != found["dark"]["paper"] and found["print"]["ink"] == "#000"
    for theme, colours in found.items():
        for ground in ("paper", "panel", "tint"):
            for ink in ("ink", "quiet", "link"):
                assert contrast(colours[ink], colours[ground]) >= TEXT, (theme, ink, ground)
        for ground in ("added", "missing"):
            assert contrast(colours["ink"], colours[ground]) >= TEXT, (theme, ground)
        assert contrast(colours["edge"], colours["paper"]) >= MARK, theme
    assert contrast("#fff", "#000000") == 21 and round(contrast("#777777", "#fff"), 2) == 4.48


def test_drawings_on_one_page_share_no_id():
    svg = '<svg><defs><path id="m1"/></defs><use xlink:href="#m1"/><g clip-path="url(#m1)" id="a"/></svg>'
    assert inline(svg, "x-") == (
        '<svg><defs><path id="x-m1"/></defs><use xlink:href="#x-m1"/><g clip-path="url(#x-m1)" id="x-a"/></svg>'
    )


def test_a_page_holds_each_figure_wide_and_narrow_and_shows_one(page):
    text, tree = page
    for figure in tree.all("figure"):
        wide, narrow = (element for element in figure.all("div") if "picture" in element.classes)
        assert (wide.classes, narrow.classes) == ({"picture", "on-wide"}, {"picture", "on-narrow"})
        widths = [one.all("svg")[0].attributes["viewbox"].split()[2] for one in (wide, narrow)]
        assert widths == ["468", "234"], "points: a page and a column"
        [caption] = figure.all("figcaption")
        assert all(one.attributes["aria-describedby"] == caption.attributes["id"] for one in (wide, narrow))
    style = text[text.index("<style>") : text.index("</style>")]
    always, _, on_phones = style.partition("@media screen and (max-width: 40rem)")
    assert ".on-narrow { display: none; }" in always and ".on-wide" not in always
    assert re.match(r"\s*\{\s*\.on-wide \{ display: none; \}\s*\.on-narrow \{ display: block;", on_phones)


def test_an_id_of_a_drawing_says_once_which_figure_it_is_of(page):
    ids = [e.attributes["id"] for svg in page[1].all("svg") for e in svg.all() if "id" in e.attributes]
    assert len(ids) > 20 or not page[1].all("svg")
    for one in ids:
        assert re.fullmatch(r"(figure(-\d)?|calls|latency|speed)-(narrow-)?[mp][0-9a-f]{10}", one), one


def test_the_samples_are_all_there(every_page):
    tree = parsed(every_page["report"].read_text(encoding="utf-8"))
    [block] = [e for e in tree.all("script") if e.attributes.get("type") == "application/json"]
    data = json.loads(block.text)
    assert [name for _, name in data["entries"]][:2] == ["cosmos (fast)", "cosmos (best)"] and len(
        data["entries"]
    ) == 10
    assert data["metrics"][0] == ["J", "higher"] and ["rudeness left", "lower"] in data["metrics"]
    assert len(data["documents"]) == 60
    fake = FakeRun().fill()
    key, source, references, made = data["documents"][7]
    document = fake.documents[7]
    assert (key, source, references) == (document["id"], document["source"], document["references"])
    by_entry = dict(zip([name for _, name in data["entries"]], made, strict=True))
    for header, samples, _, scores in fake.cells[:6]:
        text, cut, *values = by_entry[f"{header.cell.system} ({header.cell.setting})"]
        assert (text, cut) == (samples[7].text, 0)
        j = next(score for score in scores if score.metric == "J").values[7]
        assert values[0] == pytest.approx(j, rel=1e-3)


def test_samples_that_hold_markup_do_not_end_their_block(nasty_report):
    text = nasty_report["html"].read_text(encoding="utf-8")
    tree = parsed(text)
    assert len(tree.all("script")) == 2
    [block] = [e for e in tree.all("script") if e.attributes.get("type") == "application/json"]
    assert (
        "<" not in block.text and "<script>alert('reason')</script>" in json.loads(block.text)["documents"][0][3][0][0]
    )
    assert all(character.isprintable() or character in "\n\t" for character in text)


def test_a_page_stays_small_and_says_whose_samples_it_holds(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("copy", "default")
    [section] = content.build(fake_run.write(tmp_path / "run"), tmp_path).sections
    whole = sample_data(section.panel, section.documents, 1_000_000)
    assert whole is not None and (whole.documents, whole.of, whole.samples) == (60, 60, 120)
    few = sample_data(section.panel, section.documents, len(str(whole.data)) // 2)
    assert few is not None and 20 <= few.documents < 60 == few.of and few.samples == 2 * few.documents
    kept = [row[0] for row in json.loads(str(few.data))["documents"]]
    assert kept == sorted(kept) and kept[-1] > f"test-{few.documents:04d}"  # in order, and not the first ones
    assert len(str(few.data)) <= len(str(whole.data)) // 2 + 2_000


def test_no_samples_no_browser(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    for document in (folder / "documents").iterdir():
        document.unlink()
    tree = parsed(reports.write(folder)["html"].read_text(encoding="utf-8"))
    assert not tree.all("form") and len(tree.all("script")) == 1 and tree.all("details")


def test_a_seed_without_a_score_offers_no_order_of_another(fake_run, tmp_path):
    """Scores of texts are those of the first seed: where it has none, texts are not sorted by those of another."""
    for seed in (0, 1):
        fake_run.add("gpt2", "greedy", seed)
    header, samples, timings, scores = fake_run.cells[0]
    absent = replace(scores[0], value=None, low=None, high=None, values=None, n=0, reason="failed: no")
    fake_run.cells[0] = (header, samples, timings, [absent, *scores[1:]])
    [section] = content.build(fake_run.write(tmp_path / "run"), tmp_path).sections
    data = sample_data(section.panel, section.documents, 1_000_000)
    assert data is not None and data.metrics == ("STA", "rudeness left", "Length")
