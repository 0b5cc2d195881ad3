"""The one reader and writer of pictures: files, PIL, NumPy, torch <-> checked pictures, masks and line maps."""

from .arguments import (
    OUTPUT_TYPES,
    Array,
    ImageInput,
    Picture,
    check_one_size,
    from_float,
    read_edges,
    read_images,
    read_map,
    read_masks,
    to_float,
    with_colour,
    write_edges,
    write_images,
)
from .files import decode, flatten, open_file, read_file, upright_size, write_file

__all__ = [
    "OUTPUT_TYPES",
    "Array",
    "ImageInput",
    "Picture",
    "check_one_size",
    "decode",
    "flatten",
    "from_float",
    "open_file",
    "read_edges",
    "read_file",
    "read_images",
    "read_map",
    "read_masks",
    "to_float",
    "upright_size",
    "with_colour",
    "write_edges",
    "write_file",
    "write_images",
]
