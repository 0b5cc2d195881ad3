import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator, GeneratorOutput, models
from edgeconnect_hf.models import ResidualBlock, blend

WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_padding_stays_in_the_precision_of_autocast():
    block, hidden, dtypes = ResidualBlock(4), torch.randn(1, 4, 16, 16), []
    plain = torch.nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="reflect", bias=False)
    plain.load_state_dict(block.conv1.state_dict())
    assert torch.equal(block.conv1(hidden), plain(hidden))

    class Record(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), kwargs=None):
            result = function(*arguments, **(kwargs or {}))
            if function is F.pad:
                dtypes.append(result.dtype)
            return result

    with torch.autocast("cpu", torch.bfloat16), Record():
        ours = block.conv1(hidden.bfloat16())
    assert dtypes == [torch.bfloat16]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours, plain(hidden.bfloat16()))  # padded in float32 and converted back


def tiny(network, **kwargs):
    torch.manual_seed(0)
    return network(base_channels=4, num_residual_blocks=1, **kwargs)


def inputs(network, size=(20, 28)):
    torch.manual_seed(1)
    channels = (1, 1, 1) if network is EdgeGenerator else (3, 1)
    return [torch.rand(2, c, *size) for c in channels]


@pytest.mark.parametrize(("network", "channels"), [(EdgeGenerator, 1), (CompletionGenerator, 3)])
def test_output_has_the_input_size_and_lies_in_unit_range(network, channels):
    model = tiny(network)
    output = model(*inputs(network))
    assert isinstance(output, GeneratorOutput)
    assert output.sample.shape == (2, channels, 20, 28)
    assert output.sample.min() >= 0
    assert output.sample.max() <= 1
    assert torch.equal(model(*inputs(network), return_dict=False)[0], output.sample)


def test_default_networks_have_the_papers_parameters():
    """Counted by hand from appendix A: weights of 7x7, 4x4 twice, 16 times 3x3, 4x4 twice, 7x7, and the last bias."""

    def count(inputs, outputs):
        ends = 49 * 64 * inputs + 49 * 64 * outputs + outputs
        strided = 2 * 16 * (64 * 128 + 128 * 256)
        return ends + strided + 8 * 2 * 9 * 256 * 256

    for model, expected in ((EdgeGenerator(), count(3, 1)), (CompletionGenerator(), count(4, 3))):
        assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize("network", [EdgeGenerator, CompletionGenerator])
@pytest.mark.parametrize("use_spectral_norm", [False, True])
def test_save_and_load_round_trips(network, use_spectral_norm, tmp_path):
    """The weights exactly. Mapped from a file they lie otherwise in memory, and sums may be ordered otherwise: 1e-6."""
    model = tiny(network, use_spectral_norm=use_spectral_norm, sample_size=64).eval()
    model.save_pretrained(tmp_path)
    loaded = network.from_pretrained(tmp_path)
    assert loaded.config.sample_size == 64
    assert loaded.config.use_spectral_norm is use_spectral_norm
    saved = model.state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.state_dict().items())
    assert_close(loaded(*inputs(network)).sample, model(*inputs(network)).sample, rtol=0, atol=1e-6)


def test_half_precision_file_loads_as_fp32_by_default_and_as_asked(tmp_path):
    torch.nn.Module.half(tiny(EdgeGenerator)).save_pretrained(tmp_path)
    assert EdgeGenerator.from_pretrained(tmp_path).dtype == torch.float32
    assert EdgeGenerator.from_pretrained(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_only_the_last_convolution_has_a_bias_and_no_spectral_norm():
    names = set(tiny(EdgeGenerator, use_spectral_norm=True).state_dict())
    assert {name for name in names if name.endswith("bias")} == {"conv_out.bias"}
    assert "conv_out.weight" in names
    assert "conv_in.parametrizations.weight.original" in names


@pytest.mark.parametrize(("change", "named"), [("missing", "up.0.weight"), ("unexpected", "stranger")])
def test_weights_that_do_not_fit_are_an_error(change, named, tmp_path):
    tiny(EdgeGenerator).save_pretrained(tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    if change == "missing":
        del state[named]
    else:
        state[named] = torch.zeros(1)
    save_file(state, tmp_path / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"are not those of this EdgeGenerator.*{change} \['{named}'\]"):
        EdgeGenerator.from_pretrained(tmp_path)


def test_pickled_weights_are_not_read(tmp_path):
    model = tiny(EdgeGenerator)
    model.save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    torch.save(model.state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        EdgeGenerator.from_pretrained(tmp_path)


def test_gradient_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = tiny(CompletionGenerator).train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        model(*inputs(CompletionGenerator)).sample.square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(plain, checkpointed) for plain, checkpointed in zip(*gradients, strict=True))


@pytest.mark.parametrize("network", [EdgeGenerator, CompletionGenerator])
def test_what_is_fast_on_the_cpu_computes_the_same(network, monkeypatch):
    """Group norm and batch norm for instance norm, the last convolution row by row: other orders of the same fp32 sums,
    5e-5 in pictures, 1e-4 of the largest gradient."""
    model = tiny(network).eval()
    for parameter in model.parameters():  # 0.02 would leave every output at one half
        torch.nn.init.normal_(parameter, std=0.3)

    def predict_and_train():
        with torch.no_grad():
            inferred = model(*inputs(network)).sample
        trained = model(*inputs(network)).sample
        return inferred, trained.detach(), torch.autograd.grad(trained.square().mean(), tuple(model.parameters()))

    inferred, trained, gradients = predict_and_train()
    monkeypatch.setattr(models, "_runs_on_cpu", lambda hidden: False)
    _, expected, expected_gradients = predict_and_train()
    assert expected.std() > 0.1
    assert_close(inferred, expected, rtol=0, atol=5e-5)
    assert_close(trained, expected, rtol=0, atol=5e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        assert_close(gradient, expected_gradient, rtol=0, atol=1e-4 * expected_gradient.abs().max().item())


def test_generator_is_deterministic_and_independent_of_its_batch():
    """Instance norm sees one picture at a time. Batched convolutions may sum in another order: 1e-5 for fp32."""
    model = tiny(EdgeGenerator).eval()
    both = model(*inputs(EdgeGenerator)).sample
    second = model(*(tensor[1:] for tensor in inputs(EdgeGenerator))).sample
    assert_close(both[1:], second, rtol=0, atol=1e-5)


def test_blend_is_exact_on_either_side():
    known, predicted = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 1:3] = 1
    blended = blend(known, predicted, mask)
    assert torch.equal(blended * (1 - mask), known * (1 - mask))
    assert torch.equal(blended * mask, predicted * mask)
    assert torch.equal(blend(known, 1, mask) * mask, mask.expand(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((1, 30, 64),) * 3, r"`masked_gray` must have a height and width that are multiples of 4, at least 16: got"),
        (((1, 32, 12),) * 3, r"`masked_gray` must have .*: got \[1, 1, 32, 12\]"),
        (((1, 32, 32), (3, 32, 32), (1, 32, 32)), r"`masked_edges` must be \[N,1,H,W\], .*: got \[1, 3, 32, 32\]"),
        (((1, 32, 32), (1, 32, 32), (1, 36, 32)), r"`mask` must be \[N,1,H,W\], all inputs of one size: got"),
    ],
)
def test_the_edge_generator_names_an_input_of_a_wrong_shape(shapes, said):
    with pytest.raises(ValueError, match=said):
        tiny(EdgeGenerator)(*(torch.zeros(1, *shape) for shape in shapes))


def test_the_completion_generator_names_an_input_of_a_wrong_shape():
    model = tiny(CompletionGenerator)
    with pytest.raises(ValueError, match=r"`masked_image` must have a height and width that are multiples of 4"):
        model(torch.zeros(1, 3, 32, 33), torch.zeros(1, 1, 32, 33))
    with pytest.raises(ValueError, match=r"`comp_edges` must be \[N,1,H,W\]"):
        model(torch.zeros(1, 3, 32, 32), torch.zeros(1, 32, 32))


def test_swapped_generators_are_named():
    generators = tiny(EdgeGenerator), tiny(CompletionGenerator)
    with pytest.raises(TypeError, match="`edge_generator` must be an .*: got CompletionGenerator and EdgeGen"):
        EdgeConnectPipeline(*generators[::-1])
    with pytest.raises(TypeError, match="got NoneType and EdgeGenerator"):
        EdgeConnectPipeline(completion_generator=generators[0])
