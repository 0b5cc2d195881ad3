"""Upload the Space: its own files, and the package beside them, so that it runs by itself.

    python space/deploy.py USER/SPACE [--model USER/MODEL] [--private]

Log in first (`hf auth login`, or `HF_TOKEN`).
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

from huggingface_hub import HfApi, RepoCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import httpx

SPACE = Path(__file__).parent
ROOT = SPACE.parent


def collect(folder: Path, name: str, models: Sequence[str], endpoint: str) -> None:
    """Put together in `folder` what the Space `name` is made of."""
    unwanted = ignore_patterns("__pycache__", "*.pyc")
    copytree(ROOT / "edgeconnect_hf", folder / "edgeconnect_hf", ignore=unwanted)
    for file in (SPACE / "app.py", SPACE / "requirements.txt", SPACE / "thumbnail.png", ROOT / "LICENSE"):
        copyfile(file, folder / file.name)
    card = RepoCard((SPACE / "README.md").read_text().replace("USER/SPACE", name), ignore_metadata_errors=False)
    card.data.thumbnail = f"{endpoint}/spaces/{name}/resolve/main/thumbnail.png"
    if models:
        card.data.models = list(models)
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
