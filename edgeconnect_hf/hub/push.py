"""Push models to the Hub: which files of a folder are the model, and how they get there in one commit."""

import logging
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, create_commit, create_repo, file_exists
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # the client of the installed version

from .card import VALIDATION_GRID, pictures_of, with_location, without_validation_grid, write_model_card
from .folder import WEIGHTS, check_loads, origin_of, take_along

# The files that are published, by folder. A training run also keeps checkpoints, logs and earlier stages there.
_NETWORK = rf"README\.md|config\.json|{WEIGHTS}|diffusion_pytorch_model\.safetensors\.index(\.\w+)?\.json"
_PUBLISHED = {
    "": rf"{_NETWORK}|model_index\.json|ATTRIBUTION\.md|samples\.jpg|signs\.jpg|end_to_end(_fp16)?\.onnx",
    "edge_generator": rf"{_NETWORK}|model(_fp16)?\.onnx",
    "completion_generator": rf"{_NETWORK}|model(_fp16)?\.onnx",
    "edge_discriminator": r"README\.md|config\.json|model\.safetensors",
    "completion_discriminator": r"README\.md|config\.json|model\.safetensors",
}

logger = logging.getLogger(__name__)


class PushError(OSError):
    """The Hub did not take the model. The repository is as it was before."""


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    commit_message: str | None = None,
    token: str | None = None,
    push_validation_pictures: bool = False,
) -> CommitInfo:
    """Push a model folder to the Hub in one commit: weights, configuration, card, samples, ONNX files, nothing else.

    Files that the Hub already has are not sent again. Nothing changes there before the commit, the last step. The
    example of a card that `write_model_card` wrote names the repository there; the folder stays as it is.

    Args:
        folder (`str` or `Path`): written by `save_pretrained`, `edgeconnect convert` or training.
        repo_id (`str`): `"user/model"`, or `"model"` under the token's user; made where it is missing.
        private (`bool`, *optional*): for a repository that is made now.
        commit_message (`str`, *optional*): "Upload EdgeConnect model" by default.
        token (`str`, *optional*): by default the one that `hf auth login` stored.
        push_validation_pictures (`bool`): also push `validation.png` of a training run, which shows the photos that
            it validated on; by default the card is pushed without it.

    Returns:
        The commit; as text, its address.

    Raises:
        ValueError: the folder holds no model that `from_pretrained` loads, or one of the model's files or folders is a
            link.
        PushError: the Hub refused it, or cannot be reached.
    """
    folder = Path(folder)
    files: dict[str, Path | bytes] = dict(_find_published(folder))
    check_loads(folder)
    if push_validation_pictures and (grid := folder / VALIDATION_GRID).exists():
        files[VALIDATION_GRID] = _checked(grid, stat.S_ISREG)
    with push_errors(repo_id):
        full_id = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
        if "README.md" in files:
            card = with_location((folder / "README.md").read_bytes().decode(), full_id)
            card = card if VALIDATION_GRID in files else without_validation_grid(card)
            files["README.md"] = card.encode()
            for picture in pictures_of(card) - files.keys():
                logger.warning("The card shows %s, which is no file of a model: not pushed.", picture)
        return create_commit(
            full_id,
            [CommitOperationAdd(name, file) for name, file in files.items()],
            commit_message=commit_message or "Upload EdgeConnect model",
            token=token,
        )


def push_model(
    model: Any,
    repo_id: str,
    *,
    variant: str | None = None,
    private: bool | None = None,
    commit_message: str | None = None,
    token: str | None = None,
    license: str = "other",
    max_shard_size: int | str | None = None,
    safe_serialization: bool = True,
) -> CommitInfo:
    """Save a pipeline or a generator and push it in one commit. A card that the repository has already is kept.

    A pipeline that was loaded from a folder and not trained since takes that folder's card, pictures, attribution and
    ONNX files along; one that was trained since, the attribution only. A new card names the Hub's model that it was
    loaded from.

    Args:
        model: what has `save_pretrained`.
        variant (`str`, *optional*): `"fp16"` names the weights' files so, beside others in the repository.
        license (`str`): the weights' licence for a new card, as the Hub abbreviates it.
        max_shard_size (`int` or `str`, *optional*): as in `save_pretrained`, `"100MB"` for instance.
        safe_serialization (`bool`): has to be True; there for those who know it from diffusers.
        repo_id, private, commit_message, token: as in `push_folder`.

    Returns:
        The commit; as text, its address.

    Raises:
        ValueError: `safe_serialization` is False.
        PushError: the Hub refused it, or cannot be reached.
    """
    if not safe_serialization:
        raise ValueError(
            "`safe_serialization` is False: expected True, as `from_pretrained` reads safetensors only, no pickles."
        )
    sharding = {} if max_shard_size is None else {"max_shard_size": max_shard_size}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, variant=variant, **sharding)
        take_along(model, Path(folder))
        with push_errors(repo_id):
            repo_id = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
            has_card = file_exists(repo_id, "README.md", token=token)
        card = Path(folder) / "README.md"
        if has_card:
            card.unlink(missing_ok=True)
        elif not card.exists():
            write_model_card(
                folder,
                summary="An EdgeConnect model.",
                license=license,
                location=repo_id,
                network=type(model).__name__,
                base_model=None if isinstance(origin := origin_of(model), Path) or origin == repo_id else origin,
            )
        return push_folder(folder, repo_id, private=private, commit_message=commit_message, token=token)


def _find_published(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of a model's files. What else lies in a component's folder is named in a warning.

    Raises:
        ValueError: one of them is a link, or no file.
    """
    for component, pattern in _PUBLISHED.items():
        if component and not (folder / component).exists():
            continue
        for path in sorted(_checked(folder / component, stat.S_ISDIR).iterdir() if component else folder.iterdir()):
            name = path.relative_to(folder).as_posix()
            if re.fullmatch(pattern, path.name):
                yield name, _checked(path, stat.S_ISREG)
            elif component:
                logger.warning("%s is no file of a model: not pushed.", name)


def _checked(path: Path, is_right: Callable[[int], bool]) -> Path:
    if not is_right(path.lstat().st_mode):
        raise ValueError(f"`folder` has {str(path)!r}, which is a link or no regular file: put a copy in its place.")
    return path


@contextmanager
def push_errors(repo_id: str) -> Iterator[None]:
    """Turn whatever the client raises into a `PushError` that names the repository."""
    try:
        yield
    except (httpx.HTTPError, HFValidationError, OSError, RuntimeError) as error:
        why = f"{error} {error.__cause__ or ''}".strip()  # the client's own word for a broken upload leaves it out
        raise PushError(f"the push to {repo_id!r} failed: {why}") from error
