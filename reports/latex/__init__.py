"""Reports as LaTeX: a document that compiles, and tables that fit into the documents of others.

Needs booktabs and what every LaTeX has (graphicx). All output is ASCII, so no input or font encoding matters.
"""

from reports.latex.document import tables, write
from reports.latex.escaping import breakable, escape
from reports.latex.layouts import COLUMN, LAYOUTS, PAPER, Layout, layout_named
from reports.latex.tables import table

__all__ = ["COLUMN", "LAYOUTS", "PAPER", "Layout", "breakable", "escape", "layout_named", "table", "tables", "write"]
