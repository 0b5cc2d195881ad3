"""Scripted edits of lines, and what they change in the picture."""

import json

import numpy as np
import pytest
from PIL import Image
from training_runs import draw_pictures

from training.evaluation import editing
from training.evaluation.editing import KINDS, Edit, make_edit, measure
from training.evaluation.holes import Example


def example_with(edges):
    """A photo of 64x64 with a hole in its middle."""
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    return Example(np.full((64, 64, 3), 200, np.uint8), mask, edges, np.zeros_like(edges))


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_changes_lines_in_the_hole_only(kind):
    edges = np.zeros((64, 64), np.uint8)
    edges[30, 4:60] = 255  # a cornice from side to side
    edges[20:24, 40] = 255  # a short line
    example = example_with(edges)
    edit = make_edit(kind, example, np.random.default_rng(0))
    changed = edit.before != edit.after
    assert changed.any()
    assert not (changed & ~example.mask).any()
    assert np.array_equal(edit.before[~example.mask], edges[~example.mask])
    if kind == "erase":  # the longest
        assert np.array_equal(edit.before, edges)
        assert np.array_equal(np.argwhere(changed), [[30, column] for column in range(16, 48)])
    if kind == "cornice":  # it is drawn again where it was
        assert np.array_equal(np.argwhere(changed), [[30, column] for column in range(16, 48)])
        assert not edit.before[30, 16:48].any()
    if kind == "window":
        assert (np.count_nonzero(changed, axis=0) > 8).sum() >= 3  # two sides and a mullion


def test_where_there_is_no_line_nothing_is_erased():
    example = example_with(np.zeros((64, 64), np.uint8))
    edit = make_edit("erase", example, np.random.default_rng(0))
    assert np.array_equal(edit.before, edit.after)
    assert measure(edit, example.mask, example.image, example.image) == {"near": 0, "elsewhere": 0, "outside": 0}


def test_changes_are_counted_near_the_edit_elsewhere_and_outside():
    mask = np.zeros((64, 64), bool)
    mask[:, :40] = True
    before = np.zeros((64, 64), np.uint8)
    after = before.copy()
    after[:, 0] = 255  # near: the columns 0 to 8
    picture = np.zeros((64, 64, 3), np.uint8)
    other = picture.copy()
    other[:, :9] = 90
    other[:, 9:20] = 31
    other[5, 50] = (3, 6, 9)  # outside
    figures = measure(Edit("erase", before, after), mask, picture, other)
    assert figures == {"near": 90, "elsewhere": pytest.approx(11), "outside": pytest.approx(6)}


@pytest.mark.parametrize("sets", [1, 2, 3])
def test_the_command_makes_all_kinds_of_edits(tiny_pipeline, tmp_path, capsys, sets):
    tiny_pipeline.save_pretrained(tmp_path / "tiny")
    for name in "abc"[:sets]:
        draw_pictures(tmp_path / name, 2)
    folders = [str(tmp_path / name) for name in "abc"[:sets]]
    editing.main(
        [
            *("--dataset", *folders, "--model", str(tmp_path / "tiny"), "--edits", "6", "--resolution", "64"),
            *("--output_dir", str(tmp_path / "run")),
        ]
    )
    rows = json.loads((tmp_path / "run" / "editing.json").read_text())
    assert {row["set"] for row in rows} == set("abc"[:sets])
    assert [sum(row["kind"] == kind for row in rows) for kind in KINDS] == [2, 2, 2]
    assert all(row["outside"] == 0 for row in rows)  # known pixels are known
    assert any(row["near"] > row["elsewhere"] for row in rows)
    table = capsys.readouterr().out
    assert "| all | 6 |" in table
    assert table.strip() == (tmp_path / "run" / "editing.md").read_text().strip()
    with Image.open(tmp_path / "run" / "editing.png") as grid:
        assert grid.size == (6 * 64, 18 + 6 * 64)


def test_the_command_names_what_is_wrong(tmp_path, capsys):
    with pytest.raises(SystemExit):
        editing.main(["--dataset", str(tmp_path / "nowhere")])
    assert "`dataset` " in capsys.readouterr().err
