import cv2
import numpy as np
import pytest

from edgeconnect_hf import canny, to_gray


def f1(lines, reference, tolerance):
    """Share of lines that meet each other within `tolerance` pixels."""
    kernel = np.ones((2 * tolerance + 1,) * 2, np.uint8)
    near = [cv2.dilate(array.astype(np.uint8), kernel) > 0 for array in (lines, reference)]
    precision = (lines & near[1]).sum() / lines.sum()
    recall = (reference & near[0]).sum() / reference.sum()
    return 2 * precision * recall / (precision + recall)


def test_canny_agrees_with_scikit_image(fixtures):
    """18 maps by scikit-image: three pictures, sigma 1, 2, 3, whole and outside a mask. Where the two differ it is in
    the interpolation of the gradient's direction, so mostly by a pixel."""
    stored = np.load(fixtures / "canny.npz")
    exact, near = [], []
    for picture in range(3):
        gray = to_gray(stored[f"image_{picture}"].astype(np.float32) / 255)
        for sigma in (1, 2, 3):
            for suffix, mask in (("", None), ("_outside_mask", stored[f"mask_{picture}"])):
                lines = canny(gray, mask, sigma) > 0
                reference = stored[f"canny_{picture}_sigma{sigma}{suffix}"]
                exact.append(f1(lines, reference, 0))
                near.append(f1(lines, reference, 1))
    assert np.mean(exact) >= 0.92
    assert np.mean(near) >= 0.975


def test_gray_weighs_as_the_published_code_does():
    primaries = np.eye(3, dtype=np.float32)[None]  # [1,3,3]: a red, a green and a blue pixel
    np.testing.assert_array_equal(to_gray(primaries), np.array([[0.2125, 0.7154, 0.0721]], np.float32))


def step(height=40, width=40):
    gray = np.zeros((height, width), np.float32)
    gray[:, width // 2 :] = 1
    return gray


def test_a_step_becomes_one_thin_line():
    lines = canny(step())
    assert set(np.unique(lines)) == {0, 1}
    assert lines.dtype == np.float32
    assert (lines[1:-1].sum(axis=1) == 1).all()
    assert set(np.flatnonzero(lines.any(axis=0))) <= {19, 20}


def test_neither_hole_nor_frame_casts_a_line():
    """A flat picture with a hole has no lines; and none is ever reported within a pixel of a hole."""
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    assert canny(np.full((40, 40), 0.7, np.float32), mask).sum() == 0
    lines = canny(step(), mask)
    assert lines.sum() > 0
    assert lines[9:31, 9:31].sum() == 0
    assert lines[[0, -1]].sum() == lines[:, [0, -1]].sum() == 0


def test_what_the_hole_holds_does_not_matter():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 12:32] = True
    other = np.where(mask, np.float32(0.123), step())
    np.testing.assert_array_equal(canny(step(), mask), canny(other, mask))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 200)])
def test_pictures_smaller_than_the_gaussian_work(shape):
    assert canny(np.zeros(shape, np.float32)).shape == shape


def test_larger_sigma_draws_fewer_lines(fixtures):
    gray = to_gray(np.load(fixtures / "canny.npz")["image_0"].astype(np.float32) / 255)
    counts = [canny(gray, sigma=sigma).sum() for sigma in (0.5, 1, 2, 4)]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    ("gray", "said"),
    [
        (np.zeros((40, 40), np.uint8), "got uint8"),
        (np.zeros((40, 40, 3), np.float32), r"got the shape \[40, 40, 3\]"),
        (np.zeros((0, 40), np.float32), r"got the shape \[0, 40\]"),
        (np.full((40, 40), 255, np.float32), "got values from 255 to 255"),
        (np.full((40, 40), np.nan, np.float32), "got values from nan to nan"),
        ([[0.5]], "got list"),
    ],
)
def test_canny_names_what_is_no_gray_picture(gray, said):
    with pytest.raises(ValueError, match=rf"`gray` must be a float array \[H,W\] in \[0,1\]: {said}"):
        canny(gray)


@pytest.mark.parametrize("mask", [np.zeros((40, 40), np.uint8), np.zeros((40, 41), bool), [[True]]])
def test_canny_names_what_is_no_mask(mask):
    with pytest.raises(ValueError, match=r"`mask` must be a bool array of the size of `gray`, \[40, 40\]: got"):
        canny(step(), mask)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), 101, "2"])
def test_canny_names_a_wrong_sigma(sigma):
    with pytest.raises(ValueError, match="`sigma` must be a number above 0, at most 100: got"):
        canny(step(), sigma=sigma)


def test_to_gray_names_what_is_no_picture():
    with pytest.raises(ValueError, match=r"`image` must be a float array \[H,W,3\] in \[0,1\]: got uint8"):
        to_gray(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"`image` must be .*: got the shape \[4, 4\]"):
        to_gray(np.zeros((4, 4), np.float32))


def test_doubles_are_taken_as_floats():
    assert np.array_equal(canny(step().astype(np.float64)), canny(step()))
    doubles = np.random.default_rng(0).random((8, 8, 3))
    assert np.array_equal(to_gray(doubles), to_gray(doubles.astype(np.float32)))


def test_averages_that_round_beyond_1_are_taken():
    """OpenCV reduces many a white photo to 1.0000002."""
    white = np.full((40, 40, 3), 1 + 2**-22, np.float32)
    assert canny(to_gray(white)).sum() == 0
