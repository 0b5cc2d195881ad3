"""The Space's entry: the page of `edgeconnect_hf.demo` on the models that the header of README.md names."""

import importlib.util
from pathlib import Path

if importlib.util.find_spec("spaces"):  # on ZeroGPU hardware, `spaces` comes before torch
    import spaces  # noqa: F401

import torch
from huggingface_hub import metadata_load

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import Limits, build_demo, launch

FOLDER = Path(__file__).parent


def load_pipelines() -> dict[str, EdgeConnectPipeline]:
    """The models of README.md's header by their names; without any, the bundled one."""
    names = (metadata_load(FOLDER / "README.md") or {}).get("models") or [None]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {name or "bundled": EdgeConnectPipeline.from_pretrained(name).to(device) for name in names}


if __name__ == "__main__":
    launch(build_demo(load_pipelines(), limits=Limits.from_environment()))
