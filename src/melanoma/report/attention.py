"""Where a network looked: Grad-CAM of its last feature maps, by captum.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization, ICCV 2017.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from melanoma.errors import MelanomaError, RunError
from melanoma.images.reading import find_images, read_image
from melanoma.metrics.checks import Floats
from melanoma.models.module import MelanomaModule
from melanoma.prediction.networks import load_ensemble
from melanoma.run_folder import RunFolder
from melanoma.tables import FOLD, IMAGE_NAME


def look_into(
    run: RunFolder,
    rows: pd.DataFrame,
    called: Sequence[str],
    data_dir: Path,
    image_size_px: int,
    prefer_suffix: str | None = None,
) -> tuple[dict[str, Floats], list[str]]:
    """What decided each photograph in the network of its fold, which never saw it.

    Args:
        run: The run whose networks are asked.
        rows: A row per photograph: image_name, fold, and the metadata where it is used.
        called: The images that were called melanoma: of these it is what spoke for one, of all
            others what spoke against.
        data_dir: Where the photographs are.
        image_size_px: As the networks were trained.
        prefer_suffix: As of `find_images`.

    Returns:
        Maps in [0, 1] by image name, shape (rows, columns); and why others are missing.
    """
    maps: dict[str, Floats] = {}
    problems = []
    for fold, of_fold in rows.groupby(FOLD):
        try:
            names = of_fold[IMAGE_NAME].tolist()
            paths = dict(zip(names, find_images(data_dir, "train", names, prefer_suffix)))
            signed = _look_into_fold(run, cast(int, fold), of_fold, paths, image_size_px)
        except MelanomaError as error:
            problems.append(str(error))
        else:
            maps |= {n: relative(heat if n in called else -heat) for n, heat in signed.items()}
    return maps, problems


class WithMaps(nn.Module):
    """A trained network, cut open at its last feature maps.

    Attributes:
        maps: Passes on the maps (B, C, h, w) that the network pools.
    """

    def __init__(self, module: MelanomaModule) -> None:
        super().__init__()
        self.module = module
        self.maps = nn.Identity()

    def forward(self, pixels: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Log-odds (B,) of melanoma, as the network itself gives them.

        Args:
            pixels: (B, 3, S, S), normalised.
            metadata: Where the network uses any.

        Raises:
            RunError: If the network has no maps at its end, as most transformers.
        """
        network, backbone = self.module.network, self.module.network.backbone
        body: Any = backbone.network
        with torch.no_grad():  # nothing before the maps is differentiated
            features = body.forward_features(pixels)
        if features.ndim != 4 or features.shape[1] != body.num_features:
            raise RunError(
                f"{backbone.name} has no feature maps at its end, so that Grad-CAM cannot say where "
                "it looked. Leave it out with --grad-cam false."
            )
        maps = self.maps(features.requires_grad_())
        pooled = body.forward_head(maps if backbone.pool is None else backbone.pool(maps))
        if network.branch is not None and metadata is not None:
            pooled = torch.cat([pooled, network.branch(metadata)], dim=1)
        return self.module.target.log_odds(network.head(pooled))


def attention(module: MelanomaModule, image: Tensor, metadata: Tensor | None) -> Floats:
    """What speaks for a melanoma, and where; below 0 what speaks against.

    Args:
        module: In evaluation mode.
        image: (B, 3, S, S), uint8 RGB.
        metadata: (B, n) where the network uses any.

    Returns:
        Shape (B, h, w).
    """
    from captum.attr import LayerGradCam

    opened = WithMaps(module).eval()
    pixels = module.network.normalise(image)
    more = () if metadata is None else (metadata,)
    cam = LayerGradCam(opened, opened.maps)
    heat = cam.attribute(pixels, additional_forward_args=more)
    values: Floats = heat.detach().squeeze(1).cpu().numpy().astype(np.float64)
    return values


def relative(heat: Floats) -> Floats:
    """What is above 0, as a share of its strongest place; all 0 where nothing is.

    >>> relative(np.array([[-1.0, 2.0], [1.0, 0.0]])).tolist()
    [[0.0, 1.0], [0.5, 0.0]]
    """
    above = np.maximum(heat, 0.0)
    strongest = above.max()
    shares: Floats = above / strongest if strongest > 0 else above
    return shares


def _look_into_fold(
    run: RunFolder, fold: int, rows: pd.DataFrame, paths: dict[str, Path], image_size_px: int
) -> dict[str, Floats]:
    ensemble = load_ensemble([run.fold(fold)], rows)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ensemble.to(device)
    metadata = getattr(ensemble, "metadata_0", None)
    module = cast(MelanomaModule, ensemble.members[0])
    maps = {}
    for place, (name, path) in enumerate(paths.items()):
        # One at a time: so few are shown, and the memory of a large network at 640 pixels is not.
        image = _as_tensor(path, image_size_px).to(device)
        of_image = None if metadata is None else metadata[place : place + 1]
        maps[name] = attention(module, image, of_image)[0]
    return maps


def _as_tensor(path: Path, image_size_px: int) -> Tensor:
    return torch.from_numpy(read_image(path, image_size_px).copy()).permute(2, 0, 1)[None]
