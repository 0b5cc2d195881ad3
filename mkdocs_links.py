"""Links out of docs/ lead to the repository: on the site there is nothing else beside the pages."""

import re
from typing import Any


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """mkdocs calls this for each page."""
    pictures = re.sub(r"(!\[[^]]*\]\()\.\./", rf"\g<1>{config.repo_url}/raw/main/", markdown)
    return re.sub(r"(\]\()\.\./", rf"\g<1>{config.repo_url}/blob/main/", pictures)
