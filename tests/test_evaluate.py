"""Tables by hole size: what is in them, resuming, refusals."""

import json
import subprocess
import sys

import huggingface_hub
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from training_runs import ROOT, draw_pictures, draw_vgg

from edgeconnect_hf.pipeline import BUNDLED_MODEL
from training.evaluation import evaluate as evaluation
from training.evaluation import sigma_ablation
from training.evaluation.config import EvaluationConfig, parse_config
from training.evaluation.evaluate import evaluate
from training.evaluation.holes import Samples, chance, with_hole
from training.evaluation.methods import METHODS, line_segments
from training.evaluation.metrics import FrechetDistance
from training.evaluation.results_file import ResultsFile
from training.evaluation.sigma_ablation import ablate

PICTURES = 2
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
        "dataset": str(data / "pictures"),
        "models": {"tiny": str(data / "tiny")},
        "mask_bins": [(10, 20), (40, 50)],
        "resolution": 64,
        "output_dir": str(output_dir),
        **overrides,
    }


def flags(data, output_dir):
    return [
        *("--dataset", str(data / "pictures"), "--model", str(data / "tiny"), "--output_dir", str(output_dir)),
        *("--resolution", "64", "--mask_bins", "10-20,40-50", "--methods", ",".join(METHODS), "--grid_pictures", "1"),
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
        (hole, method) for hole in ("10-20", "40-50") for method in METHODS
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
    (row,) = (row for row in report["lines"] if row["method"] == "model" and row["hole"] == "40-50")
    hits, drawn, true, pixels = (
        sum(result[name] for result in of_model) for name in ("line_hits", "lines_drawn", "lines_true", "hole_pixels")
    )
    assert (row["precision"], row["recall"]) == (hits / drawn, hits / true)
    assert row["f1"] == pytest.approx(2 / (drawn / hits + true / hits))
    assert row["all_ones_f1"] == pytest.approx(2 / (pixels / true + 1))


def test_known_pixels_are_kept_and_the_grid_shows_everything(whole_run):
    output_dir, _ = whole_run
    pictures = output_dir / "pictures"
    original, masked = (
        np.asarray(Image.open(pictures / folder / "0000_0.png")) for folder in ("original", "10-20/masked")
    )
    hole = (masked != original).any(axis=2)
    for folder in [path for path in (pictures / "10-20").iterdir() if not path.name.startswith("lines-")]:
        assert np.array_equal(np.asarray(Image.open(folder / "0000_0.png"))[~hole], original[~hole]), folder.name
    with Image.open(output_dir / "grid_10-20.png") as grid:
        assert grid.width == (2 + len(METHODS) + len(LINE_METHODS)) * 64
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
    assert "| hole % | method | model | L1 % | PSNR dB | SSIM | seconds |" in table
    assert table.count("| 25-25 |") == 2
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


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"methods": ["telea", "magic"]}, "`methods` names magic, expected some of model, true_edges, "),
        ({"methods": []}, "`methods` names nothing"),
        ({"models": {}}, "`models` is empty"),
        ({"dataset": "nowhere"}, "`dataset` 'nowhere' is not a folder"),
        ({"masks": "round"}, "`masks` is 'round', expected one of irregular, rectangle"),
        ({"masks": "rectangle"}, "`mask_bins` is .* quarter of the image"),
        ({"protocol": "new"}, "`protocol` is 'new'"),
        ({"mask_bins": [(30, 20)]}, "`mask_bins` holds 30-20"),
        ({"resolution": 32}, "`resolution` is 32, expected a multiple of 4 of at least 64"),
        ({"sigma": 0}, "`sigma` is 0"),
        ({"sigma": 101}, "`sigma` is 101, expected a number above 0, at most 100"),
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
        evaluate(EvaluationConfig(dataset=str(tmp_path / "empty"), methods=["telea"], output_dir=str(tmp_path / "run")))


def test_vgg_weights_that_end_too_early_are_refused(data, tmp_path):
    state = load_file(data / "vgg.safetensors")
    early = {name: tensor for name, tensor in state.items() if int(name.split(".")[1]) < 16}
    save_file(early, tmp_path / "early.safetensors")
    wanted = settings(data, tmp_path / "run", vgg_weights=str(tmp_path / "early.safetensors"))
    with pytest.raises(ValueError, match=r"`vgg_weights` '.*early.safetensors' lack relu3_4, .* up to conv3_4"):
        evaluate(EvaluationConfig(**wanted))


def test_results_of_other_pictures_are_not_taken_for_these(data, tmp_path):
    draw_pictures(tmp_path / "pictures", 1)
    wanted = settings(data, tmp_path / "run", dataset=str(tmp_path / "pictures"), methods=["telea"])
    evaluate(EvaluationConfig(**wanted))
    (path,) = (tmp_path / "pictures").iterdir()
    Image.new("RGB", (64, 64), "red").save(path)
    with pytest.raises(ValueError, match="holds results with `fingerprint of the pictures`"):
        evaluate(EvaluationConfig(**wanted))


def test_without_results_settings_bind_nobody(tmp_path):
    ResultsFile(tmp_path, {"sigma": 2})
    results = ResultsFile(tmp_path, {"sigma": 3})
    results.add({"hole": "0-10", "method": "telea", "model": "", "picture": "a", "l1": 1.0})
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
    assert "--dataset FOLDER" in shown
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
