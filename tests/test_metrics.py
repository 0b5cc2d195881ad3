"""PSNR and the precision and recall of lines."""

import pytest
import torch

from training.metrics import edge_precision_recall, psnr


def test_psnr_of_a_known_error():
    picture = torch.rand(2, 3, 8, 8)
    assert psnr(picture, picture + 0.1).item() == pytest.approx(20, abs=1e-3)
    assert psnr(picture, picture).item() == torch.inf


def test_lines_count_in_the_hole_only():
    edges, drawn, mask = (torch.zeros(1, 1, 4, 4) for _ in range(3))
    mask[..., :2, :] = 1
    edges[..., 0, :] = 1  # four lines to draw
    drawn[..., 0, :2] = 0.9  # two of them drawn
    drawn[..., 1, 0] = 0.9  # and one that is not there
    drawn[..., 3, :] = 0.9  # outside the hole
    precision, recall = edge_precision_recall(edges, drawn, mask)
    assert precision.item() == pytest.approx(2 / 3)
    assert recall.item() == pytest.approx(1 / 2)


def test_nothing_to_draw_and_nothing_drawn_counts_as_nought():
    nothing = torch.zeros(1, 1, 4, 4)
    assert [value.item() for value in edge_precision_recall(nothing, nothing, nothing + 1)] == [0, 0]
