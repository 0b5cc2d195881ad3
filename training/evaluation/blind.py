"""A blind comparison by eye of two methods: sheets without labels, and counts of what was preferred.

    python training/evaluation/blind.py sheet --masked RUN/pictures/masked \\
      --results ours=RUN/pictures/model-ours patchmatch=RUN/pictures/patchmatch --output_dir runs/blind --key key.json
    python training/evaluation/blind.py count --key key.json --judgements judgements.csv

The folders are those of `evaluate.py`, `SET/LOW-HIGH/NAME.png`. Whoever judges sees the sheets and not the key.
"""

import argparse
import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from edgeconnect_hf.pictures import read_file
from training.evaluation.config import read_named
from training.evaluation.report import image_grid

_ROWS_PER_PAGE = 4
_CHOICES = ("A", "B", "=")


def choose(masked: Path, results: Mapping[str, Path], rows: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """The rows of a sheet: photos at random, sets and hole sizes in turn, no photo twice.

    Args:
        masked (`Path`): folder of the images with holes.
        results (`Mapping[str, Path]`): the folders of two methods by name.
        rows (`int`): how many.
        rng (`np.random.Generator`): source of randomness.

    Returns:
        The key: for each row its image's path in the folders, and the names of the methods `A` and `B`.

    Raises:
        ValueError: there are not so many photos with results of both.
    """
    paths = [path.relative_to(masked).as_posix() for path in sorted(masked.rglob("*.png"))]
    paths = [path for path in paths if all((folder / path).is_file() for folder in results.values())]
    groups: dict[str, list[str]] = {}  # by set and hole size
    for path in rng.permutation(np.array(paths, dtype=str)).tolist():
        groups.setdefault(path.rpartition("/")[0], []).append(path)
    chosen: dict[tuple[str, str], str] = {}  # by set and image
    while len(chosen) < rows and any(groups.values()):
        for group in sorted(groups):
            while groups[group]:
                path = groups[group].pop()
                photo = (path.partition("/")[0], path.rpartition("/")[2])
                if photo not in chosen:
                    if len(chosen) < rows:
                        chosen[photo] = path
                    break
    if len(chosen) < rows:
        raise ValueError(f"`rows` is {rows}, but only {len(chosen)} photos have a hole and results of both methods.")
    key = []
    for path in rng.permutation(np.array(list(chosen.values()))).tolist():
        first, second = rng.permutation(list(results)).tolist()
        key.append({"image": path, "A": first, "B": second})
    return key


def pages(masked: Path, results: Mapping[str, Path], key: Sequence[Mapping[str, str]]) -> list[Image.Image]:
    """The sheets: the photo with its hole, A, B, four rows a page, numbered from 1."""
    sheets = []
    for start in range(0, len(key), _ROWS_PER_PAGE):
        rows = key[start : start + _ROWS_PER_PAGE]
        columns = {
            "photo": [_numbered(_load(masked / row["image"]), start + n) for n, row in enumerate(rows, start=1)],
            **{side: [_load(results[row[side]] / row["image"]) for row in rows] for side in ("A", "B")},
        }
        sheets.append(image_grid(columns))
    return sheets


def _load(path: Path) -> npt.NDArray[np.uint8]:
    return np.array(read_file(path, str(path)))


def _numbered(image: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.uint8]:
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, 24, 14), fill="white")
    draw.text((4, 2), str(number), fill="black")
    return np.asarray(canvas)


def read_judgements(path: Path, rows: int) -> list[str]:
    """`A`, `B` or `=` (no preference) for each row, from a CSV file with the columns `row` and `choice`.

    Raises:
        ValueError: a row is missing, twice there or unknown, or a choice is none of the three.
    """
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    choices: dict[int, str] = {}
    for line in lines:
        row, choice = ((line.get(name) or "").strip() for name in ("row", "choice"))
        if not row.isdecimal() or not 1 <= int(row) <= rows or int(row) in choices or choice not in _CHOICES:
            raise ValueError(
                f"`judgements` {str(path)!r} must give each row from 1 to {rows} once as A, B or =: got {dict(line)}."
            )
        choices[int(row)] = choice
    if missing := [str(row) for row in range(1, rows + 1) if row not in choices]:
        raise ValueError(f"`judgements` {str(path)!r} lack the rows {', '.join(missing)}.")
    return [choices[row] for row in range(1, rows + 1)]


def count(key: Sequence[Mapping[str, str]], choices: Sequence[str]) -> dict[str, Any]:
    """How often each method was preferred.

    Returns:
        `rows`, `undecided`, `preferred` (method -> number), `by_set` (set -> method -> number), and of the decided rows
        each method's `share` with its 95 % interval, `[share, lowest, highest]`.
    """
    names = sorted({key[0]["A"], key[0]["B"]})
    winners = [row[choice] if choice != "=" else "" for row, choice in zip(key, choices, strict=True)]
    preferred = {name: winners.count(name) for name in names}
    decided = sum(preferred.values())
    by_set: dict[str, Counter[str]] = {}
    for row, winner in zip(key, winners, strict=True):
        by_set.setdefault(row["image"].partition("/")[0], Counter())[winner or "undecided"] += 1
    return {
        "rows": len(key),
        "undecided": winners.count(""),
        "preferred": preferred,
        "by_set": {name: dict(sorted(of_set.items())) for name, of_set in sorted(by_set.items())},
        "share": {name: wilson(number, decided) for name, number in preferred.items()},
    }


def wilson(successes: int, trials: int, z: float = 1.96) -> list[float]:
    """A share and its 95 % interval by Wilson's score (1927): `[share, lowest, highest]`; 0 to 1 without trials."""
    if trials == 0:
        return [0.5, 0.0, 1.0]
    share = successes / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return [share, max(0.0, middle - half), min(1.0, middle + half)]


def make_sheets(arguments: argparse.Namespace) -> None:
    """Writes the pages and a file for the judgements to `output_dir`, the key to `key`."""
    results = {name: Path(folder) for name, folder in read_named("results", arguments.results).items()}
    if len(results) != 2:
        raise ValueError(f"`results` must name two methods: got {', '.join(results)}.")
    key = choose(arguments.masked, results, arguments.rows, np.random.default_rng(arguments.seed))
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(pages(arguments.masked, results, key), start=1):
        page.save(arguments.output_dir / f"page_{number:02d}.png")
    lines = ["row,choice", *(f"{row}," for row in range(1, len(key) + 1))]
    (arguments.output_dir / "judgements.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments.key.write_text(json.dumps(key, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {arguments.output_dir}: fill in judgements.csv with A, B or =, and keep {arguments.key} apart.")


def print_counts(arguments: argparse.Namespace) -> None:
    """Prints what `count` gives."""
    key = json.loads(arguments.key.read_text(encoding="utf-8"))
    counts = count(key, read_judgements(arguments.judgements, len(key)))
    for name, (share, low, high) in counts["share"].items():
        print(
            f"{name}: preferred in {counts['preferred'][name]} of {counts['rows']}; of the decided ones {share:.0%}, "
            f"95 % interval {low:.0%} to {high:.0%}"
        )
    print(f"undecided: {counts['undecided']}; by set: {json.dumps(counts['by_set'])}")


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line: `sheet` and `count`."""
    parser = argparse.ArgumentParser(prog="blind.py", description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    sheet = commands.add_parser("sheet", help="write the sheets and the key")
    sheet.add_argument("--masked", type=Path, required=True, help="folder of the images with holes")
    sheet.add_argument("--results", nargs=2, required=True, metavar="NAME=FOLDER", help="the two methods")
    sheet.add_argument("--rows", type=int, default=40, help="holes to judge; by default 40")
    sheet.add_argument("--seed", type=int, default=0, help="of the choice and the order; by default 0")
    sheet.add_argument("--output_dir", type=Path, default=Path("runs/blind"), help="folder of the sheets")
    sheet.set_defaults(run=make_sheets)
    counts = commands.add_parser("count", help="count the judgements")
    counts.add_argument("--judgements", type=Path, required=True, help="CSV file: row, choice (A, B or =)")
    counts.set_defaults(run=print_counts)
    for command in (sheet, counts):
        command.add_argument("--key", type=Path, required=True, help="JSON file: which side was which")
    arguments = parser.parse_args(command_line)
    try:
        arguments.run(arguments)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
