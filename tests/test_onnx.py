"""ONNX files against the pipeline: the same pixels on any size, nothing of this machine in them."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("onnxruntime", reason="pip install edgeconnect-hf[onnx]")
pytest.importorskip("onnxscript", reason="pip install edgeconnect-hf[onnx]")

import onnx
import onnxruntime

from edgeconnect_hf import EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.cli import main
from edgeconnect_hf.edges import canny, to_gray
from edgeconnect_hf.formats.onnx import export_onnx
from edgeconnect_hf.formats.onnx_colours import OPSET
from edgeconnect_hf.hub.card import with_section, write_model_card

ROOT = Path(__file__).parent.parent

# Batch, height, width: the smallest, odd halves, flat and upright, powers of two and their neighbours.
SIZES = (
    *((1, 16, 16), (3, 64, 80), (1, 100, 132), (1, 20, 16), (1, 16, 20), (2, 24, 24), (1, 28, 36), (1, 32, 32)),
    *((1, 36, 28), (1, 44, 52), (1, 16, 200), (1, 200, 16), (2, 60, 64), (1, 64, 64), (1, 68, 64), (1, 76, 108)),
    *((1, 92, 84), (1, 128, 128), (1, 132, 124), (4, 48, 40)),
)


@pytest.fixture(scope="module")
def exported(tiny_pipeline, tmp_path_factory) -> Path:
    """A model's folder with its ONNX files, by the command line."""
    folder = tmp_path_factory.mktemp("model")
    EdgeConnectPipeline(**{**tiny_pipeline.components, "match_colours": True}).save_pretrained(folder)
    write_model_card(folder, summary="For a test.", license="other")
    assert main(["export", str(folder), str(folder), "--format", "onnx", "--end-to-end"]) == 0
    return folder


def load(path: Path) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(path, full_check=True)
    return onnxruntime.InferenceSession(path)


@pytest.mark.parametrize("name", ["edge_generator", "completion_generator"])
def test_a_generator_computes_what_torch_does(exported, tiny_pipeline, name):
    """On twenty sizes; both sum in fp32, in another order: 1e-3 is far above that."""
    session = load(exported / name / "model.onnx")
    generator = getattr(tiny_pipeline, name)
    for batch, height, width in SIZES:
        torch.manual_seed(height)
        inputs = {entry.name: torch.rand(batch, entry.shape[1], height, width) for entry in session.get_inputs()}
        (output,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            expected = generator(**inputs).sample
        torch.testing.assert_close(torch.from_numpy(output), expected, rtol=0, atol=1e-3)


def draw(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Coloured tiles, a hole off the middle, the lines outside it."""
    random = np.random.default_rng(height * 1000 + width)
    tiles = random.random((batch, -(-height // 8), -(-width // 8), 3), dtype=np.float32)
    image = tiles.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    mask = np.zeros((batch, height, width), np.float32)
    mask[:, height // 4 : height // 2, width // 4 : 3 * width // 4] = 1
    known_edges = [canny(to_gray(each), hole > 0) for each, hole in zip(image, mask, strict=True)]
    return {"image": image.transpose(0, 3, 1, 2), "mask": mask[:, None], "known_edges": np.stack(known_edges)[:, None]}


def test_end_to_end_is_the_pipeline(exported):
    """On twenty sizes, `match_colours` included; as above, but the second network sees the first one's rounding."""
    session = load(exported / "end_to_end.onnx")
    pipe = EdgeConnectPipeline.from_pretrained(exported)
    for size in SIZES:
        inputs = draw(*size)
        repaired, comp_edges = session.run(["repaired", "comp_edges"], inputs)
        options = {"strategy": "original", "output_type": "pt", "known_edges": torch.from_numpy(inputs["known_edges"])}
        expected = pipe(torch.from_numpy(inputs["image"]), torch.from_numpy(inputs["mask"]), **options)
        torch.testing.assert_close(torch.from_numpy(comp_edges), expected.edges, rtol=0, atol=1e-3)
        torch.testing.assert_close(torch.from_numpy(repaired), expected.images, rtol=0, atol=5e-3)
        known = np.broadcast_to(inputs["mask"] == 0, repaired.shape)
        assert np.array_equal(repaired[known], inputs["image"][known])


def test_the_pages_ten_lines_repair_a_photo(exported, tmp_path, monkeypatch):
    """In a Python without torch; odd sizes are cut to multiples of four."""
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "onnx.md").read_text(), flags=re.S)
    (tmp_path / "my-model").symlink_to(exported)
    for name, file in (("door.jpg", "photo.jpg"), ("door_mask.png", "mask.png")):
        with Image.open(ROOT / "edgeconnect_hf" / "examples" / name) as picture:
            picture.resize((302, 171)).save(tmp_path / file)
    program = f"import sys; sys.modules['torch'] = None\n{program}"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    photo, mask, repaired = (cv2.imread(tmp_path / f"{name}") for name in ("photo.jpg", "mask.png", "repaired.png"))
    assert repaired.shape == (168, 300, 3)
    known = mask[:168, :300] < 128
    assert np.array_equal(repaired[known], photo[:168, :300][known])
    assert not np.array_equal(repaired, photo[:168, :300])


def test_nothing_in_a_file_tells_of_this_machine(exported):
    """The exporter notes each operator's line of source, with its path."""
    for path in exported.rglob("*.onnx"):
        assert not re.findall(rb"/[\w.-]+/[\w./-]+\.py|site-packages", path.read_bytes()), path.name
        assert onnx.load(path).opset_import[0].version == OPSET


def test_the_card_lists_the_files(exported):
    card = (exported / "README.md").read_text()
    section = card.split("\n## ONNX\n")[1].split("\n## ")[0]
    assert f"Opset {OPSET}" in section
    assert re.search(
        r"\| `end_to_end.onnx` \| fp32 \| 0\.\d \| image, mask, known_edges \| repaired, comp_edges \|", section
    )
    assert "| `edge_generator/model.onnx` | fp32 |" in section
    assert with_section(card, "ONNX", section.strip()) == card  # exported again, it stands there once


def test_half_precision_halves_the_file_and_keeps_float32_outside(tiny_pipeline, exported, tmp_path):
    """Sums of some hundred products, each rounded to 11 bits, through a few layers: within a hundredth."""
    lines_only = EdgeConnectPipeline(tiny_pipeline.edge_generator)
    (path,) = export_onnx(lines_only, tmp_path, dtype=torch.float16)
    assert path == tmp_path / "edge_generator" / "model_fp16.onnx"
    whole = exported / "edge_generator" / "model.onnx"
    sizes = [sum(len(each.raw_data) for each in onnx.load(file).graph.initializer) for file in (path, whole)]
    assert sizes[0] < 0.6 * sizes[1]
    planes = np.random.default_rng(1).random((3, 1, 1, 64, 64), np.float32)
    inputs = dict(zip(("masked_gray", "masked_edges", "mask"), planes, strict=True))
    (half,) = load(path).run(None, inputs)
    (full,) = load(whole).run(None, inputs)
    assert half.dtype == np.float32
    assert np.abs(half - full).max() < 0.01
    assert tiny_pipeline.edge_generator.dtype == torch.float32


def test_what_cannot_be_exported_is_refused(tmp_path):
    lines_only = EdgeConnectPipeline(EdgeGenerator(base_channels=4, num_residual_blocks=1))
    with pytest.raises(ValueError, match=r"`dtype` is torch.bfloat16, expected torch.float32 or torch.float16"):
        export_onnx(lines_only, tmp_path, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="`end_to_end` is True, which needs both .*no completion_generator"):
        export_onnx(lines_only, tmp_path, end_to_end=True)
    assert not list(tmp_path.iterdir())
