"""Pages in a browser, in both themes, on a phone and on a desk: nothing scrolls sideways, all that moves works.

With COSMOS_PICTURES=FOLDER every page is kept as a picture, to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import reports
from tests.look.browser import Browser, missing, started
from tests.reports.conftest import FakeRun
from tests.reports.every_page import write_every_page
from tests.reports.pages import themes

pytestmark = [pytest.mark.look, pytest.mark.skipif(bool(missing()), reason=missing())]
KINDS = ("report", "panels", "comparison", "history", "speed")
PAPER = "return getComputedStyle(document.body).backgroundColor"
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true; })"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as one:
        yield one


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return write_every_page(folder, reports.write(FakeRun().fill().write(folder / "run"))["html"])


def paper_of(page: Path, theme: str) -> tuple[int, int, int]:
    paper = themes(page.read_text(encoding="utf-8"))[theme]["paper"]
    return int(paper[1:3], 16), int(paper[3:5], 16), int(paper[5:7], 16)


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_its_width_in_its_theme_and_says_nothing(
    browser: Browser, pages: dict[str, Path], kind: str, theme: str, width: int
) -> None:
    browser.look(pages[kind], width, theme)
    widest = "return document.documentElement.scrollWidth"
    assert browser.js(widest) <= width
    browser.picture(f"{kind}-{theme}-{width}")
    browser.js(OPEN_ALL)
    assert browser.js(widest) <= width
    assert browser.console() == []
    assert browser.js(PAPER) == "rgb({}, {}, {})".format(*paper_of(pages[kind], theme))


DRAWN = """return [...document.querySelectorAll('figure')].map(figure =>
  [...figure.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0).map(svg => {
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const sizes = [...svg.querySelectorAll('text')].map(text => scale * parseFloat(getComputedStyle(text).fontSize));
    return [svg.viewBox.baseVal.width, box.left, box.right, Math.min(...sizes), Math.max(...sizes)];
  }))"""


@pytest.mark.parametrize("width", [340, 400, 639, 700, 1400])
@pytest.mark.parametrize("kind", ["report", "panels", "history", "speed"])
def test_a_figure_is_shown_once_whole_and_with_type_that_can_be_read(
    browser: Browser, pages: dict[str, Path], kind: str, width: int
) -> None:
    browser.look(pages[kind], width)
    figures = browser.js(DRAWN)
    assert figures
    for [(drawn, left, right, least, most)] in figures:
        assert drawn == (234 if width <= 640 else 468)
        assert left >= 0 and right <= width and least >= 9 and most <= 16


def test_paper_has_one_drawing_of_each_figure(browser: Browser, pages: dict[str, Path]) -> None:
    browser.look(pages["report"], 400)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert [[drawn for drawn, *_ in shown] for shown in browser.js(DRAWN)] == [[468]] * 3
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_label_has_a_halo_of_the_paper(browser: Browser, pages: dict[str, Path]) -> None:
    for theme in ("light", "dark"):
        browser.look(pages["report"], 1400, theme)
        style = "const s = getComputedStyle(document.querySelector('figure text')); return [s.paintOrder, s.stroke]"
        order, stroke = browser.js(style)
        assert order.startswith("stroke") and stroke == browser.js(PAPER)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_drawn_beside_a_table_that_fits_or_beside_the_links(
    browser: Browser, pages: dict[str, Path], theme: str
) -> None:
    paper = {paper_of(pages["report"], theme)}
    browser.look(pages["report"], 1400, theme, "#table-scores")
    right, top, bottom = browser.js(
        "const box = document.querySelector('#table-scores').closest('.scroll').getBoundingClientRect();"
        "const head = document.querySelector('#table-scores thead').getBoundingClientRect();"
        "return [box.right, box.top, head.top]"
    )
    assert browser.pixels(right - 20, top + 1, 24, bottom - top - 3) == paper
    browser.js("location.hash = document.querySelector('.behind').id")  # which has an outline around it
    left, height = browser.js(
        "scrollTo(0, scrollY + document.querySelector(':target').getBoundingClientRect().top + 90);"
        "const links = document.querySelector('nav').getBoundingClientRect(); return [links.left, links.height]"
    )
    assert browser.pixels(left - 6, 1, 6, height - 2) == paper


def test_on_a_phone_the_winner_is_in_view_and_a_table_says_that_it_goes_on(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.look(pages["report"], 400, anchor="#table-glance")
    place = browser.js(
        "const r = document.querySelector('#table-glance tbody tr:not(.block) td').getBoundingClientRect();"
        "return [r.left, r.right, r.top, r.bottom]"
    )
    assert 0 <= place[0] < place[1] <= 400 and 0 <= place[2] < place[3] <= 900
    browser.picture("winner-400", whole=False)
    name = "return document.querySelector('#table-glance tbody .name').getBoundingClientRect().width"
    assert 7.5 * 16 <= browser.js(name) <= 9 * 16 + 20
    cue = "return document.querySelector('#table-glance').closest('.framed').querySelector('.cue').textContent"
    assert re.fullmatch(r"\d+ more columns to the right: scroll the table", browser.js(cue))
    left = "return document.querySelector('#table-glance tbody .name').getBoundingClientRect().left"
    before = browser.js(left)
    scroll = (
        "const s = document.querySelector('#table-glance').closest('.scroll'); s.scrollLeft = {}; return s.scrollLeft"
    )
    assert browser.js(scroll.format("300")) == 300 and browser.js(left) == before
    browser.js(scroll.format("1e6"))
    browser.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert browser.js(cue) == ""


ROWS = """return [...document.querySelectorAll('#table-glance tbody')].map(body =>
  [...body.rows].filter(row => !row.hidden && !body.hidden && !row.classList.contains('block')).map(row =>
    [...row.cells].map((cell, place) => place ? cell.dataset.value ?? null : cell.innerText.replace(/\\s+/g, ' '))))"""


def test_columns_sort_by_mouse_and_keyboard_within_their_blocks(browser: Browser, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.look(pages["report"])
    written = browser.js(ROWS)
    heads = browser.driver.find_elements("css selector", "#table-glance thead tr:last-child th")
    place = next(n for n, head in enumerate(heads) if head.get_attribute("data-title") == "Throughput")
    button = heads[place].find_element("css selector", "button")
    for way, sign in (("descending", -1), ("ascending", 1)):
        button.click() if way == "descending" else (button.send_keys(Keys.ENTER))
        assert heads[place].get_attribute("aria-sort") == way
        assert way in browser.find("#status").get_attribute("textContent")
        found = browser.js(ROWS)
        assert [sorted(block) for block in found] == [sorted(block) for block in written]
        for block in found:
            values = [float(row[place]) for row in block if row[place] is not None]
            assert values == sorted(values, key=lambda value: sign * value)
            assert [row[place] for row in block][len(values) :] == [None] * (len(block) - len(values))
    button.click()
    assert heads[place].get_attribute("aria-sort") == "none" and browser.js(ROWS) == written
    heads[0].find_element("css selector", "button").click()
    names = sorted(
        (row[0] for row in written[0]), key=lambda name: (name.split("-")[0], int(name.partition("-")[2] or 0))
    )
    assert [row[0] for row in browser.js(ROWS)[0]] == names  # as people count: 8 before 32


def test_rows_are_filtered_by_their_names(browser: Browser, pages: dict[str, Path]) -> None:
    browser.look(pages["report"])
    browser.find("#filter").send_keys("gpt2 greedy")
    assert [row[0] for block in browser.js(ROWS) for row in block] == ["gpt2 greedy"]
    assert re.fullmatch(r"\d+ of \d+ rows", browser.find("#filtered").text)
    browser.find("#filter").clear()
    browser.find("#filter").send_keys("scale")
    assert {row[0] for block in browser.js(ROWS) for row in block} == {"copy", "unigram", "retrieval", "reference"}
    assert browser.console() == []


@pytest.mark.parametrize("width", [400, 1400])
def test_one_click_on_a_number_shows_what_it_rests_on(browser: Browser, pages: dict[str, Path], width: int) -> None:
    browser.look(pages["report"], width)
    link = browser.find("#table-scores tbody a[data-score=BLEU]")
    name = link.find_element("xpath", "ancestor::tr").find_element("css selector", "th").text
    value = link.text
    browser.js("arguments[0].click()", link)
    target = browser.find(":target")
    assert target.is_displayed() and name.split()[0] in target.get_attribute("aria-label")
    said = target.find_element("css selector", ".this")
    assert said.is_displayed() and f"BLEU {value}" in said.text and "sacrebleu 2.6.0" in said.text
    box = browser.js("const r = arguments[0].getBoundingClientRect(); return [r.top, r.bottom]", said)
    assert 0 <= box[0] < box[1] <= 900
    for word in ("Samples", "Commands", "python -m benchmarks run", "Setting", "Recipe"):
        assert word in target.text
    browser.picture(f"origin-{width}", whole=False)


def cards(browser: Browser) -> list[str]:
    return browser.js("return [...document.querySelectorAll('.cards h4')].map(head => head.textContent)")


def choose(browser: Browser, name: str, text: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(browser.find(f".browser select[name={name}]")).select_by_visible_text(text)


def test_samples_are_searched_sorted_and_compared(browser: Browser, pages: dict[str, Path]) -> None:
    fake = FakeRun().fill()
    header, samples, _, scores = fake.cells[0]
    assert (header.cell.system, header.cell.setting) == ("cosmos", "fast")
    browser.look(pages["report"], anchor="#samples1")
    assert browser.find(".browser .count").text == "60 of 60 documents, 20 shown"
    assert cards(browser) == fake.ids[:20]
    browser.picture("samples-side-by-side", whole=False)
    more = browser.find(".browser button.more")
    more.send_keys("\n")
    assert cards(browser) == fake.ids[:40] and browser.js("return document.activeElement.innerText").startswith(
        fake.ids[20]
    )
    choose(browser, "entry", "cosmos (fast)")
    for title, better in (("J", 1), ("rudeness left", -1)):
        values = dict(zip(fake.ids, next(s for s in scores if s.metric == title).values, strict=True))
        choose(browser, "score", title)
        for order, sign in (("best first", -better), ("worst first", better)):
            choose(browser, "order", order)
            shown = [float(f"{values[key]:.4g}") for key in cards(browser)]
            assert shown == sorted((float(f"{value:.4g}") for value in values.values()), key=lambda v: sign * v)[:20]
    browser.picture("samples-worst", whole=False)
    choose(browser, "order", "as asked")
    browser.find(".browser input[name=query]").send_keys("COSMOS SAYS")
    expected = [sample.id for sample in samples if "cosmos says" in sample.text.lower()]
    assert cards(browser) == expected[:20] and browser.find(".browser .count").text.startswith(f"{len(expected)} of 60")
    parts = browser.js(
        "return [...document.querySelector('.cards .outputs dd').children].map(one => [one.tagName, one.textContent])"
    )
    document = next(one for one in fake.documents if one["id"] == expected[0])
    written = next(sample.text for sample in samples if sample.id == expected[0])
    assert " ".join(text for tag, text in parts if tag != "DEL") == written
    assert " ".join(text for tag, text in parts if tag != "INS") == document["target"]
    assert ["INS", "cosmos says:"] in parts
    assert browser.console() == []


def test_a_keyboard_reaches_all_of_it_and_sees_where_it_is(browser: Browser, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.look(pages["report"])
    browser.press(Keys.TAB)
    here = "const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);"
    assert browser.js(here + "return [e.className, r.left >= 0 && r.top >= 0, s.outlineStyle]") == [
        "skip",
        True,
        "solid",
    ]
    reached = set()
    for _ in range(400):
        told = browser.js(
            here + "return [e.tagName + (e.closest('nav') ? ' nav' : '') + ' ' + e.className, s.outlineStyle]"
        )
        reached.add(told[0].strip())
        assert told[1] != "none" or told[0].startswith("BODY"), told
        if told[0].startswith("BODY"):
            break
        browser.press(Keys.TAB)
    assert {"A skip", "A nav", "INPUT nav", "DIV scroll", "BUTTON sort", "SELECT", "INPUT"} <= {
        name.replace("DIV scroll more", "DIV scroll") for name in reached
    }
    browser.look(pages["report"])
    browser.press(Keys.TAB, Keys.ENTER)
    assert browser.js("return document.activeElement.id") == "main"


def test_a_page_without_scripts_is_read_as_it_stands(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["report"].read_text(encoding="utf-8")
    silent = tmp_path / "silent.html"
    silent.write_text(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL), encoding="utf-8")
    browser.look(silent, 400)
    assert browser.js("return document.documentElement.scrollWidth") <= 400
    assert all(not one.is_displayed() for one in browser.driver.find_elements("css selector", ".scripted"))
    assert browser.find(".unscripted").is_displayed() and browser.find("#table-glance").is_displayed()
    browser.find("#table-glance tbody a[data-score]").click()
    assert browser.find(":target").is_displayed()  # a browser unfolds by itself what a link leads to


def test_five_thousand_samples_are_fast_and_small(browser: Browser, tmp_path: Path) -> None:
    fake = FakeRun(texts=500).fill()
    assert sum(len(samples) for _, samples, _, _ in fake.cells) == 5_000
    page = reports.write(fake.write(tmp_path / "run"))["html"]
    assert page.stat().st_size < 10_000_000
    milliseconds = []
    for _ in range(3):
        browser.look(page)
        milliseconds.append(browser.js("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert browser.find(".browser .count").text == "500 of 500 documents, 20 shown"
    assert 0 < min(milliseconds) < 2_000
    search = """const field = document.querySelector('.browser input[name=query]'), times = [];
      for (const query of ['waiter', 'blue cup', 'nothing of this kind']) {
        const begun = performance.now();
        field.value = query;
        field.dispatchEvent(new Event('input', { bubbles: true }));
        document.body.getBoundingClientRect();
        times.push(performance.now() - begun);
      }
      return times"""
    times = browser.js(search)
    assert browser.find(".browser .count").text == "0 of 500 documents, 0 shown" and max(times) < 500
    print(f"{page.stat().st_size / 1e6:.1f} MB, loaded in {min(milliseconds):.0f} ms, searched in {max(times):.0f} ms")
