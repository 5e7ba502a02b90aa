"""The report as one HTML page that needs nothing else: no scripts, no fonts, no other files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from reports.content import Report
from reports.figures import Picture
from reports.table import Bar, Column, Table
from reports.templating import printable


def write(report: Report, picture: Picture, study: Picture | None = None, more: Sequence[Picture] = ()) -> str:
    """The page, with the picture drawn inline, that of a study where there is one, and more."""
    page = _template("report.html")
    drawn = None if study is None else Markup(study.themed)
    said = "" if study is None else study.caption
    figure = Markup(picture.themed)
    others = [(one.name, one.title, Markup(one.themed), one.caption) for one in more]
    return page.render(
        report=report, figure=figure, caption=picture.caption, study=drawn, study_caption=said, more=others
    )


def write_speed(
    title: str,
    facts: Sequence[str],
    bars: Sequence[Bar],
    tables: Sequence[Table],
    picture: Picture | None = None,
) -> str:
    """The page of a measurement of speed."""
    drawn = None if picture is None else Markup(picture.themed)
    said = "" if picture is None else picture.caption
    return _template("speed.html").render(
        title=title, facts=facts, bars=bars, tables=tables, figure=drawn, caption=said
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
    return _template("comparison.html").render(
        title=title, findings=findings, facts=facts, tables=tables, refused=refused, reading=reading
    )


def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(groups=groups, path=quote, shown=printable, breaking=breaking)
    return environment.get_template(name)


def groups(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    """The headings over the columns and how many columns each spans."""
    return [(group, len(list(members))) for group, members in groupby(columns, key=lambda column: column.group)]


def breaking(title: str) -> Markup:
    """A column's title that may be broken after an underscore."""
    return escape(title).replace("_", Markup("_<wbr>"))
