"""Messages of libraries that tell a user nothing: silenced one by one, each with its reason."""

import logging
import warnings

_SILENCED = [
    # We write into folders that may hold an earlier, interrupted training: that is how it resumes.
    r"Checkpoint directory .* exists and is not empty",
    # Lightning's own use of torch's tree functions.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # Scores are logged per epoch; small data have fewer steps than the default interval.
    r"The number of training batches .* is smaller than the logging interval",
    # The summary's size in megabytes is not used.
    r"Precision .* is not supported by the model summary",
    # Our sampler pads as Lightning's would, and repeated rows are dropped where they are gathered.
    r"Using `DistributedSampler` with the dataloaders",
    # The scores of a fold are computed from what all devices have gathered: equal on each.
    r"It is recommended to use `self.log\('(val|test)_",
    # Lightning's own way of gathering.
    r"torch.distributed.nn.functional.all_gather is deprecated",
    # Lightning's own use of torch_xla.
    r"Use torch_xla\.\w+ instead",
    # The first line of a fold's log says what is used.
    r"(GPU|TPU) available but not used",
    # In Python 3.13.0 alone torch.compile checks settings one by one: a little slower, nothing more.
    r"Guards may run slower on Python 3\.13\.0",
    # On a machine with few cores more workers than we start would not help.
    r"The '.*_dataloader' does not have many workers",
    # The first step under 16-bit precision may be skipped by the gradient scaler: torch's own note.
    r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`",
]


def silence_known_noise() -> None:
    """Hide the messages above, and Lightning's remarks about hardware and products."""
    for message in _SILENCED:
        warnings.filterwarnings("ignore", message=message)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(f"{library}.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.accelerators.cuda").setLevel(logging.WARNING)
