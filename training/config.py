"""Every setting of a training run, its default and its meaning; the evaluation's settings extend the shared ones."""

import dataclasses
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import yaml

from training.loss_weights import CompletionLossWeights, EdgeLossWeights, check_weights

Stage = Literal["edge", "completion", "joint", "all"]
Precision = Literal["no", "fp16", "bf16"]


@dataclass(kw_only=True)
class SharedConfig:
    """Settings that training and evaluation share.

    Raises:
        ValueError: a value is out of its range, or two contradict each other; the message names them.
    """

    MIN_RESOLUTION: ClassVar[int] = 24  # below it, the discriminators' last layers have no input

    resolution: int = 256
    """Side of the square images in pixels; a multiple of 4."""
    sigma: float = 2.0
    """Standard deviation of Canny's Gaussian in pixels."""
    seed: int = 42
    """Seed of the weights, the order of the data, the crops and the masks."""
    vgg_weights: str | None = None
    """VGG19: a local safetensors file or a Hub model, such as timm/vgg19.tv_in1k."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            options = (hint, *get_args(hint))
            choices = next((get_args(option) for option in options if get_origin(option) is Literal), None)
            value = getattr(self, name)
            if choices is not None and value not in choices and not (value is None and NoneType in options):
                raise ValueError(f"`{name}` is {value!r}, expected one of {', '.join(choices)}.")
        if self.resolution < self.MIN_RESOLUTION or self.resolution % 4:
            raise ValueError(
                f"`resolution` is {self.resolution}, expected a multiple of 4 of at least {self.MIN_RESOLUTION}."
            )

    def _check_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` is {value}, expected a number above 0.")

    def _check_shares(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}, expected a number from 0 to 1.")


@dataclass(kw_only=True)
class DataConfig(SharedConfig):
    """Settings that turn the rows of a data set into samples."""

    dataset_name: str | None = None
    """Data set on the Hub, or a local folder that `datasets.load_dataset` can read."""
    dataset_config_name: str | None = None
    """Configuration of that data set."""
    train_data_dir: str | None = None
    """Folder of images or parquet files to train on, instead of `dataset_name`."""
    validation_data_dir: str | None = None
    """Folder of images for validation; by default the data set's validation or test split, else training images."""
    streaming: bool = False
    """Read the data set while training, without keeping it on disk."""
    split: str = "train"
    """Split of the data set."""
    image_column: str = "image"
    """Column with the images."""
    mask_column: str | None = None
    """Column with a mask for each image (white is the hole), instead of drawn ones."""
    edge_column: str | None = None
    """Column with a line drawing for each image (HED and the like), instead of Canny's."""
    thin_edges: bool = False
    """Keep only the pixels of `edge_column`'s lines that Canny finds too, one pixel wide."""
    mask_dataset: str | None = None
    """Folder of mask images (white is the hole), mixed in by `mask_external`."""
    crop: Literal["random", "center", "none"] = "random"
    """Square taken from an image: a random one, the middle, or the whole image squeezed to the square."""
    min_crop_scale: float = 0.5
    """Smallest side of a random crop, as a share of the image's short side; 1 always takes the largest square."""
    random_flip: bool = True
    """Mirror half of the images left to right."""
    sigma: float = SharedConfig.sigma
    """Standard deviation of Canny's Gaussian in pixels; 0 draws 1, 2, 3 or 4 per sample, -1 disables the lines (for the
    ablation)."""
    edges_of_whole_image: bool = False
    """Show G1 the lines that are found in the whole image, hole included, as the published code does; at its border
    they tell what is in it. By default the lines that the pipeline finds, without looking into the hole."""
    mask_rectangle: float = 0.3
    """Share of masks that are one rectangle of a quarter of the area."""
    mask_half: float = 0.1
    """Share of masks that hide one half of the image."""
    mask_irregular: float = 0.6
    """Share of masks of free strokes hiding 10 to 60 % of the image."""
    mask_external: float = 0.0
    """Share of masks from `mask_dataset`."""
    mask_threshold: int = 128
    """Luminance, of 255, from which a pixel of a mask image is hole; the published code takes all above 0."""
    hint_probability: float = 0.0
    """Probability of showing G1 some true lines in the hole, so that it learns to continue a sketch."""
    plain_probability: float = 0.0
    """Probability of replacing the image by a smooth colour gradient. Networks that have seen detailed images only
    paint odd colours into plain walls and skies."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.dataset_name is None) == (self.train_data_dir is None):
            raise ValueError(
                "one of `dataset_name` and `train_data_dir` must be given, "
                f"got {self.dataset_name!r} and {self.train_data_dir!r}."
            )
        if self.sigma < 0 and self.sigma != -1:
            raise ValueError(f"`sigma` is {self.sigma}, expected a number above 0, or 0 (random), or -1 (no lines).")
        self._check_positive("min_crop_scale")
        self._check_shares("hint_probability", "plain_probability", "min_crop_scale")
        if not 1 <= self.mask_threshold <= 255:
            raise ValueError(f"`mask_threshold` is {self.mask_threshold}, expected a number from 1 to 255.")
        check_weights("the shares of masks", {f"mask_{kind}": share for kind, share in self.mask_shares.items()})
        if self.thin_edges and self.edge_column is None:
            raise ValueError("`thin_edges` is true, which needs `edge_column`.")
        if self.mask_external and self.mask_dataset is None:
            raise ValueError(f"`mask_external` is {self.mask_external}, which needs `mask_dataset`.")
        if self.mask_dataset is not None and not self.mask_external:
            raise ValueError(f"`mask_dataset` is {self.mask_dataset!r}, but its share `mask_external` is 0.")

    @property
    def mask_shares(self) -> dict[str, float]:
        """How often each kind of mask is drawn, by name."""
        return {
            "rectangle": self.mask_rectangle,
            "half": self.mask_half,
            "irregular": self.mask_irregular,
            "external": self.mask_external,
        }


@dataclass(kw_only=True)
class TrainingConfig(DataConfig):
    """Settings of a training run."""

    # What is trained.
    stage: Stage = "edge"
    """Which networks are trained: edge (G1), completion (G2), joint (both), or all three, one after the other."""
    pretrained_model_name_or_path: str | None = None
    """Pipeline folder or Hub model to start from, usually the result of the stage before; its discriminators, if it has
    any, are loaded too."""
    base_channels: int = 64
    """Channels of the first layer of a new generator."""
    num_residual_blocks: int = 8
    """Residual blocks of a new generator."""
    discriminator_channels: int = 64
    """Channels of the first layer of a new discriminator."""
    edge_source: Literal["canny", "generated", "mixed"] = "canny"
    """Lines that G2 paints from in the completion stage: the true ones (canny), G1's in the hole (generated), or either
    at random per sample (mixed). The joint stage paints from G1's or, with mixed, at random from the true ones."""
    match_colours: bool | None = None
    """Correct G2's colours like the pipeline's setting of this name, before all losses but `l1`. Saved with the
    pipeline; by default that of the model that training starts from, otherwise off."""
    match_texture: bool | None = None
    """The pipeline's setting of this name, saved with it; training does without. By default as for `match_colours`."""
    keep_edge_losses: bool = False
    """In the joint stage, keep G1's own losses and D1, as the published code does and the paper does not."""
    output_dir: str = "runs/edgeconnect"
    """Folder of checkpoints, logs and the finished pipeline. With `--stage all`, the stages before the last have their
    own subfolders."""

    # Loading.
    num_validation_images: int = 8
    """Fixed images and holes of each validation; the grid shows the first 16."""
    dataloader_num_workers: int = 0
    """Worker processes that prepare batches, per training process."""

    # Losses.
    adversarial_loss: Literal["nsgan", "lsgan", "hinge"] = "nsgan"
    """Form of the adversarial loss; the paper uses nsgan."""
    edge_loss_weights: EdgeLossWeights = field(default_factory=EdgeLossWeights)
    """Weights of the edge stage."""
    completion_loss_weights: CompletionLossWeights = field(default_factory=CompletionLossWeights)
    """Weights of the completion stage and of the joint one."""
    vgg_weights: str = "timm/vgg19.tv_in1k"
    """VGG19 for the perceptual and style losses: a local safetensors file or a Hub model."""
    vgg_normalize: bool = False
    """Normalise images as for ImageNet before VGG19. The published code does not; the loss weights depend on it."""

    # Optimisation.
    train_batch_size: int = 8
    """Images per process and accumulation step."""
    gradient_accumulation_steps: int = 1
    """Batches per update, which together count as one large batch."""
    max_train_steps: int | None = None
    """Maximum number of updates of each stage."""
    max_train_minutes: float | None = None
    """Maximum minutes of each stage, over all its resumed runs."""
    learning_rate: float = 1e-4
    """Adam's learning rate for the generator in the edge and completion stages."""
    joint_learning_rate: float = 1e-6
    """Adam's learning rate for the generators in the joint stage."""
    discriminator_learning_rate_factor: float = 0.1
    """Learning rate of a discriminator, as a share of the generator's."""
    lr_scheduler: Literal["constant", "cosine"] = "constant"
    """Schedule of the learning rates: constant until `lr_drop_step`, or a half cosine to 0 at the end of the run."""
    lr_drop_step: int | None = None
    """Update after which the learning rates drop to a tenth (in the paper, when the losses plateau)."""
    adam_beta1: float = 0.0
    """Adam's first beta."""
    adam_beta2: float = 0.9
    """Adam's second beta."""
    published_update: bool = False
    """Compute an update in the published code's order: the discriminator judges the generator before its own update,
    and sees real, fake and judged images one after the other, each with a step of its spectral norms; the features to
    match are those of its pass for the real ones."""
    r1_gamma: float = 0.0
    """Weight of R1 (Mescheder et al., 2018), a penalty on a discriminator's gradient at real samples, applied every 16
    updates with 16 times the weight; 0 leaves it out, as the paper does. The logs tell its scale: `r1` times this is
    the penalty."""
    max_grad_norm: float | None = None
    """Norm to which gradients are clipped; by default not at all."""
    use_ema: bool = False
    """Keep a moving average of the generators' weights, and validate and publish it."""
    ema_decay: float = 0.999
    """Decay of that average."""

    # Machine.
    mixed_precision: Precision | None = None
    """Precision of the networks' arithmetic: no (fp32), fp16 or bf16; by default that of `accelerate launch`."""
    channels_last: bool = True
    """Use the channels_last memory format; faster on GPUs with tensor cores and on CPUs."""
    torch_compile: bool = False
    """Compile the networks with `torch.compile`."""

    # Logs, checkpoints, result.
    report_to: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    """Tracker for losses and validation grids."""
    logging_steps: int = 10
    """Updates between two log entries."""
    validation_steps: int = 1000
    """Updates between two validations, which keep the best weights in `best`; the last update is always validated."""
    checkpointing_steps: int = 1000
    """Updates between two checkpoints."""
    checkpointing_minutes: float | None = None
    """Minutes after which a checkpoint is due, however few the updates."""
    checkpoints_total_limit: int | None = None
    """Number of checkpoints to keep; by default all."""
    resume_from_checkpoint: str | None = None
    """Checkpoint folder to continue from, or `latest`."""
    push_to_hub: bool = False
    """Push the finished pipeline to the Hub."""
    push_validation_pictures: bool = False
    """Push `validation.png` too, which shows the validation images. A new repository is public by default."""
    hub_model_id: str | None = None
    """Name of the model on the Hub, `user/model`; by default the name of `output_dir`."""
    license: str = "other"
    """Licence of the weights on their card, as abbreviated on the Hub; it depends on the training images."""
    hub_private_repo: bool = False
    """Make the repository private if the push creates it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_train_steps is None and self.max_train_minutes is None:
            raise ValueError("one of `max_train_steps` and `max_train_minutes` must be given, got neither.")
        if self.stage == "all" and self.resume_from_checkpoint not in (None, "latest"):
            raise ValueError(
                f"`resume_from_checkpoint` is {self.resume_from_checkpoint!r}; `stage` all, whose stages have "
                "checkpoints of their own, accepts 'latest' only."
            )
        if self.lr_scheduler == "cosine" and self.lr_drop_step is not None:
            raise ValueError(f"`lr_drop_step` is {self.lr_drop_step}, which `lr_scheduler` cosine does not have.")
        if self.published_update and self.gradient_accumulation_steps > 1:
            raise ValueError(
                f"`gradient_accumulation_steps` is {self.gradient_accumulation_steps}, which `published_update` does "
                "not have: expected 1, or `published_update` false."
            )
        for name in ("edge_loss_weights", "completion_loss_weights"):
            check_weights(f"`{name}`", dataclasses.asdict(getattr(self, name)))
        if not 0 <= self.r1_gamma < math.inf:
            raise ValueError(f"`r1_gamma` is {self.r1_gamma}, expected a number from 0.")
        if self.sigma == -1 and (self.stage, self.edge_source) != ("completion", "canny"):
            raise ValueError(
                "`sigma` -1 (no lines) needs `stage` completion with `edge_source` canny, "
                f"got {self.stage} with {self.edge_source}."
            )
        self._check_shares("ema_decay", "adam_beta1", "adam_beta2")
        self._check_positive(
            "base_channels",
            "num_residual_blocks",
            "discriminator_channels",
            "num_validation_images",
            "train_batch_size",
            "gradient_accumulation_steps",
            "max_train_steps",
            "max_train_minutes",
            "learning_rate",
            "joint_learning_rate",
            "discriminator_learning_rate_factor",
            "lr_drop_step",
            "max_grad_norm",
            "logging_steps",
            "validation_steps",
            "checkpointing_steps",
            "checkpointing_minutes",
            "checkpoints_total_limit",
        )


def save_config(config: TrainingConfig, path: str | Path) -> None:
    """Writes the resolved settings as a recipe that repeats the run."""
    Path(path).write_text(yaml.safe_dump(dataclasses.asdict(config), sort_keys=False), encoding="utf-8")


def without_local_paths(config: TrainingConfig) -> dict[str, Any]:
    """All settings by name, for others to see: of a local path the last part only."""
    settings = dataclasses.asdict(config)
    return {name: _last_part(value) if isinstance(value, str) else value for name, value in settings.items()}


def _last_part(text: str) -> str:
    return os.path.basename(os.path.abspath(text)) if os.path.isabs(text) or os.path.exists(text) else text
