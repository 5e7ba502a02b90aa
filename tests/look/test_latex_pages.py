"""Tables in the classes that papers are written in: nothing is too wide, nothing overprints its neighbour.

With COSMOS_PICTURES=FOLDER every page is kept as a picture, to be looked at (poppler's pdftoppm).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.records.archive import unpacked
from reports import latex
from reports.content import Report, build
from reports.paper.choice import TableChoice, chosen
from reports.paper.layouts import PAPER_TABLES
from tests.reports.conftest import FakeRun

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports/published/2026-11-28-h200/detox-480s/records.tar.xz"
pytestmark = [
    pytest.mark.look,
    pytest.mark.skipif(
        shutil.which("pdflatex") is None,
        reason="pdflatex is not installed; texlive-latex-extra and texlive-publishers bring what is needed",
    ),
]


@dataclass(frozen=True)
class PaperClass:
    """A class, and the layouts that are for it."""

    head: str
    layouts: tuple[str, ...]
    needs: str = "article.cls"


def geometry(width: str, gutter: str, paper: str) -> str:
    return rf"\usepackage[{paper},textwidth={width},textheight=23cm,columnsep={gutter}]{{geometry}}"


BOTH, ALL = ("paper", "column"), ("paper", "column", "wide")
CLASSES = {
    "article": PaperClass(r"\documentclass{article}", BOTH),
    "article-12pt-a4": PaperClass(r"\documentclass[12pt,a4paper]{article}", BOTH),
    "two-column": PaperClass(r"\documentclass[twocolumn]{article}", ALL),
    "two-column-11pt-a4": PaperClass(r"\documentclass[11pt,a4paper,twocolumn]{article}", ALL),
    "ieee": PaperClass(r"\documentclass[conference]{IEEEtran}", ALL, "IEEEtran.cls"),
    "acl-like": PaperClass(  # columns of 7.7 cm
        r"\documentclass[11pt,twocolumn]{article}\usepackage{times}" + geometry("16cm", "6mm", "a4paper"),
        ALL,
        "times.sty",
    ),
    "icml-like": PaperClass(  # columns of 3.25 inches
        r"\documentclass[twocolumn]{article}\usepackage{times}" + geometry("6.75in", "0.25in", "letterpaper"), ALL
    ),
}


def crowded() -> FakeRun:
    """More entries, more metrics and longer names than anybody has, some of which cannot be broken at a space."""
    run = FakeRun(texts=12, seeds=(0, 1)).fill()
    for place, (header, samples, timings, scores) in enumerate(run.cells):
        cell = replace(header.cell, system=f"{header.cell.system}_with_a_name_that_takes_more_than_a_whole_line")
        metrics = [
            replace(score, metric=f"{score.metric}_{n}_of_many_with_long_names") for n in range(2) for score in scores
        ]
        run.cells[place] = (replace(header, cell=cell, titles={}), samples, timings, metrics)
    for copy in range(2):
        for header, samples, timings, scores in run.cells[:6]:
            cell = replace(header.cell, setting=f"{header.cell.setting}-{copy}", setting_values={"steps": copy})
            run.cells.append((replace(header, cell=cell), samples, timings, scores))
    return run


@pytest.fixture(scope="session")
def every_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Reports by name: one that was published, one that was made up, one that is too much."""
    made = tmp_path_factory.mktemp("runs")
    folders = {
        "published": unpacked(PUBLISHED),
        "plain": FakeRun(seeds=(0, 1)).fill().write(made / "plain"),
        "crowded": crowded().write(made / "crowded"),
    }
    return {name: build(folder, made / "report") for name, folder in folders.items()}


def compiled(folder: Path, head: str, *tables: str) -> str:
    """The log of a document with some text and these tables, which must have compiled."""
    for number, text in enumerate(tables):
        (folder / f"tables-{number}.tex").write_text(text, encoding="ascii")
    inputs = "\n".join(rf"Some words before a table. \input{{tables-{number}}}" for number in range(len(tables)))
    document = f"{head}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    (folder / "page.tex").write_text(document, encoding="ascii")
    for _ in range(2):  # labels are known the second time
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
            cwd=folder, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def keep_pictures(folder: Path, name: str) -> None:
    pictures = os.environ.get("COSMOS_PICTURES")
    if pictures and shutil.which("pdftoppm"):
        Path(pictures).mkdir(parents=True, exist_ok=True)
        subprocess.run(["pdftoppm", "-r", "80", "-png", folder / "page.pdf", Path(pictures) / name], check=True)


def beyond(folder: Path, limit: float) -> list[str]:
    """Words that end farther to the right than so many points, on any page."""
    out = subprocess.run(
        ["pdftotext", "-bbox", "page.pdf", "-"], cwd=folder, capture_output=True, text=True, check=True
    )
    words = re.findall(r'xMax="([\d.]+)"[^>]*>(.*?)</word>', out.stdout)
    assert words
    return [word for end, word in words if float(end) > limit]


@pytest.mark.parametrize("which", ["published", "plain", "crowded"])
@pytest.mark.parametrize("name", CLASSES)
def test_all_tables_of_a_report_fit(name: str, which: str, every_report: dict[str, Report], tmp_path: Path) -> None:
    paper = CLASSES[name]
    found = subprocess.run(["kpsewhich", paper.needs], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        pytest.skip(f"{paper.needs} is not installed")
    report = every_report[which]
    for layout in paper.layouts:
        log = compiled(tmp_path, paper.head, latex.tables(report.tables, latex.LAYOUTS[layout], report.label))
        assert re.findall(r"Overfull \\hbox.*", log) == [], layout
        assert "Float too large" not in log and "multiply" not in log and "mktexpk" not in log
        keep_pictures(tmp_path, f"{name}-{layout}-{which}")


@pytest.mark.parametrize("layout", ["paper", "column", "wide"])
def test_tables_by_name_fit(layout: str, every_report: dict[str, Report], tmp_path: Path) -> None:
    report = every_report["published"]
    tables = [table for name in PAPER_TABLES for table in chosen(report, TableChoice(name))]
    one = TableChoice(columns=("bleu", "latency", "calls"), rows=("tencdm", "gpt2/greedy"), caption="Chosen_100%")
    texts = [latex.tables([table], latex.LAYOUTS[layout], "x") for table in (*tables, *chosen(report, one))]
    log = compiled(tmp_path, CLASSES["acl-like"].head, *texts)
    assert "Overfull" not in log and "Float too large" not in log and "multiply" not in log
    keep_pictures(tmp_path, f"named-{layout}")


def test_reports_side_by_side_have_labels_of_their_own(every_report: dict[str, Report], tmp_path: Path) -> None:
    texts = [
        latex.tables(every_report[name].tables, latex.PAPER, every_report[name].label)
        for name in ("published", "plain")
    ]
    assert "multiply" not in compiled(tmp_path, CLASSES["article"].head, *texts)
    assert "multiply" in compiled(tmp_path, CLASSES["article"].head, texts[0], texts[0])  # which the log would tell


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils are not installed")
def test_nothing_is_printed_over_the_next_column(every_report: dict[str, Report], tmp_path: Path) -> None:
    """Not even what LaTeX does not count, as signs that lap over."""
    head = (
        rf"\documentclass{{article}}\usepackage[left=1in,textwidth={latex.COLUMN.width}pt,textheight=23cm]{{geometry}}"
    )
    right = 72 + latex.COLUMN.width * 72 / 72.27
    for report in every_report.values():
        tables = latex.tables(report.tables, latex.COLUMN, report.label)
        compiled(tmp_path, head, tables.replace(r"\end{table}", r"\end{table}\clearpage"))
        assert beyond(tmp_path, right + 5) == []  # a dagger laps over by less
    assert beyond(tmp_path, right - 100)
