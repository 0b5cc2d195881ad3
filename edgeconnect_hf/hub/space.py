"""The Space that shows models: this package, its page, and the files of `space/`."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

from huggingface_hub import HfApi, RepoCard

from .push import push_errors

_PACKAGE = Path(__file__).parents[1]
_IN_WHEEL = Path(__file__).with_name("space")  # put there by pyproject.toml
_CHECKOUT = _PACKAGE.parent

# The package's code, page, examples and bundled models. Whatever else lies there stays at home.
_PACKAGED = (
    r"(\w+/)*\w+\.py|py\.typed|examples/[\w-]+\.(jpg|png)|demo/static/[\w-]+\.(js|d\.ts|css|html)"
    r"|checkpoints/([\w-]+/){1,2}\w[\w.-]*\.(json|safetensors|md|jpg)"
)
_OWN = ("app.py", "requirements.txt", "thumbnail.png")


def push_space(name: str, models: Sequence[str] = (), *, private: bool | None = None, token: str | None = None) -> str:
    """Upload a Space in one commit; where it is there already, it becomes what it would be if it were new.

    Args:
        name (`str`): `"user/space"`, or `"space"` under the token's user.
        models (`Sequence[str]`): models on the Hub that it shows; without any, the bundled one.
        private (`bool`, *optional*): for a Space that is made now.
        token (`str`, *optional*): by default the one that `hf auth login` stored.

    Returns:
        The Space's address.

    Raises:
        OSError: one of its files is not there, or a link.
        PushError: the Hub refused it, or cannot be reached.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder, push_errors(name):
        name = api.create_repo(name, repo_type="space", space_sdk="gradio", private=private, exist_ok=True).repo_id
        _collect(Path(folder), name, models, api.endpoint)
        api.upload_folder(
            repo_id=name,
            repo_type="space",
            folder_path=folder,
            commit_message="Deploy EdgeConnect",
            delete_patterns="*",  # files that are no longer part of it
        )
    return f"{api.endpoint}/spaces/{name}"


def _collect(folder: Path, name: str, models: Sequence[str], endpoint: str) -> None:
    """Put together in `folder` what the Space `name` is made of."""
    own = _IN_WHEEL if _IN_WHEEL.is_dir() else _CHECKOUT / "space"
    licence = (_IN_WHEEL if _IN_WHEEL.is_dir() else _CHECKOUT) / "LICENSE"
    paths = [path for path in _PACKAGE.rglob("*") if re.fullmatch(_PACKAGED, path.relative_to(_PACKAGE).as_posix())]
    files = {path: path.relative_to(_PACKAGE.parent) for path in paths if _IN_WHEEL not in path.parents}
    files |= {path: Path(path.name) for path in (*(own / name for name in _OWN), licence)}
    for path, place in files.items():
        if path.is_symlink():
            raise OSError(f"{str(path)!r} is a link: put a copy in its place.")
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        copyfile(path, folder / place)
    card = RepoCard((own / "README.md").read_text().replace("USER/SPACE", name), ignore_metadata_errors=False)
    card.data["thumbnail"] = f"{endpoint}/spaces/{name}/resolve/main/thumbnail.png"
    if models:
        card.data["models"] = list(models)
    card.save(folder / "README.md")
