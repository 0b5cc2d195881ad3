import pytest
import torch
from safetensors.torch import save_file

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator, convert_checkpoints
from edgeconnect_hf.formats.published import convert_generator


@pytest.fixture
def completion_state(published_checkpoints):
    return torch.load(published_checkpoints["inpaint_generator"])["generator"]


def test_width_depth_and_licence_of_the_converted_folder(published_checkpoints, tmp_path):
    convert_checkpoints(*published_checkpoints.values(), tmp_path / "model", dtype=torch.float16)
    pipeline = EdgeConnectPipeline.from_pretrained(tmp_path / "model", dtype=torch.float16)
    for generator in (pipeline.edge_generator, pipeline.completion_generator):
        assert generator.config.base_channels == 64
        assert generator.config.num_residual_blocks == 8
        assert generator.config.sample_size == 256
        assert generator.config.use_spectral_norm is False
        assert generator.dtype == torch.float16
        assert not generator.training
    card = (tmp_path / "model" / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card
    assert "CC BY-NC 4.0" in card
    assert not list((tmp_path / "model").rglob("*.bin"))


def test_bare_prefixed_and_safetensors_files_convert_alike(published_checkpoints, completion_state, tmp_path):
    state = completion_state
    torch.save(state, tmp_path / "bare.pth")
    torch.save({"generator": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "parallel.pth")
    save_file(state, tmp_path / "same.safetensors")
    expected = convert_generator(published_checkpoints["inpaint_generator"], CompletionGenerator).state_dict()
    for name in ("bare.pth", "parallel.pth", "same.safetensors"):
        converted = convert_generator(tmp_path / name, CompletionGenerator).state_dict()
        assert all(torch.equal(converted[key], expected[key]) for key in expected)


def test_other_widths_and_depths_are_read_from_the_shapes(tmp_path):
    """What our own generators hold, under the published names."""
    small = CompletionGenerator(base_channels=8, num_residual_blocks=2).state_dict()
    published = {"conv_in": "encoder.1", "down.0": "encoder.4", "down.1": "encoder.7", "conv_out": "decoder.7"}
    published |= {"up.0": "decoder.0", "up.1": "decoder.3"}
    published |= {
        f"residual_blocks.{block}.conv{number}": f"middle.{block}.conv_block.{1 if number == 1 else 5}"
        for block in range(2)
        for number in (1, 2)
    }
    renamed = {}
    for key, tensor in small.items():
        layer, _, parameter = key.rpartition(".")
        renamed[f"{published[layer]}.{parameter}"] = tensor
    save_file(renamed, tmp_path / "small.safetensors")
    converted = convert_generator(tmp_path / "small.safetensors", CompletionGenerator)
    assert (converted.config.base_channels, converted.config.num_residual_blocks) == (8, 2)
    assert all(torch.equal(converted.state_dict()[key], small[key]) for key in small)


def test_swapped_checkpoints_are_recognised(published_checkpoints):
    with pytest.raises(
        ValueError, match="takes 4 input channels, EdgeGenerator takes 3: the edge checkpoint comes first"
    ):
        convert_generator(published_checkpoints["inpaint_generator"], EdgeGenerator)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("decoder.3.weight"), "lacks weights of CompletionGenerator: up.1.weight"),
        (lambda state: state.pop("encoder.1.weight"), "lacks 'encoder.1.weight'"),
        (lambda state: state.update({"attention.weight": torch.zeros(1)}), "holds the key 'attention.weight'"),
        (
            lambda state: state.update({"middle.9.conv_block.1.weight": torch.zeros(1)}),
            "residual_blocks.8.conv2.weight",
        ),
        (
            lambda state: state.update({"encoder.4.weight": torch.zeros(3, 3, 4, 4)}),
            r"'down.0.weight' of shape \[3, 3, 4",
        ),
        (lambda state: state.update({"encoder.4.weight_orig": torch.zeros(3)}), "lacks encoder.4.weight_u or"),
    ],
)
def test_keys_and_shapes_are_strict(change, says, completion_state, tmp_path):
    change(completion_state)
    torch.save({"generator": completion_state}, tmp_path / "changed.pth")
    with pytest.raises(ValueError, match=says):
        convert_generator(tmp_path / "changed.pth", CompletionGenerator)


class Malicious:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a checkpoint ran')",)


@pytest.mark.parametrize("text", ["", "error 404", "hello", "jpg", "quota exceeded", "temporarily", "<html>"])
def test_a_failed_download_is_no_checkpoint(text, tmp_path):
    """Read as a pickle, text raises whatever its letters stand for: IndexError, KeyError, struct.error, ..."""
    (tmp_path / "text.pth").write_text(text)
    with pytest.raises(ValueError, match="text.pth' is not a checkpoint that can be read safely: .*[Ee]rror"):
        convert_generator(tmp_path / "text.pth", EdgeGenerator)


@pytest.mark.parametrize("name", ["evil.pth", "noise.pth", "noise.safetensors", "missing.pth", "list.pth"])
def test_what_is_no_checkpoint_is_refused_unread(name, tmp_path):
    torch.save(Malicious(), tmp_path / "evil.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for noise in ("noise.pth", "noise.safetensors"):
        (tmp_path / noise).write_bytes(b"no checkpoint at all")
    with pytest.raises(ValueError, match=rf"{name}'.*(does not exist|can be read safely|holds no generator)"):
        convert_generator(tmp_path / name, EdgeGenerator)
