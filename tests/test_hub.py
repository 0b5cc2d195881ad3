"""To the Hub and back with the real client, in processes of its own, against a Hub on this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub
from huggingface_hub import ModelCard

from edgeconnect_hf import EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.hub import push_folder
from edgeconnect_hf.hub.card import INSTALL, with_location, write_model_card

WEIGHTS = "diffusion_pytorch_model.safetensors"

# Imports once what takes seconds, then runs the programs it is given and prints the `answer` of each as JSON.
# `pixels` tells models apart.
SERVE = """
import contextlib, hashlib, json, os, sys
import numpy as np, torch
from edgeconnect_hf import EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.hub import push_folder
photo = np.random.default_rng(0).random((40, 48, 3), dtype=np.float32)
mask = np.zeros((40, 48), bool)
mask[10:30, 12:36] = True
def pixels(pipe):
    return hashlib.sha256(pipe(photo, mask, output_type="np").images.tobytes()).hexdigest()
def error(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
for line in sys.stdin:
    program, sys.argv[1:], os.environ["HF_TOKEN"] = json.loads(line)
    answer = None
    with contextlib.redirect_stdout(sys.stderr):
        exec(program)
    print(json.dumps(answer), flush=True)
"""


class Machine:
    """A machine of its own: an empty cache, an endpoint, and one Python for all programs."""

    def __init__(self, home: Path, endpoint: str):
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self.environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        self.said = home / "stderr.txt"

    def __enter__(self) -> "Machine":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.said.open("w")}
        self.python = subprocess.Popen([sys.executable, "-c", SERVE], env=self.environment, text=True, **pipes)
        pipes["stderr"].close()
        return self

    def __exit__(self, *_) -> None:
        self.python.communicate()

    def run(self, program: str, *arguments: object, token: str = "hf_test"):
        """What `program` leaves as `answer`; with the empty token, nobody is logged in."""
        print(json.dumps([program, [*map(str, arguments)], token]), file=self.python.stdin, flush=True)
        answer = self.python.stdout.readline()
        assert answer, self.said.read_text()
        return json.loads(answer)

    def start(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A fresh Python with `arguments`, logged in, to its end."""
        environment = {**self.environment, "HF_TOKEN": "hf_test"}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def folder(tiny_pipeline, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_pipeline.save_pretrained(folder)
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "state.bin").write_bytes(b"stays at home")
    return folder


@pytest.fixture(scope="module")
def author(hub, folder, tmp_path_factory) -> Iterator[Machine]:
    """The machine that pushed: a pipeline in two variants, one generator, a private pipeline."""
    with Machine(tmp_path_factory.mktemp("author"), hub.url) as machine:
        machine.run(
            """
pipe = EdgeConnectPipeline.from_pretrained(sys.argv[1])
pipe.push_to_hub("tester/tiny", commit_message="First", license="apache-2.0")
pipe.push_to_hub("tester/secret", private=True)
pipe.edge_generator.push_to_hub("lines")  # under the token's user
EdgeConnectPipeline.from_pretrained(sys.argv[1], dtype=torch.float16).push_to_hub("tester/tiny", variant="fp16")
""",
            folder,
        )
        yield machine


@pytest.fixture(scope="module")
def reader(hub, tmp_path_factory) -> Iterator[Machine]:
    """A machine that has pulled nothing yet."""
    with Machine(tmp_path_factory.mktemp("reader"), hub.url) as machine:
        yield machine


def files(hub, repo_id) -> dict:
    repo = hub.repos["models", repo_id]
    return repo["commits"][repo["refs"]["main"]]


def test_what_is_pushed(hub, author):
    networks = ("edge_generator", "completion_generator")
    names = ("config.json", WEIGHTS, "diffusion_pytorch_model.fp16.safetensors")
    expected = {f"{network}/{name}" for network in networks for name in names} | {"README.md", "model_index.json"}
    assert set(files(hub, "tester/tiny")) == expected
    assert "First" in hub.repos["models", "tester/tiny"]["messages"].values()
    assert set(files(hub, "tester/lines")) == {"README.md", "config.json", WEIGHTS}
    card = ModelCard(files(hub, "tester/tiny")["README.md"]["data"].decode())
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "edgeconnect-hf")
    assert f"```bash\n{INSTALL}\n```" in card.text
    assert 'EdgeConnectPipeline.from_pretrained("tester/tiny")' in card.text
    assert 'EdgeGenerator.from_pretrained("tester/lines")' in files(hub, "tester/lines")["README.md"]["data"].decode()


def test_pulled_into_an_empty_cache_it_paints_the_same_pixels(hub, author, reader, folder):
    """And from the warm cache without a network, by every loader; only what was never pulled is missed then."""
    pulled = reader.run(
        """
from diffusers import DiffusionPipeline
pulled = {
    "folder": pixels(EdgeConnectPipeline.from_pretrained(sys.argv[1])),
    "ours": pixels(EdgeConnectPipeline.from_pretrained("tester/tiny")),
    "generic": pixels(DiffusionPipeline.from_pretrained("tester/tiny")),
    "local": pixels(EdgeConnectPipeline.from_pretrained("tester/tiny", local_files_only=True)),
}
half = EdgeConnectPipeline.from_pretrained("tester/tiny", variant="fp16", dtype=torch.float16)
pulled["half"] = str(half.edge_generator.dtype)
whole = EdgeConnectPipeline.from_pretrained(sys.argv[1])
pulled["rounded"] = all(torch.equal(a.half(), b) for a, b in zip(
    whole.edge_generator.state_dict().values(), half.edge_generator.state_dict().values(), strict=True))
sub = EdgeGenerator.from_pretrained("tester/tiny", subfolder="edge_generator")
alone = EdgeGenerator.from_pretrained("tester/lines")
pulled["same_generator"] = all(torch.equal(a, b) for a, b in zip(
    sub.state_dict().values(), alone.state_dict().values(), strict=True))
pulled["revision"] = error(EdgeConnectPipeline.from_pretrained, "tester/tiny", revision="no-such-branch")
answer = pulled
""",
        folder,
    )
    assert pulled["ours"] == pulled["generic"] == pulled["local"] == pulled["folder"]
    assert (pulled["half"], pulled["rounded"], pulled["same_generator"]) == ("torch.float16", True, True)
    assert pulled["revision"].startswith("RevisionNotFoundError")

    home = reader.said.parent
    with Machine(home, "http://127.0.0.1:9") as cut_off:  # the port that discards: nobody listens
        offline = cut_off.run(
            """
from diffusers import DiffusionPipeline
answer = {
    "ours": pixels(EdgeConnectPipeline.from_pretrained("tester/tiny")),
    "generic": pixels(DiffusionPipeline.from_pretrained("tester/tiny")),
    "cold": error(EdgeConnectPipeline.from_pretrained, "tester/other"),
    "push": error(push_folder, sys.argv[1], "tester/tiny"),
}
""",
            folder,
        )
    assert offline["ours"] == offline["generic"] == pulled["folder"]
    assert offline["cold"].startswith(
        "OSError: `pretrained_model_name_or_path` is 'tester/other', neither a folder here"
    )
    assert offline["push"].startswith("PushError: the push to 'tester/tiny' failed: ")


def test_without_token_or_rights_the_client_says_so(hub, author, reader, folder):
    refused = reader.run(
        'answer = [error(EdgeConnectPipeline.from_pretrained, "tester/secret"),'
        ' error(push_folder, sys.argv[1], "tester/tiny")]',
        folder,
        token="",
    )
    assert refused[0].startswith("RepositoryNotFoundError")
    assert "private or gated repo" in refused[0]
    assert refused[1].startswith("PushError: the push to 'tester/tiny' failed: ")
    before = files(hub, "tester/tiny")
    program = 'answer = error(push_folder, sys.argv[1], "tester/tiny")'
    message = reader.run(program, folder, token=hub.read_only_token)
    assert message.startswith("PushError: the push to 'tester/tiny' failed: ")
    assert "rights required to write" in message
    assert files(hub, "tester/tiny") == before


def test_a_push_broken_off_changes_nothing_and_a_second_completes_it(hub, author, folder, tmp_path):
    program = 'answer = error(push_folder, sys.argv[1], "tester/broken", commit_message="Whole")'
    model = tmp_path / "model"
    changed = EdgeConnectPipeline.from_pretrained(folder)
    with torch.no_grad():  # other weights than any on the Hub
        changed.edge_generator.conv_out.bias.add_(1)
        changed.completion_generator.conv_out.bias.add_(1)
    changed.save_pretrained(model)

    hub.uploads_allowed = 1
    assert "PushError: the push to 'tester/broken' failed: " in author.run(program, model)
    assert files(hub, "tester/broken") == {}
    hub.uploads_allowed = None

    hub.log.clear()
    commits = len(hub.repos["models", "tester/broken"]["history"])
    push = 'push_folder(sys.argv[1], "tester/broken", commit_message="Whole"); '
    author.run(push + push, model)
    assert f"edge_generator/{WEIGHTS}" in files(hub, "tester/broken")
    assert sum(method == "PUT" for method, _, _ in hub.log) == 1  # what had arrived was not sent again
    assert len(hub.repos["models", "tester/broken"]["history"]) == commits + 1  # nor was a second commit made


def test_a_card_on_the_hub_is_kept(hub, author, folder):
    program = 'EdgeConnectPipeline.from_pretrained(sys.argv[1]).push_to_hub("lines")'
    card = files(hub, "tester/lines")["README.md"]
    author.run(program, folder)
    assert files(hub, "tester/lines")["README.md"] == card
    assert "model_index.json" in files(hub, "tester/lines")


def test_pickles_strange_code_and_monstrous_configs_are_refused(hub, author, reader, folder):
    """By our loader and by the generic one; and code in a repository does not run."""
    repos = hub.repos
    tiny = dict(files(hub, "tester/tiny"))

    def publish(name, entries):
        repos["models", f"tester/{name}"] = {
            "commits": {name: entries},
            "refs": {"main": name},
            "history": [name],
            "private": False,
        }

    def text(content):
        return {"data": content.encode(), "size": len(content.encode()), "oid": "0" * 40}

    pickled = {name: entry for name, entry in tiny.items() if not name.endswith(".safetensors")}
    for network in ("edge_generator", "completion_generator"):
        pickled[f"{network}/diffusion_pytorch_model.bin"] = text("a pickle")
    publish("pickled", pickled)
    config = json.loads(tiny["edge_generator/config.json"]["data"])
    publish("huge", {**tiny, "edge_generator/config.json": text(json.dumps({**config, "base_channels": 10**9}))})
    publish("code", {**tiny, "pipeline.py": text("raise SystemExit('code from a repository ran')")})

    refused = reader.run(
        """
from diffusers import DiffusionPipeline
loaders = {"ours": EdgeConnectPipeline.from_pretrained, "generic": DiffusionPipeline.from_pretrained}
answer = {
    "folder": pixels(EdgeConnectPipeline.from_pretrained(sys.argv[1])),
    "code": [pixels(load("tester/code")) for load in loaders.values()],
    "custom": error(DiffusionPipeline.from_pretrained, "tester/code", custom_pipeline="tester/code"),
    "pickled": [error(load, "tester/pickled") for load in loaders.values()],
    "huge": [error(load, "tester/huge") for load in loaders.values()],
}
""",
        folder,
    )
    assert refused["code"] == [refused["folder"]] * 2
    assert "trust_remote_code=True" in refused["custom"]
    assert all("safetensors" in message for message in refused["pickled"]), refused["pickled"]
    assert all(
        "`base_channels` must be a whole number from 1 to 1024: got 1000000000" in message
        for message in refused["huge"]
    )


def test_generic_loader_without_our_import_refuses_and_names_the_package(hub, author, tmp_path):
    """`from edgeconnect_hf import EdgeConnectPipeline` comes first, as README and card say."""
    program = "from diffusers import DiffusionPipeline\nDiffusionPipeline.from_pretrained('tester/tiny')"
    done = Machine(tmp_path, hub.url).start("-c", program)
    assert done.returncode == 1
    assert "edgeconnect_hf.py as defined in `model_index.json` does not exist in tester/tiny" in done.stderr


def test_command_line_pushes(hub, author, folder, tmp_path):
    model = tmp_path / "conv" / "my-model"
    shutil.copytree(folder, model)
    card = write_model_card(model, summary="For a test.", license="other").read_text()
    arguments = ("-m", "edgeconnect_hf.cli", "push", model, "by-hand", "--private")
    done = Machine(tmp_path, hub.url).start(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(hub.url)
    assert hub.repos["models", "tester/by-hand"]["private"]
    pushed = files(hub, "tester/by-hand")
    assert not any("checkpoint" in name for name in pushed)
    assert card.count('from_pretrained("my-model")') == 1
    assert pushed["README.md"]["data"].decode() == card.replace('"my-model"', '"tester/by-hand"')
    assert (model / "README.md").read_text() == card


def test_a_sharded_save_is_pulled_whole(hub, author, reader, folder):
    author.run(
        """
pipe = EdgeConnectPipeline.from_pretrained(sys.argv[1])
pipe.push_to_hub("tester/sharded", max_shard_size="8KB")
pipe.push_to_hub("tester/sharded", max_shard_size="8KB", variant="fp16")
""",
        folder,
    )
    names = files(hub, "tester/sharded")
    for ending in ("json", "fp16.json"):
        assert f"edge_generator/diffusion_pytorch_model.safetensors.index.{ending}" in names
    assert not any(name.endswith(f"/{WEIGHTS}") for name in names)
    pulled = """
pipes = [EdgeConnectPipeline.from_pretrained(name) for name in (sys.argv[1], "tester/sharded")]
pipes.append(EdgeConnectPipeline.from_pretrained("tester/sharded", variant="fp16"))
answer = [pixels(pipe) for pipe in pipes]
"""
    whole, *sharded = reader.run(pulled, folder)
    assert sharded == [whole] * 2  # named "fp16", saved as it was: in fp32


def test_what_stands_beside_the_weights_goes_along_unless_they_changed(hub, author, folder, tmp_path):
    """Card, pictures, attribution, ONNX; where the model was trained on, of these the attribution."""
    model = tmp_path / "released"
    shutil.copytree(folder, model)
    write_model_card(model, summary="See ![samples](samples.jpg).", license="cc-by-4.0", widget=["samples.jpg"])
    companions = ("samples.jpg", "signs.jpg", "ATTRIBUTION.md", "edge_generator/model.onnx")
    for name in companions:
        (model / name).write_text(name)
    author.run(
        """
pipe = EdgeConnectPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
pipe.push_to_hub("tester/same")
with torch.no_grad():
    pipe.edge_generator.conv_out.bias.add_(1)
pipe.push_to_hub("tester/tuned")
EdgeConnectPipeline.from_pretrained("tester/same").push_to_hub("tester/of-the-hub")
""",
        model,
    )
    same, tuned = files(hub, "tester/same"), files(hub, "tester/tuned")
    assert set(companions) <= set(same)
    card = ModelCard(same["README.md"]["data"].decode())
    assert (card.data.license, card.data.widget) == ("cc-by-4.0", [{"src": "samples.jpg"}])
    assert 'from_pretrained("tester/same")' in card.text
    assert set(companions) & set(tuned) == {"ATTRIBUTION.md"}
    assert "samples.jpg" not in tuned["README.md"]["data"].decode()
    of_the_hub = ModelCard(files(hub, "tester/of-the-hub")["README.md"]["data"].decode())
    assert of_the_hub.data.base_model == "tester/same"


def test_push_makes_the_space_that_shows_the_model(hub, folder, tmp_path):
    command = ("-m", "edgeconnect_hf.cli", "push", folder, "tester/shown", "--space", "tester/show", "--private")
    done = Machine(tmp_path, hub.url).start(*command)
    assert done.returncode == 0, done.stderr
    commit, space = done.stdout.splitlines()
    assert commit.startswith(f"{hub.url}/tester/shown/commit/")
    assert space == f"{hub.url}/spaces/tester/show"
    repository = hub.repos["spaces", "tester/show"]
    assert repository["private"]
    header = repository["commits"][repository["refs"]["main"]]["README.md"]["data"].decode()
    assert "models:\n- tester/shown\n" in header


def test_what_from_pretrained_refuses_is_not_pushed(hub, folder, tiny_pipeline, tmp_path, caplog):
    with pytest.raises(ValueError, match="holds neither model_index.json nor config.json"):
        push_folder(tmp_path, "tester/nothing")
    with pytest.raises(ValueError, match="`safe_serialization` is False: expected True"):
        tiny_pipeline.push_to_hub("tester/nothing", safe_serialization=False)
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    with pytest.raises(ValueError, match="whose config.json is of none of EdgeGenerator, CompletionGenerator"):
        push_folder(tmp_path, "tester/nothing")
    pickled, torn, half = (tmp_path / name for name in ("pickled", "torn", "half"))
    tiny_pipeline.save_pretrained(pickled, safe_serialization=False)
    for model in (torn, half):
        shutil.copytree(folder, model)
    tiny_pipeline.save_pretrained(half, variant="fp16")
    for weights in (
        torn / "edge_generator" / WEIGHTS,
        half / "edge_generator/diffusion_pytorch_model.fp16.safetensors",
    ):
        weights.write_bytes(weights.read_bytes()[:-8])
    for model, why in ((pickled, ""), (torn, ""), (half, " with variant 'fp16'")):
        with pytest.raises(ValueError, match=rf"{model.name}', which `from_pretrained` refuses{why}: "):
            push_folder(model, "tester/nothing")
    assert ("models", "tester/nothing") not in hub.repos


@pytest.mark.parametrize("value", [0, 10**9, -64, 64.0, "64", True])
def test_configs_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match="`base_channels` must be a whole number from 1 to 1024: got "):
        EdgeGenerator(base_channels=value)


@pytest.mark.parametrize("network", ["EdgeConnectPipeline", "EdgeGenerator", "CompletionGenerator"])
def test_card_is_valid_and_its_example_runs(network, tiny_pipeline, photo, hole, tmp_path, monkeypatch):
    from huggingface_hub import EvalResult

    name = {"EdgeGenerator": "edge_generator", "CompletionGenerator": "completion_generator"}.get(network)
    (getattr(tiny_pipeline, name) if name else tiny_pipeline).save_pretrained(tmp_path / "model")
    figure = EvalResult("image-to-image", "drawn", "Drawn pictures", "psnr", 24.3)
    path = write_model_card(
        tmp_path / "model",
        summary="For a test.",
        license="apache-2.0",
        network=network,
        datasets=["user/pictures"],
        sections={"Limits": "Many."},
        evaluation=[figure],
        widget=["validation.png"],
    )
    card = ModelCard.load(path)
    data = card.data
    assert (data.pipeline_tag, data.datasets, data.metrics) == ("image-to-image", ["user/pictures"], ["psnr"])
    assert data.eval_results == [figure]
    assert data.widget == [{"src": "validation.png"}]
    example = card.text.split("```python\n")[1].split("```")[0]
    photo.save(tmp_path / "photo.jpg")
    hole.save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    exec(example, {})  # as it stands
    assert (tmp_path / "repaired.png").exists() is (name is None)


def test_a_card_written_from_within_the_folder_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "my-model").mkdir()
    monkeypatch.chdir(tmp_path / "my-model")
    path = write_model_card(".", summary="For a test.", license="other")
    assert 'EdgeConnectPipeline.from_pretrained("my-model")' in path.read_text()


@pytest.mark.parametrize("network", ["EdgeConnectPipeline", "EdgeGenerator", "CompletionGenerator"])
@pytest.mark.parametrize("location", [None, "", "someone/else"])
def test_only_the_example_of_our_own_card_takes_the_new_location(network, location, tmp_path):
    about = {"license": "other", "network": network, "summary": 'Made by `X.from_pretrained("someone/else")`.'}
    card = write_model_card(tmp_path, location=location, **about).read_text()
    expected = write_model_card(tmp_path, location="user/model", **about).read_text()
    assert with_location(card, "user/model") == expected != card
    by_a_person = card.replace("from PIL", "import PIL\nfrom PIL").replace("generator =", "g1 =")
    assert with_location(by_a_person, "user/model") == by_a_person
