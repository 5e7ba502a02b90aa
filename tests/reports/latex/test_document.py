"""The LaTeX report compiles with pdflatex and nothing but booktabs, whatever is in the records."""

import re
import shutil
import subprocess

import pytest

needs_pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed; the structure of the document was tested"
)


def packages(text: str) -> set[str]:
    return set(re.findall(r"\\usepackage(?:\[.*?\])?\{(.*?)\}", text))


@pytest.mark.parametrize("which", ["run_report", "nasty_report"])
def test_structure(which, request):
    """Environments nest, every row has as many cells as its table has columns, and all is ASCII."""
    path = request.getfixturevalue(which)["latex"]
    document, tables = path.read_text(), (path.parent / "tables.tex").read_text()
    assert packages(document) == {"booktabs", "graphicx"}
    assert r"\input{tables}" in document
    for text in (document, tables):
        assert text.isascii()
        opened = []
        for kind, name in re.findall(r"(?<!\\)\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert not opened
    for columns, body in re.findall(r"\\begin\{tabular\}\{@\{\}(l\w*)@\{\}\}(.*?)\\end\{tabular\}", tables, re.DOTALL):
        rows = [row for row in body.split("\n") if " & " in row]
        assert len(rows) > 3
        assert all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)


@needs_pdflatex
@pytest.mark.parametrize("which", ["run_report", "nasty_report"])
def test_compiles_and_fits(which, request, tmp_path):
    folder = request.getfixturevalue(which)["latex"].parent
    for name in ("report.tex", "tables.tex", "figure.pdf"):
        shutil.copy(folder / name, tmp_path)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "mktexpk" not in done.stderr, "a font was asked for that a plain installation does not have"
    wide = [float(width) for width in re.findall(r"Overfull \\hbox \((.*?)pt too wide\)", done.stdout)]
    assert max(wide, default=0.0) < (2.0 if which == "run_report" else 500.0)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_wide_table_is_split(fake_run, tmp_path):
    from dataclasses import replace

    import reports

    fake_run.texts = 12
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    many = [replace(scores[0], metric=f"metric {number}") for number in range(19)]
    fake_run.cells[0] = (header, samples, timings, many)
    written = reports.write(fake_run.write(tmp_path / "run"))
    tables = (written["latex"].parent / "tables.tex").read_text()
    scores = re.findall(
        r"caption\{All scores \(part (\d) of (\d)\)\}.*?begin\{tabular\}\{@\{\}(l\w*)@", tables, re.DOTALL
    )
    assert [int(part) for part, _, _ in scores] == list(range(1, int(scores[0][1]) + 1))
    assert sum(len(columns) - 1 for *_, columns in scores) == 19
