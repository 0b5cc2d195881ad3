"""An editing session gives what the pipeline gives, and does once what needs doing once."""

import numpy as np
import pytest
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, session, views
from edgeconnect_hf.windows import STRATEGIES, Window, region

SIZE = (600, 700)
HOLES = (slice(40, 80), slice(50, 110)), (slice(480, 520), slice(560, 620)), (slice(480, 520), slice(40, 100))


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    for hole in HOLES:
        mask[hole] = True
    return mask


@pytest.fixture
def calls(monkeypatch) -> dict[str, int]:
    """How often a session did what it is to do once, and how many views the networks saw."""
    counts = dict.fromkeys(("find_windows", "reduce_image", "canny"), 0)

    def count(owner, name):
        function = getattr(owner, name)

        def counted(*args, **options):
            counts[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    count(session, "find_windows")
    count(views, "canny")
    count(Window, "reduce_image")
    return counts


@pytest.fixture
def painted(tiny_pipeline):
    """The sizes of the batches that the completion generator was shown."""
    sizes = []
    hook = tiny_pipeline.completion_generator.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    yield sizes
    hook.remove()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("output_type", ["pil", "np"])
def test_edit_after_edit_equals_the_pipeline_bit_for_bit(tiny_pipeline, large, mask, strategy, output_type):
    options = {"strategy": strategy, "output_type": output_type}
    edit = tiny_pipeline.open(large, mask, sigma=1.5, **options)
    assert edit.edges is None
    whole = tiny_pipeline(large, mask, sigma=1.5, **options)
    assert np.array_equal(np.asarray(edit.complete()[0]), np.asarray(whole.images[0]))
    assert np.array_equal(np.asarray(edit.edges[0]), np.asarray(whole.edges[0]))

    white = 255 if output_type == "pil" else 1
    lines = np.array(whole.edges[0])
    for row, level in ((60, white), (70, white), (60, 0)):  # drawn, drawn, erased again, all in the first hole
        lines[row, 60:100] = level
        expected = tiny_pipeline.complete(large, mask, lines, **options)
        assert np.array_equal(np.asarray(edit.complete(lines)[0]), np.asarray(expected[0]))
        assert np.array_equal(np.asarray(edit.edges[0]), lines)

    hints = np.zeros_like(lines)
    hints[490:510, 590] = white
    hinted = edit.generate_edges(edge_hints=hints)
    assert np.array_equal(
        np.asarray(hinted[0]),
        np.asarray(tiny_pipeline.generate_edges(large, mask, edge_hints=hints, sigma=1.5, **options)[0]),
    )
    known = edit.generate_edges(known_edges=lines, blend_edges=False)
    expected = tiny_pipeline.generate_edges(large, mask, known_edges=lines, blend_edges=False, **options)
    assert np.array_equal(np.asarray(known[0]), np.asarray(expected[0]))


def test_windows_views_and_known_lines_are_computed_once(tiny_pipeline, large, mask, calls):
    edit = tiny_pipeline.open(large, mask)
    edit.complete()
    first = dict(calls)
    assert (first["find_windows"], first["canny"]) == (1, len(HOLES))
    for level in (0, 255):
        edit.generate_edges()
        edit.complete()
        edit.complete(np.full(SIZE, level, np.uint8))
    ((*windows,),) = edit.windows
    assert len(windows) == len(HOLES)
    assert calls == first


def test_only_windows_whose_lines_changed_are_repainted(tiny_pipeline, large, mask, painted):
    edit = tiny_pipeline.open(large, mask)
    lines = np.array(edit.generate_edges()[0])
    edit.complete()
    assert painted == [1, 1, 1]
    edit.complete(lines)
    assert painted == [1, 1, 1]
    lines[60, 60:100] = 255
    edit.complete(lines)
    assert painted == [1] * 4
    lines[500, 580] ^= 255
    lines[500, 60] ^= 255
    edit.complete(lines)
    assert painted == [1] * 6


def test_texture_is_added_later_and_no_network_runs_again(tiny_pipeline, large, mask, painted):
    """A draft without it, then the pipeline's own result, then the draft again."""
    smooth, textured = (
        EdgeConnectPipeline(**{**tiny_pipeline.components, "match_texture": setting})(large, mask).images[0]
        for setting in (False, True)
    )
    assert not np.array_equal(smooth, textured)
    painted.clear()
    edit = EdgeConnectPipeline(**{**tiny_pipeline.components, "match_texture": True}).open(large, mask)
    for setting, expected in ((False, smooth), (None, textured), (False, smooth), (True, textured)):
        assert np.array_equal(edit.complete(match_texture=setting)[0], expected)
    assert painted == [1] * len(HOLES)


def test_photos_of_one_size_run_together_and_apart(tiny_pipeline, painted):
    photos = np.random.default_rng(1).integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    edit = tiny_pipeline.open(photos, mask)
    first = edit.complete()
    assert painted == [3]
    assert [len(windows) for windows in edit.windows] == [1, 1, 1]
    lines = [np.array(edges) for edges in edit.edges]
    lines[1][30, 35:45] = 255
    second = edit.complete(lines)
    assert painted == [3, 3]  # one batch, whose sums a smaller one might round otherwise
    assert second[0] == first[0]
    assert second[1] != first[1]
    assert second[2] == first[2]


def test_networks_trained_at_two_sizes_have_windows_each(tiny_pipeline, large, mask, calls):
    pipeline = EdgeConnectPipeline(**tiny_pipeline.components)
    completion = type(pipeline.completion_generator)(base_channels=4, num_residual_blocks=1, sample_size=64).eval()
    pipeline.register_modules(completion_generator=completion)
    edit = pipeline.open(large, mask, strategy="resize")
    assert edit.complete()[0] == pipeline(large, mask, strategy="resize").images[0]
    assert {max(window.work_size) for window in edit.windows[0]} == {64}


def test_what_is_handed_out_is_no_longer_the_sessions(tiny_pipeline, photo, hole):
    edit = tiny_pipeline.open(photo, hole)
    (first,) = edit.complete()
    before = first.copy()
    first.paste(0, (0, 0, *first.size))
    lines = np.array(edit.edges[0])
    edit.edges[0].paste(255, (0, 0, 10, 10))
    assert edit.complete()[0] == before
    given = lines.copy()
    edit.complete(given)
    given[:] = 255
    assert np.array_equal(np.asarray(edit.edges[0]), lines)


def test_a_pipeline_with_half_of_the_networks_opens(tiny_pipeline, photo, hole):
    lines = tiny_pipeline.generate_edges(photo, hole)
    painter = EdgeConnectPipeline(completion_generator=tiny_pipeline.completion_generator).open(photo, hole)
    assert painter.complete(lines)[0] == tiny_pipeline(photo, hole).images[0]
    with pytest.raises(ValueError, match="no edge generator"):
        painter.generate_edges()
    drawer = EdgeConnectPipeline(edge_generator=tiny_pipeline.edge_generator).open(photo, hole)
    assert drawer.generate_edges()[0] == lines[0]
    assert len(drawer.windows[0]) == 1
    with pytest.raises(ValueError, match="no completion generator"):
        drawer.complete()


def test_hooks_that_free_the_networks_run_after_each_call(tiny_pipeline, photo, hole, monkeypatch):
    freed = []
    monkeypatch.setattr(EdgeConnectPipeline, "maybe_free_model_hooks", lambda self: freed.append(1))
    tiny_pipeline(photo, hole)
    edit = tiny_pipeline.open(photo, hole)
    count = len(freed)
    assert count >= 1
    edit.generate_edges()
    edit.complete(Image.new("L", photo.size))
    assert len(freed) == count + 2


@pytest.mark.parametrize("seed", range(6))
def test_a_photo_cut_to_its_region_gives_the_same_bit_for_bit(tiny_pipeline, seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(40, 700, 2)
    photo = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), bool)
    for top, left in zip(random.integers(0, height, 3), random.integers(0, width, 3), strict=True):
        mask[top : top + random.integers(1, 70), left : left + random.integers(1, 70)] = True
    mask[: 9 * (seed % 2), : 9 * (seed % 3)] = True  # at the frame
    strategy = ("auto", "crop", "resize")[seed % 3]
    top, left, bottom, right = region(mask, strategy, 32)
    whole = tiny_pipeline(photo, mask, strategy=strategy)
    cut = tiny_pipeline(photo[top:bottom, left:right], mask[top:bottom, left:right], strategy=strategy)
    photo[top:bottom, left:right] = np.asarray(cut.images[0])
    lines = np.zeros((height, width), np.uint8)
    lines[top:bottom, left:right] = np.asarray(cut.edges[0])
    assert np.array_equal(np.asarray(whole.images[0]), photo)
    assert np.array_equal(np.asarray(whole.edges[0]), lines)
