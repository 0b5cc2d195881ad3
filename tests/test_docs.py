"""The pages of docs/: their commands and Python blocks run, their links lead somewhere, the tests they name exist.

A block stands under `<!-- not run: why -->` where it uploads, serves, or takes long; then its flags are looked up.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from edgeconnect_hf.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [page for pattern in ("*.md", "docs/*.md", "[a-z]*/README.md") for page in sorted(ROOT.glob(pattern))]
PAGES.remove(ROOT / "model_card.md")  # tests/test_package.py
EXAMPLES = ROOT / "edgeconnect_hf" / "examples"


@dataclass(frozen=True)
class Block:
    """A block of bash or Python: why it is not run, if it is not, and its text."""

    reason: str | None
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line, continued ones together, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(page: Path) -> Iterator[Block]:
    pattern = r"^( *)(?:<!-- not run: (.+?) -->\n *)?```(bash|python)\n(.*?)^ *```"
    for indent, reason, language, text in re.findall(pattern, page.read_text(), flags=re.M | re.S):
        yield Block(reason or None, language, re.sub(f"^{indent}", "", text, flags=re.M))


def read(*names: str) -> str:
    return "".join((ROOT / name).read_text() for name in names)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(tiny_pipeline, published_checkpoints, tmp_path, monkeypatch) -> Path:
    """What the pages take for granted: a photo, its mask, folders of both, a model, published weights.

    The bundled model is a tiny one here: the real one would take minutes.
    """
    tiny_pipeline.save_pretrained(tmp_path / "bundled")
    tiny_pipeline.save_pretrained(tmp_path / "my-model")
    monkeypatch.setattr("edgeconnect_hf.loading.BUNDLED_MODEL", tmp_path / "bundled")
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    for example, *copies in (("door.jpg", "photo.jpg", "photos/a.jpg"), ("door_mask.png", "mask.png", "masks/a.png")):
        with Image.open(EXAMPLES / example) as picture:
            for copy in copies:
                picture.resize((560, 420)).save(tmp_path / copy)
    for path in published_checkpoints.values():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_python_run(page, folder, capfd):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.reason is not None:
            continue
        if block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)
            continue
        for program, *arguments in block.commands:
            assert program == "edgeconnect", f"{program}: run by none of this test, so the block needs a mark"
            assert main(arguments) == 0, capfd.readouterr().err


def test_blocks_are_found_and_most_of_those_of_use_run():
    ran = {name_of(page): [block.reason is None for block in blocks_of(page)] for page in PAGES}
    assert sum(map(len, ran.values())) > 50
    for name, least in (("docs/python.md", 7), ("docs/command-line.md", 5), ("docs/index.md", 3), ("README.md", 2)):
        assert sum(ran[name]) >= least, name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_flags_of_blocks_that_are_not_run_exist(page):
    """By their names: in the script, or among the settings of training and evaluation; of ours, in the command line."""
    settings = read("training/config.py", "training/evaluation/config.py")
    command_line = read("edgeconnect_hf/cli/__init__.py", "edgeconnect_hf/serving/limits.py")
    for block in blocks_of(page):
        for words in block.commands if block.language == "bash" and block.reason else ():
            scripts = [word for word in words if word.endswith(".py") and "/" in word]
            if scripts:
                words = words[words.index(scripts[0]) + 1 :]
                known = read(scripts[0]) + settings
            elif words[0] == "edgeconnect":
                known = command_line
            else:
                continue
            for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
                names = {flag, flag.removeprefix("--")}
                assert any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", known) for name in names), flag


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose):
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(), flags=re.M)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
            assert heading in anchors, target


@pytest.mark.parametrize("page", ["files.md", "security.md"])
def test_the_tests_that_a_page_names_are_there(page):
    text = (ROOT / "docs" / page).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "test_" in line]
    assert len(rows) > {"files.md": 40, "security.md": 8}[page]
    for row in rows:
        (file, test), *more = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert not more, row
        assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), row
    if page == "files.md":
        listed = [line for line in text.splitlines() if line.startswith("| ")]
        listed = [row for row in listed if not row.startswith(("| ---", "| input ", "| situation "))]
        assert listed == rows
