"""Models to the Hub: what of a folder is a model, and the way there in one commit."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, create_commit, create_repo, file_exists
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # the client of the installed version

from .model_card import with_location, write_model_card

# What of a folder is published. A training run keeps checkpoints, logs and the stages before the last beside it.
_COMPONENTS = ("edge_generator", "completion_generator", "edge_discriminator", "completion_discriminator")
_PUBLISHED = [
    "README.md",
    "validation.png",
    "model_index.json",
    "config.json",
    "diffusion_pytorch_model*.safetensors",
    *(f"{component}/*" for component in _COMPONENTS),
]


class PushError(OSError):
    """The Hub did not take the model. The repository is as it was before."""


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    commit_message: str | None = None,
    token: str | None = None,
) -> str:
    """Push a model folder to the Hub in one commit: weights, configuration, card, ONNX files.

    Files that the Hub has already are not sent again. Nothing changes there before the commit, the last step. The
    example of a card that `write_model_card` wrote names the repository there; the folder stays as it is.

    Args:
        folder (`str` or `Path`): written by `save_pretrained`, `edgeconnect convert` or training.
        repo_id (`str`): `"user/model"`, or `"model"` under the token's user; made where it is missing.
        private (`bool`, *optional*): for a repository that is made now.
        commit_message (`str`, *optional*): "Upload EdgeConnect model" by default.
        token (`str`, *optional*): by default the one that `hf auth login` stored.

    Returns:
        The address of the commit.

    Raises:
        ValueError: the folder holds no model.
        PushError: the Hub refused it, or cannot be reached.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in ("model_index.json", "config.json")):
        raise ValueError(f"`folder` is {str(folder)!r}, which holds neither model_index.json nor config.json.")
    paths = [path for pattern in _PUBLISHED for path in sorted(folder.glob(pattern)) if path.is_file()]
    files: dict[str, Path | bytes] = {path.relative_to(folder).as_posix(): path for path in paths}
    with _push_errors(repo_id):
        full_id = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
        if "README.md" in files:
            card = (folder / "README.md").read_bytes()
            files["README.md"] = with_location(card.decode(), full_id).encode()
        return create_commit(
            full_id,
            [CommitOperationAdd(name, file) for name, file in files.items()],
            commit_message=commit_message or "Upload EdgeConnect model",
            token=token,
        ).commit_url


class PushWithCard:
    """Gives pipelines and generators a `push_to_hub` that writes our card in place of diffusers' generic one."""

    save_pretrained: Any

    def push_to_hub(
        self,
        repo_id: str,
        *,
        variant: str | None = None,
        private: bool | None = None,
        commit_message: str | None = None,
        token: str | None = None,
        license: str = "other",
    ) -> str:
        """Save and push in one commit. A card that the repository has already is kept.

        Args:
            variant (`str`, *optional*): `"fp16"` names the weights' files so, beside others in the repository.
            license (`str`): the weights' licence for a new card, as the Hub abbreviates it.
            repo_id, private, commit_message, token: as in `push_folder`.

        Returns:
            The address of the commit.

        Raises:
            PushError: the Hub refused it, or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, variant=variant)
            with _push_errors(repo_id):
                repo_id = create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id
                has_card = file_exists(repo_id, "README.md", token=token)
            if not has_card:
                write_model_card(
                    folder,
                    summary="An EdgeConnect model.",
                    license=license,
                    location=repo_id,
                    network=type(self).__name__,
                )
            return push_folder(folder, repo_id, private=private, commit_message=commit_message, token=token)


@contextmanager
def _push_errors(repo_id: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, HFValidationError, OSError, RuntimeError) as error:
        why = f"{error} {error.__cause__ or ''}".strip()  # the client's own word for a broken upload leaves it out
        raise PushError(f"the push to {repo_id!r} failed: {why}") from error
