"""Results of an evaluation, saved one by one, so that a second run computes only the missing ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, ...]

KEY_FIELDS = ("set", "hole", "method", "model", "picture")


class ResultsFile:
    """`results.jsonl`, one result per line, and `settings.json`, the settings of all of them.

    Args:
        folder (`str` or `Path`): folder of the two files; created if missing.
        settings (`Mapping`): JSON values by name. A later run may add some, but not change any.

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
                        f"`output_dir` {str(folder)!r} holds results with `{name}` {before[name]!r}, got "
                        f"{settings[name]!r}: use the same settings or another folder."
                    )
            settings = {**before, **settings}
        settings_path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a killed run may have left half a line
        if whole != text:
            self.path.write_text(whole, encoding="utf-8")
        self.results: dict[Key, dict[str, Any]] = {}
        for line in whole.splitlines():
            self._keep(json.loads(line))

    def add(self, result: dict[str, Any]) -> None:
        """Saves a result: its `KEY_FIELDS`, each a string, and its metrics."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, allow_nan=False) + "\n")
        self._keep(result)

    def _keep(self, result: dict[str, Any]) -> None:
        self.results[tuple(result[field] for field in KEY_FIELDS)] = result
