"""What a run warns of: a haze instead of lines, a discriminator that wins or loses."""

import pytest

from training.config import EdgeLossWeights, TrainingConfig
from training.watch import Watch


def make_watch(**settings) -> Watch:
    return Watch(TrainingConfig(train_data_dir="photos", max_train_steps=1, **settings), step=100)


@pytest.mark.parametrize(
    ("adversarial", "advice"), [(0.0, "in a phase after it"), (1.0, "discriminator_learning_rate")]
)
def test_recall_that_stays_low_is_said_once_with_the_way_out(adversarial, advice, caplog):
    watch = make_watch(edge_loss_weights=EdgeLossWeights(adversarial, cross_entropy=1))
    for step in range(110, 600, 10):
        watch.see_metrics(step, {"recall": 0.01})
    assert caplog.text == ""
    for step in range(600, 2000, 10):
        watch.see_metrics(step, {"recall": 0.01})
    (record,) = caplog.records
    assert "below 0.02 for 500 updates" in record.getMessage()
    assert advice in record.getMessage()


def test_recall_that_recovers_is_not_mentioned(caplog):
    watch = make_watch()
    for step in range(100, 3000, 10):
        watch.see_metrics(step, {"recall": 0.3 if step % 400 == 0 else 0.0})
        watch.see_metrics(step, {"psnr": 20.0})  # of a stage that draws none
    assert caplog.text == ""


@pytest.mark.parametrize(("form", "indifferent"), [("nsgan", 0.693147), ("lsgan", 0.25), ("hinge", 1.0)])
@pytest.mark.parametrize(("share", "verdict"), [(0.05, "wins"), (0.5, None), (0.995, "loses")])
def test_a_discriminator_that_wins_or_loses_is_said_when_it_begins(form, indifferent, share, verdict, caplog):
    watch = make_watch(adversarial_loss=form)
    for _ in range(3 * 200):
        watch.see_losses({"discriminator": share * indifferent, "l1": 0.0})
    assert [verdict in record.getMessage() for record in caplog.records] == ([True] if verdict else [])
    for loss in (0.5, share):  # balance, and again
        for _ in range(200):
            watch.see_losses({"discriminator": loss * indifferent})
    assert len(caplog.records) == (2 if verdict else 0)
