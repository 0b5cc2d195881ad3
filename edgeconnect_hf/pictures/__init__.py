"""The one reader and writer of pictures: files, PIL, NumPy, torch <-> checked pictures, masks and line maps."""

from .arguments import ImageInput, check_differ, check_one_size, read_images
from .decoding import decode, flatten, to_eight_bits, upright_size
from .deep import DeepImage
from .files import HEIC_ENDINGS, open_file, read_file, readable_endings
from .maps import read_edges, read_map, read_masks
from .picture import (
    OUTPUT_TYPES,
    Array,
    Picture,
    from_float,
    to_float,
    with_colour,
    write_edges,
    write_images,
)
from .writing import write_file

__all__ = [
    "HEIC_ENDINGS",
    "OUTPUT_TYPES",
    "Array",
    "DeepImage",
    "ImageInput",
    "Picture",
    "check_differ",
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
    "readable_endings",
    "to_eight_bits",
    "to_float",
    "upright_size",
    "with_colour",
    "write_edges",
    "write_file",
    "write_images",
]
