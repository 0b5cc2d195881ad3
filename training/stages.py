"""What each of the three stages computes and optimises (the paper's sections 3 and 4.1)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

import torch
from torch import Tensor, nn

from edgeconnect_hf.colours import match_colours
from edgeconnect_hf.models import blend
from training import losses
from training.config import TrainingConfig
from training.evaluation.metrics import (
    DISTANCE_LAYERS,
    edge_f1,
    edge_precision_recall,
    feature_distance,
    line_figures,
    psnr,
)
from training.judging import Judging, PublishedJudging
from training.vgg import PERCEPTUAL_LAYERS, STYLE_LAYERS, VGG19Features

Tensors = Mapping[str, Tensor]


class EdgeStage:
    """Trains G1 against D1 by the adversarial and the feature matching loss (the paper's section 3.1).

    A loss of weight 0 is not computed; without adversarial and feature matching loss there is no discriminator.
    Every stage names the networks it trains and has the same seven methods. For each batch, `predict` and
    `discriminator_terms` are called, then, after the discriminator's update (with `published_update`, before it),
    `generator_terms`; `metrics`, `scores` and `grid_columns` describe the result.

    Args:
        networks (`Mapping[str, nn.Module]`): the networks that the stage trains or uses, by name.
        config (`TrainingConfig`): the run's settings.
    """

    generators: tuple[str, ...] = ("edge_generator",)

    def __init__(self, networks: Mapping[str, nn.Module], config: TrainingConfig):
        self.networks = networks
        self.weights: dict[str, float] = asdict(config.edge_loss_weights)
        self.judging = make_judging(self.weights, config)
        is_judged = self.weights["adversarial"] or self.weights["feature_matching"]
        self.discriminators: tuple[str, ...] = ("edge_discriminator",) if is_judged else ()

    def predict(self, batch: Tensors) -> dict[str, Tensor]:
        """Draws the lines.

        Args:
            batch (`Mapping[str, torch.Tensor]`): samples of `SampleMaker`: `image` `[N,3,H,W]`; `gray`, `edges`,
                `known_edges`, `mask`, `hints` `[N,1,H,W]`; `from_true_edges` `[N,1,1,1]`.

        Returns:
            `pred_edges` and `comp_edges`, `[N,1,H,W]`.
        """
        pred_edges = predict_edges(self.networks["edge_generator"], batch)
        return {"pred_edges": pred_edges, "comp_edges": compose_edges(pred_edges, batch)}

    def discriminator_terms(self, batch: Tensors, predicted: Tensors) -> dict[str, Tensor]:
        """The loss of D1, if there is one; the prediction is detached."""
        if not self.discriminators:
            return {}
        (real,) = self.real_inputs(batch).values()  # [N,2,H,W]
        fake = torch.cat([batch["gray"], predicted["pred_edges"].detach()], dim=1)  # [N,2,H,W]
        return {"discriminator": self.judging.discriminator_term(self.networks["edge_discriminator"], real, fake)}

    def real_inputs(self, batch: Tensors) -> dict[str, Tensor]:
        """What each discriminator sees of the true samples, by the discriminator's name."""
        return {name: torch.cat([batch["gray"], batch["edges"]], dim=1) for name in self.discriminators}  # [N,2,H,W]

    def generator_terms(self, batch: Tensors, predicted: Tensors, mask_mean: Tensor) -> dict[str, Tensor]:
        """The unweighted losses of G1 by name, from a forward pass of D1 of its own.

        Args:
            batch, predicted (`Mapping[str, torch.Tensor]`): argument and result of `predict`.
            mask_mean (`torch.Tensor`): a scalar, the share of the hole in the whole update (all batches and processes).
        """
        edges, pred_edges = batch["edges"], predicted["pred_edges"]
        terms: dict[str, Tensor] = {}
        if self.discriminators:
            (real,) = self.real_inputs(batch).values()  # [N,2,H,W]
            fake = torch.cat([batch["gray"], pred_edges], dim=1)  # [N,2,H,W]
            terms |= self.judging.generator_terms(self.networks["edge_discriminator"], real, fake)
        if self.weights["cross_entropy"]:
            terms["cross_entropy"] = losses.cross_entropy(edges, pred_edges, batch["mask"], mask_mean)
        return terms

    def metrics(self, batch: Tensors, predicted: Tensors) -> dict[str, float]:
        """Of the lines in the hole: `precision`, `recall` and `line_figures`."""
        return edge_metrics(batch, predicted)

    def scores(self, batch: Tensors, predicted: Tensors) -> dict[str, float]:
        """What a validation measures: the metrics and, for the best weights, `f1` within two pixels."""
        f1 = edge_f1(batch["edges"], predicted["pred_edges"], batch["mask"])
        return {**self.metrics(batch, predicted), "f1": f1}

    def grid_columns(self, batch: Tensors, predicted: Tensors) -> dict[str, Tensor]:
        """Columns of the validation grid by their titles."""
        return {
            "masked": blend(batch["image"], 1, batch["mask"]),
            "known lines": batch["known_edges"] + batch["hints"],
            "drawn lines": predicted["pred_edges"],
            "composed": predicted["comp_edges"],
            "true lines": batch["edges"],
        }


class CompletionStage:
    """Trains G2 against D2 by the l1, adversarial, perceptual and style losses (the paper's section 3.2).

    A loss of weight 0 is not computed; without adversarial and feature matching loss there is no discriminator.
    `edge_source` decides whether G2 paints from the true lines, from those that a frozen G1 draws in the hole, or from
    either at random. With `match_colours`, all losses but `l1` see the colours corrected as by the pipeline.
    Arguments and methods as in `EdgeStage`.
    """

    generators: tuple[str, ...] = ("completion_generator",)

    def __init__(self, networks: Mapping[str, nn.Module], config: TrainingConfig):
        self.networks = networks
        self.edge_source = config.edge_source
        self.match_colours = bool(config.match_colours)
        self.weights: dict[str, float] = asdict(config.completion_loss_weights)
        self.judging = make_judging(self.weights, config)
        is_judged = self.weights["adversarial"] or self.weights["feature_matching"]
        self.discriminators: tuple[str, ...] = ("completion_discriminator",) if is_judged else ()

    def predict(self, batch: Tensors) -> dict[str, Tensor]:
        """Completes the images: `comp_edges` `[N,1,H,W]`, `pred_image`, `comp_image`, `judged_image` `[N,3,H,W]`."""
        comp_edges = batch["edges"]
        if self.edge_source != "canny":
            with torch.no_grad():
                comp_edges = compose_edges(predict_edges(self.networks["edge_generator"], batch), batch)
        if self.edge_source == "mixed":
            comp_edges = mix_edges(comp_edges, batch)
        return self._paint(batch, comp_edges)

    def _paint(self, batch: Tensors, comp_edges: Tensor) -> dict[str, Tensor]:
        """G2's prediction from `comp_edges`, its composition, and the one of the two that the losses judge."""
        image, mask = batch["image"], batch["mask"]
        pred_image = self.networks["completion_generator"](blend(image, 1, mask), comp_edges, return_dict=False)[0]
        if self.match_colours:
            comp_image = judged_image = match_colours(pred_image, image, mask)
        else:
            comp_image, judged_image = blend(image, pred_image, mask), pred_image
        return {
            "comp_edges": comp_edges,
            "pred_image": pred_image,
            "comp_image": comp_image,
            "judged_image": judged_image,
        }

    def discriminator_terms(self, batch: Tensors, predicted: Tensors) -> dict[str, Tensor]:
        """The loss of D2, if there is one; the prediction is detached. As published, D2 sees the image only."""
        if not self.discriminators:
            return {}
        discriminator, fake = self.networks["completion_discriminator"], predicted["judged_image"].detach()
        return {"discriminator": self.judging.discriminator_term(discriminator, batch["image"], fake)}

    def real_inputs(self, batch: Tensors) -> dict[str, Tensor]:
        """What each discriminator sees of the true samples, by the discriminator's name."""
        return dict.fromkeys(self.discriminators, batch["image"])

    def generator_terms(self, batch: Tensors, predicted: Tensors, mask_mean: Tensor) -> dict[str, Tensor]:
        """The unweighted losses of G2 by name, from a forward pass of D2 of its own. Arguments as in `EdgeStage`."""
        image, judged_image, mask = batch["image"], predicted["judged_image"], batch["mask"]
        terms: dict[str, Tensor] = {}
        if self.weights["l1"]:
            terms["l1"] = losses.l1(image, predicted["pred_image"], mask_mean)
        if self.weights["hole_l1"]:
            terms["hole_l1"] = losses.hole_l1(image, judged_image, mask, mask_mean)
        if self.discriminators:
            terms |= self.judging.generator_terms(self.networks["completion_discriminator"], image, judged_image)
        if self.weights["perceptual"]:
            features = self._vgg_features(PERCEPTUAL_LAYERS, image, judged_image)
            terms["perceptual"] = losses.perceptual(*features)
        if self.weights["style"]:
            features = self._vgg_features(STYLE_LAYERS, image * mask, judged_image * mask)
            terms["style"] = losses.style(*features)
        return terms

    def _vgg_features(
        self, layers: tuple[str, ...], real: Tensor, fake: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        vgg = self.networks["vgg"]
        with torch.no_grad():
            real_features = vgg(real, layers)
        return real_features, vgg(fake, layers)

    def metrics(self, batch: Tensors, predicted: Tensors) -> dict[str, float]:
        """PSNR of the composition, in decibels."""
        return {"psnr": psnr(batch["image"], predicted["comp_image"]).item()}

    def scores(self, batch: Tensors, predicted: Tensors) -> dict[str, float]:
        """What a validation measures: the metrics and, where there is a VGG19, `feature_distance`."""
        scores = self.metrics(batch, predicted)
        vgg = self.networks.get("vgg")
        if isinstance(vgg, VGG19Features) and set(DISTANCE_LAYERS) <= vgg.layers.keys():
            pairs = zip(batch["image"], predicted["comp_image"], strict=True)  # one by one: the features are large
            distances = [feature_distance(*(vgg(image[None], DISTANCE_LAYERS) for image in pair)) for pair in pairs]
            scores["feature_distance"] = sum(distances) / len(distances)
        return scores

    def grid_columns(self, batch: Tensors, predicted: Tensors) -> dict[str, Tensor]:
        """Columns of the validation grid by their titles."""
        return {
            "masked": blend(batch["image"], 1, batch["mask"]),
            "lines": predicted["comp_edges"],
            "painted": predicted["pred_image"],
            "composed": predicted["comp_image"],
            "original": batch["image"],
        }


class JointStage(CompletionStage):
    """Trains G1 and G2 end to end through G2's losses, against D2 only (the paper's section 4.1).

    With `keep_edge_losses`, G1 keeps its own losses and D1, as in the published code. With `edge_source` mixed, G2
    paints half of the samples from the true lines, so that it keeps following lines that are right or drawn by hand.
    Arguments and methods as in `EdgeStage`.
    """

    generators = ("edge_generator", "completion_generator")

    def __init__(self, networks: Mapping[str, nn.Module], config: TrainingConfig):
        super().__init__(networks, config)
        self.edge_stage = EdgeStage(networks, config) if config.keep_edge_losses else None
        if self.edge_stage is not None:
            self.discriminators += self.edge_stage.discriminators
            self.weights |= {f"edge_{name}": weight for name, weight in self.edge_stage.weights.items()}

    def predict(self, batch: Tensors) -> dict[str, Tensor]:
        """Draws and completes, with a gradient from the image to G1; as `CompletionStage`, and `pred_edges`."""
        pred_edges = predict_edges(self.networks["edge_generator"], batch)
        comp_edges = compose_edges(pred_edges, batch)
        if self.edge_source == "mixed":
            comp_edges = mix_edges(comp_edges, batch)
        return {**self._paint(batch, comp_edges), "pred_edges": pred_edges}

    def discriminator_terms(self, batch: Tensors, predicted: Tensors) -> dict[str, Tensor]:
        """The loss of D2 and, with `keep_edge_losses`, that of D1."""
        terms = super().discriminator_terms(batch, predicted)
        if self.edge_stage is not None:
            edge_terms = self.edge_stage.discriminator_terms(batch, predicted)
            terms |= {f"edge_{name}": term for name, term in edge_terms.items()}
        return terms

    def real_inputs(self, batch: Tensors) -> dict[str, Tensor]:
        """What D2 and, with `keep_edge_losses`, D1 see of the true samples, by the discriminator's name."""
        of_edges = {} if self.edge_stage is None else self.edge_stage.real_inputs(batch)
        return {**super().real_inputs(batch), **of_edges}

    def generator_terms(self, batch: Tensors, predicted: Tensors, mask_mean: Tensor) -> dict[str, Tensor]:
        """The unweighted losses of G1 and G2 by name; see `CompletionStage`."""
        terms = super().generator_terms(batch, predicted, mask_mean)
        if self.edge_stage is not None:
            edge_terms = self.edge_stage.generator_terms(batch, predicted, mask_mean)
            terms |= {f"edge_{name}": term for name, term in edge_terms.items()}
        return terms

    def metrics(self, batch: Tensors, predicted: Tensors) -> dict[str, float]:
        """PSNR of the composition, and the metrics of the lines; see `EdgeStage`."""
        return {**super().metrics(batch, predicted), **edge_metrics(batch, predicted)}


Stage: TypeAlias = EdgeStage | CompletionStage

STAGES: dict[str, type[Stage]] = {
    "edge": EdgeStage,
    "completion": CompletionStage,
    "joint": JointStage,
}


def make_judging(weights: Mapping[str, float], config: TrainingConfig) -> Judging:
    """How a stage's discriminator judges; see `published_update`."""
    kind = PublishedJudging if config.published_update else Judging
    return kind(weights, config.adversarial_loss)


def predict_edges(edge_generator: nn.Module, batch: Tensors) -> Tensor:
    """G1's lines `[N,1,H,W]`, drawn from masked gray, known lines and the hints in the hole."""
    masked_gray = blend(batch["gray"], 1, batch["mask"])
    masked_edges = batch["known_edges"] + batch["hints"]
    pred_edges: Tensor = edge_generator(masked_gray, masked_edges, batch["mask"], return_dict=False)[0]
    return pred_edges


def compose_edges(pred_edges: Tensor, batch: Tensors) -> Tensor:
    """G1's lines and the hints in the hole, the known lines elsewhere, `[N,1,H,W]`, as composed by the pipeline."""
    return blend(batch["known_edges"], torch.maximum(pred_edges, batch["hints"]), batch["mask"])


def mix_edges(comp_edges: Tensor, batch: Tensors) -> Tensor:
    """The true lines for the samples of `from_true_edges`, `comp_edges` for the others, `[N,1,H,W]`."""
    return blend(comp_edges, batch["edges"], batch["from_true_edges"])


def edge_metrics(batch: Tensors, predicted: Tensors) -> dict[str, float]:
    """Of the lines in the hole: `precision`, `recall` and `line_figures`."""
    precision, recall = edge_precision_recall(batch["edges"], predicted["pred_edges"], batch["mask"])
    figures = line_figures(predicted["pred_edges"], batch["mask"])
    return {"precision": precision.item(), "recall": recall.item(), **figures}
