"""Pages of docs/ that name tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_each_row_of_the_files_page_names_a_test_that_is_there():
    rows = [line for line in (ROOT / "docs/files.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| input ", "| situation "))]
    assert len(rows) > 40
    for row in rows:
        (file, test), *more = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert not more, row
        assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), row
