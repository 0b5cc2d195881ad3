import gc
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FIXTURES = Path(__file__).parent / "fixtures"
sys.path.insert(0, str(FIXTURES))  # official_weights


# With `--dist loadfile`, a file runs on one worker: the longest begin first, so that no worker ends with one alone.
LONGEST = (
    "test_demo.py",
    "test_attacks_demo.py",
    "test_hub.py",
    "test_docs.py",
    "test_onnx.py",
    "test_train.py",
    "test_data.py",
    "test_package.py",
    "test_pipeline.py",
    "test_session.py",
    "test_trainer.py",
    "test_cli.py",
    "test_space.py",
    "test_demo_handlers.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Without the collector of garbage, which takes a sixth of the imports' time; what they leave, stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture(scope="session")
def published_checkpoints(tmp_path_factory) -> dict[str, Path]:
    """The two generators in the published format: the paper's architecture, weights from a formula."""
    import torch
    from official_weights import official_checkpoint

    folder = tmp_path_factory.mktemp("published")
    paths = {"edge_generator": folder / "EdgeModel_gen.pth", "inpaint_generator": folder / "InpaintingModel_gen.pth"}
    for network, path in paths.items():
        torch.save(official_checkpoint(network), path)
    return paths


@pytest.fixture(scope="session")
def tiny_pipeline():
    """Seeded networks of the paper's shape, four channels wide, one block deep, trained (so they say) on 32x32."""
    import torch

    from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator

    torch.manual_seed(0)
    networks = {
        "edge_generator": EdgeGenerator(base_channels=4, num_residual_blocks=1, sample_size=32),
        "completion_generator": CompletionGenerator(base_channels=4, num_residual_blocks=1, sample_size=32),
    }
    for network in networks.values():
        for parameter in network.parameters():  # 0.02 would leave every output at one half
            torch.nn.init.normal_(parameter, std=0.3)
        network.eval()
    return EdgeConnectPipeline(**networks)


@pytest.fixture(scope="module")
def _own_cache_and_one_thread(tmp_path_factory):
    """For training runs: `datasets` leaves the user's cache alone, and small networks run on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def training_data(tmp_path_factory) -> Path:
    """A folder with drawn `pictures` and a narrow `vgg.safetensors`."""
    from training_runs import draw_pictures, draw_vgg

    folder = tmp_path_factory.mktemp("data")
    draw_pictures(folder / "pictures")
    draw_vgg(folder / "vgg.safetensors")
    return folder


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """96x72 RGB: a soft background with windows on it."""
    rows, columns = np.mgrid[0:72, 0:96]
    pixels = np.stack([rows * 2 + 40, columns * 2 + 20, (rows + columns) + 60], axis=2)
    for top in (10, 40):
        for left in (12, 42, 72):
            pixels[top : top + 18, left : left + 12] = (30, 40, 60)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="session")
def strange_exif() -> bytes:
    """On its side, by a maker whose name is a number: Pillow reads that, and fails when it turns the picture."""
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    maker = struct.pack("<HHIf", 0x010F, 11, 1, 1.5)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + maker + orientation + struct.pack("<I", 0)


@pytest.fixture(scope="session")
def hole(photo) -> Image.Image:
    """A hole in `photo` of 24x20 pixels, across a window's edge."""
    mask = np.zeros((photo.height, photo.width), np.uint8)
    mask[30:50, 36:60] = 255
    return Image.fromarray(mask)
