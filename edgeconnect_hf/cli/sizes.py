"""Masks and line maps must have the size of their photo; which masks may be scaled to it."""

Size = tuple[int, int]  # width and height

_TOLERANCE = 0.01  # of the proportions: a thumbnail's are rounded


def check_size(argument: str, size: Size, photo: Size, resize: bool = False) -> None:
    """Check the size of a mask or line map.

    Args:
        argument (`str`): as the user typed it.
        size, photo: of the map, and of the photo as it is shown, turned upright by its EXIF orientation.
        resize (`bool`): accept a mask that is only smaller or larger.

    Raises:
        ValueError: it is of another size; the message has the cure for a map that is turned.
    """
    if size == photo:
        return
    is_scaled, is_turned = _are_alike(size, photo), _are_alike(size[::-1], photo)
    if is_scaled and resize and argument == "mask_image":
        return
    wanted, got = ("{}x{}".format(*each) for each in (photo, size))
    problem = f"`{argument}` must have the size of `image`, {wanted}: got {got}"
    if is_turned and not is_scaled:
        raise ValueError(
            f"{problem}, which is turned by 90 degrees. Photos are turned upright as their EXIF orientation says: "
            "turn this file as well, or remove the photo's orientation."
        )
    if argument == "mask_image" and is_scaled:
        raise ValueError(f"{problem} (`--resize-mask` scales it).")
    if argument == "mask_image" and resize:
        raise ValueError(f"{problem}, of other proportions, which `--resize-mask` does not scale.")
    raise ValueError(f"{problem}.")


def _are_alike(size: Size, other: Size) -> bool:
    """Whether two sizes have the same proportions."""
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) <= _TOLERANCE
