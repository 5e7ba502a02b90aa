"""Write what is made of published records again: reports, the index, and the tables of the README and of docs/."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from baselines.contract import UserError
from reports.publishing import excerpts, index, pages
from reports.publishing.pack import pack
from reports.templating import save

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "published"
TEXTS = (ROOT / "README.md", ROOT / "docs" / "speed.md")  # that have tables of records


def write() -> list[Path]:
    """Write the reports, the index and the tables; returns the files, and the folders of reports of runs.

    Raises:
        UserError: records are damaged, or a table asks for what they have not.
    """
    reports = pages.write(PUBLISHED, ROOT)
    entries, readmes = index.published(PUBLISHED), index.described(PUBLISHED)
    filled = [(path, excerpts.fill(path.read_text(encoding="utf-8"), PUBLISHED)) for path in TEXTS]
    return [
        *reports,
        save(PUBLISHED / "index.html", index.page(entries, readmes)),
        save(PUBLISHED / "README.md", index.markdown(entries, readmes)),
        *(save(path, text) for path, text in filled),
    ]


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m reports.publishing", description=__doc__)
    parser.add_argument(
        "--pack", nargs=2, metavar=("RUN", "FOLDER"),
        help="first pack the records of a run into FOLDER below reports/published, for example nano/detox",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    try:
        made = [pack(Path(asked.pack[0]), PUBLISHED / asked.pack[1])] if asked.pack else []
        made += write()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(*made, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
