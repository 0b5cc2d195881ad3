"""Tables by hole size: what is in them, resuming, refusals."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close
from training_runs import ROOT, draw_pictures, draw_vgg

from edgeconnect_hf.loading import BUNDLED_MODEL
from training.evaluation import evaluate as evaluation
from training.evaluation import sigma_ablation
from training.evaluation.config import EvaluationConfig, parse_config
from training.evaluation.evaluate import evaluate
from training.evaluation.holes import Example, Samples, chance, with_hole
from training.evaluation.lpips import load_lpips
from training.evaluation.methods import MODEL_METHODS, OPENCV_METHODS, line_segments, plain_method
from training.evaluation.metrics import FrechetDistance
from training.evaluation.report import line_row
from training.evaluation.results_file import ResultsFile
from training.evaluation.scores import count_lines
from training.evaluation.sigma_ablation import ablate

PICTURES = 2
INSTALLED = (*MODEL_METHODS, *OPENCV_METHODS)
LINE_METHODS = ("model", "unblended_edges", "line_segments", "edge_hints")  # in which G1 draws


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_pipeline):
    """Two drawn pictures, a narrow VGG19 and a tiny model."""
    folder = tmp_path_factory.mktemp("evaluation")
    draw_pictures(folder / "pictures", PICTURES)
    draw_vgg(folder / "vgg.safetensors")
    tiny_pipeline.save_pretrained(folder / "tiny")
    return folder


def settings(data, output_dir, **overrides):
    return {
        "datasets": {"pictures": str(data / "pictures")},
        "models": {"tiny": str(data / "tiny")},
        "mask_bins": [(10, 20), (40, 50)],
        "resolution": 64,
        "output_dir": str(output_dir),
        **overrides,
    }


def flags(data, output_dir):
    return [
        *("--dataset", str(data / "pictures"), "--model", str(data / "tiny"), "--output_dir", str(output_dir)),
        *("--resolution", "64", "--mask_bins", "10-20,40-50", "--methods", ",".join(INSTALLED), "--grid_pictures", "1"),
        *("--vgg_weights", str(data / "vgg.safetensors")),
    ]


@pytest.fixture(scope="module")
def whole_run(data, tmp_path_factory):
    """Every method at two hole sizes: its folder and its report."""
    output_dir = tmp_path_factory.mktemp("run")
    return output_dir, evaluate(parse_config(flags(data, output_dir)))


def test_every_method_at_every_hole_size(whole_run):
    output_dir, report = whole_run
    assert json.loads((output_dir / "evaluation.json").read_text()) == report
    assert [(row["hole"], row["method"]) for row in report["table"]] == [
        (hole, method) for hole in ("10-20", "40-50") for method in INSTALLED
    ]
    assert {(row["method"], row["model"]) for row in report["lines"]} == {(name, "tiny") for name in LINE_METHODS}
    for row in report["table"]:
        low, high = (int(percent) / 100 for percent in row["hole"].split("-"))
        assert low <= row["hole_share"] <= high
        assert row["pictures"] == PICTURES
        assert all(np.isfinite(row[name]) for name in ("l1", "psnr", "ssim", "feature_distance", "seconds"))
    for row in report["lines"]:
        assert 0 <= row["precision"] <= 1
        assert row["all_ones_f1"] > 0
    assert str(output_dir.parent) not in json.dumps(report)  # no path of this machine


def test_means_are_those_of_the_results(whole_run):
    output_dir, report = whole_run
    results = [json.loads(line) for line in (output_dir / "results.jsonl").read_text().splitlines()]
    of_telea = [result for result in results if result["method"] == "telea" and result["hole"] == "10-20"]
    (row,) = (row for row in report["table"] if row["method"] == "telea" and row["hole"] == "10-20")
    assert row["psnr"] == pytest.approx(np.mean([result["psnr"] for result in of_telea]))
    of_model = [result for result in results if result["method"] == "model" and result["hole"] == "40-50"]
    true, pixels = (sum(result[name] for result in of_model) for name in ("lines_true", "hole_pixels"))
    for table in ("lines", "calibrated_lines"):
        (row,) = (row for row in report[table] if row["method"] == "model" and row["hole"] == "40-50")
        counts = np.array([result["line_counts"][str(row["threshold"])] for result in of_model]).sum(axis=0)
        drawn, *hits = counts.tolist()
        assert 0 < hits[0] <= hits[1] <= hits[2]
        for suffix, of_suffix in zip(("", "_1", "_2"), hits, strict=True):
            assert (row[f"precision{suffix}"], row[f"recall{suffix}"]) == (of_suffix / drawn, of_suffix / true)
            assert row[f"f1{suffix}"] == pytest.approx(2 / (drawn / of_suffix + true / of_suffix))
        assert row["all_ones_f1"] == pytest.approx(2 / (pixels / true + 1))


def test_lines_are_scored_against_another_image_too(whole_run, data, tmp_path):
    """In the same hole: what lines score that were drawn for another image."""
    edges = np.zeros((32, 32), np.uint8)
    edges[16, 4:28] = 255
    mask = np.zeros((32, 32), bool)
    mask[8:24, :16] = True
    example = Example(np.zeros((32, 32, 3), np.uint8), mask, edges, np.zeros_like(edges))
    counts = count_lines(example, edges, np.roll(edges, 2, axis=0))
    assert counts["line_counts"]["0.5"] == [12, 12, 12, 12]
    assert (counts["chance_true"], counts["chance_counts"]["0.5"]) == (12, [12, 0, 0, 12])
    result = {"set": "a", "hole": "0-10", "method": "model", "model": "tiny", **counts}
    row = line_row([result, {**result, **count_lines(example, edges, 0 * edges)}], 0.5)
    assert [row[name] for name in ("f1_2", "chance_f1", "chance_f1_2")] == [1, 0, pytest.approx(2 * 12 / (24 + 12))]
    older = {name: value for name, value in result.items() if not name.startswith("chance")}
    assert "chance_f1" not in line_row([result, older], 0.5)

    output_dir, report = whole_run
    for table in ("lines", "calibrated_lines"):
        assert all(0 <= row["chance_f1"] <= row["chance_f1_1"] <= row["chance_f1_2"] <= 1 for row in report[table])
    assert "| chance: F1 | chance: F1 ±1 | chance: F1 ±2 |" in (output_dir / "evaluation.md").read_text()
    alone = settings(data, tmp_path, methods=["model"], mask_bins=[(40, 50)], max_pictures=1)
    assert "chance_f1" not in evaluate(EvaluationConfig(**alone))["lines"][0]  # there is no other image


def test_known_pixels_are_kept_and_the_grid_shows_everything(whole_run):
    output_dir, _ = whole_run
    pictures = output_dir / "pictures"
    original = np.asarray(Image.open(pictures / "original" / "pictures" / "0000_0.png"))
    place = Path("pictures", "10-20", "0000_0.png")  # set, hole size, image
    masked, mask = (np.asarray(Image.open(pictures / folder / place)) for folder in ("masked", "mask"))
    hole = mask > 0
    assert np.array_equal(hole | (masked != original).any(axis=2), hole)
    for folder in [path for path in pictures.iterdir() if not path.name.startswith(("lines-", "mask", "original"))]:
        assert np.array_equal(np.asarray(Image.open(folder / place))[~hole], original[~hole]), folder.name
    with Image.open(output_dir / "grid_pictures_10-20.png") as grid:
        assert grid.width == (2 + len(INSTALLED) + len(LINE_METHODS)) * 64
        assert grid.height > 64


def test_a_second_run_computes_only_what_is_missing(data, tmp_path, monkeypatch):
    computed = []
    measure = evaluation._measure

    def counting(*arguments):
        computed.append(1)
        return measure(*arguments)

    monkeypatch.setattr(evaluation, "_measure", counting)
    first = evaluate(EvaluationConfig(**settings(data, tmp_path, methods=["telea"])))
    assert len(computed) == 2 * PICTURES
    assert evaluate(EvaluationConfig(**settings(data, tmp_path, methods=["telea"]))) == first
    assert len(computed) == 2 * PICTURES

    results = tmp_path / "results.jsonl"  # killed while it wrote the last one
    whole = results.read_text()
    results.write_text(whole[:-10])
    again = evaluate(EvaluationConfig(**settings(data, tmp_path, methods=["telea"])))
    assert len(computed) == 2 * PICTURES + 1
    assert [{**row, "seconds": 0} for row in again["table"]] == [{**row, "seconds": 0} for row in first["table"]]

    more = evaluate(EvaluationConfig(**settings(data, tmp_path, methods=["telea", "model"], grid_pictures=0)))
    assert len(computed) == 2 * PICTURES + 1 + 2 * PICTURES
    assert [row for row in more["table"] if row["method"] == "telea"] == again["table"]


@pytest.mark.parametrize("changed", [{"seed": 1}, {"protocol": "published"}, {"masks": "rectangle", "mask_bins": None}])
def test_other_settings_need_another_folder(data, tmp_path, changed):
    base = settings(data, tmp_path, methods=["telea"], mask_bins=[(10, 20)])
    evaluate(EvaluationConfig(**base))
    with pytest.raises(ValueError, match=f"`output_dir` .* with `{next(iter(changed))}` "):
        evaluate(EvaluationConfig(**{**base, **changed}))


def test_another_model_under_the_same_name_needs_another_folder(data, tmp_path):
    evaluate(EvaluationConfig(**settings(data, tmp_path, methods=["true_edges"], mask_bins=[(10, 20)])))
    with pytest.raises(ValueError, match="weights of tiny"):
        evaluate(
            EvaluationConfig(**settings(data, tmp_path, methods=["true_edges"], models={"tiny": str(BUNDLED_MODEL)}))
        )


def test_rectangles_in_the_published_protocol(data, tmp_path, capsys, monkeypatch):
    arguments = ["--masks", "rectangle", "--protocol", "published", "--methods", "telea,navier_stokes"]
    base = ["--dataset", str(data / "pictures"), "--resolution", "64", "--output_dir", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["evaluate.py", *base, *arguments])
    evaluation.main()
    table = capsys.readouterr().out
    assert "| set | hole % | method | model | L1 % | PSNR dB | SSIM | seconds |" in table
    assert table.count("| pictures | 25-25 |") == 2
    assert json.loads((tmp_path / "evaluation.json").read_text())["table"][0]["hole_share"] == 0.25


def test_holes_depend_on_picture_size_and_seed_alone(data):
    samples = Samples(str(data / "pictures"), 64, 2.0)
    sample = samples.read(0)
    masks = [with_hole(sample, "irregular", (20, 30), chance(seed, "a", (20, 30))).mask for seed in (0, 0, 1)]
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
    for hole in ((0, 10), (50, 60)):
        share = with_hole(sample, "irregular", hole, chance(0, "a", hole)).mask.mean()
        assert hole[0] / 100 < share <= hole[1] / 100


def test_line_segments_are_thin_lines():
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[16:48, 16:48] = 0
    lines = line_segments(picture)
    assert set(np.unique(lines)) == {0, 255}
    assert lines[10:54, 10:54].any()
    assert not line_segments(np.zeros_like(picture)).any()


def test_results_of_another_program_are_measured_beside_the_methods(data, whole_run, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(whole_run[0] / "pictures" / "telea", folder)
    settings_of_run = settings(data, tmp_path / "run", methods=["navier_stokes"], results={"same": str(folder)})
    first = evaluate(EvaluationConfig(**settings_of_run))["table"]
    of_telea = [row for row in whole_run[1]["table"] if row["method"] == "telea"]
    names = ("set", "hole", "hole_share", "l1", "psnr", "ssim")
    assert [[row[name] for name in names] for row in first if row["method"] == "same"] == [
        [row[name] for name in names] for row in of_telea
    ]
    assert "seconds" not in first[1]
    assert "| same |" in (tmp_path / "run" / "evaluation.md").read_text()

    place = folder / "pictures" / "10-20" / "0000_0.png"  # read again, as it may have changed
    Image.new("RGB", (64, 64)).save(place)
    second = evaluate(EvaluationConfig(**settings_of_run))["table"]
    assert second[1]["psnr"] < first[1]["psnr"]
    assert second[0] == first[0]
    Image.new("RGB", (32, 64)).save(place)
    with pytest.raises(ValueError, match=r"0000_0.png' must be an RGB image of \(64, 64\): got \(64, 32, 3\)"):
        evaluate(EvaluationConfig(**settings_of_run))
    place.unlink()
    with pytest.raises(ValueError, match=r"`results` 'same' lack '.*0000_0.png'"):
        evaluate(EvaluationConfig(**settings_of_run))


def test_sets_are_rows_of_their_own(data, tmp_path):
    (tmp_path / "more" / "validation").mkdir(parents=True)
    for number in range(4):
        Image.effect_noise((80, 64), 60 + number).convert("RGB").save(
            tmp_path / "more" / "validation" / f"{number}.png"
        )
    folders = [str(data / "pictures"), str(tmp_path / "more" / "validation")]
    arguments = ["--methods", "telea", "--mask_bins", "10-20", "--resolution", "64", "--max_pictures", "2"]
    config = parse_config(["--dataset", *folders, *arguments, "--output_dir", str(tmp_path / "run")])
    assert list(config.datasets) == ["pictures", "more"]
    report = evaluate(config)
    assert [(row["set"], row["pictures"]) for row in report["table"]] == [("pictures", 2), ("more", 2)]
    text = (tmp_path / "run" / "evaluation.md").read_text()
    assert text.startswith("4 images of pictures, more, 64x64")
    assert (tmp_path / "run" / "pictures" / "telea" / "more" / "10-20" / "0003_3.png").exists()  # spread over the set
    assert (tmp_path / "run" / "grid_more_10-20.png").exists()
    alone = parse_config(["--dataset", folders[1], *arguments, "--output_dir", str(tmp_path / "alone")])
    assert evaluate(alone)["table"][0]["psnr"] == report["table"][1]["psnr"]  # its holes do not depend on the others


def test_fsr_is_told_the_hole_as_nought(monkeypatch):
    def inpaint(image, mask, filled, algorithm):
        filled[:] = np.where(mask[..., None] == 0, algorithm, image)

    example = Example(np.full((8, 8, 3), 7, np.uint8), np.eye(8, dtype=bool), *np.zeros((2, 8, 8), np.uint8))
    fake = SimpleNamespace(inpaint=inpaint, INPAINT_FSR_FAST=2, INPAINT_FSR_BEST=1)
    monkeypatch.setattr(cv2, "xphoto", fake, raising=False)
    assert np.array_equal(plain_method("fsr_fast")(example).image[..., 0], np.where(example.mask, 2, 7))
    assert np.array_equal(plain_method("fsr_best")(example).image[..., 0], np.where(example.mask, 1, 7))


def test_patchmatch_is_told_the_hole_and_a_seed(monkeypatch):
    seeds = []
    fake = SimpleNamespace(
        set_random_seed=seeds.append,
        inpaint=lambda image, mask, patch_size: np.where(mask[..., None] > 0, patch_size, image),
    )
    monkeypatch.setitem(sys.modules, "patchmatch", fake)
    example = Example(np.full((8, 8, 3), 7, np.uint8), np.eye(8, dtype=bool), *np.zeros((2, 8, 8), np.uint8))
    assert np.array_equal(plain_method("patchmatch")(example).image[..., 0], np.where(example.mask, 3, 7))
    assert seeds == [0]


@pytest.mark.parametrize(
    ("method", "package"),
    [("fsr_fast", "opencv-contrib-python"), ("fsr_best", "opencv-contrib-python"), ("patchmatch", "pypatchmatch")],
)
def test_a_method_without_its_library_is_refused(data, tmp_path, monkeypatch, method, package):
    monkeypatch.delattr(cv2, "xphoto", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"^`methods` names {method}, which needs .*: .*pip install {package}"):
        EvaluationConfig(**settings(data, tmp_path, methods=[method]))


def test_lpips_is_a_column_of_its_own(data, tmp_path):
    generator = torch.Generator().manual_seed(0)
    channels = (3, 64, 192, 384, 256, 256)
    state = {}
    for layer, (name, size) in enumerate({"1.0": 11, "2.3": 5, "3.6": 3, "4.8": 3, "5.10": 3}.items()):
        shape = (channels[layer + 1], channels[layer], size, size)
        state[f"net.slice{name}.weight"] = torch.randn(shape, generator=generator) / size
        state[f"net.slice{name}.bias"] = torch.zeros(shape[0])
        state[f"lin{layer}.model.1.weight"] = torch.rand((1, shape[0], 1, 1), generator=generator)
    save_file(state, tmp_path / "lpips.safetensors")
    real, fake = torch.rand((2, 2, 3, 64, 64), generator=generator)
    distance = load_lpips(str(tmp_path / "lpips.safetensors"))
    assert torch.equal(distance(real, real), torch.zeros(2))
    assert_close(distance(real, fake)[:1], distance(real[:1], fake[:1]))

    wanted = settings(data, tmp_path / "run", methods=["telea"], mask_bins=[(10, 20)], max_pictures=1)
    (row,) = evaluate(EvaluationConfig(**wanted, lpips_weights=str(tmp_path / "lpips.safetensors")))["table"]
    assert row["lpips"] > 0
    assert "| LPIPS |" in (tmp_path / "run" / "evaluation.md").read_text()
    del state["lin4.model.1.weight"]
    save_file(state, tmp_path / "short.safetensors")
    for name, fault in {"short": r"lacks lin4.model.1.weight", "none": "No such file"}.items():
        with pytest.raises(ValueError, match=rf"`lpips_weights` '.*{name}.safetensors' must be .*{fault}"):
            load_lpips(str(tmp_path / f"{name}.safetensors"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"methods": ["telea", "magic"]}, "`methods` names magic, expected some of model, true_edges, "),
        ({"methods": []}, "`methods` names nothing"),
        ({"models": {}}, "`models` is empty"),
        ({"datasets": {}}, "`dataset` names no folder"),
        ({"datasets": {"a": "nowhere"}}, "`dataset` 'nowhere' is not a folder"),
        ({"masks": "round"}, "`masks` is 'round', expected one of irregular, rectangle"),
        ({"masks": "rectangle"}, "`mask_bins` is .* quarter of the image"),
        ({"protocol": "new"}, "`protocol` is 'new'"),
        ({"mask_bins": [(30, 20)]}, "`mask_bins` holds 30-20"),
        ({"resolution": 32}, "`resolution` is 32, expected a multiple of 4 of at least 64"),
        ({"sigma": 0}, "`sigma` is 0"),
        ({"sigma": 101}, "`sigma` is 101, expected a number above 0, at most 100"),
        ({"max_pictures": 0}, "`max_pictures` is 0"),
        ({"results": {"other": "nowhere"}}, "`results` 'nowhere' is not a folder"),
        ({"results": {"telea": "."}}, "`results` and `methods` both name telea"),
        ({"grid_pictures": -1}, "`grid_pictures` is -1"),
    ],
)
def test_what_does_not_fit_is_refused(data, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**settings(data, tmp_path, **overrides))


def test_a_model_that_is_nowhere_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # does not wait for a network
    wanted = settings(data, tmp_path, models={"mine": "runs/mistyped"})
    with pytest.raises(ValueError, match="the model 'mine': .* is 'runs/mistyped', neither a folder here"):
        evaluate(EvaluationConfig(**wanted))


def test_a_folder_without_pictures_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="`dataset` '.*empty' holds no images"):
        evaluate(
            EvaluationConfig(
                datasets={"a": str(tmp_path / "empty")}, methods=["telea"], output_dir=str(tmp_path / "run")
            )
        )


def test_vgg_weights_that_end_too_early_are_refused(data, tmp_path):
    state = load_file(data / "vgg.safetensors")
    early = {name: tensor for name, tensor in state.items() if int(name.split(".")[1]) < 16}
    save_file(early, tmp_path / "early.safetensors")
    wanted = settings(data, tmp_path / "run", vgg_weights=str(tmp_path / "early.safetensors"))
    with pytest.raises(ValueError, match=r"`vgg_weights` '.*early.safetensors' lack relu3_4, .* up to conv3_4"):
        evaluate(EvaluationConfig(**wanted))


def test_results_of_other_pictures_are_not_taken_for_these(data, tmp_path):
    draw_pictures(tmp_path / "pictures", 1)
    wanted = settings(data, tmp_path / "run", datasets={"mine": str(tmp_path / "pictures")}, methods=["telea"])
    evaluate(EvaluationConfig(**wanted))
    (path,) = (tmp_path / "pictures").iterdir()
    Image.new("RGB", (64, 64), "red").save(path)
    with pytest.raises(ValueError, match="holds results with `fingerprint of mine`"):
        evaluate(EvaluationConfig(**wanted))


def test_without_results_settings_bind_nobody(tmp_path):
    ResultsFile(tmp_path, {"sigma": 2})
    results = ResultsFile(tmp_path, {"sigma": 3})
    results.add({"set": "a", "hole": "0-10", "method": "telea", "model": "", "picture": "a", "l1": 1.0})
    with pytest.raises(ValueError, match="holds results with `sigma` 3, got 4"):
        ResultsFile(tmp_path, {"sigma": 4})


def test_fid_is_a_column_of_its_own(data, tmp_path, monkeypatch):
    class MeanColour(nn.Module):
        num_features = 3

        def forward(self, pictures):
            return pictures.float().mean(dim=(2, 3))

    monkeypatch.setattr(evaluation, "FrechetDistance", lambda: FrechetDistance(MeanColour()))
    wanted = settings(data, tmp_path, methods=["telea", "model"], mask_bins=[(40, 50)], fid=True)
    telea, model = evaluate(EvaluationConfig(**wanted))["table"]
    assert 0 <= telea["fid"] < model["fid"]  # the tiny model is untrained


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "magic"], "magic"),
        (["--mask_bins", "20"], "such as 20-30,40-50"),
        (["--model", "a=b", "a=c"], "same name"),
        (["--model", "a/b c"], "no name for a model"),
        (["--metods", "telea"], "--metods"),
        (["--results", "a", "b/a"], "two of `--results` have the same name 'a'"),
    ],
)
def test_the_command_line_refuses_too(data, arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_config(["--dataset", str(data / "pictures"), *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("script", ["evaluation/evaluate.py", "evaluation/sigma_ablation.py", "data/prepare.py"])
def test_scripts_start_from_any_folder(tmp_path, script):
    command = [sys.executable, str(ROOT / "training" / script), "--help"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "--output_dir" in shown


def test_the_sigma_ablation_lists_its_settings(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sigma_ablation.py", "--help"])
    with pytest.raises(SystemExit):
        sigma_ablation.main()
    shown = capsys.readouterr().out
    assert "--sigmas SIGMA,…" in shown
    assert "--dataset [NAME=]FOLDER" in shown
    assert "--sigma SIGMA" not in shown
    monkeypatch.setattr("sys.argv", ["sigma_ablation.py", "--dataset", ".", "--sigmas", "1,two"])
    with pytest.raises(SystemExit):
        sigma_ablation.main()
    assert "`--sigmas` is '1,two', expected a list of numbers" in capsys.readouterr().err


def test_sigma_against_the_figures(data, tmp_path):
    config = EvaluationConfig(**settings(data, tmp_path, methods=["true_edges"], mask_bins=[(10, 20)]))
    rows = ablate(config, [1.0, 4.0])
    assert [row["sigma"] for row in rows] == [1, 4]
    assert rows[0]["psnr"] != rows[1]["psnr"]  # other lines, another picture
    assert json.loads((tmp_path / "sigma.json").read_text()) == rows
    with Image.open(tmp_path / "sigma.png") as figure:
        assert figure.width > figure.height
    (axes,) = sigma_ablation.plot(rows).axes
    assert [line.get_label() for line in axes.lines] == ["true_edges tiny 10-20 %"]
    (axes,) = sigma_ablation.plot([*rows, *({**row, "set": "more"} for row in rows)]).axes  # a line for each set
    assert [line.get_label() for line in axes.lines] == [
        "pictures true_edges tiny 10-20 %",
        "more true_edges tiny 10-20 %",
    ]


def test_lines_of_another_detector(data, tmp_path):
    """Line maps beside the images take the place of Canny's: to paint from, and around the hole."""
    picture = next((data / "pictures").iterdir())
    for name in ("drawn", "empty"):
        (tmp_path / name / "lines").mkdir(parents=True)
        shutil.copy(picture, tmp_path / name)
        line = {"file_name": picture.name, "lines_file_name": "lines/map.png"}
        (tmp_path / name / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    drawn = np.zeros((64, 64), np.uint8)
    drawn[::8] = 255
    Image.fromarray(drawn).save(tmp_path / "drawn" / "lines" / "map.png")
    Image.fromarray(0 * drawn).save(tmp_path / "empty" / "lines" / "map.png")
    wanted = settings(
        data,
        tmp_path / "run",
        datasets={name: str(tmp_path / name) for name in ("drawn", "empty")},
        mask_bins=[(10, 20)],
        methods=["true_edges", "no_edges", "model"],
        line_column="lines",
    )
    rows = {(row["set"], row["method"]): row["psnr"] for row in evaluate(EvaluationConfig(**wanted))["table"]}
    assert rows["empty", "true_edges"] == rows["empty", "no_edges"]
    assert rows["drawn", "true_edges"] != rows["empty", "true_edges"]
    assert rows["drawn", "model"] != rows["empty", "model"]
    with pytest.raises(ValueError, match="`output_dir` .* with `line_column` 'lines', got None"):
        evaluate(EvaluationConfig(**{**wanted, "line_column": None}))
