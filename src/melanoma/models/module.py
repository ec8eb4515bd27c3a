"""The Lightning module: one network, judged by the area under the ROC curve of melanoma."""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from melanoma.errors import ConfigError
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.dataset import Batch
from melanoma.metadata import MetadataStatistics
from melanoma.metrics import auc
from melanoma.models.acceleration import Acceleration, choose_acceleration
from melanoma.models.averaging import DeviceAveraging
from melanoma.models.backbones import (
    Pooling,
    create_backbone,
    set_batch_norm_momentum,
)
from melanoma.models.gathering import INDEX, gather_outputs
from melanoma.models.losses import LossName, Target, create_loss
from melanoma.models.metadata import HIDDEN, drop_metadata
from melanoma.models.mixing import Mixing
from melanoma.models.network import MelanomaNetwork
from melanoma.models.optimizers import create_optimizer
from melanoma.models.schedules import Schedule, ScheduleName
from melanoma.models.targets import class_probabilities, create_target, smooth
from melanoma.models.tracing import run_traced
from melanoma.models.views import Views, symmetric_views
from melanoma.models.weights import (
    PRETRAINED_ON,
    LoadReport,
    images_of_checkpoint,
    load_weights,
)

_EPOCH_AUC = "epoch_auc"  # in checkpoints

Outputs = dict[str, Tensor]


class MelanomaModule(pl.LightningModule):
    """A network that gives a photograph the probability of melanoma.

    Args:
        backbone: Any timm name, or efficientnet_pytorch:efficientnet-b0 to -b8.
        weights: What training starts from: imagenet, none (random), or a file of weights.
        pooling: Of the backbone's feature map: default (its own), avg, max or gem (generalised mean).
        drop_path: Stochastic depth, in [0, 1); by default the network's own.
        dropout: Before the head, in [0, 1).
        batch_norm_momentum: How much one batch moves the running statistics; by default 0.1 from
            scratch, the network's own with pretrained weights.
        target: What is learnt: binary (melanoma or not) or diagnosis (a softmax over nine).
        loss: auto; bce or focal for binary; cross_entropy for diagnosis.
        focal_alpha: Weight of melanomas in the focal loss; all others get 1 - alpha.
        focal_gamma: How much the focal loss plays down what is already right.
        positive_weight: How many times a melanoma counts in bce.
        label_smoothing: Share of certainty given to all classes alike, in [0, 1).
        mixup_alpha: Of mixup; 0 for none.
        cutmix_alpha: Of cutmix; 0 for none.
        mix_probability: Of a batch to be mixed.
        metadata: Whether sex, age, site and number of the patient's images are used.
        metadata_sizes: Of the two layers of the metadata branch.
        metadata_dropout: Share of training images whose metadata is hidden.
        optimizer: Any of timm's by name: adamw, adam, sgd, lamb ...
        learning_rate: The highest rate.
        weight_decay: Of weights; biases and norms have none.
        layer_decay: Factor of the rate from each layer to the one below, in (0, 1]; None for 1.
        schedule: cosine, onecycle, step, plateau or constant.
        warmup_epochs: Epochs, also in parts, over which the rate rises.
        warmup_start: The factor of the rate that the warm-up starts from.
        step_epochs: Epochs between two falls of the schedule step.
        freeze_epochs: First epochs in which only the head learns.
        ema_decay: Of the exponential moving average of weights, which is then what is evaluated and
            kept; None for none.
        views: How many symmetries of the square are averaged in prediction: 1, 4 or 8.
        channels_last: Keep tensors in the layout in which convolutions are fast; None: where it helps.
        torch_compile: Make the network's kernels by torch.compile; None: where it pays (docs/speed.md).
        fused_optimizer: Update all parameters in one kernel; None: where it can be done.
        image_size_px: Of the photographs; only networks made for one size need to know.
        metadata_statistics: Of the training images, where metadata is used.
        seed: Of mixing.
    """

    def __init__(
        self,
        backbone: str = "tf_efficientnet_b0",
        weights: str = "imagenet",
        pooling: Pooling = "default",
        drop_path: float | None = None,
        dropout: float = 0.0,
        batch_norm_momentum: float | None = None,
        target: Target = "binary",
        loss: LossName = "auto",
        focal_alpha: float = 0.75,
        focal_gamma: float = 2.0,
        positive_weight: float = 1.0,
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_probability: float = 1.0,
        metadata: bool = False,
        metadata_sizes: tuple[int, int] = HIDDEN,
        metadata_dropout: float = 0.1,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        layer_decay: float | None = None,
        schedule: ScheduleName = "cosine",
        warmup_epochs: float = 1.0,
        warmup_start: float = 0.0,
        step_epochs: int = 5,
        freeze_epochs: int = 0,
        ema_decay: float | None = None,
        views: Views = 1,
        channels_last: bool | None = None,
        torch_compile: bool | None = None,
        fused_optimizer: bool | None = None,
        image_size_px: int | None = None,
        metadata_statistics: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        _check_ranges(dict(self.hparams))
        self.target = create_target(target)
        self.loss = create_loss(loss, target, focal_alpha, focal_gamma, positive_weight)
        self.mixing = Mixing(mixup_alpha, cutmix_alpha, mix_probability, self.target.n_classes)
        self.schedule = Schedule(schedule, warmup_epochs, warmup_start, step_epochs)
        self.learning_rate = learning_rate
        body = create_backbone(backbone, drop_path, pooling, image_size_px)
        if batch_norm_momentum is not None:
            set_batch_norm_momentum(body, batch_norm_momentum)
        elif weights == "none":
            set_batch_norm_momentum(body)
        n_metadata = _n_metadata(metadata, metadata_statistics)
        self.network = MelanomaNetwork(
            body, self.target.n_outputs, dropout, n_metadata, metadata_sizes
        )
        self.network.set_layout(channels_last is not False)
        # How the steps of a fit run, known when it is set up.
        self.acceleration: Acceleration | None = None
        # Whether weights have been loaded, which those to start from must not take the place of.
        self._is_loaded = False
        self.register_load_state_dict_post_hook(_note_load)  # type: ignore[no-untyped-call]
        # Images that the weights of a file were trained on, where it says.
        self._pretrained_on: Tensor | None = None
        self._outputs: list[Outputs] = []
        # The best so far of the epoch that runs, for the schedule `plateau`.
        self._epoch_auc: float | None = None
        self.epoch_log_odds: dict[int, float] = {}

    def setup(self, stage: str) -> None:
        """Prepare for training: how its steps run on this device.

        Raises:
            ConfigError: If compiling is asked for and there is no compiler.
        """
        if stage != "fit":
            return
        datamodule = getattr(self.trainer, "datamodule", None)
        data = datamodule if isinstance(datamodule, MelanomaDataModule) else None
        self.acceleration = self.acceleration_on(self.trainer, data)
        self.network.set_layout(self.acceleration.channels_last)
        if self.acceleration.compiled:
            self.compile_network()
        if data is not None:
            data.fill_batches = self.acceleration.fills_batches

    def configure_callbacks(self) -> list[pl.Callback]:
        """The averaging of weights, where it is asked for."""
        decay = self.hparams["ema_decay"]
        return [] if decay is None else [DeviceAveraging(decay=decay)]

    def acceleration_on(
        self, trainer: pl.Trainer, data: MelanomaDataModule | None = None
    ) -> Acceleration:
        """How the steps of a fit will run.

        Args:
            trainer: Knows the device.
            data: That is trained on, set up; None where it is not known: then compiling does not pay.

        Raises:
            ConfigError: If compiling is asked for and there is no compiler.
        """
        n_images = len(data.dataset("train")) * max(1, trainer.max_epochs or 1) if data else 0
        return choose_acceleration(self.hparams, self.network, trainer, n_images)

    def load_pretrained_weights(self) -> LoadReport:
        """Load the weights that training starts from; nothing to do from scratch.

        Not done when the module is made, so that a trained checkpoint loads without them.

        Raises:
            ConfigError: If they cannot be had, or are another network's.
        """
        backbone, weights = self.network.backbone, self.hparams["weights"]
        report = load_weights(backbone, weights, self.hparams["backbone"])
        seen = None if weights in ("none", "imagenet") else images_of_checkpoint(weights)
        self._pretrained_on = None if seen is None else torch.from_numpy(seen)
        self._is_loaded = True
        return report

    def skip_pretrained_weights(self) -> None:
        """Start from the weights that the module has, random ones unless others were loaded."""
        self._is_loaded = True

    def compile_network(self) -> None:
        """Have torch.compile make the network's kernels, anew for each size of a batch."""
        self.network.compile(dynamic=False)

    def forward(self, image: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Log-odds (B,) of melanoma for photographs (B, 3, S, S), uint8 RGB."""
        logits = self.network(self.network.normalise(image), metadata)
        return self.target.log_odds(logits)

    def on_train_start(self) -> None:
        """As at the start of an epoch, which a resume within an epoch does not come to."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Hold the backbone still in the first epochs if asked."""
        if self.hparams["freeze_epochs"]:
            frozen = self._is_frozen
            # Several devices wait for the gradients of all parameters that they began with.
            self.network.backbone.requires_grad_(not frozen or self.trainer.world_size > 1)
            self.network.backbone.train(not frozen)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Leave out what several devices have computed for a backbone that is held still."""
        if self._is_frozen and self.trainer.world_size > 1:
            for parameter in self.network.backbone.parameters():
                parameter.grad = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, mixed and smoothed as asked."""
        pixels = self.network.normalise(batch["image"])
        classes = self.target.classes(batch)
        if self.mixing.is_on:
            pixels, wanted = self.mixing(pixels, classes, self._mixing_key(batch_idx))
        else:
            wanted = class_probabilities(classes, self.target.n_classes)
        metadata = batch.get("metadata")
        if metadata is not None:
            metadata = drop_metadata(metadata, self.hparams["metadata_dropout"])
        logits = self.network(pixels, metadata)
        wanted = smooth(wanted, self.hparams["label_smoothing"])
        loss = self.loss(logits, self.target.targets(wanted))
        # Averaged over batches and devices once an epoch: no step waits for it.
        size = len(batch["target"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Remember the logits; what they are worth is known at the end of the epoch."""
        self._outputs.append(self._evaluate(batch))

    def on_validation_epoch_end(self) -> None:
        """Log val_auc and val_loss of the whole fold, over all devices."""
        self._log_scores("val")

    def on_train_epoch_end(self) -> None:
        """Let the schedule `plateau` know the best AUC of an epoch that was validated."""
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau) and self._epoch_auc is not None:
            schedule.step(self._epoch_auc)
        self._epoch_auc = None

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation; a test set without targets has no scores."""
        self._outputs.append(self._evaluate(batch))

    def on_test_epoch_end(self) -> None:
        """Log test_auc and test_loss if every target is known."""
        self._log_scores("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Outputs:
        """The probabilities (B,) of melanoma, `prediction`, and their rows, `index`.

        They are the mean over the views of the photograph.
        """
        views = symmetric_views(self.network.normalise(batch["image"]), self.hparams["views"])
        probabilities = [self._probability(view, batch.get("metadata")) for view in views]
        return {INDEX: batch["index"], "prediction": torch.stack(probabilities).mean(dim=0)}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser by name, and its schedule; before it, the weights that training starts from.

        They are not loaded where training goes on from a checkpoint, or any have been loaded before.

        Raises:
            ConfigError: If weights cannot be had or are another network's, or the schedule has no end.
        """
        # Not in `setup`, where it is not known yet whether a checkpoint follows.
        if not self._is_loaded:
            report = self.load_pretrained_weights()
            if report.loaded and self.trainer.is_global_zero:
                print(report.as_text(), flush=True)
        optimizer = self.create_optimizer()
        total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(total_steps):
            raise ConfigError(
                "--trainer.max_epochs -1: the schedule of the learning rate needs an end. "
                "Give --trainer.max_epochs or --trainer.max_steps."
            )
        # Not the epochs that were asked for, which --trainer.max_steps may end early, or be without.
        epochs = total_steps / self._steps_per_epoch()
        schedule = self.schedule.of(optimizer, int(total_steps), epochs)
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[return-value]

    def _steps_per_epoch(self) -> int:
        trainer = self.trainer
        if math.isinf(trainer.num_training_batches):
            trainer.fit_loop.setup_data()  # as Lightning does to count the steps
        return max(1, math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))

    def create_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser alone, so that its settings can be checked before training.

        Raises:
            ConfigError: If there is no such optimiser, or a setting is out of its range.
        """
        return create_optimizer(
            self.network,
            self.network.backbone,
            self.hparams["optimizer"],
            self.learning_rate,
            self.hparams["weight_decay"],
            self.hparams["layer_decay"],
            self._is_fused,
            self._is_capturable,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the best AUC of an epoch that has not ended, and what the first weights have seen."""
        checkpoint[_EPOCH_AUC] = self._epoch_auc
        if self._pretrained_on is not None:
            checkpoint[PRETRAINED_ON] = self._pretrained_on

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the optimiser go on the way this device does it, not the one that saved its state."""
        self._epoch_auc = checkpoint.get(_EPOCH_AUC)
        self._pretrained_on = checkpoint.get(PRETRAINED_ON)
        own = {"fused": self._is_fused, "capturable": self._is_capturable}
        for state in checkpoint.get("optimizer_states", []):
            for group in state["param_groups"]:
                group.update({name: on for name, on in own.items() if name in group})

    @property
    def _is_frozen(self) -> bool:
        return bool(self.current_epoch < self.hparams["freeze_epochs"])

    @property
    def _is_fused(self) -> bool:
        return self.acceleration is not None and self.acceleration.fused

    @property
    def _is_capturable(self) -> bool:
        # Else its step count stays on the processor, and its factors are sent at every step.
        return self.acceleration is not None and self.acceleration.device == "tpu"

    def _probability(self, pixels: Tensor, metadata: Tensor | None) -> Tensor:
        run_traced(pixels.device)
        probability = torch.sigmoid(self.target.log_odds(self.network(pixels, metadata)))
        run_traced(pixels.device)
        return probability

    def _mixing_key(self, batch_idx: int) -> int:
        place = (self.hparams["seed"], self.current_epoch, batch_idx, self.global_rank)
        return int(np.random.SeedSequence(place).generate_state(1)[0])

    def _evaluate(self, batch: Batch) -> Outputs:
        logits = self.network(self.network.normalise(batch["image"]), batch.get("metadata"))
        return {
            INDEX: batch["index"],
            "logits": logits,
            "class": self.target.classes(batch),
            # Sixteen bits have no counterpart in arrays.
            "target": batch["target"].float(),
        }

    def _log_scores(self, stage: str) -> None:
        outputs = gather_outputs(self, self._outputs)
        self._outputs.clear()
        targets = outputs["target"]
        if self.trainer.sanity_checking or np.isnan(targets).any():
            return
        logits = torch.from_numpy(outputs["logits"])
        wanted = class_probabilities(torch.from_numpy(outputs["class"]), self.target.n_classes)
        loss = self.loss(logits, self.target.targets(wanted))
        log_odds = self.target.log_odds(logits.double()).numpy()
        self.epoch_log_odds = dict(zip(outputs[INDEX].tolist(), log_odds.tolist()))
        # A whole fold has both classes; a part of it (limit_val_batches) may not, then there is
        # no AUC to tell.
        defined = np.isfinite(log_odds).all() and 0 < targets.sum() < targets.size
        score = auc(targets, log_odds) if defined else math.nan
        # All devices have gathered the same, so that there is no mean to take; and what lies on the
        # processor, callbacks compare and write without a word to the device.
        if stage == "val" and not math.isnan(score):
            self._epoch_auc = max(score, self._epoch_auc or 0.0)
        self.log(f"{stage}_loss", loss)
        self.log(f"{stage}_auc", torch.tensor(score), prog_bar=True)


def _note_load(module: MelanomaModule, _: object) -> None:
    module._is_loaded = True


def _n_metadata(metadata: bool, statistics: dict[str, Any] | None) -> int:
    if not metadata:
        return 0
    if statistics is None:
        raise ConfigError(
            "--model.metadata true: the statistics of the training images are needed."
        )
    return MetadataStatistics.from_dict(statistics).n_features


def _check_ranges(settings: dict[str, Any]) -> None:
    if not 0 < settings["learning_rate"] < math.inf:
        raise ConfigError(
            f"--model.learning_rate {settings['learning_rate']}: must be above 0 and finite."
        )
    for name in ("dropout", "drop_path", "label_smoothing", "metadata_dropout", "ema_decay"):
        value = settings[name]
        if value is not None and not 0 <= value < 1:
            raise ConfigError(f"--model.{name} {value}: must be at least 0 and below 1.")
    if min(settings["metadata_sizes"]) < 1:
        sizes = list(settings["metadata_sizes"])
        raise ConfigError(f"--model.metadata_sizes {sizes}: must be at least 1 each.")
    if settings["freeze_epochs"] < 0:
        raise ConfigError(
            f"--model.freeze_epochs {settings['freeze_epochs']}: must not be negative."
        )
    if settings["views"] not in (1, 4, 8):
        raise ConfigError(f"--model.views {settings['views']}: choose 1, 4 or 8.")
