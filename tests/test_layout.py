"""The layout of CONTRIBUTING.md: small files, and imports that go one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgeconnect_hf"

# From the top down: a module imports only what stands below it, or its own package.
ORDER = (
    *(
        "cli",
        "demo",
        "formats",
        "hub",
        "pipeline",
        "registration",
        "pipeline_output",
        "session",
        "batches",
        "proposals",
        "views",
        "windows",
        "tiles",
    ),
    *("loading", "selection", "hints", "extension", "pictures", "segmenting", "regions"),
    *("texture", "patches", "bands", "holes", "colours", "edges", "models", "digests", "serving"),
)


@pytest.mark.parametrize(("folder", "most"), [("edgeconnect_hf", 300), ("training", 350), ("space", 300)])
def test_no_module_is_long(folder, most):
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert len(lengths) > 1
    assert {path.relative_to(ROOT).as_posix(): length for path, length in lengths.items() if length > most} == {}


def imported(module: Path, at_top: bool) -> Iterator[str]:
    """Absolute names of what a module imports; `at_top`: when it is imported itself, not in a function or for types."""
    tree = ast.parse(module.read_text())
    package = module.relative_to(ROOT).parent.parts
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*parents, *filter(None, [node.module])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    """The entry of `ORDER` that a module's name belongs to."""
    parts = name.split(".")
    return parts[1] if parts[0] == "edgeconnect_hf" and len(parts) > 1 and parts[1] in ORDER else None


def test_imports_of_the_package_point_down():
    places = {name: place for place, name in enumerate(ORDER)}
    seen = 0
    for module in PACKAGE.rglob("*.py"):
        here = room(".".join(module.relative_to(ROOT).with_suffix("").parts))
        if here is None:  # the package's own __init__
            continue
        for there in filter(None, map(room, imported(module, at_top=True))):
            seen += here != there
            assert places[there] >= places[here], f"{module} imports {there}"
    assert seen > 20


def test_the_package_imports_nothing_of_the_folders_around_it():
    for module in PACKAGE.rglob("*.py"):
        tops = {name.partition(".")[0] for name in imported(module, at_top=False)}
        assert tops.isdisjoint({"training", "space", "benchmarks", "tests"}), module
