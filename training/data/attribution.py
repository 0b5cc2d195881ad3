"""Writes `ATTRIBUTION.md` beside the bundled model: whom its photos are by, as their licences ask.

python training/data/attribution.py
"""

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from edgeconnect_hf.loading import BUNDLED_MODEL
from training.data.manifest import PhotoSet, read_manifest

FILE_NAME = "ATTRIBUTION.md"

_HEAD = """\
<!-- Written by `python training/data/attribution.py`: edit that, not this file. -->

# Attribution

The photos that this model was trained on and judged by, and those that its examples and figures show. They were reduced
to the short side given, some cropped, and in examples and figures parts of them were masked and repainted. Their
authors endorse neither the model nor what is made with it.
"""

_SET = """\
## {name}

[{title}]({page}) by {authors}. Licence: [{licence}]({licence_page}). Changes: reduced to a short side of {short_side}
pixels, saved anew as JPEG, cropped at random in training. {count} photos:
"""

# Where the author of a single photo is named, by set.
_AUTHORS = {
    "rooms": "A photo's name is its ImageID in Open Images, whose table of images names author, title and page:\n"
    "<https://storage.googleapis.com/openimages/web/download_v7.html>.\n",
    "plants": "A photo's name begins with its number at Flickr: `https://www.flickr.com/photo.gne?id=NUMBER` leads to "
    "its page, which\nnames author and title, and so does `LICENSE.txt` in the set.\n",
}


def main() -> None:
    target = BUNDLED_MODEL / FILE_NAME
    target.write_text(attribution(read_manifest()), encoding="utf-8")
    print(f"written: {target}")


def attribution(manifest: Mapping[str, PhotoSet]) -> str:
    """The text of `ATTRIBUTION.md`: every set with title, authors, licence, changes and photos."""
    parts = [_HEAD]
    for name, each in manifest.items():
        names = [photo.file_name.removesuffix(".jpg") for photos in each.splits.values() for photo in photos]
        fields = {**vars(each), "name": name, "count": f"{len(names):,}"}
        parts.append(_SET.format_map(fields))
        if name in _AUTHORS:
            parts.append(_AUTHORS[name])
        parts.append(textwrap.fill(", ".join(names), 120, break_on_hyphens=False) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
