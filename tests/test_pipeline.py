import json
import logging
import shutil

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch.testing import assert_close

from edgeconnect_hf import (
    CompletionGenerator,
    EdgeConnectPipeline,
    EdgeConnectPipelineOutput,
    EdgeGenerator,
    convert_checkpoints,
)
from edgeconnect_hf.loading import BUNDLED_MODEL
from edgeconnect_hf.windows import STRATEGIES


@pytest.fixture(scope="module")
def published(published_checkpoints, tmp_path_factory):
    """The published architecture with formula weights, converted, saved and loaded."""
    folder = tmp_path_factory.mktemp("converted")
    convert_checkpoints(*published_checkpoints.values(), folder)
    return EdgeConnectPipeline.from_pretrained(folder)


@pytest.mark.parametrize("blend_edges", [True, False])
def test_published_code_is_reproduced(published, fixtures, blend_edges):
    """Ten convolutions deep, twice, in fp32: the same arithmetic in another order differs by some 1e-5."""
    reference = load_file(fixtures / "reference.safetensors")
    result = published(
        reference["image"],
        reference["mask"],
        known_edges=reference["edges_known"],
        blend_edges=blend_edges,
        output_type="pt",
    )
    pred_edges = reference["pred_edges"]
    if blend_edges:
        pred_edges = pred_edges * reference["mask"] + reference["edges_known"] * (1 - reference["mask"])
    assert_close(result.edges, pred_edges, rtol=0, atol=1e-4)
    expected = reference["output_blended_edges" if blend_edges else "output_unblended_edges"]
    assert_close(result.images, expected, rtol=0, atol=1e-4)


def test_the_folder_of_the_withdrawn_model_gives_the_present_one():
    with pytest.warns(UserWarning, match="facades' is withdrawn; the one in .*buildings' is taken") as seen:
        pipeline = EdgeConnectPipeline.from_pretrained(BUNDLED_MODEL.with_name("facades"))
    assert seen[0].filename == __file__
    bundled = EdgeConnectPipeline.from_pretrained().completion_generator.state_dict()
    assert_close(pipeline.completion_generator.state_dict(), bundled, rtol=0, atol=0)


def test_bundled_model_repairs_a_photo(photo, hole):
    pipeline = EdgeConnectPipeline.from_pretrained()
    result = pipeline(photo, hole)
    assert isinstance(result, EdgeConnectPipelineOutput)
    (image,), (edges,) = result.images, result.edges
    assert (image.mode, edges.mode, image.size, edges.size) == ("RGB", "L", photo.size, photo.size)
    inside = np.asarray(hole) > 0
    repaired, original = np.asarray(image).astype(int), np.asarray(photo).astype(int)
    assert np.array_equal(repaired[~inside], original[~inside])
    # A hole left gray or white would be further off: the wall around is (70..130, 90..150, 110..140).
    assert np.abs(repaired[inside].mean(axis=0) - original[inside].mean(axis=0)).max() < 64


def test_hints_become_structure_in_a_plain_wall():
    """Two vertical lines drawn into the hole: across them the picture changes three times as steeply as without."""
    noise = np.random.default_rng(0).normal(0, 4, (256, 256, 1))
    wall = (np.array([196, 170, 130]) + noise).clip(0, 255).astype(np.uint8)
    mask, hints = np.zeros((256, 256), np.uint8), np.zeros((256, 256), np.uint8)
    mask[80:176, 80:176] = 255
    columns = (112, 144)
    hints[88:168, columns] = 255
    pipeline = EdgeConnectPipeline.from_pretrained()

    def steepness(**arguments):
        repaired = pipeline(wall, mask, output_type="np", **arguments).images[0].mean(axis=-1)  # [H,W]
        slope = np.abs(np.diff(repaired[88:168].mean(axis=0)))  # [W-1]; the wall's noise is averaged out
        return np.mean([slope[column - 2 : column + 2].max() for column in columns])

    assert steepness(edge_hints=hints) > 3 * steepness()


@pytest.mark.parametrize("gray", [40, 128, 255])
def test_on_noise_hardly_a_line_is_drawn(gray):
    """An edge generator that has seen no plain ground in training draws lines on 6 to 8 % of such a hole."""
    noise = np.random.default_rng(0).normal(gray, 3, (300, 300, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[110:190, 110:190] = 255
    lines = np.asarray(EdgeConnectPipeline.from_pretrained().generate_edges(noise, mask)[0])
    assert (lines[110:190, 110:190] >= 128).mean() < 0.03


def test_without_accelerate_nobody_is_told_to_install_it(monkeypatch, caplog):
    monkeypatch.setattr("diffusers.utils.import_utils._accelerate_available", False)
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    EdgeConnectPipeline.from_pretrained()
    assert "accelerate" not in caplog.text


def test_matching_colours_is_a_setting_saved_with_the_pipeline(tmp_path):
    torch.manual_seed(0)
    shape = {"base_channels": 4, "num_residual_blocks": 1}
    generators = EdgeGenerator(**shape), CompletionGenerator(**shape)
    EdgeConnectPipeline(*generators, match_colours=True).save_pretrained(tmp_path)
    matching = EdgeConnectPipeline.from_pretrained(tmp_path)
    plain = EdgeConnectPipeline.from_pretrained(tmp_path, match_colours=False)
    assert (matching.config.match_colours, plain.config.match_colours) == (True, False)
    assert not EdgeConnectPipeline(*generators).config.match_colours

    # Untrained, the network paints gray into a rough wall of one colour; matched, the wall's colour.
    wall = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1) + 0.02 * torch.rand(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 24:44] = 1
    off = {
        name: (pipe(wall, mask, output_type="pt").images - wall)[mask.expand_as(wall) == 1].abs().mean()
        for name, pipe in {"matching": matching, "plain": plain}.items()
    }
    assert off["matching"] < off["plain"] / 2
    edges = matching.generate_edges(wall, mask, output_type="pt")
    halves = matching.complete(wall, mask, edges, output_type="pt")
    assert torch.equal(halves, matching(wall, mask, output_type="pt").images)


@st.composite
def pictures_and_masks(draw):
    """Sizes from 1x1, odd ones too; one to twenty rectangular holes anywhere, also at the frame; at most most of it."""
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.sampled_from([(), (2,), (3,), (4,)]))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(1, 20))):
        top, left = random.integers(height), random.integers(width)
        mask[top : top + random.integers(1, 60), left : left + random.integers(1, 60)] = True
    if mask.all():
        mask[random.integers(height), random.integers(width)] = False
    return random.integers(0, 256, (height, width, *channels), dtype=np.uint8), mask


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=pictures_and_masks(), strategy=st.sampled_from(STRATEGIES), as_array=st.booleans())
@pytest.mark.filterwarnings("ignore:`mask_image` has no white pixel")
def test_known_pixels_are_bit_identical(tiny_pipeline, drawn, strategy, as_array):
    pixels, mask = drawn
    if as_array:
        result = tiny_pipeline(pixels, mask, strategy=strategy, output_type="np")
        repaired, known = result.images[0], pixels.reshape(*mask.shape, -1) / np.float32(255)
    else:
        result = tiny_pipeline(Image.fromarray(pixels), mask, strategy=strategy)
        repaired, known = np.asarray(result.images[0]), pixels
    assert repaired.shape == known.shape
    assert np.array_equal(repaired[~mask], known[~mask])
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        assert np.array_equal(repaired[..., -1], known[..., -1])  # alpha, in the hole too


def test_large_photo_with_scattered_holes_and_a_hole_of_most_of_the_picture(tiny_pipeline):
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    scattered = np.zeros((3000, 4000), bool)
    for top, left in zip(random.integers(0, 2900, 20), random.integers(0, 3900, 20), strict=True):
        scattered[top : top + 40, left : left + 60] = True
    most = np.zeros((3000, 4000), bool)
    most[300:2700, 500:3500] = True  # 60 %
    for mask in (scattered, most):
        (image,) = tiny_pipeline(Image.fromarray(photo), mask).images
        repaired = np.asarray(image)
        assert np.array_equal(repaired[~mask], photo[~mask])
        assert (repaired[mask] != photo[mask]).mean() > 0.9  # noise is never guessed: all of the hole was painted


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("output_type", ["pil", "np", "pt"])
def test_the_two_halves_are_the_whole(tiny_pipeline, strategy, output_type):
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (130, 171, 3), dtype=np.uint8)
    mask = np.zeros((130, 171), bool)
    mask[5:100, 10:120] = mask[110:128, 150:171] = True
    options = {"strategy": strategy, "output_type": output_type}
    whole = tiny_pipeline(photo, mask, **options)
    edges = tiny_pipeline.generate_edges(photo, mask, **options)
    images = tiny_pipeline.complete(photo, mask, edges, **options)
    for one, other in ((edges, whole.edges), (images, whole.images)):
        assert np.array_equal(np.asarray(one[0]), np.asarray(other[0]))
    tuple_of_both = tiny_pipeline(photo, mask, return_dict=False, **options)
    assert np.array_equal(np.asarray(tuple_of_both[0][0]), np.asarray(whole.images[0]))


def test_edges_given_are_used_as_they_are(tiny_pipeline, photo, hole):
    lines = np.zeros((photo.height, photo.width), np.uint8)
    lines[40, 30:66] = 200
    result = tiny_pipeline(photo, hole, edges=lines)
    assert np.array_equal(np.asarray(result.edges[0]), lines)
    assert result.images[0] == tiny_pipeline.complete(photo, hole, lines)[0]
    drawn = tiny_pipeline(photo, hole).images[0]
    assert np.abs(np.asarray(result.images[0]).astype(int) - np.asarray(drawn)).max() > 2


def test_edges_need_no_edge_generator_and_drawing_no_completion_generator(
    tiny_pipeline, photo, hole, tmp_path, monkeypatch
):
    edges = tiny_pipeline.generate_edges(photo, hole)
    painter = EdgeConnectPipeline(completion_generator=tiny_pipeline.completion_generator)
    assert painter(photo, hole, edges=edges).images[0] == tiny_pipeline(photo, hole).images[0]
    with pytest.raises(ValueError, match="no edge generator: pass the whole line map as `edges`"):
        painter(photo, hole)

    EdgeConnectPipeline(edge_generator=tiny_pipeline.edge_generator).save_pretrained(tmp_path)
    draughtsman = EdgeConnectPipeline.from_pretrained(tmp_path)
    assert draughtsman.generate_edges(photo, hole)[0] == edges[0]
    monkeypatch.setattr(EdgeGenerator, "forward", None)  # it is told before anything is drawn
    with pytest.raises(ValueError, match="no completion generator: `generate_edges` draws lines without one"):
        draughtsman(photo, hole)


@pytest.mark.filterwarnings("ignore:.*looks like a photo")
def test_known_edges_replace_canny_outside_the_hole_only(tiny_pipeline, photo, hole):
    known = np.full((photo.height, photo.width), 77, np.uint8)
    (edges,) = tiny_pipeline.generate_edges(photo, hole, known_edges=known, strategy="original")
    inside = np.asarray(hole) > 0
    assert (np.asarray(edges)[~inside] == 77).all()
    assert len(np.unique(np.asarray(edges)[inside])) > 5  # the generator's own


def test_edge_hints_stay_and_are_continued(tiny_pipeline, photo, hole):
    inside = np.asarray(hole) > 0
    hints = np.zeros(inside.shape, np.uint8)
    hints[32:48, 45] = 255  # in the hole
    hints[5, 5] = 255  # outside: not a hint
    plain = np.asarray(tiny_pipeline.generate_edges(photo, hole, strategy="original")[0])
    hinted = np.asarray(tiny_pipeline.generate_edges(photo, hole, edge_hints=hints, strategy="original")[0])
    assert (hinted[32:48, 45] == 255).all()
    assert np.array_equal(hinted[~inside], plain[~inside])
    elsewhere = inside & (hints == 0)
    assert (hinted[elsewhere] != plain[elsewhere]).any()  # the generator saw them
    with pytest.raises(ValueError, match="`edges` is the whole line map: `known_edges` and `edge_hints` cannot"):
        tiny_pipeline(photo, hole, edges=plain, edge_hints=hints)


def test_blend_edges_off_takes_the_generators_lines_everywhere(tiny_pipeline, photo, hole):
    inside = np.asarray(hole) > 0
    blended = np.asarray(tiny_pipeline.generate_edges(photo, hole, strategy="original")[0])
    raw = np.asarray(tiny_pipeline.generate_edges(photo, hole, strategy="original", blend_edges=False)[0])
    assert set(np.unique(blended[~inside])) <= {0, 255}
    assert len(np.unique(raw[~inside])) > 5
    assert np.array_equal(raw[inside], blended[inside])


def test_a_batch_is_its_pictures(tiny_pipeline):
    """Of one size they run together, which may change the last bit of a float sum, so a value by one of 255."""
    random = np.random.default_rng(0)
    photos = [random.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(3)]
    masks = [np.zeros((60, 80), bool) for _ in photos]
    for number, mask in enumerate(masks):
        mask[10 * number : 10 * number + 15, 20:50] = True
    together = tiny_pipeline(photos, masks)
    for photo, mask, image, edges in zip(photos, masks, together.images, together.edges, strict=True):
        alone = tiny_pipeline(photo, mask)
        for one, other in ((image, alone.images[0]), (edges, alone.edges[0])):
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_pictures_of_several_sizes_come_back_as_pil_only(tiny_pipeline, photo):
    small = photo.resize((40, 30))
    masks = [np.pad([[True]], ((9, picture.height - 10), (9, picture.width - 10))) for picture in (photo, small)]
    images = tiny_pipeline([photo, small], masks).images
    assert [image.size for image in images] == [photo.size, small.size]
    with pytest.raises(
        ValueError, match=r"several sizes or modes \(40x30, 96x72\), which `output_type='np'` cannot stack"
    ):
        tiny_pipeline([photo, small], masks, output_type="np")


def test_gray_stays_gray_and_takes_the_luminance(tiny_pipeline, photo, hole):
    gray = photo.convert("L")
    (as_gray,) = tiny_pipeline(gray, hole, output_type="np").images
    (as_rgb,) = tiny_pipeline(gray.convert("RGB"), hole, output_type="np").images
    inside = np.asarray(hole) > 0
    assert as_gray.shape == (72, 96, 1)
    # The same three products and sums by OpenCV and NumPy: within a few units in the last place of 1.
    luminance = as_rgb[inside] @ np.array([0.2125, 0.7154, 0.0721], np.float32)
    np.testing.assert_allclose(as_gray[inside][:, 0], luminance, rtol=0, atol=1e-6)


def test_empty_mask_returns_the_picture_with_a_warning(tiny_pipeline, photo):
    mask = Image.new("L", photo.size)
    with pytest.warns(UserWarning, match="no white pixel") as warned:
        result = tiny_pipeline(photo, mask)
    assert result.images[0] == photo
    for method in (tiny_pipeline.generate_edges, tiny_pipeline.open):
        with pytest.warns(UserWarning, match="no white pixel") as warned_again:
            method(photo, mask)
        assert warned_again[0].filename == warned[0].filename == __file__


def test_given_lines_are_handed_back_as_a_copy(tiny_pipeline, photo, hole):
    lines = np.zeros((photo.height, photo.width), np.uint8)
    (edges,) = tiny_pipeline(photo, hole, edges=lines).edges
    lines[:] = 255
    assert edges.getextrema() == (0, 0)


def test_a_line_goes_on_where_another_window_ends(tiny_pipeline):
    """Canny sees no line in the outermost pixels of a window, here row 268 of the second."""
    photo, mask = np.zeros((600, 600, 3), np.uint8), np.zeros((600, 600), np.uint8)
    photo[:, 240:] = 255
    mask[236:244, 146:154] = mask[396:404, 336:344] = 255
    (lines,) = tiny_pipeline.generate_edges(photo, mask, strategy="crop")
    line = np.asarray(lines)[150:350, 236:244]
    assert (line.max(axis=1) == 255).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "best"}, "`strategy` must be one of 'auto', 'original', 'crop', 'resize': got 'best'"),
        ({"output_type": "latent"}, "`output_type` must be one of 'pil', 'np', 'pt': got 'latent'"),
        ({"sigma": 0}, "`sigma` must be a number above 0, at most 100: got 0."),
        ({"sigma": float("nan")}, "`sigma` must be a number above 0, at most 100: got nan."),
        ({"sigma": 1e9}, "`sigma` must be a number above 0, at most 100: got 1000000000.0."),
        ({"sigma": None}, "`sigma` must be a number above 0, at most 100: got None."),
        ({"sigma": "2"}, "`sigma` must be a number above 0, at most 100: got '2'."),
    ],
)
def test_options_out_of_range_are_named(tiny_pipeline, photo, hole, options, says):
    with pytest.raises(ValueError, match=says):
        tiny_pipeline(photo, hole, **options)


def test_save_and_load_give_the_same_pixels(tiny_pipeline, photo, hole, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["edge_generator"] == ["edgeconnect_hf", "EdgeGenerator"]
    expected = tiny_pipeline(photo, hole).images[0]
    for loader in (EdgeConnectPipeline, DiffusionPipeline):
        loaded = loader.from_pretrained(tmp_path)
        assert type(loaded) is EdgeConnectPipeline
        assert loaded(photo, hole).images[0] == expected


def test_bfloat16_stays_close_to_fp32(photo, hole):
    """bf16 keeps 8 bits: no more than 2 of 255 in the mean over the hole, nothing outside."""
    inside = np.asarray(hole) > 0
    exact, rough = (
        np.asarray(EdgeConnectPipeline.from_pretrained(dtype=dtype)(photo, hole).images[0]).astype(int)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert np.array_equal(exact[~inside], rough[~inside])
    assert np.abs(exact - rough)[inside].mean() < 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_compiled_pipeline_gives_the_same_picture(tiny_pipeline, photo, hole, tmp_path):
    """Each generator is one graph, without a break. Fused sums round otherwise: by one of 255 at most."""
    tiny_pipeline.save_pretrained(tmp_path)
    compiled = EdgeConnectPipeline.from_pretrained(tmp_path)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return torch._inductor.compile(graph, inputs)

    compiled.compile(backend=backend)
    one, other = (np.asarray(pipeline(photo, hole).images[0]).astype(int) for pipeline in (tiny_pipeline, compiled))
    assert len(graphs) == 2
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize(
    ("prepare", "error", "says"),
    [
        (
            lambda folder: "no-such-model",
            ValueError,
            "is 'no-such-model', which is neither a folder here nor a model on",
        ),
        (lambda folder: folder / "missing", ValueError, "neither a folder here nor a model on the Hub"),
        (lambda folder: "./missing", ValueError, "'./missing', which is neither a folder here nor a model on the Hub"),
        (lambda folder: "../missing", ValueError, "'../missing', which is neither a folder here nor a model on"),
        (lambda folder: "user/.missing", ValueError, "'user/.missing', which is neither a folder here nor a model"),
        (lambda folder: (folder / "model_index.json").unlink() or folder, ValueError, "has no model_index.json"),
        (lambda folder: shutil.rmtree(folder / "edge_generator") or folder, OSError, "no file named config.json"),
    ],
)
def test_what_is_no_model_is_named(tiny_pipeline, tmp_path, prepare, error, says):
    tiny_pipeline.save_pretrained(tmp_path / "model")
    with pytest.raises(error, match=says):
        EdgeConnectPipeline.from_pretrained(prepare(tmp_path / "model"))


@pytest.mark.parametrize("setting", ["match_colours", "match_texture"])
@pytest.mark.parametrize("match", [False, True])
def test_components_make_the_same_pipeline_again(tiny_pipeline, photo, hole, setting, match):
    networks = {name: getattr(tiny_pipeline, name) for name in ("edge_generator", "completion_generator")}
    one = EdgeConnectPipeline(**networks, **{setting: match})
    other = EdgeConnectPipeline(**one.components)
    assert other.config[setting] is match
    assert other(photo, hole).images[0] == one(photo, hole).images[0]


def test_dtype_given_as_a_string_is_refused():
    with pytest.raises(TypeError, match="`dtype` must be a torch.dtype, as torch.bfloat16: got 'bfloat16'"):
        EdgeConnectPipeline.from_pretrained(dtype="bfloat16")
