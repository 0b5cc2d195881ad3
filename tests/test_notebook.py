"""docs/edgeconnect.ipynb runs anywhere, and is committed with small outputs."""

import re
from pathlib import Path

import pytest

pytest.importorskip("ipykernel", reason="the notebook runs in its kernel")
pytest.importorskip("nbclient", reason="it runs the notebook")

import nbformat
from nbclient import NotebookClient

from edgeconnect_hf.hub.card import INSTALL

NOTEBOOK = Path(__file__).parent.parent / "docs" / "edgeconnect.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return notebook


def shown(notebook: nbformat.NotebookNode) -> list[list[list[str]]]:
    """For each cell, the media types of each output; none for a stream or an error."""
    return [[sorted(output.get("data", ())) for output in cell.get("outputs", ())] for cell in notebook.cells]


@pytest.mark.slow
def test_it_runs_elsewhere_and_shows_pictures_where_the_committed_one_does(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "IPYTHONDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    committed = shown(notebook)
    assert sum("image/jpeg" in types for cell in committed for types in cell) >= 8
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()  # empties the outputs first
    assert shown(notebook) == committed


def test_the_committed_outputs_are_small_and_name_no_machine(notebook):
    assert INSTALL in notebook.cells[0].source
    assert NOTEBOOK.stat().st_size <= 600_000
    for cell in notebook.cells:
        assert "execution" not in cell.metadata  # the times when it ran
        for output in cell.get("outputs", ()):
            assert output.output_type == "execute_result"  # no stream
            output.data.pop("image/jpeg", None)  # base64 has slashes
    assert re.findall(r"(?<![\w:/])/\w+/|[A-Z]:\\|file:", nbformat.writes(notebook)) == []
