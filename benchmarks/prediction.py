"""Test prediction in one pass, beside a loop over folds and views and the forward pass alone.

Photographs are those of ../shared/data/isic2018 where they are there, else drawn; networks have random
weights. The three are measured in turn, and the median of the repeats is told. The defaults take two
to three minutes on two cores. On a GPU: --accelerator gpu --precision bf16-mixed --backbone
tf_efficientnet_b0 --image-size 256 --n-photographs 10982.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import lightning.pytorch as pl
import torch
from common import SHARED, call
from torch.utils.data import DataLoader

from melanoma.command_line import script
from melanoma.images.dataset import DrawSampler
from melanoma.images.prediction_datamodule import PredictionDataModule
from melanoma.images.sample import make_sample
from melanoma.images.workers import start_worker
from melanoma.models.fold_ensemble import FoldEnsemble
from melanoma.models.module import MelanomaModule
from melanoma.models.views import symmetric_views
from melanoma.prediction.memory import (
    bytes_per_photograph,
    peak_memory_text,
    wanted_batch_size,
)
from melanoma.training.noise import silence_known_noise

ISIC_2018 = SHARED / "isic2018"


@dataclass(frozen=True)
class Work:
    """What every method does: these photographs, these networks, on this device."""

    paths: list[Path]
    modules: list[MelanomaModule]
    trainer: pl.Trainer
    image_size: int
    n_views: int
    batch_size: int
    num_workers: int | None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.trainer.strategy.root_device

    def data(self) -> PredictionDataModule:
        """The photographs, in batches."""
        return PredictionDataModule(self.paths, self.image_size, self.batch_size, self.num_workers)

    @contextmanager
    def context(self) -> Iterator[None]:
        """As Lightning predicts: without gradients, in the precision asked for."""
        for module in self.modules:
            module.to(self.device)
        with torch.inference_mode(), self.trainer.precision_plugin.predict_step_context():
            yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def one_pass(work: Work) -> None:
    """What scripts/predict_folds.py does."""
    ensemble = FoldEnsemble(work.modules, [None] * len(work.modules))
    work.trainer.predict(ensemble, datamodule=work.data(), return_predictions=False)


def loop(work: Work) -> None:
    """Every fold and every view reads the photographs anew; workers are started once."""
    data = work.data()
    loader = DataLoader(
        data.dataset,
        batch_size=work.batch_size,
        sampler=DrawSampler(data.dataset, num_replicas=1, rank=0, shuffle=False),
        num_workers=data.num_workers,
        persistent_workers=data.num_workers > 0,
        pin_memory=work.device.type == "cuda",
        worker_init_fn=start_worker,
    )
    with work.context():
        for module, view in itertools.product(work.modules, range(work.n_views)):
            for batch in loader:
                image = batch["image"].to(work.device, non_blocking=True)
                pixels = module.network.normalise(image)
                seen = list(symmetric_views(pixels, work.n_views))[view]
                torch.sigmoid(module.target.log_odds(module.network(seen)))


def forward_only(work: Work) -> None:
    """The ceiling: as many steps of every network on one batch that is there already."""
    shape = (work.batch_size, 3, work.image_size, work.image_size)
    with work.context():
        pixels = torch.rand(shape, device=work.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        for start in range(0, len(work.paths), work.batch_size):
            step = pixels[: len(work.paths) - start]
            for module, _ in itertools.product(work.modules, range(work.n_views)):
                module.network(step)


METHODS: dict[str, Callable[[Work], None]] = {
    "one pass": one_pass,
    "loop over folds and views": loop,
    "forward pass alone": forward_only,
}


def compare(
    backbone: str = "resnet10t",
    image_size: int = 96,
    n_photographs: int = 200,
    n_folds: int = 5,
    views: int = 8,
    batch_size: int | None = None,
    num_workers: int | None = None,
    accelerator: str = "cpu",
    precision: str = "32-true",
    repeats: int = 3,
) -> None:
    """Print a row per method: seconds, photographs per second, and ratios of the latter.

    Args:
        backbone: Any timm name; as in configs/cpu_small.yaml by default.
        image_size: In pixels.
        n_photographs: Those there are, again and again.
        n_folds: Networks.
        views: 1, 4 or 8.
        batch_size: By default what scripts/predict_folds.py chooses for a run of 32.
        num_workers: By default one per core, at most 8.
        accelerator: cpu or gpu.
        precision: Lightning's name of it.
        repeats: Of which the median is told.
    """
    silence_known_noise()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        enable_progress_bar=False,
        **quiet,  # type: ignore[arg-type]
    )
    modules = [_network(backbone, image_size, views, seed) for seed in range(n_folds)]
    if batch_size is None:
        needed = bytes_per_photograph(modules[0].network.backbone, image_size)
        batch_size = wanted_batch_size(trainer.strategy.root_device, 32, needed, image_size)
    with tempfile.TemporaryDirectory() as folder:
        paths = list(itertools.islice(itertools.cycle(_photographs(Path(folder))), n_photographs))
        work = Work(paths, modules, trainer, image_size, views, batch_size, num_workers)
        seconds = _measure(work, repeats)
    print(
        f"{n_photographs} photographs x {n_folds} folds x {views} views, {backbone} at {image_size} "
        f"pixels, {batch_size} per step, {trainer.precision} on {accelerator}, "
        f"{torch.get_num_threads()} threads, median of {repeats}, "
        f"peak memory {peak_memory_text(work.device, work.data().num_workers)}"
    )
    print(f"{'method':<28}{'seconds':>9}{'photos/s':>10}{'of loop':>9}{'of ceiling':>12}")
    slow, ceiling = seconds["loop over folds and views"], seconds["forward pass alone"]
    for name, value in seconds.items():
        rate = n_photographs / value
        print(f"{name:<28}{value:9.2f}{rate:10.1f}{slow / value:9.2f}{ceiling / value:12.2f}")


def _measure(work: Work, repeats: int) -> dict[str, float]:
    warm_up = replace(work, paths=work.paths[: work.batch_size], n_views=1)
    for method in METHODS.values():
        method(warm_up)
    taken: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(repeats):
        for name, method in METHODS.items():
            start = time.perf_counter()
            method(work)
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _network(backbone: str, image_size: int, views: int, seed: int) -> MelanomaModule:
    torch.manual_seed(seed)
    options = {"views": views, "image_size_px": image_size}
    return MelanomaModule(backbone, "none", **options).eval()  # type: ignore[arg-type]


def _photographs(folder: Path) -> list[Path]:
    found = sorted(ISIC_2018.glob("jpeg/*/*.jpg"))
    if not found:
        make_sample(folder / "sample")
        found = sorted((folder / "sample").glob("jpeg/*/*.jpg"))
    return found


@script
def main(arguments: list[str]) -> None:
    """Parse and compare."""
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
