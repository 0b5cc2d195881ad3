"""Files as people really hand them over: each test builds its own."""

import os
import resource
import struct
import sys
import threading
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from edgeconnect_hf.pictures import DeepImage, read_file, read_images, read_masks, write_file, write_images
from edgeconnect_hf.pictures.metadata import read_info

ORIENTATION, ARTIST, EXPOSURE, LATITUDE = 0x0112, 0x013B, 0x829A, 2
RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def encoded(image, image_format, **options):
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def png(samples, *chunks, colour_type=None):
    """A PNG of `[H,W,C]` uint8 or uint16, with `(name, content)` chunks before the pixels."""
    kinds = {1: 0, 2: 4, 3: 2, 4: 6}
    height, width, channels = samples.shape
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, kinds[channels], 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return content


def deep_tiff(samples, orientation=1):
    """An uncompressed TIFF of `[H,W,C]` uint16."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    height, width, channels = samples.shape
    tags[256], tags[257], tags[258], tags[259], tags[262] = width, height, (16,) * channels, 1, 2
    tags[273], tags[274], tags[277], tags[278], tags[279] = 0, orientation, channels, height, samples.nbytes
    if channels == 4:
        tags[338] = 2
    file = BytesIO()
    tags.save(file)
    file.write(samples.astype("<u2").tobytes())
    return file.getvalue()


def turned(samples, orientation):
    """What Pillow makes of 8 bits, for 16: each pixel's number is turned as a picture, and picked by it."""
    numbers = np.arange(samples.shape[0] * samples.shape[1], dtype=np.uint8).reshape(samples.shape[:2])
    image = Image.fromarray(numbers)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = np.asarray(read_file(encoded(image, "PNG", exif=exif.tobytes()), "It"))
    return samples.reshape(-1, samples.shape[2])[upright]


# Transparency


def transparent_files():
    """Files whose pixel (0, 0) alone is transparent, though white, and what mode their photo has."""
    gray = np.full((4, 6, 1), 9, np.uint8)
    gray[0, 0] = 255
    colours = np.repeat(gray, 3, axis=2)
    palette = Image.fromarray(gray[..., 0] // 255)
    palette.putpalette([9, 9, 9, 255, 255, 255])
    deep_gray, deep_colours = (each.astype(np.uint16) * 257 for each in (gray, colours))
    return {
        "palette": (encoded(palette, "PNG", transparency=1), "RGBA"),
        "palette with alphas": (encoded(palette, "PNG", transparency=b"\xff\0"), "RGBA"),
        "gif": (encoded(palette, "GIF", transparency=1), "RGBA"),
        "gray": (png(gray, (b"tRNS", b"\0\xff")), "LA"),
        "rgb": (png(colours, (b"tRNS", b"\0\xff" * 3)), "RGBA"),
        "bits": (encoded(Image.fromarray(gray[..., 0] == 255), "PNG", transparency=1), "LA"),
        "gray, 16 bits": (png(deep_gray, (b"tRNS", b"\xff\xff")), "LA"),
        "rgb, 16 bits": (png(deep_colours, (b"tRNS", b"\xff\xff" * 3)), "RGBA"),
        "webp": (
            encoded(Image.fromarray(np.dstack([colours, 255 - gray // 255 * 255])), "WEBP", lossless=True),
            "RGBA",
        ),
    }


@pytest.mark.parametrize("kind", transparent_files())
@pytest.mark.filterwarnings("ignore:.*no white pixel", "ignore:PIL has no 16-bit colours")
def test_transparency_of_any_kind_is_no_hole_and_stays_in_a_photo(kind):
    content, mode = transparent_files()[kind]
    assert not read_masks(content, read_images(np.zeros((4, 6), np.uint8), "pil"))[0].any()
    (photo,) = write_images(read_images(content, "pil"), "pil")
    assert photo.mode == mode
    alpha = np.asarray(photo.getchannel("A"))
    assert alpha[0, 0] == 0
    assert (alpha.ravel()[1:] == 255).all()
    assert np.asarray(photo)[0, 1, 0] == (0 if kind == "bits" else 9)


@pytest.mark.parametrize(("mode", "plain"), [("La", "LA"), ("RGBa", "RGBA"), ("PA", "RGBA")])
def test_rare_modes_with_alpha_keep_it(mode, plain):
    source = Image.merge("RGBA", [*Image.fromarray(RGB).split(), Image.fromarray(RGB[..., 0] // 128 * 255)])
    image = source.convert("LA").convert("La") if mode == "La" else source.convert("P" if mode == "PA" else mode)
    image = image.convert(mode)
    (photo,) = write_images(read_images(image, "pil"), "pil")
    assert photo.mode == plain
    assert np.array_equal(np.asarray(photo), np.asarray(image.convert(plain)))


# 16 bits


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_colours_keep_sixteen_bits(channels, tmp_path):
    samples = DEEP[..., :channels]
    read = read_file(png(samples), "It")
    assert isinstance(read, DeepImage)
    assert np.array_equal(read, samples)
    write_file(read, tmp_path / "again.png")
    again = read_file(tmp_path / "again.png", "It")
    assert np.array_equal(again, samples[..., [0, 0, 0, 1]] if channels == 2 else samples)  # OpenCV's PNG has no LA


@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_colours_keep_sixteen_bits(channels, tmp_path):
    read = read_file(deep_tiff(DEEP[..., :channels]), "It")
    assert np.array_equal(read, DEEP[..., :channels])
    write_file(read, tmp_path / "again.tif")
    assert np.array_equal(read_file(tmp_path / "again.tif", "It"), read)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_are_turned_upright(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    expected = turned(DEEP[..., :3], orientation)
    for content in (
        deep_tiff(DEEP[..., :3], orientation),
        png(DEEP[..., :3], (b"eXIf", exif.tobytes()[6:])),
    ):
        assert np.array_equal(read_file(content, "It"), expected)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "PPM"])
def test_gray_files_keep_sixteen_bits(image_format, tmp_path):
    image = Image.fromarray(DEEP[..., 0])
    (picture,) = read_images(encoded(image, image_format), "pil")
    assert np.array_equal(picture.colour[..., 0], DEEP[..., 0])
    path = tmp_path / f"again.{'pgm' if image_format == 'PPM' else image_format.lower()}"
    write_file(write_images([picture], "pil")[0], path)
    assert np.array_equal(read_images(path, "pil")[0].colour, picture.colour)
    with Image.open(path) as opened:  # a PGM is of mode I then, like pictures of unknown range
        assert np.array_equal(read_images(opened, "pil")[0].colour, picture.colour)


@pytest.mark.parametrize("most", [1023, 65535])
def test_ppm_samples_are_scaled_over_their_full_range(most):
    samples = np.minimum(DEEP[..., :3], most)
    content = f"P6\n7 5\n{most}\n".encode() + samples.astype(">u2").tobytes()
    assert np.array_equal(read_file(content, "It"), np.rint(samples * (65535 / most)))


def test_damaged_sixteen_bits_are_named():
    samples = np.random.default_rng(0).integers(0, 65536, (300, 300, 3), dtype=np.uint16)
    with pytest.raises(ValueError, match="^The photo cannot be decoded: .*truncated"):
        read_file(png(samples)[:200000], "The photo")


def test_later_pages_keep_sixteen_bits():
    import cv2

    pages = [DEEP[..., :3], DEEP[::-1, :, 1:].copy()]
    content = cv2.imencodemulti(".tiff", [page[..., ::-1].copy() for page in pages])[1].tobytes()
    for frame, page in enumerate(pages):
        assert np.array_equal(read_file(content, "It", frame=frame), page)


def test_formats_of_eight_bits_say_so(tmp_path):
    for image in (DEEP[..., :3], Image.fromarray(DEEP[..., 0])):
        with pytest.warns(UserWarning, match="JPEG holds 8 bits a channel; PNG and TIFF keep 16"):
            write_file(image, tmp_path / "photo.jpg")
        assert read_file(tmp_path / "photo.jpg", "It").size == (7, 5)


# Frames


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_one_frame_of_several(image_format):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if image_format == "WEBP" else {}
    content = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **lossless)
    with pytest.warns(UserWarning, match=r"^The photo has 3 frames; the first \(0\) is read\.$"):
        assert read_file(content, "The photo").convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    for frame, image in enumerate(frames):
        read = read_file(content, "The photo", frame=frame).convert("RGB")
        assert read.getpixel((0, 0)) == image.getpixel((0, 0))
    for frame in (3, -1):
        with pytest.raises(ValueError, match=f"^The photo has 3 frames, numbered from 0: there is no frame {frame}"):
            read_file(content, "The photo", frame=frame)


def test_a_photo_with_a_second_one_inside_is_one_photo():
    photos = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    content = encoded(photos[0], "MPO", save_all=True, append_images=photos[1:], quality=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_file(content, "It")
    assert read.size == (7, 5)
    assert "qtables" in read.info
    with pytest.raises(ValueError, match="has 1 frame, numbered from 0: there is no frame 1"):
        read_file(encoded(photos[0], "PNG"), "It", frame=1)


# HEIC and AVIF


def test_heic_names_the_extra_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it raises
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(ValueError, match=r"^The photo is a HEIC picture; to read it: pip install '.*\[heif\]"):
        read_file(heic, "The photo")
    with pytest.raises(ValueError, match="^The photo is not an image in a known format"):
        read_file(heic, "The photo", formats=("PNG",))
    avif = heic.replace(b"heic", b"avif")
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "AVIF"])
    monkeypatch.setattr(Image, "_initialized", 2)
    with pytest.raises(ValueError, match=r"^The photo is an AVIF picture, .*edgeconnect-hf\[heif\]"):
        read_file(avif, "The photo")


def test_heic_is_read_where_its_plugin_is_installed():
    heif = pytest.importorskip("pillow_heif")
    photo = Image.fromarray(np.full((64, 48, 3), (200, 30, 90), np.uint8))
    file = BytesIO()
    heif.from_pillow(photo).save(file, quality=95)
    read = read_file(file.getvalue(), "It")
    assert read.size == (48, 64)
    assert np.abs(np.asarray(read).astype(int) - np.asarray(photo)).max() < 8  # HEIC is lossy
    with pytest.raises(ValueError, match="not an image in a known format"):
        read_file(file.getvalue(), "It", formats=("PNG", "JPEG"))


def test_avif_is_read():
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    photo = Image.new("RGB", (32, 32), (200, 30, 90))
    read = read_file(encoded(photo, "AVIF", quality=90), "It")
    assert np.abs(np.asarray(read).astype(int) - np.asarray(photo)).max() < 8  # AVIF is lossy


# Limits


def bomb(width, height):
    """A PNG that says it has this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    small = png(np.zeros((1, 1, 1), np.uint8))
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


def test_a_larger_limit_replaces_pillows_own_while_a_file_is_read():
    content = bomb(20000, 20000)
    limit = Image.MAX_IMAGE_PIXELS
    seen = []
    with pytest.raises(ValueError, match="bomb.*; for a file that you trust, raise `PIL.Image.MAX_IMAGE_PIXELS`"):
        read_file(content, "It")
    with pytest.raises(ValueError, match="^It is far too large: up to 100 megapixels are accepted"):
        read_file(content, "It", max_pixels=100e6)
    with pytest.raises(ValueError, match="^It is far too large: up to 399 megapixels"):
        read_file(content, "It", max_pixels=399e6)
    content = encoded(Image.new("1", (20000, 10000)), "PNG")

    def read() -> None:
        try:
            assert read_file(content, "It", max_pixels=500e6).size == (20000, 10000)
        finally:
            seen.append(Image.MAX_IMAGE_PIXELS)

    threads = [threading.Thread(target=read) for _ in range(2)]  # neither may leave the other's limit behind
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert limit == Image.MAX_IMAGE_PIXELS


# What goes with a picture


def annotated_exif():
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "A. Person"
    exif[256], exif[257] = 9999, 9999  # of another file
    exif[0x8769] = {EXPOSURE: 0.5}
    exif[0x8825] = {1: "N", LATITUDE: (48.0, 51.0, 30.0)}
    return exif


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:title="Wall"/></x:xmpmeta>'


def check_annotations(image):
    exif = Image.Exif()
    exif.load(image.info["exif"])
    assert exif[ARTIST] == "A. Person"
    assert not {ORIENTATION, 256, 257}.intersection(exif)
    assert exif.get_ifd(0x8769)[EXPOSURE] == 0.5
    assert exif.get_ifd(0x8825)[LATITUDE] == (48.0, 51.0, 30.0)
    assert image.info["icc_profile"] == PROFILE
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)  # a PNG counts in metres
    assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')  # or it would be turned again


@pytest.mark.parametrize(
    ("ending", "depth"), [("png", 8), ("jpg", 8), ("tif", 8), ("webp", 8), ("png", 16), ("tif", 16)]
)
def test_exif_resolution_xmp_and_profile_survive(ending, depth, tmp_path):
    source = encoded(Image.fromarray(RGB), "JPEG", exif=annotated_exif(), icc_profile=PROFILE, dpi=(300, 300), xmp=XMP)
    (picture,) = read_images(source, "pil")
    (result,) = write_images([picture], "pil")
    assert result.size == (5, 7)
    check_annotations(result)
    path = tmp_path / f"result.{ending}"
    write_file(result if depth == 8 else DeepImage(DEEP[..., :3], result.info), path)
    again = read_file(path, "It")
    if ending == "webp":
        assert "dpi" not in again.info  # it has no place for it
        again.info["dpi"] = (300, 300)
    check_annotations(again)
    if depth == 16:
        assert np.array_equal(again, DEEP[..., :3])


def test_an_opened_image_keeps_the_same_and_is_not_changed():
    content = encoded(Image.fromarray(RGB), "JPEG", exif=annotated_exif(), icc_profile=PROFILE, dpi=(300, 300), xmp=XMP)
    with Image.open(BytesIO(content)) as image:
        before = dict(image.info)
        (result,) = write_images(read_images(image, "pil"), "pil")
        assert image.info == before
        assert image.getexif()[ORIENTATION] == 6
    check_annotations(result)


def test_a_thumbnail_of_what_was_removed_is_not_kept():
    thumbnail = encoded(Image.fromarray(RGB), "JPEG")
    entries = struct.pack("<HHIHH", ORIENTATION, 3, 1, 1, 0), struct.pack("<HHIII", 0x0201, 4, 1, 0, 0)
    second = (
        struct.pack("<H", 2)
        + struct.pack("<HHII", 0x0201, 4, 1, 56)
        + struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
    )
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entries[0] + struct.pack("<I", 26)
    exif += second + struct.pack("<I", 0) + thumbnail
    info = read_file(encoded(Image.fromarray(RGB), "JPEG", exif=exif), "It").info
    assert b"\xff\xd8" not in info.get("exif", b"")


def test_png_texts_survive(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "A wall")
    texts.add_itxt("Comment", "Стена")
    content = encoded(Image.fromarray(RGB), "PNG", pnginfo=texts)
    (result,) = write_images(read_images(content, "pil"), "pil")
    for image in (result, DeepImage(DEEP, result.info)):
        write_file(image, tmp_path / "again.png")
        info = read_file(tmp_path / "again.png", "It").info
        assert (info["Title"], info["Comment"]) == ("A wall", "Стена")
    write_file(result, tmp_path / "no_place_for_them.tif")


@pytest.mark.filterwarnings("ignore:.*broken EXIF")
def test_hostile_texts_are_no_crash(tmp_path):
    texts = PngImagePlugin.PngInfo()
    for key in ("transparency", "dpi", "exif", "icc_profile", "qtables", "comment", "k" * 90, "default_image", "loop"):
        texts.add_text(key, "x" * 70000)
    read = read_file(encoded(Image.fromarray(RGB), "PNG", pnginfo=texts), "It")
    (result,) = write_images(read_images(read, "pil"), "pil")
    with pytest.warns(UserWarning, match="A text cannot be written .*: its keyword has 90 characters"):
        write_file(result, tmp_path / "result.png")
    assert np.array_equal(np.asarray(read_file(tmp_path / "result.png", "It")), RGB)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for ending in ("jpg", "tif", "webp"):
            write_file(result, tmp_path / f"result.{ending}")


def test_what_a_format_cannot_hold_is_dropped_with_a_warning(tmp_path):
    image = Image.fromarray(RGB)
    exif = Image.Exif()
    exif[ARTIST] = "A" * 70000
    image.info |= {"exif": exif.tobytes(), "xmp": b"x" * 70000, "dpi": (300.0, 300.0)}
    with pytest.warns(UserWarning, match="data cannot be written as JPEG and is dropped") as warned:
        write_file(image, tmp_path / "photo.jpg")
    assert [str(each.message).partition(" cannot")[0] for each in warned] == ["EXIF data", "XMP data"]
    assert read_file(tmp_path / "photo.jpg", "It").info["dpi"] == (300, 300)
    write_file(image, tmp_path / "photo.png")
    assert read_file(tmp_path / "photo.png", "It").info["xmp"] == b"x" * 70000


@pytest.mark.parametrize("opened", [False, True])
def test_broken_exif_is_dropped_with_a_warning(opened, strange_exif):
    content = encoded(Image.fromarray(RGB), "PNG", exif=strange_exif)
    with pytest.warns(UserWarning, match="^`image` has broken EXIF data, which is dropped: 'float' object"):
        (picture,) = read_images(Image.open(BytesIO(content)) if opened else content, "pil")
    assert picture.size == (7, 5)  # turned, as its orientation could be read
    assert "exif" not in picture.info
    content = encoded(Image.fromarray(RGB), "PNG", exif=b"Exif\0\0no TIFF at all")
    with pytest.warns(UserWarning, match="^`image` has broken EXIF data"):
        (picture,) = read_images(Image.open(BytesIO(content)) if opened else content, "pil")
    assert picture.size == (5, 7)


# JPEG out of JPEG


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_keeps_tables_and_subsampling(mode, subsampling, tmp_path):
    photo = Image.fromarray(RGB).resize((64, 48)).convert(mode)
    photo.save(tmp_path / "photo.jpg", quality=41, subsampling=subsampling)
    (result,) = write_images(read_images(tmp_path / "photo.jpg", "pil"), "pil")
    write_file(result, tmp_path / "result.jpg")
    write_file(result, tmp_path / "other.jpg", quality=90)
    write_file(photo, tmp_path / "new.jpg")
    source, again, other, new = (Image.open(tmp_path / f"{name}.jpg") for name in ("photo", "result", "other", "new"))
    assert again.quantization == source.quantization
    assert JpegImagePlugin.get_sampling(again) == JpegImagePlugin.get_sampling(source)
    assert other.quantization[0] < source.quantization[0]
    assert new.quantization[0] < other.quantization[0]


def test_cmyk_jpegs_have_no_tables_for_rgb(tmp_path):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "photo.jpg", quality=41)
    (result,) = write_images(read_images(tmp_path / "photo.jpg", "pil"), "pil")
    assert "qtables" not in read_info(result, "It")
    write_file(result, tmp_path / "result.jpg")
    assert Image.open(tmp_path / "result.jpg").mode == "RGB"


# Writing


def test_long_names_are_written(tmp_path):
    path = tmp_path / f"{'n' * 251}.png"  # the file system's 255
    write_file(Image.fromarray(RGB), path)
    write_file(Image.fromarray(RGB), path)  # over itself
    assert list(tmp_path.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_errors_name_the_users_file_and_keep_their_number(ending, tmp_path):
    path = tmp_path / f"photo.{ending}"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"^`{path}` cannot be written: File too large\.$") as raised:
            write_file(noise, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == 27
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match="photo.png` cannot be written: No such file or directory"):
        write_file(Image.fromarray(RGB), tmp_path / "gone" / "photo.png")
    with pytest.raises(ValueError, match="photo.xyz` cannot be written: '.xyz' is the ending of no known format"):
        write_file(Image.fromarray(RGB), tmp_path / "photo.xyz")
