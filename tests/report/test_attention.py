from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from finished_run import finished_run
from melanoma.errors import RunError
from melanoma.models.module import MelanomaModule
from melanoma.report.attention import WithMaps, attention, look_into, relative
from tiny_run import tiny_config

BACKBONES = ["test_resnet", "test_efficientnet", "efficientnet_pytorch:efficientnet-b0"]


def module_of(backbone: str, **options: object) -> MelanomaModule:
    return MelanomaModule(backbone, weights="none", **options).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("pooling", ["default", "gem"])
def test_cut_open_the_network_says_the_same(backbone: str, pooling: str) -> None:
    module = module_of(backbone, pooling=pooling, target="diagnosis")
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        opened = WithMaps(module)(module.network.normalise(image))
        torch.testing.assert_close(opened, module(image))


def test_there_is_a_map_per_photograph() -> None:
    image = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    heat = attention(module_of("test_resnet"), image, None)
    assert heat.shape[0] == 2
    assert heat.ndim == 3
    assert min(heat.shape[1:]) > 1
    assert np.isfinite(heat).all()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_is_the_maps_weighted_by_their_mean_gradients(backbone: str) -> None:
    module = module_of(backbone, pooling="default")
    image = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    body: Any = module.network.backbone.network
    maps = body.forward_features(module.network.normalise(image))
    logit = module.network.head(body.forward_head(maps)).squeeze(1)
    (gradient,) = torch.autograd.grad(logit.sum(), maps)  # through the whole network
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).detach().numpy()
    np.testing.assert_allclose(attention(module, image, None), expected, rtol=1e-4, atol=1e-6)


def test_nothing_before_the_maps_is_differentiated() -> None:
    pixels = torch.zeros(1, 3, 64, 64, requires_grad=True)
    log_odds = WithMaps(module_of("test_resnet"))(pixels)
    (gradient,) = torch.autograd.grad(log_odds.sum(), pixels, allow_unused=True)
    assert gradient is None


def test_a_network_without_maps_says_so() -> None:
    image = torch.zeros(1, 3, 160, 160, dtype=torch.uint8)
    with pytest.raises(RunError, match=r"test_vit has no feature maps.*--grad-cam false"):
        attention(module_of("test_vit", image_size_px=160), image, None)


@pytest.mark.parametrize("options", [[], ["--model.metadata=true"]], ids=["image", "with metadata"])
def test_each_photograph_is_asked_of_the_network_that_never_saw_it(
    competition: Path, folds_csv: Path, options: list[str]
) -> None:
    config = tiny_config(competition, folds_csv, *options)
    run = finished_run(config)
    folds = pd.read_csv(folds_csv)
    rows = pd.read_csv(competition / "train.csv").assign(fold=folds["fold"]).iloc[:6]
    names = rows["image_name"].tolist()
    maps, problems = look_into(run, rows, names[:3], competition, 16)
    assert problems == []
    assert set(maps) == set(names)
    assert all(0 <= heat.min() <= heat.max() <= 1 for heat in maps.values())
    run.fold(0).best_checkpoint.unlink()
    maps, (problem,) = look_into(run, rows, names[:3], competition, 16)
    assert set(maps) == set(rows.loc[rows["fold"] == 1, "image_name"])
    assert "best.ckpt: no such file" in problem


def test_nothing_above_zero_stays_nothing() -> None:
    assert relative(np.array([[-1.0, 0.0]])).tolist() == [[0.0, 0.0]]
