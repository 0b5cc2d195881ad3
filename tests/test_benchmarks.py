import json
import shlex
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, session

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import edits
import measuring
from published import published_generator


def test_the_baseline_computes_what_the_completion_generator_does():
    """With the same weights; biases before an instance norm change nothing. Twenty convolutions in fp32: 1e-4."""
    torch.manual_seed(0)
    ours = CompletionGenerator().eval()
    published = published_generator(4, 3, nn.Tanh(), use_spectral_norm=False).eval()
    convs = (nn.Conv2d, nn.ConvTranspose2d)
    pairs = zip(*([m for m in model.modules() if isinstance(m, convs)] for model in (ours, published)), strict=True)
    for our_conv, published_conv in pairs:
        nn.init.normal_(our_conv.weight, std=0.05)
        published_conv.weight.data.copy_(our_conv.weight)
    published[-2].bias.data.copy_(ours.conv_out.bias)
    image, edges = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected, predicted = (published(torch.cat([image, edges], dim=1)) + 1) / 2, ours(image, edges).sample
    assert expected.std() > 0.1
    assert_close(predicted, expected, rtol=0, atol=1e-4)


def test_calls_take_turns_after_one_that_is_not_counted():
    called = []
    seconds = measuring.time_in_turn({name: lambda name=name: called.append(name) for name in "ab"}, 2)
    assert called == ["a", "b"] * 3
    assert [len(times) for times in seconds.values()] == [2, 2]


def test_cpu_time_is_that_of_one_thread():
    threads = torch.get_num_threads()
    try:
        assert measuring.choose_clock(False) == (time.perf_counter, "")
        assert measuring.choose_clock(True) == (time.process_time, ", CPU time of one thread")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    seconds = measuring.time_in_turn({"sleep": lambda: time.sleep(0.05)}, 1, time.process_time)
    assert seconds["sleep"][0] < 0.04


def test_times_as_fast_is_the_median_over_the_turns():
    assert measuring.times_as_fast([2.0, 4.0, 9.0], [1.0, 1.0, 3.0]) == pytest.approx(3)


def test_results_are_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    arguments = [str(tmp_path / "a photo.jpg"), "../data/photos", "data/b.jpg", "--repeats", "5"]
    monkeypatch.setattr(sys, "argv", ["speed.py", *arguments])
    measuring.publish("speed", {"Times": [{"": "ours", "ms": 1234.5}, {"": "theirs", "ms": None}]})
    written = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert written["command"] == "python benchmarks/speed.py 'a photo.jpg' photos data/b.jpg --repeats 5"
    assert "Times\n\n|  | ms |\n| --- | ---: |\n| ours | 1234 |\n| theirs |  |\n" in capsys.readouterr().out
    assert '"ms": 1234.5' in (tmp_path / "results" / "speed.json").read_text()


def test_the_steps_of_each_edit_add_up_and_the_packages_functions_come_back(tiny_pipeline, photo, hole):
    pipe = EdgeConnectPipeline(**{**tiny_pipeline.components, "match_colours": True, "match_texture": True})
    before = session.match_texture
    first, line, colours = edits.edit(pipe, photo, hole)
    assert session.match_texture is before
    for call in (first, line, colours):
        assert sum(call[step] for step in edits.STEPS) == pytest.approx(call["total"])
        assert call["the rest"] > 0  # no step counts within another
    assert all(first[step] > 0 for step in edits.STEPS)
    assert line["G1"] == 0 < min(line["G2"], line["match_texture"])
    assert colours["G2"] == colours["match_texture"] == 0 < colours["pasting"]


def test_committed_results_name_no_folder_of_a_machine():
    results = sorted((Path(measuring.__file__).parent / "results").glob("*.json"))
    assert len(results) > 5
    for path in results:
        words = shlex.split(json.loads(path.read_text())["command"])
        assert not any(word.startswith(("/", "..", "~")) for word in words), path.name
