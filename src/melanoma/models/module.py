"""The Lightning module: one network, one logit, judged by the area under the ROC curve."""

import math

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from melanoma.errors import ConfigError
from melanoma.images.dataset import Batch
from melanoma.metrics import auc
from melanoma.models.backbones import (
    Weights,
    check_backbone,
    create_backbone,
    load_imagenet_weights,
    pixel_statistics,
    set_batch_norm_momentum,
)
from melanoma.models.gathering import INDEX, gather_outputs
from melanoma.models.losses import LossName, create_loss
from melanoma.models.schedules import warm_cosine

Outputs = dict[str, Tensor]


class MelanomaModule(pl.LightningModule):
    """A network that gives a photograph the probability of melanoma.

    Args:
        backbone: Any timm name, or efficientnet_pytorch:efficientnet-b0 to -b8.
        weights: What training starts from: imagenet, or none (random).
        loss: bce, or focal (weighted).
        focal_alpha: Weight of melanomas in the focal loss; all others get 1 - alpha.
        focal_gamma: How much the focal loss plays down what is already right.
        learning_rate: The highest rate of AdamW.
        weight_decay: AdamW's.
        warmup_epochs: Epochs, also in parts, over which the learning rate rises before it falls
            along a cosine to zero.
        dropout: Before the head, in [0, 1); by default the network's own.
        batch_norm_momentum: How much one batch moves the running statistics; by default 0.1 from
            scratch, the network's own with pretrained weights.
        channels_last: Keep tensors in the memory layout in which convolutions are fast.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "tf_efficientnet_b0",
        weights: Weights = "imagenet",
        loss: LossName = "bce",
        focal_alpha: float = 0.75,
        focal_gamma: float = 2.0,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        warmup_epochs: float = 1.0,
        dropout: float | None = None,
        batch_norm_momentum: float | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_backbone(backbone, weights)
        _check_optimisation(learning_rate, warmup_epochs)
        self.loss = create_loss(loss, focal_alpha, focal_gamma)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.network = create_backbone(backbone, dropout=dropout)
        if batch_norm_momentum is not None:
            set_batch_norm_momentum(self.network, batch_norm_momentum)
        elif weights == "none":
            set_batch_norm_momentum(self.network)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        statistics = pixel_statistics(self.network)
        self.register_buffer("mean", 255 * torch.tensor(statistics.mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", 255 * torch.tensor(statistics.std).view(1, 3, 1, 1), False)
        self._outputs: list[Outputs] = []

    def load_pretrained_weights(self) -> None:
        """Fetch the weights that training starts from; nothing to do from scratch.

        Not done when the module is made, so that a trained checkpoint loads without them.

        Raises:
            ConfigError: If they cannot be had.
        """
        if self.hparams["weights"] == "imagenet":
            load_imagenet_weights(self.network, self.hparams["backbone"])

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,) of melanoma for photographs (B, 3, S, S), uint8 RGB."""
        pixels = (image.float() - self.mean) / self.std
        logits: Tensor = self.network(pixels.contiguous(memory_format=self.memory_format))
        return logits[:, 0].float()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        loss = self.loss(self(batch["image"]), batch["target"])
        # Averaged over batches and devices once an epoch: no step waits for it.
        self.log(
            "train_loss",
            loss,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch["target"]),
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Remember the logits; what they are worth is known at the end of the epoch."""
        self._outputs.append(self._shared_step(batch))

    def on_validation_epoch_end(self) -> None:
        """Log val_auc and val_loss of the whole fold, over all devices."""
        self._log_scores("val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation; a test set without targets has no scores."""
        self._outputs.append(self._shared_step(batch))

    def on_test_epoch_end(self) -> None:
        """Log test_auc and test_loss if every target is known."""
        self._log_scores("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Outputs:
        """The probabilities (B,) of melanoma, `prediction`, and their rows, `index`."""
        output = self._shared_step(batch)
        return {INDEX: output[INDEX], "prediction": torch.sigmoid(output["logit"])}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, its rate set at each step: a linear warm-up, then half a cosine."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(total_steps):
            raise ConfigError(
                "--trainer.max_epochs -1: the schedule of the learning rate needs an end. "
                "Give --trainer.max_epochs or --trainer.max_steps."
            )
        epochs = self.trainer.max_epochs or 1
        warmup_steps = round(total_steps * min(1.0, self.warmup_epochs / epochs))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warm_cosine(step, warmup_steps, int(total_steps))
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _shared_step(self, batch: Batch) -> Outputs:
        return {
            INDEX: batch["index"],
            "logit": self(batch["image"]),
            "target": batch["target"],
        }

    def _log_scores(self, stage: str) -> None:
        outputs = gather_outputs(self, self._outputs)
        self._outputs.clear()
        targets, logits = outputs["target"].astype(np.float32), outputs["logit"].astype(np.float32)
        if self.trainer.sanity_checking or np.isnan(targets).any():
            return
        loss = self.loss(torch.from_numpy(logits), torch.from_numpy(targets))
        # A whole fold has both classes; a part of it (limit_val_batches) may not, then there is
        # no AUC to tell.
        defined = np.isfinite(logits).all() and 0 < targets.sum() < targets.size
        score = auc(targets, logits) if defined else math.nan
        # All devices have gathered the same; `sync_dist` takes the mean of equal numbers.
        self.log(f"{stage}_loss", loss, sync_dist=True)
        self.log(f"{stage}_auc", score, prog_bar=True, sync_dist=True)


def _check_optimisation(learning_rate: float, warmup_epochs: float) -> None:
    if not learning_rate > 0:
        raise ConfigError(f"--model.learning_rate {learning_rate}: must be above 0.")
    if warmup_epochs < 0:
        raise ConfigError(f"--model.warmup_epochs {warmup_epochs}: must not be negative.")
