"""The notebook of `examples/`, run as it stands."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "reading_a_run.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_and_shows_scores_a_figure_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # kept without what a run leaves in it
    # The limit ends a kernel that hangs; none of what is asserted depends on it.
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell.id: output.data for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output}
    assert "exact_j" in shown["table"]["text/plain"] and "delete" in shown["table"]["text/plain"]
    assert "image/png" in shown["figure"]
    assert "reference" in shown["samples"]["text/plain"]
