"""ATTRIBUTION.md, which is shipped with the model, says what CC BY asks for."""

from edgeconnect_hf.loading import BUNDLED_MODEL
from training.data.attribution import FILE_NAME, attribution
from training.data.manifest import read_manifest


def test_the_shipped_file_is_that_of_the_manifest():
    assert (BUNDLED_MODEL / FILE_NAME).read_text(encoding="utf-8") == attribution(read_manifest())


def test_title_authors_licence_changes_and_every_photo_are_named():
    text = (BUNDLED_MODEL / FILE_NAME).read_text(encoding="utf-8")
    for each in read_manifest().values():
        for said in (each.title, each.authors, each.page, each.licence, each.licence_page, str(each.short_side)):
            assert said in text
        words = set(text.replace(",", " ").split())
        assert {photo.file_name[:-4] for photos in each.splits.values() for photo in photos} <= words
    assert "reduced" in text
    assert "cropped" in text
