"""The card of a training run, and what is said when the push fails."""

import shlex

import pytest
import yaml
from huggingface_hub import DatasetCard
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.cli import _parser
from edgeconnect_hf.hub import PushError
from training.config import TrainingConfig
from training.publish import push, push_line, write_card


def write(output_dir, **settings) -> str:
    Image.new("RGB", (8, 8)).save(output_dir / "validation.png")
    config = TrainingConfig(max_train_steps=5, output_dir=str(output_dir), **settings)
    write_card(output_dir, config, step=5, samples=40, minutes=1.5, logged={"adversarial": 0.7})
    return (output_dir / "README.md").read_text()


def settings_of(card: str) -> dict:
    return yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])


def test_paths_of_this_machine_are_cut_to_their_last_part(tmp_path, monkeypatch):
    (tmp_path / "work" / "photos").mkdir(parents=True)
    (tmp_path / "work" / "vgg.safetensors").touch()
    monkeypatch.chdir(tmp_path / "work" / "photos")
    card = write(
        tmp_path,
        train_data_dir=".",
        vgg_weights="../vgg.safetensors",
        pretrained_model_name_or_path=str(tmp_path / "gone" / "edge"),
    )
    assert str(tmp_path) not in card
    assert "Edge stage on `photos`: 5 updates, 40 images of 256x256 pixels, 1.5 minutes." in card
    assert "| adversarial | 0.7 |" in card
    settings = settings_of(card)
    names = ("train_data_dir", "vgg_weights", "pretrained_model_name_or_path", "learning_rate")
    assert [settings[name] for name in names] == ["photos", "vgg.safetensors", "edge", 1e-4]


def test_names_on_the_hub_are_shown_whole(tmp_path):
    card = write(tmp_path, dataset_name="user/photos", pretrained_model_name_or_path="user/edge")
    assert "datasets:\n- user/photos\n" in card
    settings = settings_of(card)
    assert settings["dataset_name"] == "user/photos"
    assert settings["pretrained_model_name_or_path"] == "user/edge"
    assert settings["vgg_weights"] == "timm/vgg19.tv_in1k"


@pytest.mark.parametrize(("private", "flag"), [(False, ""), (True, " --private")])
def test_the_command_for_a_later_push_can_be_pasted_and_keeps_a_model_private(tmp_path, private, flag):
    folder = tmp_path / "my model"
    folder.mkdir()
    EdgeConnectPipeline(EdgeGenerator(base_channels=1, num_residual_blocks=1)).save_pretrained(folder)
    config = TrainingConfig(
        train_data_dir="photos", max_train_steps=1, hub_model_id="user/no/such", hub_private_repo=private
    )
    with pytest.raises(PushError) as failure:
        push(folder, config)
    assert str(failure.value).endswith(f"To push it later: edgeconnect push '{folder}' user/no/such{flag}")


def test_a_fine_tune_names_the_hubs_model_that_it_began_with(tmp_path):
    """From the Hub, and by the card of the stage before."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    assert "base_model: user/edge\n" in write(first, train_data_dir="photos", pretrained_model_name_or_path="user/edge")
    settings = {"train_data_dir": "photos", "pretrained_model_name_or_path": str(first), "stage": "joint"}
    assert "base_model: user/edge\n" in write(second, **settings)
    (first / "README.md").unlink()
    assert "base_model" not in write(second, **settings)


def test_the_licence_of_a_data_set_of_the_hub_is_that_of_its_card(tmp_path, monkeypatch):
    about = DatasetCard("---\nlicense: cc-by-4.0\n---\n# Photos\n")
    monkeypatch.setattr("training.publish.DatasetCard.load", lambda name: {"user/photos": about}[name])
    card = write(tmp_path, dataset_name="user/photos")
    assert "stage on `user/photos` (licence on its card: cc-by-4.0): 5 updates" in card


@pytest.mark.parametrize(("model", "named"), [(None, "USER/my-run"), ("user/model", "user/model")])
def test_the_line_that_shares_a_result_is_a_command(tmp_path, model, named):
    config = TrainingConfig(train_data_dir="photos", max_train_steps=1, hub_model_id=model)
    command, *arguments = shlex.split(push_line(tmp_path / "my-run", config))
    assert command == "edgeconnect"
    args = _parser().parse_args(arguments)
    assert (args.folder, args.repo_id, args.space) == (tmp_path / "my-run", named, f"{named}-demo")
