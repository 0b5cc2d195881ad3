"""What mkdocs is to do beyond its settings; it calls these functions for each page."""

import re
from typing import Any


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Links out of docs/ lead to the repository: on the site there is nothing else beside the pages."""
    pictures = re.sub(r"(!\[[^]]*\]\()\.\./", rf"\g<1>{config.repo_url}/raw/main/", markdown)
    return re.sub(r"(\]\()\.\./", rf"\g<1>{config.repo_url}/blob/main/", pictures)


def on_page_content(html: str, **_: Any) -> str:
    """Types in docstrings are Markdown, which mkdocstrings shows as it stands."""
    return re.sub(r"(?<=<code>)`.*?(?=</code>)", lambda types: re.sub(r"[`*]", "", types[0]), html)
