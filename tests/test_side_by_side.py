"""`training/side_by_side.py`: G1 and G2 at the same time. But for the slow test, a stub stands in for `train.py`."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from training_runs import ROOT, assert_same_weights, final_weights, finish, run, start, tiny_settings

from edgeconnect_hf import EdgeConnectPipeline
from training import side_by_side
from training.flags import parse_training_config
from training.side_by_side import SideBySide, main
from training.train import train

pytestmark = pytest.mark.usefixtures("_own_cache_and_one_thread")

# Shows a bar and a message; then the edge stage fails, or ends, or waits for SIGTERM; the completion stage waits.
STUB = """
import os, signal, sys, time
stage = "edge" if any("edge.yaml" in flag for flag in sys.argv) else "completion"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(f"{stage} has written a checkpoint") and 0))
print(f"\\r{stage}: 1/4, left=00:03, l1=0.5", end="\\r")
print(os.environ["OMP_NUM_THREADS"], "threads", flush=True)
open(f"{os.environ['STUB']}/{stage}", "w").close()
while stage == "edge" and not os.path.exists(f"{os.environ['STUB']}/completion"):
    time.sleep(0.01)
if stage == "edge" and os.environ["EDGE"] == "fails":
    sys.exit("ValueError: edges ran out")
time.sleep(60)
"""


@pytest.fixture(scope="module")
def data(training_data) -> Path:
    return training_data


@pytest.fixture
def command(data, tmp_path):
    """Flags of four updates each; G2's second phase paints from G1's lines."""

    def make(name: str, *, phases: int = 2, **overrides) -> list[str]:
        (tmp_path / "edge.yaml").write_text("stage: edge\n")
        listed = ["{learning_rate: 1e-3, completion_loss_weights: {style: 0}}", "{edge_source: mixed}"][:phases]
        recipe = "\n- ".join(["stage: completion\nphases:", *listed])
        (tmp_path / "completion.yaml").write_text(recipe)
        settings = tiny_settings(data, tmp_path / name, max_train_steps=4, report_to="none", **overrides)
        recipes = [f"--{stage}_recipe={tmp_path / stage}.yaml" for stage in ("edge", "completion")]
        return [*recipes, *(f"--{name}={value}" for name, value in settings.items())]

    return make


@pytest.fixture
def started(monkeypatch):
    """The stages are trained in this process, one after the other: the names of those that are, in order."""
    names: list[str] = []

    def run_here(_, flags):
        for stage, own in flags.items():
            names.append(stage)
            train(*parse_training_config(own))

    monkeypatch.setattr(SideBySide, "run", run_here)
    monkeypatch.setattr(SideBySide, "__init__", lambda *_: None)
    return names


def test_both_become_one_pipeline_and_what_needs_both_follows(command, started, tmp_path, data, capsys):
    main(command("run"))
    folder = tmp_path / "run"
    assert started == ["edge", "completion", "completion"]
    assert f"G1 and G2 are one pipeline in {folder}." in capsys.readouterr().out
    edge, completion, joined, result = (final_weights(folder / name) for name in ("edge", "completion", "joined", "."))
    assert all(tensor.equal({**completion, **edge}[name]) for name, tensor in joined.items())
    weight = "completion_generator/conv_in.weight"
    assert not result[weight].equal(joined[weight])  # trained on
    assert all(result[name].equal(tensor) for name, tensor in edge.items())
    assert EdgeConnectPipeline.from_pretrained(folder).edge_generator is not None
    run(data, tmp_path / "alone", stage="edge", max_train_steps=4, report_to="none")
    assert_same_weights(tmp_path / "alone", folder / "edge")

    # The last phase was interrupted: it is resumed, and the two before it stay as they are.
    (folder / "model_index.json").unlink()
    main([*command("run"), "--resume_from_checkpoint=latest"])
    assert all(tensor.equal(final_weights(folder)[name]) for name, tensor in result.items())


def test_one_that_ended_waits_for_the_other(command, started, tmp_path, data):
    """The edge stage is finished, the completion stage was interrupted; there is no phase that needs both."""
    run(data, tmp_path / "run" / "edge", stage="edge", max_train_steps=4, report_to="none")
    settings = {"stage": "completion", "learning_rate": 1e-3, "report_to": "none"}
    run(data, tmp_path / "whole", max_train_steps=4, **settings)
    run(data, tmp_path / "run" / "completion", max_train_steps=2, **settings)
    (tmp_path / "run" / "completion" / "model_index.json").unlink()
    main([*command("run", phases=1, completion_loss_weights="{style: 250}"), "--resume_from_checkpoint=latest"])
    assert started == ["edge", "completion"]
    assert not (tmp_path / "run" / "joined").exists()
    pipeline = EdgeConnectPipeline.from_pretrained(tmp_path / "run")
    assert pipeline.edge_generator is not None
    assert pipeline.completion_generator is not None
    card = (tmp_path / "run" / "README.md").read_text()
    assert "Completion stage on `pictures`: 4 updates" in card
    result, whole = final_weights(tmp_path / "run"), final_weights(tmp_path / "whole")
    assert all(result[name].equal(tensor) for name, tensor in whole.items())


def test_all_stages(started, tmp_path, data):
    settings = tiny_settings(data, tmp_path / "run", stage="all", max_train_steps=2, report_to="none")
    flags = [f"--{name}={value}" for name, value in settings.items()]
    main(flags)
    assert started == ["edge", "completion", "joint"]
    folder = tmp_path / "run"
    edge, completion, joined = (final_weights(folder / name) for name in ("edge", "completion", "joined"))
    assert all(tensor.equal({**completion, **edge}[name]) for name, tensor in joined.items())
    run(data, tmp_path / "alone", stage="completion", max_train_steps=2, report_to="none")
    assert_same_weights(tmp_path / "alone", folder / "completion")  # from true lines, without a G1
    card = (folder / "README.md").read_text()
    assert "Joint stage on `pictures`: 2 updates" in card
    for generator in ("edge_generator", "completion_generator"):
        weight = f"{generator}/conv_in.weight"
        assert not final_weights(folder)[weight].equal(joined[weight])


def test_half_of_the_flags(tmp_path, capsys):
    for flags, message in {
        ("--edge_recipe=edge.yaml",): "one of `edge_recipe` and `completion_recipe` is missing.",
        ("--stage=edge", "--train_data_dir=photos", "--max_train_steps=1"): "`stage` must be all.",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            main([*flags, f"--output_dir={tmp_path / 'run'}"])
        assert message in capsys.readouterr().err


@pytest.fixture
def stubbed(tmp_path, monkeypatch):
    (tmp_path / "stub.py").write_text(STUB)
    (tmp_path / "stub").mkdir()
    monkeypatch.setattr(side_by_side, "_TRAIN", tmp_path / "stub.py")
    environment = {"STUB": str(tmp_path / "stub"), "EDGE": "waits"}
    monkeypatch.delitem(side_by_side._ENVIRONMENT, "OMP_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setitem(side_by_side._ENVIRONMENT, name, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield tmp_path / "stub"
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_one_alone_has_all_threads(stubbed, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "_TRAIN", tmp_path / "threads.py")
    (tmp_path / "threads.py").write_text("import os\nprint(os.environ.get('OMP_NUM_THREADS', 'all'), 'threads')\n")
    SideBySide(tmp_path).run({"completion": []})
    assert (tmp_path / "completion.log").read_text() == "all threads\n"


def test_one_that_fails_ends_the_other_with_a_checkpoint(command, stubbed, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(side_by_side._ENVIRONMENT, "EDGE", "fails")
    folder = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        main(command("run"))
    assert ended.value.code == (
        f"edge: ended with status 1 (its output is in {folder / 'edge.log'}): ValueError: edges ran out\n"
        "completion was stopped, with a checkpoint if it had begun. Continue with `--resume_from_checkpoint latest`."
    )
    output, bars = capsys.readouterr()
    for line in ("edge: 1 threads", "completion: 1 threads", "completion: completion has written a checkpoint"):
        assert line in output.splitlines()
    assert "edge: 1/4, left=00:03 | completion: 1/4, left=00:03" in bars
    assert (folder / "edge.log").read_text().splitlines()[0] == "edge: 1/4, left=00:03, l1=0.5"
    assert not (folder / "model_index.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_is_passed_on_to_both(command, stubbed, tmp_path, capsys, number, code):
    def send_when_both_run():
        until = time.monotonic() + 60
        while len([*stubbed.iterdir()]) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send_when_both_run)
    sender.start()
    with pytest.raises(SystemExit) as ended:
        main(command("run"))
    sender.join()
    assert ended.value.code == code
    output = capsys.readouterr().out
    for line in ("edge: edge has written a checkpoint", "completion: completion has written a checkpoint"):
        assert line in output.splitlines()
    assert "Stopped. Continue with `--resume_from_checkpoint latest`." in output
    assert not (tmp_path / "run" / "model_index.json").exists()


def test_what_is_missing_is_said_before_a_folder_is_made(command, tmp_path, capsys):
    with pytest.raises(SystemExit, match="FileNotFoundError: `vgg_weights`"):
        main([*command("run"), f"--vgg_weights={tmp_path / 'gone.safetensors'}"])
    for flag, message in {
        "--edge_source=mixed": "`completion_recipe` must begin with `edge_source` canny",
        "--stage=edge": "`completion_recipe` trains stage edge, expected completion.",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            main([*command("run"), flag])
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_in_processes_of_their_own(command, tmp_path):
    arguments = [str(ROOT / "training" / "side_by_side.py"), *command("run")]
    output = finish(start(arguments, tmp_path / "home"))
    assert "edge: 2 images per update" in output
    assert "completion: 2 images per update" in output
    assert EdgeConnectPipeline.from_pretrained(tmp_path / "run").edge_generator is not None
    output = finish(start([*arguments, "--resume_from_checkpoint=latest"], tmp_path / "home"))
    assert f"edge: Continuing from {tmp_path / 'run' / 'edge' / 'checkpoint-4'}." in output
