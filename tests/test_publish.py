"""The card of a training run, and what is said when the push fails."""

import pytest
import yaml
from PIL import Image

from edgeconnect_hf.hub import PushError
from training.config import TrainingConfig
from training.publish import push, write_card


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
    (folder / "model_index.json").touch()
    config = TrainingConfig(
        train_data_dir="photos", max_train_steps=1, hub_model_id="user/no/such", hub_private_repo=private
    )
    with pytest.raises(PushError) as failure:
        push(folder, config)
    assert str(failure.value).endswith(f"To push it later: edgeconnect push '{folder}' user/no/such{flag}")
