"""Reports as HTML pages that need nothing else: no fonts, no files, and one script for what is more than reading.

A page says by a policy of its own that it loads nothing and that no other script may run, whatever the texts hold that
are shown.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.content import Report
from reports.figures import Picture
from reports.html.origins import Origin, origins
from reports.html.samples import SampleData, sample_data
from reports.table import Bar, Column, RowGroup, Table
from reports.templating import printable

SCRIPT = "page.js"
SAMPLE_BYTES = 7_000_000
"""The most that the samples of all panels take of a page, which with all else stays below 10 MB."""


FIRST = ("figure", "study")  # the figures that stand among the sentences, where the records have something for them


def write(report: Report, wide: Mapping[str, Picture], narrow: Mapping[str, Picture]) -> str:
    """The page, with its figures drawn inline.

    Args:
        wide, narrow: the figures by name (`reports.pictures`), as wide pages and as narrow ones show them.
    """
    share = SAMPLE_BYTES // max(1, len(report.sections))
    data: list[SampleData | None] = [sample_data(s.panel, s.documents, share) for s in report.sections]
    behind: list[tuple[Origin, ...]] = [origins(section.panel, report.sources) for section in report.sections]
    figures = {name: PageFigure.of(name, picture, narrow[name]) for name, picture in wide.items()}
    return render(
        "report.html",
        report=report,
        sections=list(zip(report.sections, data, behind, strict=True)),
        linked={origin.id for every in behind for origin in every},
        first=[figures[name] for name in FIRST if name in figures],
        more=[figure for name, figure in figures.items() if name not in FIRST],
    )


def write_speed(
    title: str,
    facts: Sequence[str],
    bars: Sequence[Bar],
    tables: Sequence[Table],
    figure: PageFigure | None = None,
) -> str:
    """The page of a measurement of speed."""
    return render(
        "speed.html",
        title=title,
        facts=facts,
        bars=bars,
        tables=tables,
        figure=figure,
    )


def write_comparison(
    title: str,
    findings: Sequence[str],
    facts: Sequence[str],
    tables: Sequence[Table],
    refused: Sequence[str],
    reading: Sequence[str],
) -> str:
    """The page of a comparison of two sides."""
    return render(
        "comparison.html", title=title, findings=findings, facts=facts, tables=tables, refused=refused, reading=reading
    )


def render(name: str, **values: Any) -> str:
    """A page of one of the templates, every one of which stands in the same frame."""
    return _environment().get_template(name).render(script=Markup(_script()), script_hash=script_hash(), **values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        groups=groups, path=quote, shown=printable, breaking=breaking, ranked=best_first, first_sentence=first_sentence
    )
    return environment


@functools.cache
def _script() -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, SCRIPT)[0]


def script_hash() -> str:
    """Of the one script that a page may run, as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()


@dataclass(frozen=True)
class PageFigure:
    """A figure as it stands in a page: a wide page shows one of its drawings, a narrow one the other.

    Attributes:
        name: what the ids of its own begin with.
    """

    name: str
    title: str
    caption: str
    wide: Markup
    narrow: Markup

    @classmethod
    def of(cls, name: str, wide: Picture, narrow: Picture) -> PageFigure:
        """A figure that was drawn in two sizes."""
        drawings = inline(wide.themed, f"{name}-"), inline(narrow.themed, f"{name}-narrow-")
        return cls(name, wide.title, wide.caption, *drawings)


def inline(svg: str, prefix: str) -> Markup:
    """A drawing for a page that holds others too: matplotlib gives all of them the same ids."""
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    return Markup(re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", svg))


def groups(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    """The headings over the columns and how many columns each spans."""
    return [(group, len(list(members))) for group, members in groupby(columns, key=lambda column: column.group)]


def breaking(title: str) -> Markup:
    """A column's title that may be broken after an underscore."""
    return escape(title).replace("_", Markup("_<wbr>"))


def best_first(content: Table) -> Table:
    """A table whose rows are in the order of its first column, the best of each block first."""
    if not content.columns or content.columns[0].direction == "none":
        return content
    sign = -1 if content.columns[0].direction == "higher" else 1

    def ordered(block: RowGroup) -> RowGroup:
        values = [(row.cells[0].value, row) for row in block.rows]
        valued = [(sign * value, row) for value, row in values if value is not None]
        rows = [row for _, row in sorted(valued, key=lambda pair: pair[0])]
        return replace(block, rows=(*rows, *(row for value, row in values if value is None)))

    return replace(content, blocks=tuple(map(ordered, content.blocks)))


def first_sentence(text: str) -> str:
    """What a picture is called where its caption would be too much."""
    return text.partition(". ")[0].rstrip(".")
