"""Results of an evaluation, kept one by one, so that a second run computes only what is missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, ...]

KEY_FIELDS = ("hole", "method", "model", "picture")


class ResultsFile:
    """`results.jsonl`, a result a line, and `settings.json`, the settings that all of them share.

    Args:
        folder (`str` or `Path`): where the two lie; made if need be.
        settings (`Mapping`): name -> value, as JSON has them. A later run may have others beside them; those of the
            same name must be the same.

    Raises:
        ValueError: the folder holds results of other settings.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]):
        self.path = Path(folder) / "results.jsonl"
        settings_path = Path(folder) / "settings.json"
        Path(folder).mkdir(parents=True, exist_ok=True)
        if settings_path.exists() and self.path.exists():
            before = json.loads(settings_path.read_text(encoding="utf-8"))
            for name in settings:
                if name in before and before[name] != settings[name]:
                    raise ValueError(
                        f"`output_dir` {str(folder)!r} holds results with `{name}` {before[name]!r}, now it is "
                        f"{settings[name]!r}; the same settings or another folder fit."
                    )
            settings = {**before, **settings}
        settings_path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a run that was killed may have left half a line
        if whole != text:
            self.path.write_text(whole, encoding="utf-8")
        self.results: dict[Key, dict[str, Any]] = {}
        for line in whole.splitlines():
            self._keep(json.loads(line))

    def add(self, result: dict[str, Any]) -> None:
        """Keeps a result: its `KEY_FIELDS`, each a string, and its figures."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, allow_nan=False) + "\n")
        self._keep(result)

    def _keep(self, result: dict[str, Any]) -> None:
        self.results[tuple(result[field] for field in KEY_FIELDS)] = result
