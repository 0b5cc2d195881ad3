"""Rows of the table in docs/security.md on loading models that have no better place."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from diffusers import AutoencoderKL
from fake_hub import FakeHub

from edgeconnect_hf import EdgeConnectPipeline
from training.config import TrainingConfig
from training.data.rows import load_rows


def test_a_component_of_another_library_is_refused(tiny_pipeline, tmp_path):
    """One that diffusers would load, and one that is no model at all."""
    tiny_pipeline.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "edge_generator": ["os", "system"]}))
    with pytest.raises(ValueError, match="cannot be loaded"):
        EdgeConnectPipeline.from_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "edge_generator")
    autoencoder = AutoencoderKL(block_out_channels=(4,), norm_num_groups=1, latent_channels=1)
    autoencoder.save_pretrained(tmp_path / "edge_generator")
    index["edge_generator"] = ["diffusers", "AutoencoderKL"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(TypeError, match="`edge_generator` must be an EdgeGenerator .* got AutoencoderKL"):
        EdgeConnectPipeline.from_pretrained(tmp_path)


def test_a_shard_outside_the_folder_is_refused(tiny_pipeline, tmp_path):
    model = tmp_path / "model"
    tiny_pipeline.save_pretrained(model, max_shard_size="8KB")
    path = model / "edge_generator" / "diffusion_pytorch_model.safetensors.index.json"
    index = json.loads(path.read_text())
    shard = min(set(index["weight_map"].values()))
    shutil.move(model / "edge_generator" / shard, tmp_path / shard)
    weight_map = {key: f"../../{name}" if name == shard else name for key, name in index["weight_map"].items()}
    path.write_text(json.dumps({**index, "weight_map": weight_map}))
    with pytest.raises(ValueError, match="path separator or a parent-directory reference"):
        EdgeConnectPipeline.from_pretrained(model)


def test_other_files_of_a_model_are_not_opened(tiny_pipeline, tmp_path):
    """Of a model on the Hub they are not even fetched, but for what diffusers looks for there, and does not run."""
    model = tmp_path / "model"
    tiny_pipeline.save_pretrained(model)
    names = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    for name in ("README.md", "samples.jpg", "pipeline.py", "edge_generator/model.onnx", "edge_generator/handler.py"):
        (model / name).write_text("raise SystemExit('this ran')")
    for name in ("edge_generator/diffusion_pytorch_model.bin", "edge_generator/optimizer.pt"):
        (model / name).write_bytes(b"\x80\x04no pickle")
    program = f"""
from huggingface_hub import HfApi
HfApi().create_repo("tester/full")
HfApi().upload_folder(repo_id="tester/full", folder_path={str(model)!r})
print("uploaded", flush=True)
from edgeconnect_hf import EdgeConnectPipeline
EdgeConnectPipeline.from_pretrained("tester/full")
"""
    with FakeHub() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_test", "HF_HOME": str(tmp_path / "home")}
        environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
        asked = {path.split("/resolve/")[1].partition("/")[2] for _, path, _ in hub.log if "/resolve/" in path}
    assert asked - {"README.md", "pipeline.py"} <= names
    assert "model_index.json" in asked


def test_training_reads_no_code_of_a_data_set(photo, tmp_path):
    """Neither a loading script of the folder's name, as `datasets` once ran, nor any other Python file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "a.png")
    for name in ("photos.py", "__init__.py", "dataset.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings = {"max_train_steps": 1, "stage": "edge"}
    assert len(load_rows(TrainingConfig(train_data_dir=str(folder), **settings), "train")) == 1
    with pytest.raises(ValueError, match="`dataset_name`"):
        load_rows(TrainingConfig(dataset_name=str(folder / "photos.py"), **settings), "train")
    assert not (tmp_path / "ran").exists()
