"""Tables of chosen columns and rows have the report's numbers; what is not there is said in one sentence."""

import csv
import io
from dataclasses import replace

import pandas
import pytest

import reports
from baselines.contract import UserError
from benchmarks.cli.main import main
from reports import content, csv_files, latex
from reports.paper.choice import TableChoice, chosen, parse_digits
from reports.paper.layouts import PAPER_TABLES
from reports.paper.published import STORY, SUMMARY

STORY_METRICS = {"J": "mauve", "STA": "diversity", "rudeness left": "memorisation", "BLEU": "perplexity"}


@pytest.fixture(scope="module")
def report(run_folder):
    return content.build(run_folder, run_folder / "report")


def as_story(run):
    """The run with the metrics of stories in place of its own."""
    for place, (header, samples, timings, scores) in enumerate(run.cells):
        renamed = [replace(score, metric=STORY_METRICS.get(score.metric, score.metric)) for score in scores]
        run.cells[place] = (header, samples, timings, renamed)
    return run


def cells(table):
    return {row.key: row.cells for block in table.blocks for row in block.rows}


def test_chosen_numbers_are_those_of_the_report(report):
    (table,) = chosen(report, TableChoice(columns=("BLEU", "throughput"), rows=("gpt2/greedy", "cosmos")))
    assert [column.key for column in table.columns] == ["BLEU", "throughput"]
    assert [row.key for block in table.blocks for row in block.rows] == ["gpt2/greedy", "cosmos/fast", "cosmos/best"]
    scores = cells(report.sections[0].scores)
    place = [column.key for column in report.sections[0].scores.columns].index("BLEU")
    assert all(row[0] == scores[key][place] for key, row in cells(table).items())
    assert any("of which 3 are shown" in line for line in table.brief)


def test_rows_stand_in_the_order_that_was_typed(report):
    patterns = ("mdlm/*", "gpt2/sam*")
    (table,) = chosen(report, TableChoice(rows=patterns))
    assert list(cells(table)) == ["mdlm/steps-8", "mdlm/steps-32", "gpt2/sampled"]
    assert next(iter(cells(chosen(report, TableChoice(rows=patterns[::-1]))[0]))) == "gpt2/sampled"


def test_digits_and_captions_are_those_that_were_typed(report):
    choice = TableChoice(columns=("BLEU", "J"), digits=parse_digits("1,J=4"), caption="100 % ours")
    (table,) = chosen(report, choice)
    for bleu, j in cells(table).values():
        assert len(bleu.text.partition(".")[2]) == 1 and float(bleu.text) == pytest.approx(bleu.value, abs=0.0501)
        assert len(j.text.partition(".")[2]) == 4 and float(j.text) == pytest.approx(j.value, abs=0.0000501)
        assert j.interval in ("", f"[{j.low:.4f}, {j.high:.4f}]")
    assert r"\caption{100 \% ours}" in latex.table(table)


def test_a_csv_has_the_numbers_in_full(report):
    (table,) = chosen(report, TableChoice(columns=("J", "parameters")))
    rows = list(csv.DictReader(io.StringIO(csv_files.table(table))))
    shown = cells(table)
    assert [row["name"] for row in rows] == list(shown)
    for row in rows:
        j, parameters = shown[row["name"]]
        assert float(row["J"]) == pytest.approx(j.value, rel=1e-11)
        assert (row["J low"] == "") if j.low is None else (float(row["J low"]) == pytest.approx(j.low, rel=1e-11))
        head = next(name for name in row if name.startswith("Trained parameters"))
        assert head == "Trained parameters (M)" and float(row[head]) * 1e6 == pytest.approx(parameters.value)


@pytest.mark.parametrize("task", ["story", "detox"])
def test_published_values_stand_apart_and_only_beside_their_own_task(task, fake_run, tmp_path):
    fake_run.task_label = task
    folder = as_story(fake_run.fill()).write(tmp_path / "run")
    (table,) = chosen(content.build(folder, tmp_path), TableChoice("story"))
    assert [column.title for column in table.columns] == ["MAUVE", "PPL", "Div", "Mem"]
    blocks = {block.title: block for block in table.blocks}
    published = [block for title, block in blocks.items() if title.startswith("Published")]
    if task == "detox":
        assert published == [] and not any("arXiv" in line for line in table.brief)
        return
    assert list(blocks.values())[-2:] == published
    assert all("arXiv:" in block.title and "ROCStories" in block.title for block in published)
    assert all(not cell.mark and not cell.interval for block in published for row in block.rows for cell in row.cells)
    best = next(row for row in published[0].rows if row.title == "Cosmos")
    assert [cell.text for cell in best.cells] == ["0.940", "26.3", "0.346", "–"]
    assert any("for orientation, not for comparison" in line for line in table.brief)
    assert any("MAUVE, by world grammar 1" in line for line in table.brief)


def test_every_published_value_is_in_a_column_of_its_table():
    for name, blocks in (("story", STORY), ("summary", SUMMARY)):
        heads = {column.head for column in PAPER_TABLES[name].columns}
        for block in blocks:
            assert block.rows and all(row.values.keys() <= heads and row.values for row in block.rows)
            assert all(float(value) > 0 for row in block.rows for value in row.values.values())


def test_a_paper_s_shares_are_of_a_hundred(fake_run, tmp_path):
    fake_run.task_label = "summary"
    fake_run.fill()
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        fake_run.cells[place] = (
            header,
            samples,
            timings,
            [replace(s, metric={"J": "rouge_l"}.get(s.metric, s.metric)) for s in scores],
        )
    (table,) = chosen(content.build(fake_run.write(tmp_path / "run"), tmp_path), TableChoice("summary"))
    place = [column.title for column in table.columns].index("R-L")
    cell = cells(table)["gpt2/greedy"][place]
    assert 50 < cell.value < 100 and cell.low < cell.value < cell.high and cell.text == f"{cell.value:.1f}"
    assert any(line.startswith("Not measured here: R-1") for line in table.brief)


def test_without_values_of_its_own_a_table_is_refused(report):
    with pytest.raises(UserError, match="no number of the table summary; choose another one, or --columns from"):
        chosen(report, TableChoice("summary"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--table", "stori"), "There is no table 'stori'; choose from story, summary, question, detox and time."),
        (("--layout", "big"), "There is no layout 'big'; choose from paper, column and wide."),
        (("--columns", "blue"), "There is no column 'blue' in this run; choose from J, latency, "),
        (("--rows", "gpt3"), "There is no row 'gpt3' in this run; choose from gpt2/greedy, gpt2/sampled, mdlm/steps-8"),
        (("--digits", "x=q"), "Digits are a number from 0 to 9, or COLUMN=NUMBER with commas; 'x=q' is neither."),
        (("--columns", "J", "--digits", "STA=1"), "There is no column 'STA' in this table, to have digits"),
        (("--table", "time", "--columns", "J"), "The table time has its own columns; leave out either"),
        (("--label-prefix", "a b"), "A label begins with letters, digits and : . _ - alone; 'a b' has something else."),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(words, said, run_folder, capsys):
    assert main(["report", "--out", str(run_folder), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_table_is_a_file_called_as_its_label(run_folder, capsys, tmp_path):
    words = ["--table", "time", "--layout", "column", "--label-prefix", "mine"]
    assert main(["report", "--out", str(run_folder), *words]) == 0
    paths = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert paths.keys() == {"latex", "csv"}
    written = (run_folder / "report/mine-time.tex").read_text()
    assert r"\label{tab:mine-time}" in written and r"\begin{table}" in written and "table*" not in written
    for path in paths.values():
        (run_folder / "report" / path.rpartition("/")[2]).unlink()  # other tests look at what lies there


def test_each_section_is_a_csv_of_its_own_that_pandas_reads(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, cell=replace(header.cell, limit=20)), *rest)
    folder = fake_run.write(tmp_path / "run")
    sections = content.build(folder, tmp_path).sections
    assert len(sections) == 2
    written = reports.write_table(folder, TableChoice(columns=("J", "calls")), tmp_path / "out", label_prefix="p")
    assert {kind: path.name for kind, path in written.items()} == {
        "latex": "p-chosen.tex", "csv-1": "p-chosen-1.csv", "csv-2": "p-chosen-2.csv",
    }  # fmt: skip
    for number, section in enumerate(sections, start=1):
        frame = pandas.read_csv(written[f"csv-{number}"])
        rows = [row for block in section.glance.blocks for row in block.rows]
        assert list(frame["cell"]) == [row.cell_id for row in rows]
        assert frame["J"].dtype == float  # a head among the rows would make it text


def test_a_csv_says_what_stands_under_a_paper_s_head(fake_run, tmp_path):
    fake_run.fill()
    names = {"J": "j_profanity", "STA": "sta_profanity", "BLEU": "bleu"}
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        renamed = [replace(score, metric=names.get(score.metric, score.metric)) for score in scores]
        fake_run.cells[place] = (header, samples, timings, renamed)
    folder = fake_run.write(tmp_path / "run")
    path = reports.write_table(folder, TableChoice("detox"), tmp_path / "out")["csv"]
    heads = list(pandas.read_csv(path).columns)
    assert {"STA [sta_profanity]", "STA [sta_profanity] low", "J [j_profanity]", "BLEU"} <= set(heads)
