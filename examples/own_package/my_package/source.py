# my_package/source.py
import csv
from dataclasses import dataclass
from pathlib import Path
from baselines.contract import Document, UserError


@dataclass(frozen=True)
class Options:
    file: str = "table.csv"


class Table:
    """A CSV file with the columns id, split, source and target."""

    Options, version = Options, "1"

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self, task, split, limit=None):
        if not Path(self.options.file).is_file():
            raise UserError(f"There is no file {self.options.file}; name one with --set data.file=FILE.")
        with open(self.options.file, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        return [Document(r["id"], r["source"], r["target"], (r["target"],)) for r in rows[:limit]]
