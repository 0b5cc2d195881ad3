"""Sheets for a blind comparison, and what is counted from the judgements."""

import json

import numpy as np
import pytest
from PIL import Image

from training.evaluation import blind
from training.evaluation.blind import choose, count, read_judgements, wilson

COLOURS = {"masked": 128, "ours": 50, "theirs": 200}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two sets of six photos with two holes each: a plain gray for each method."""
    root = tmp_path_factory.mktemp("pictures")
    for name, level in COLOURS.items():
        for path in [f"{s}/{hole}/{n:04d}.png" for s in ("a", "b") for hole in ("20-30", "40-50") for n in range(6)]:
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), (level, level, level)).save(root / name / path)
    return {name: root / name for name in COLOURS}


def results(folders):
    return {name: folders[name] for name in ("ours", "theirs")}


def test_rows_mix_sets_and_holes_and_no_photo_comes_twice(folders):
    key = choose(folders["masked"], results(folders), 8, np.random.default_rng(0))
    groups = [row["image"].rpartition("/")[0] for row in key]
    assert {group: groups.count(group) for group in groups} == {
        f"{name}/{hole}": 2 for name in "ab" for hole in ("20-30", "40-50")
    }
    assert groups != sorted(groups)
    photos = [(row["image"].partition("/")[0], row["image"].rpartition("/")[2]) for row in key]
    assert len(set(photos)) == 8
    assert all({row["A"], row["B"]} == {"ours", "theirs"} for row in key)
    assert 0 < sum(row["A"] == "ours" for row in key) < 8
    assert choose(folders["masked"], results(folders), 8, np.random.default_rng(0)) == key
    assert choose(folders["masked"], results(folders), 8, np.random.default_rng(1)) != key
    with pytest.raises(ValueError, match="`rows` is 13, but only 12 photos"):
        choose(folders["masked"], results(folders), 13, np.random.default_rng(0))


def test_from_sheets_to_counts(folders, tmp_path, capsys):
    key_file = tmp_path / "apart.json"
    given = [f"{name}={folders[name]}" for name in ("ours", "theirs")]
    output = ["--output_dir", str(tmp_path / "sheets"), "--key", str(key_file)]
    blind.main(["sheet", "--masked", str(folders["masked"]), "--results", *given, "--rows", "10", *output])
    key = json.loads(key_file.read_text())
    pages = sorted((tmp_path / "sheets").glob("page_*.png"))
    assert [path.name for path in pages] == ["page_01.png", "page_02.png", "page_03.png"]
    page = np.asarray(Image.open(pages[0]))
    assert page.shape == (18 + 4 * 64, 3 * 64, 3)
    for number, row in enumerate(key[:4]):  # the key says what is shown
        levels = page[18 + number * 64 + 32, [32, 96, 160], 0].tolist()
        assert levels == [COLOURS["masked"], COLOURS[row["A"]], COLOURS[row["B"]]]

    template = tmp_path / "sheets" / "judgements.csv"
    lines = template.read_text().splitlines()
    assert lines[:2] == ["row,choice", "1,"]
    sides = {row["A"]: "A" for row in key[:1]} | {row["B"]: "B" for row in key[:1]}
    choices = [sides["ours"]] + ["A" if row["A"] == "theirs" else "B" for row in key[1:4]] + ["="] * 6
    template.write_text("row,choice\n" + "".join(f"{n},{choice}\n" for n, choice in enumerate(choices, start=1)))
    capsys.readouterr()
    blind.main(["count", "--key", str(key_file), "--judgements", str(template)])
    shown = capsys.readouterr().out
    assert "ours: preferred in 1 of 10; of the decided ones 25%, 95 % interval 5% to 70%" in shown
    assert "theirs: preferred in 3 of 10; of the decided ones 75%" in shown
    assert "undecided: 6" in shown
    counts = count(key, choices)
    assert sum(sum(of_set.values()) for of_set in counts["by_set"].values()) == 10


def test_the_interval_is_wilsons():
    # Of 24 of 40; Wilson (1927), as in R's prop.test(24, 40, correct = FALSE)
    assert wilson(24, 40) == pytest.approx([0.6, 0.4460, 0.7365], abs=5e-4)
    assert wilson(0, 10)[1] == 0
    assert wilson(10, 10)[2] == pytest.approx(1)
    assert wilson(0, 0) == [0.5, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,choice\n1,A\n", "lack the rows 2"),
        ("row,choice\n1,A\n1,B\n", "once as A, B or =: got .*'row': '1'"),
        ("row,choice\n1,A\n3,B\n", "from 1 to 2 once"),
        ("row,choice\n1,A\n2,ours\n", "got .*'choice': 'ours'"),
        ("row,choice\n1,A\n2,\n", "got .*'choice': ''"),
        ("", "lack the rows 1, 2"),
    ],
)
def test_judgements_that_do_not_fit_the_key_are_refused(tmp_path, text, message):
    path = tmp_path / "judgements.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_judgements(path, 2)


def test_the_command_says_what_is_wrong(folders, tmp_path, capsys):
    given = [f"{name}={folders[name]}" for name in ("ours", "theirs")]
    with pytest.raises(SystemExit):
        blind.main(["sheet", "--masked", str(folders["masked"]), "--results", *given, "--key", str(tmp_path / "key")])
    assert "error: `rows` is 40, but only 12 photos" in capsys.readouterr().err
    assert not (tmp_path / "key").exists()
