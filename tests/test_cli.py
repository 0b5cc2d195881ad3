"""The command line: real subprocesses where the process matters, `main` itself for the many errors."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import errno
import gc
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from command_line import files, model, names, pixels, run, subprocess_run  # noqa: F401  # fixtures
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.cli import device


def test_a_newcomers_command_in_a_real_process(files, photo, hole):
    done = subprocess_run("edgeconnect_hf.cli", "inpaint", "photo.png", "mask.png", "-o", "out.png", cwd=files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected = [  # `--dtype auto` takes the faster
        EdgeConnectPipeline.from_pretrained(dtype=dtype)(photo, hole).images[0]
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert any(np.array_equal(pixels(files / "out.png"), np.asarray(picture)) for picture in expected)
    assert names(files) == ["mask.png", "out.png", "photo.png"]


def test_help_shows_examples_and_imports_no_torch(files):
    program = "import sys\nfrom edgeconnect_hf.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    program += "print([name for name in ('torch', 'diffusers', 'gradio') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=files, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert "edgeconnect edges photo.jpg mask.png -o lines.png" in done.stdout


def test_garbage_is_collected_again_after_the_imports(model):
    device.load_pipeline(model)
    assert gc.isenabled()


def test_edges_edited_and_given_back(run, files):
    assert run("edges", "photo.png", "mask.png", "-o", "lines.png")[0] == 0
    assert run("inpaint", "photo.png", "mask.png", "-o", "a.png", "--save-edges", "used.png")[0] == 0
    assert run("inpaint", "photo.png", "mask.png", "-o", "b.png", "--edges", "lines.png")[0] == 0
    assert np.array_equal(pixels(files / "lines.png"), pixels(files / "used.png"))
    assert np.array_equal(pixels(files / "a.png"), pixels(files / "b.png"))


def test_hints_and_lines_of_another_detector(run, files, photo):
    Image.new("L", photo.size, 255).save(files / "white.png")
    for option in ("--known-edges", "--edge-hints"):
        assert (
            run("edges", "photo.png", "mask.png", "-o", "out.png", option, "white.png", "--strategy", "original")[0]
            == 0
        )
        inside = pixels(files / "mask.png") > 0
        assert (pixels(files / "out.png")[inside if option == "--edge-hints" else ~inside] == 255).all()


def test_output_keeps_known_pixels_in_every_exact_format(run, files):
    known = pixels(files / "mask.png") == 0
    for ending in ("png", "webp", "tif"):
        assert run("inpaint", "photo.png", "mask.png", "-o", f"out.{ending}") == (0, "", "")
        assert np.array_equal(pixels(files / f"out.{ending}")[known], pixels(files / "photo.png")[known])


def test_jpeg_warns_and_keeps_the_profile(run, files, photo):
    photo.save(files / "profiled.png", icc_profile=b"profile")
    code, _, err = run("inpaint", "profiled.png", "mask.png", "-o", "out.jpg")
    assert code == 0
    assert err == "edgeconnect: warning: JPEG recompresses the known pixels as well; use .png to keep them exactly.\n"
    with Image.open(files / "out.jpg") as written:
        assert written.info["icc_profile"] == b"profile"


def test_resize_mask(run, files):
    Image.open(files / "mask.png").resize((48, 36)).save(files / "small.png")
    code, _, err = run("inpaint", "photo.png", "small.png", "-o", "out.png")
    assert code == 2
    assert err == (
        "edgeconnect: error: `mask_image` must have the size of `image`, 96x72: got 48x36 "
        "(`--resize-mask` scales it).\n"
    )
    assert run("inpaint", "photo.png", "small.png", "-o", "out.png", "--resize-mask")[0] == 0
    with Image.open(files / "small.png") as mask:
        known = np.asarray(mask.resize((96, 72), Image.Resampling.NEAREST)) < 128
    assert np.array_equal(pixels(files / "photo.png")[known], pixels(files / "out.png")[known])


TURNED = (
    ", which is turned by 90 degrees. Photos are turned upright as their EXIF orientation says: turn this file as "
    "well, or remove the photo's orientation."
)


@pytest.mark.parametrize(
    ("argument", "size", "says"),
    [
        ("mask_image", (48, 36), " (`--resize-mask` scales it)."),
        ("mask_image", (47, 35), None),  # rounded: 0.7 %
        ("mask_image", (48, 40), ", of other proportions, which `--resize-mask` does not scale."),
        ("mask_image", (72, 96), TURNED),
        ("mask_image", (36, 48), TURNED),
        ("--edges", (48, 36), "."),
        ("--edge-hints", (72, 96), TURNED),
        ("--known-edges", (48, 40), "."),
    ],
)
def test_masks_of_the_same_proportions_are_scaled_and_nothing_else(run, files, argument, size, says):
    Image.open(files / "mask.png").resize(size, Image.Resampling.NEAREST).save(files / "other.png")
    paths = ("photo.png", "other.png") if argument == "mask_image" else ("photo.png", "mask.png", argument, "other.png")
    resized = () if says == " (`--resize-mask` scales it)." else ("--resize-mask",)
    code, _, err = run("inpaint", *paths, "-o", "out.png", *resized)
    width, height = size
    expected = f"edgeconnect: error: `{argument}` must have the size of `image`, 96x72: got {width}x{height}{says}\n"
    assert (code, err) == ((0, "") if says is None else (2, expected))


def test_photo_and_mask_are_different_files_under_any_name(run, files):
    os.link(files / "mask.png", files / "hard.png")
    os.symlink("photo.png", files / "link.png")
    (files / "photos").mkdir()
    os.link(files / "photo.png", files / "photos/a.png")
    os.symlink("photos", files / "linked")
    different = "must be different files or folders"
    for arguments, says in (
        (("photo.png", "photo.png"), f"`mask_image` and `image` {different}: got 'photo.png' and 'photo.png', which"),
        (("photo.png", "link.png"), "'link.png' and 'photo.png', which are the same."),
        (("photo.png", "mask.png", "--edges", "link.png"), "`--edges` and `image`"),
        (("photo.png", "mask.png", "--edge-hints", "hard.png"), "`--edge-hints` and `mask_image`"),
        (("photos", "linked"), "'linked' and 'photos', which are the same."),
    ):
        code, _, err = run("inpaint", *arguments, "-o", "out.png" if "photo.png" in arguments else "out")
        assert code == 2
        assert says in err
    code, _, err = run("inpaint", "photos", "photo.png", "-o", "out")
    assert code == 1
    assert f"photos/a.png: `mask_image` and `image` {different}" in err
    lines = ("--known-edges", "lines.png", "--edge-hints", "lines.png")
    Image.new("L", (96, 72)).save(files / "lines.png")
    assert run("inpaint", "photo.png", "mask.png", "-o", "out.png", *lines)[0] == 0


def test_empty_mask_gives_the_picture_back_with_a_warning(run, files, photo):
    Image.new("L", photo.size).save(files / "black.png")
    code, _, err = run("inpaint", "photo.png", "black.png", "-o", "out.png")
    assert code == 0
    assert err == "edgeconnect: warning: `mask_image` has no white pixel: the picture comes back as it was.\n"
    assert np.array_equal(pixels(files / "out.png"), pixels(files / "photo.png"))


INPAINT = ("inpaint", "photo.png", "mask.png", "-o", "out.png")
FOLDER = ("inpaint", "photos", "mask.png", "-o")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("inpaint", "missing.png", "mask.png", "-o", "out.png"), "`image` 'missing.png' does not exist"),
        (
            ("inpaint", "text.png", "mask.png", "-o", "out.png"),
            "`image` 'text.png' is not an image in a known format",
        ),
        (("inpaint", "cut.png", "mask.png", "-o", "out.png"), "`image` 'cut.png' cannot be decoded: "),
        (("inpaint", "photo.png", "mask.png", "-o", "out.png", "--max-megapixels", "0.005"), "up to 0.005 megapixels"),
        (("inpaint", "photo.png", "white.png", "-o", "out.png"), "`mask_image` is white everywhere"),
        (("inpaint", "photo.png", "mask.png", "-o", "out.gif"), "`--output` must end in one of .png, "),
        ((*INPAINT, "--save-edges", "lines.gif"), "`--save-edges` must end in one of .png, .tif, "),
        (("inpaint", "photo.png", "mask.png", "-o", "no/out.png"), "must be in a folder that exists: got 'no/out.png'"),
        (
            ("inpaint", "clear.png", "mask.png", "-o", "out.jpg"),
            "`--output` is 'out.jpg', but JPEG has no transparency and 'clear.png' does: use .png",
        ),
        (("inpaint", "photo.png", "photos", "-o", "out.png"), "`mask_image` 'photos' is a folder; expected a file"),
        ((*INPAINT, "--edge-hints", "no.png"), "`--edge-hints` 'no.png' does not exist"),
        ((*INPAINT, "--edges", "white.png", "--edge-hints", "white.png"), "`edges` is the whole line map"),
        ((*INPAINT, "--sigma", "-1"), "`sigma` must be a number above 0, at most 100: got -1.0"),
        ((*INPAINT, "--model", "no-such-model"), "is 'no-such-model', which is neither a folder here nor a model"),
        ((*INPAINT, "--model", "empty"), "is the folder 'empty', which has no model_index.json"),
        (
            (*INPAINT, "--device", "abacus"),
            "`--device` must be auto or a PyTorch device such as cpu, cuda, cuda:1 or mps: got 'abacus'",
        ),
        # No machine has these.
        ((*INPAINT, "--device", "cuda:99"), "`--device` 'cuda:99' cannot be used: "),
        ((*INPAINT, "--device", "cuda:99", "--dtype", "fp32"), "`--device` 'cuda:99' cannot be used: "),
        ((*INPAINT, "--device", "xpu:99"), "`--device` 'xpu:99' cannot be used: "),
        ((*INPAINT, "--device", "hpu"), "`--device` 'hpu' cannot be used: "),
        ((*INPAINT, "--device", "meta"), "`--device` 'meta' cannot be used: Cannot copy out of meta tensor"),
        ((*INPAINT, "--strategy", "best"), "invalid choice: 'best'"),
        (
            ("inpaint", "empty", "mask.png", "-o", "out"),
            "`image` must be a folder with images: got 'empty', which has none",
        ),
        (
            ("inpaint", "photos", "white.png", "-o", "mask.png"),
            "`--output` must be a folder, as `image` is one: got the file 'mask.png'",
        ),
        (
            (*INPAINT, "--save-edges", "./out.png"),
            "`--save-edges` and `--output` must be different paths: got 'out.png' and 'out.png'",
        ),
        (
            (*INPAINT[:-1], "empty", "--save-edges", "empty"),
            "`--save-edges` and `--output` must be different paths: got 'empty/photo.png' and 'empty/photo.png'",
        ),
        (
            (*FOLDER, "new", "--save-edges", "empty/../new"),
            "`--save-edges` and `--output` must be different paths: got 'empty/../new' and 'new'",
        ),
        (
            (*INPAINT[:-1], "mask.png"),
            "`--output` and `mask_image` must be different paths: got 'mask.png' and 'mask.png'",
        ),
        (
            (*INPAINT, "--save-edges", "photo.png"),
            "`--save-edges` and `image` must be different paths: got 'photo.png' and 'photo.png'",
        ),
        ((*FOLDER, "photos"), "`--output` and `image` must be different paths: got 'photos' and 'photos'"),
        (
            (*FOLDER, "new", "--save-edges", "photos"),
            "`--save-edges` and `image` must be different paths: got 'photos' and 'photos'",
        ),
        (
            (*FOLDER, "empty", "--edge-hints", "empty"),
            "`--output` and `--edge-hints` must be different paths: got 'empty' and 'empty'",
        ),
        (
            ("inpaint", "photos", "empty", "-o", "empty"),
            "`--output` and `mask_image` must be different paths: got 'empty' and 'empty'",
        ),
        (
            ("edges", "photos", "mask.png", "-o", "photos/"),
            "`--output` and `image` must be different paths: got 'photos' and 'photos'",
        ),
        (("convert", "missing.pth", "missing.pth", "out"), "'missing.pth' does not exist"),
        (("convert", "text.png", "text.png", "out"), "'text.png' is not a checkpoint that can be read safely"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(run, files, photo, arguments, says):
    (files / "text.png").write_text("no picture")
    (files / "cut.png").write_bytes((files / "photo.png").read_bytes()[:200])
    Image.new("L", photo.size, 255).save(files / "white.png")
    photo.convert("RGBA").save(files / "clear.png")
    (files / "empty").mkdir()
    (files / "photos").mkdir()
    photo.save(files / "photos" / "a.png")
    before = sorted(files.rglob("*"))

    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert says in err.splitlines()[-1]
    assert err.startswith(("edgeconnect: error: ", "usage: "))
    assert "Traceback" not in err
    assert sorted(files.rglob("*")) == before


def test_checkpoint_with_missing_weights_is_named(run, files, tiny_pipeline):
    from safetensors.torch import load_file, save_file

    tiny_pipeline.save_pretrained(files / "model")
    weights = files / "model" / "edge_generator" / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    del state["conv_in.weight"]
    save_file(state, weights, metadata={"format": "pt"})
    code, _, err = run(*INPAINT, "--model", "model")
    assert code == 2
    assert "are not those of this EdgeGenerator: missing ['conv_in.weight']" in err
    assert not (files / "out.png").exists()


def test_weights_of_other_shapes_are_blamed_on_the_model(run, files, tiny_pipeline, monkeypatch):
    tiny_pipeline.save_pretrained(files / "model")
    config = files / "model" / "edge_generator" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "base_channels": 2 * values["base_channels"]}))
    # Without accelerate, torch loads the weights, and raises RuntimeError.
    monkeypatch.setattr("edgeconnect_hf.pipeline.is_accelerate_available", lambda: False)
    code, _, err = run(*INPAINT, "--model", "model")
    assert code == 2
    assert err.splitlines()[-1].startswith("edgeconnect: error: `--model` 'model' cannot be used: ")
    assert "size mismatch for conv_in.weight" in err


def test_a_failed_write_leaves_the_old_file(run, files, monkeypatch):
    (files / "out.png").write_bytes(b"old")

    save = Image.Image.save

    def fail(image, file, *format, **options):
        if image.size == (1, 1):  # a trial of the options
            return save(image, file, *format, **options)
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    code, _, err = run(*INPAINT)
    assert (code, err) == (2, "edgeconnect: error: `out.png` cannot be written: No space left on device.\n")
    assert (files / "out.png").read_bytes() == b"old"
    assert names(files) == ["mask.png", "out.png", "photo.png"]


def test_convert_then_inpaint(run, files, published_checkpoints):
    code, out, _ = run("convert", *map(str, published_checkpoints.values()), "model", "--dtype", "fp16")
    assert (code, out) == (0, "wrote model; use it with `--model model`\n")
    assert run(*INPAINT, "--model", "model", "--dtype", "fp32")[0] == 0


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_export_without_its_extra_says_what_to_install_and_writes_nothing(package, run, files, model, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("onnx", "onnx_colours"):
        monkeypatch.delitem(sys.modules, f"edgeconnect_hf.formats.{module}", raising=False)
    code, _, err = run("export", model, "out", "--format", "onnx")
    assert (code, err) == (
        2,
        "edgeconnect: error: `edgeconnect export` needs ONNX: pip install 'edgeconnect-hf[onnx]'.\n",
    )
    assert not (files / "out").exists()


def test_fastest_dtype_is_bf16_only_where_the_hardware_is_faster_with_it(monkeypatch):
    cpu = torch.device("cpu")
    for amx, avx, bf16_seconds, expected in (
        (True, True, 0.2, torch.bfloat16),
        (False, True, 0.5, torch.bfloat16),
        (False, True, 2.0, torch.float32),  # Intel's Xeons without AMX
        (False, False, 0.5, torch.float32),
    ):
        seconds = {torch.float32: 1.0, torch.bfloat16: bf16_seconds}
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        monkeypatch.setattr(device, "_convolution_seconds", seconds.get)
        assert device.fastest_dtype(cpu) == expected
    monkeypatch.undo()
    threads = torch.get_num_threads()
    assert 0 < device._convolution_seconds(torch.float32) < 10
    assert torch.get_num_threads() == threads
    cuda = torch.device("cuda")
    for capability, expected in (((9, 0), torch.bfloat16), ((7, 5), torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, capability=capability: capability)
        assert device.fastest_dtype(cuda) == expected
