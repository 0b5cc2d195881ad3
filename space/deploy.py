"""Upload the Space: its own files, and the package beside them, so that it runs by itself.

    python space/deploy.py USER/SPACE [--model USER/MODEL] [--private]

Log in first (`hf auth login`, or `HF_TOKEN`).
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import httpx
from huggingface_hub import HfApi, RepoCard
from huggingface_hub.errors import HFValidationError

SPACE = Path(__file__).parent
ROOT = SPACE.parent

# The package's code, page, examples and bundled models. Whatever else lies there stays at home.
_PACKAGED = (
    r"(\w+/)*\w+\.py|py\.typed|examples/[\w-]+\.(jpg|png)|demo/static/\w+\.(js|css|html)"
    r"|checkpoints/([\w-]+/){1,2}\w[\w.-]*\.(json|safetensors|md|jpg)"
)


def collect(folder: Path, name: str, models: Sequence[str], endpoint: str) -> None:
    """Put together in `folder` what the Space `name` is made of.

    Raises:
        OSError: one of the files is not there, or a link.
    """
    package = ROOT / "edgeconnect_hf"
    paths = [path for path in package.rglob("*") if re.fullmatch(_PACKAGED, path.relative_to(package).as_posix())]
    files = {path: path.relative_to(ROOT) for path in paths}
    for path in (SPACE / "app.py", SPACE / "requirements.txt", SPACE / "thumbnail.png", ROOT / "LICENSE"):
        files[path] = Path(path.name)
    for path, place in files.items():
        if path.is_symlink():
            raise OSError(f"{str(path)!r} is a link: put a copy in its place.")
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        copyfile(path, folder / place)
    card = RepoCard((SPACE / "README.md").read_text().replace("USER/SPACE", name), ignore_metadata_errors=False)
    card.data["thumbnail"] = f"{endpoint}/spaces/{name}/resolve/main/thumbnail.png"
    if models:
        card.data["models"] = list(models)
    card.save(folder / "README.md")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", metavar="USER/SPACE", help="made where it does not exist, else updated")
    parser.add_argument(
        "--model", action="append", default=[], metavar="USER/MODEL", help="in place of the bundled one; repeatable"
    )
    parser.add_argument("--private", action="store_true", help="for your eyes only, where the Space is new")
    args = parser.parse_args(arguments)
    try:
        print(deploy(args.space, args.model, args.private))
    except (HFValidationError, httpx.HTTPError, OSError) as error:
        raise SystemExit(f"{args.space!r} could not be deployed: {error}") from error


def deploy(space: str, models: Sequence[str], private: bool) -> str:
    """Upload everything in one commit; returns the Space's address."""
    api = HfApi()
    api.create_repo(space, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        collect(Path(folder), space, models, api.endpoint)
        api.upload_folder(
            repo_id=space,
            repo_type="space",
            folder_path=folder,
            commit_message="Deploy EdgeConnect",
            delete_patterns="*",  # files that are no longer part of it
        )
    return f"{api.endpoint}/spaces/{space}"


if __name__ == "__main__":
    main()
