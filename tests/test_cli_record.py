"""The command line on a folder for the second time: what is skipped, redone, left alone."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

import os
import shutil

import pytest
from command_line import files, model, names, pixels, run  # noqa: F401  # fixtures
from PIL import Image

from edgeconnect_hf.cli import inpaint, record
from edgeconnect_hf.cli.device import Model

AGAIN = ("inpaint", "photos", "masks", "-o", "out")
DONE = "skipping 2 of 2 photos: finished already\n"


@pytest.fixture
def finished(run, files, photo, hole):
    """photos/, masks/ and out/, each with a.png and b.png; one run has made the results."""
    for folder, image in (("photos", photo), ("masks", hole)):
        (files / folder).mkdir()
        for name in ("a.png", "b.png"):
            image.save(files / folder / name)
    assert run(*AGAIN)[0] == 0
    return files


def test_a_changed_mask_is_redone_and_a_copy_of_the_same_is_not(run, finished, hole):
    Image.new("L", hole.size).save(finished / "masks/a.png")
    shutil.copy(finished / "photos/b.png", finished / "copy.png")  # a new time, the old content
    os.replace(finished / "copy.png", finished / "photos/b.png")
    code, out, err = run(*AGAIN)
    assert (code, out) == (0, "skipping 1 of 2 photos: finished already\n")
    assert "edgeconnect: redoing 1 of 2 photos, mask changed: photos/a.png\n" in err
    assert (pixels(finished / "out/a.png") == pixels(finished / "photos/a.png")).all()
    assert run(*AGAIN)[1] == DONE


def test_other_options_lines_or_weights_redo_all(run, finished, tiny_pipeline, model):
    def reason(*options: str) -> str:
        code, out, err = run(*AGAIN, *options)
        assert (code, out) == (0, "")
        return err[err.index("redoing") :].splitlines()[0]

    both = "photos/a.png, photos/b.png"
    assert reason("--sigma", "3") == f"redoing 2 of 2 photos, sigma 2 -> 3: {both}"
    assert reason("--strategy", "crop") == f"redoing 2 of 2 photos, sigma 3 -> 2, strategy auto -> crop: {both}"
    shutil.copytree(finished / "masks", finished / "lines")
    assert reason("--edges", "lines") == f"redoing 2 of 2 photos, --edges given, strategy crop -> auto: {both}"
    expected = f"redoing 2 of 2 photos, --edges no longer given, no file for --save-edges: {both}"
    assert reason("--save-edges", "drawn") == expected
    shutil.copytree(model, finished / "model")
    assert run(*AGAIN, "--model", "model")[1] == DONE  # the same weights elsewhere
    weights = finished / "model" / "edge_generator" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert reason("--model", "model") == f"redoing 2 of 2 photos, model changed: {both}"


def test_results_of_other_origin_are_kept_without_overwrite(run, finished):
    (finished / "out/a.png").write_bytes(b"retouched by hand")
    code, out, err = run(*AGAIN, "--sigma", "3")
    assert (code, out) == (0, "")
    unknown = "the result is not from this command, or was changed since; `--overwrite` replaces it"
    assert f"edgeconnect: skipping 1 of 2 photos, {unknown}: out/a.png\n" in err
    assert (finished / "out/a.png").read_bytes() == b"retouched by hand"

    (finished / "out" / record.NAME).unlink()
    assert f"skipping 2 of 2 photos, {unknown}: out/a.png, out/b.png\n" in run(*AGAIN)[2]
    assert run(*AGAIN, "--overwrite")[:2] == (0, "")
    assert run(*AGAIN)[:2] == (0, DONE)


def test_a_record_that_a_crash_cut_short_costs_one_photo_and_takes_new_lines(run, finished):
    path = finished / "out" / record.NAME
    path.write_bytes(path.read_bytes()[:-40])
    code, out, err = run(*AGAIN)
    assert (code, out) == (0, "skipping 1 of 2 photos: finished already\n")
    assert "redoing 1 of 2 photos, interrupted before: photos/b.png\n" in err
    assert run(*AGAIN)[1] == DONE


def test_a_crash_between_two_results_of_a_photo_costs_that_photo_only(run, finished, monkeypatch):
    write, written = inpaint.write_result, []

    class KilledError(BaseException):
        pass

    def killed_before_the_lines_of_b(image, path, *arguments, **options):
        if path.parent.name == "drawn" and path.name == "b.png":
            raise KilledError
        write(image, path, *arguments, **options)
        written.append(path.as_posix())

    monkeypatch.setattr(inpaint, "write_result", killed_before_the_lines_of_b)
    with pytest.raises(KilledError):
        run(*AGAIN, "--save-edges", "drawn")
    assert written == ["out/a.png", "drawn/a.png", "out/b.png"]
    monkeypatch.setattr(inpaint, "write_result", write)
    code, out, err = run(*AGAIN, "--save-edges", "drawn")
    assert (code, out) == (0, "skipping 1 of 2 photos: finished already\n")
    assert "redoing 1 of 2 photos, interrupted before: photos/b.png\n" in err
    assert names(finished / "drawn") == ["a.png", "b.png"]


def test_a_file_that_changes_while_it_is_read_is_redone(run, finished, hole, monkeypatch):
    (finished / "out/b.png").unlink()

    def replace_mask_first(job, *rest, **more):
        Image.new("L", hole.size).save(finished / "masks/b.png")
        return run_job(job, *rest, **more)

    run_job = inpaint._run_job
    with monkeypatch.context() as patch:
        patch.setattr(inpaint, "_run_job", replace_mask_first)
        assert run(*AGAIN)[0] == 0
    assert "redoing 1 of 2 photos, mask changed: photos/b.png" in run(*AGAIN)[2]


def test_a_hub_models_digest_is_that_of_its_cached_revision(model, monkeypatch):
    hub_model = Model("user/model", "cpu", "fp32")
    monkeypatch.setitem(hub_model.__dict__, "pipeline", None)  # as after loading
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: f"{model}/model_index.json")
    assert hub_model.digest == Model(model).digest != Model(None).digest
