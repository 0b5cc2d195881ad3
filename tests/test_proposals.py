"""Several line proposals for one hole."""

import numpy as np
import pytest
import torch

from edgeconnect_hf import canny
from edgeconnect_hf.proposals import proposals


def drawn(pipeline, photo, hole, seed=0, **options) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    found = pipeline.generate_edges(photo, hole, generator=generator, **options)
    return [np.asarray(edges[0]) for edges in found]


def test_the_first_is_what_one_alone_is_and_the_others_differ_in_the_hole_only(tiny_pipeline, photo, hole):
    inside = np.asarray(hole) > 0
    found = drawn(tiny_pipeline, photo, hole, num_proposals=4)
    (alone,) = tiny_pipeline.generate_edges(photo, hole)
    assert np.array_equal(found[0], np.asarray(alone))
    for number, one in enumerate(found):
        assert np.array_equal(one[~inside], found[0][~inside])
        assert all((one[inside] != other[inside]).any() for other in found[:number])


def test_a_seed_gives_the_same_again_and_fewer_are_the_first_of_them(tiny_pipeline, photo, hole):
    four = drawn(tiny_pipeline, photo, hole, num_proposals=4)
    session = tiny_pipeline.open(photo, hole)
    session.complete()
    again = session.generate_edges(num_proposals=3, generator=torch.Generator().manual_seed(0))
    assert all(np.array_equal(one, np.asarray(edges[0])) for one, edges in zip(four, again, strict=False))
    assert np.array_equal(np.asarray(session.edges[0]), four[0])
    assert any(
        (one != other).any()
        for one, other in zip(four, drawn(tiny_pipeline, photo, hole, 1, num_proposals=4), strict=True)
    )


def test_hints_stay_in_every_proposal_and_given_lines_are_varied(tiny_pipeline, photo, hole):
    hints = np.zeros((photo.height, photo.width), np.uint8)
    hints[35:45, 48] = 255
    for edges in drawn(tiny_pipeline, photo, hole, num_proposals=4, edge_hints=hints, known_edges=hints):
        assert (edges[hints > 0] == 255).all()


def test_the_first_proposal_hands_on_what_it_is_given(tiny_pipeline, photo, hole):
    (view,) = tiny_pipeline.open(photo, hole)._look(32)
    gray, known = proposals(1)[0].see(view, view.known_edges, True, None)
    assert gray is view.gray
    assert known is view.known_edges


@pytest.mark.parametrize("number", [0, 5, 1.5, "2", None])
def test_a_number_out_of_range_is_named(tiny_pipeline, photo, hole, number):
    with pytest.raises(ValueError, match="`num_proposals` must be a whole number from 1 to 4: got"):
        tiny_pipeline.generate_edges(photo, hole, num_proposals=number)


def test_what_is_no_generator_is_named(tiny_pipeline, photo, hole):
    with pytest.raises(TypeError, match="`generator` must be a torch.Generator: got a int"):
        tiny_pipeline.generate_edges(photo, hole, num_proposals=2, generator=0)


def test_higher_thresholds_of_canny_leave_some_of_its_lines():
    gray = np.random.default_rng(0).random((40, 40), np.float32)
    usual, given, fewer = (
        canny(gray, sigma=1, **options) for options in ({}, {"thresholds": (0.1, 0.2)}, {"thresholds": (0.3, 0.6)})
    )
    assert np.array_equal(usual, given)
    assert 0 < fewer.sum() < usual.sum()
    assert (fewer <= usual).all()
    for thresholds in ((0.2, 0.1), (-1, 0), (1, 5)):
        with pytest.raises(ValueError, match="`thresholds` must be two numbers that rise, from 0 to 4: got"):
            canny(gray, thresholds=thresholds)
