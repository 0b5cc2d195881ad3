"""Figures against values worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from training.evaluation.metrics import (
    DISTANCE_LAYERS,
    FrechetDistance,
    count_edges,
    edge_f1,
    edge_precision_recall,
    feature_distance,
    image_scores,
    line_figures,
    line_hits,
    psnr,
    thin,
)


def test_psnr_of_a_known_error():
    picture = torch.rand(2, 3, 8, 8)
    assert psnr(picture, picture + 0.1).item() == pytest.approx(20, abs=1e-3)
    assert psnr(picture, picture).item() == torch.inf
    errors = torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)  # 20 and 40 dB
    assert psnr(picture, picture + errors).item() == pytest.approx(30, abs=1e-3)


def test_scores_of_flat_pictures_by_hand():
    real, fake = torch.full((1, 3, 64, 64), 0.4), torch.full((1, 3, 64, 64), 0.6)
    # Without any variance SSIM is (2ab + c) / (a^2 + b^2 + c), with c = 0.01^2.
    ssim = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    psnr = -20 * np.log10(0.2)
    # The variance, a difference of two means of squares, is not quite 0 in single precision.
    assert image_scores(real, fake) == pytest.approx({"l1": 20, "psnr": psnr, "ssim": ssim}, rel=1e-3)


def test_scores_of_equal_pictures():
    picture = torch.rand(1, 3, 64, 64)
    for protocol in ("usual", "published"):
        scores = image_scores(picture, picture, protocol)
        assert (scores["l1"], scores["psnr"]) == (0, np.inf)
        assert scores["ssim"] == pytest.approx(1, abs=1e-5)


def test_black_pictures_do_not_differ():
    black = torch.zeros(1, 3, 64, 64)
    assert image_scores(black, black, "published")["l1"] == 0
    assert np.isfinite(image_scores(black, black + 0.1, "published")["l1"])


def test_published_protocol_looks_at_gray_in_flat_windows():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.rand(2, 1, 3, 60, 64, generator=generator)
    gray = [(p[0] * torch.tensor([0.2125, 0.7154, 0.0721]).view(3, 1, 1)).sum(0).double().numpy() for p in (real, fake)]
    windows = [np.lib.stride_tricks.sliding_window_view(p, (51, 51)).reshape(10, 14, -1) for p in gray]
    means, variances = ([f(w, axis=-1) for w in windows] for f in (np.mean, np.var))
    covariance = (windows[0] * windows[1]).mean(-1) - means[0] * means[1]
    ssim = (2 * means[0] * means[1] + 1e-4) * (2 * covariance + 9e-4)
    ssim /= (means[0] ** 2 + means[1] ** 2 + 1e-4) * (variances[0] + variances[1] + 9e-4)

    scores = image_scores(real, fake, "published")
    assert scores["ssim"] == pytest.approx(ssim.mean(), abs=1e-5)  # float32 against float64
    assert scores["l1"] == pytest.approx(100 * abs(gray[0] - gray[1]).sum() / (gray[0] + gray[1]).sum(), rel=1e-4)
    assert scores["psnr"] == pytest.approx(-10 * np.log10(((gray[0] - gray[1]) ** 2).mean()), rel=1e-4)


def test_feature_distance_by_hand_and_whatever_the_layers_scale():
    real = {name: torch.full((1, 2, 4, 4), 2.0) for name in DISTANCE_LAYERS} | {"relu5_1": torch.zeros(1)}
    fake = dict(real)
    assert feature_distance(real, fake) == 0
    fake["relu3_4"] = real["relu3_4"] + 1  # half its mean, in one of five layers
    assert feature_distance(real, fake) == pytest.approx(0.1)
    scaled = [{**features, "relu3_4": features["relu3_4"] * 7} for features in (real, fake)]
    assert feature_distance(*scaled) == pytest.approx(0.1)


class MeanColour(nn.Module):
    """Three features of a picture: its mean colour."""

    num_features = 3

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.float().mean(dim=(2, 3)) / 255


def test_frechet_distance_of_shifted_pictures():
    levels = torch.tensor([[10, 60, 20], [90, 20, 80], [40, 50, 10], [70, 90, 60]], dtype=torch.uint8)
    real = [level.view(1, 3, 1, 1).expand(1, 3, 16, 16) for level in levels]
    distance = FrechetDistance(MeanColour())
    distance.use_originals(real)
    for _ in range(2):  # the originals are kept
        assert distance(real) == pytest.approx(0, abs=1e-4)
        # The same spread, the mean moved by 51/255 in each of three features.
        assert distance([picture + 51 for picture in real]) == pytest.approx(3 * 0.2**2, abs=1e-4)


def test_frechet_distance_says_what_it_needs(monkeypatch):
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(ValueError, match="`fid` needs the standard Inception weights.*pip install torch-fidelity"):
        FrechetDistance()


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
    assert [count.item() for count in count_edges(edges, drawn, mask)] == [2, 3, 4]


def test_nothing_to_draw_and_nothing_drawn_counts_as_nought():
    nothing = torch.zeros(1, 1, 4, 4)
    assert [value.item() for value in edge_precision_recall(nothing, nothing, nothing + 1)] == [0, 0]


def test_a_broad_line_is_thinned_to_its_middle():
    lines = torch.zeros(1, 1, 9, 20)
    lines[..., 3:6, 2:18] = 0.8
    thinned = thin(lines)
    assert set(thinned.unique().tolist()) == {0, 1}
    assert torch.equal(thinned.nonzero()[:, 2].unique(), torch.tensor([4]))  # the middle row
    assert thinned.sum() >= 13  # its ends become a little shorter


def test_thin_lines_stay_as_they_are():
    lines = torch.zeros(2, 1, 12, 12)
    lines[0, 0, 5] = 1  # from frame to frame
    lines[1, 0] = torch.eye(12)
    assert torch.equal(thin(lines), lines)


def test_thinning_removes_what_zhang_and_suen_remove():
    """Against the rule read off the paper, pixel by pixel."""
    lines = (torch.rand(1, 1, 14, 17, generator=torch.Generator().manual_seed(0)) > 0.35).float()
    expected, (height, width) = lines[0, 0].int(), lines.shape[-2:]
    while True:
        before = expected.clone()
        for first_pass in (True, False):
            around = F.pad(expected, (1, 1, 1, 1))
            for y in range(height):
                for x in range(width):
                    p2, p3, p4 = (int(around[y + dy, x + dx]) for dy, dx in ((0, 1), (0, 2), (1, 2)))
                    p5, p6, p7 = (int(around[y + dy, x + dx]) for dy, dx in ((2, 2), (2, 1), (2, 0)))
                    p8, p9 = (int(around[y + dy, x + dx]) for dy, dx in ((1, 0), (0, 0)))
                    ring = (p2, p3, p4, p5, p6, p7, p8, p9, p2)
                    one_run = sum(a < b for a, b in pairwise(ring)) == 1
                    sides = (p2 * p4 * p6, p4 * p6 * p8) if first_pass else (p2 * p4 * p8, p2 * p6 * p8)
                    if 2 <= sum(ring[:8]) <= 6 and one_run and sides == (0, 0):
                        expected[y, x] = 0
        if torch.equal(before, expected):
            break
    assert torch.equal(thin(lines)[0, 0].int(), expected)


def test_hits_of_lines_off_by_a_pixel_or_two():
    true = torch.zeros(1, 1, 16, 16)
    true[..., 8, :] = 1
    assert [line_hits(true, true.roll(off, dims=-2), 1) for off in (0, 1, 2)] == [16, 16, 0]
    assert [line_hits(true, true.roll(2, dims=-2), within) for within in (0, 1, 2)] == [0, 0, 16]


def test_f1_forgives_two_pixels_and_no_more():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 4:28, 4:28] = 1
    edges = torch.zeros(1, 1, 32, 32)
    edges[..., 16] = 1  # reaches beyond the hole
    assert edge_f1(edges, edges, mask) == 1
    assert edge_f1(edges, edges.roll(2, dims=-1), mask) == 1
    assert edge_f1(edges, edges.roll(3, dims=-1), mask) == 0
    assert edge_f1(edges, 0.5 * edges, mask) == 0  # a haze
    assert edge_f1(0 * edges, 0 * edges, mask) == 0
    half = edges.clone()
    half[..., 16:, :] = 0  # of 24 true pixels, 12 are drawn
    assert edge_f1(edges, half, mask) == pytest.approx(2 * 12 / (12 + 24))


def test_f1_rewards_neither_thick_lines_nor_many():
    mask, edges = torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    edges[..., 16] = 1
    thick = edges + edges.roll(1, dims=-1) + edges.roll(-1, dims=-1)
    assert edge_f1(edges, thick, mask) > 0.9  # thinned, its ends are lost
    assert edge_f1(edges, 1 - 0 * edges, mask) < 0.3
    hairs = torch.zeros_like(edges)
    hairs[..., ::4] = 1  # one of eight is true
    assert edge_f1(edges, hairs, mask) == pytest.approx(2 * 32 / (8 * 32 + 32))


def test_figures_of_lines_are_those_in_the_hole():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2, :] = 1
    pred_edges = torch.full((1, 1, 4, 4), 0.25)
    pred_edges[0, 0, 0, :2] = torch.tensor([0.75, 1.0])
    pred_edges[0, 0, 3] = 0.9  # outside
    expected = {"line_mean": (1.75 + 6 * 0.25) / 8, "line_max": 1.0, "line_share": 0.25, "drawn_mean": 0.875}
    assert line_figures(pred_edges, mask) == pytest.approx(expected)
    assert set(line_figures(pred_edges, 0 * mask).values()) == {0.0}
