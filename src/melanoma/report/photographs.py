"""The photographs: the worst mistakes and some hits, with what decided them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from melanoma.errors import name_some
from melanoma.metrics import average_ranks
from melanoma.report.pictures import as_data_uris, load_photographs, overlay_uri
from melanoma.report.reading import Material
from melanoma.report.selection import Chosen, choose_photographs, description_of, facts_of
from melanoma.tables import IMAGE_NAME

SECTION = "photographs"


@dataclass(frozen=True)
class Photograph:
    """One that is shown.

    Attributes:
        name: Of the image.
        alt: For who cannot see it.
        facts: What is known of it, by name.
        uri: The photograph; None where it could not be had.
        size: Its width and height in pixels, as it was read.
        overlay: Where the network looked, to be laid over it; None where that is not known.
    """

    name: str
    alt: str
    facts: list[tuple[str, str]]
    uri: str | None
    size: tuple[int, int]
    overlay: str | None


@dataclass(frozen=True)
class Album:
    """All that are shown.

    Attributes:
        kinds: With their photographs.
        notes: What is missing.
    """

    kinds: list[tuple[Chosen, list[Photograph]]]
    notes: list[str]

    @property
    def has_overlays(self) -> bool:
        """Whether there is anything to lay over them."""
        return any(photograph.overlay for _, shown in self.kinds for photograph in shown)


@dataclass(frozen=True)
class _Pictures:
    """By image name: sizes and data URIs of photographs, and of what lies over them ("": nothing)."""

    sizes: dict[str, tuple[int, int]]
    uris: dict[str, str]
    overlays: dict[str, str]


def make_album(material: Material, threshold: float, grad_cam: bool) -> Album:
    """Choose, read and encode photographs.

    Args:
        material: What is reported on.
        threshold: From which on an image is called melanoma.
        grad_cam: Whether to ask the networks what decided them.
    """
    kinds = choose_photographs(material.predictions.targets, material.scores, threshold)
    numbers = [number for kind in kinds for number in kind.rows]
    pictures, notes = _read(material, numbers, threshold, grad_cam)
    ranks = average_ranks(material.scores) / len(material.scores)
    shown = {
        number: _photograph(material, number, float(ranks[number]), threshold, pictures)
        for number in numbers
    }
    notes = [*material.missing.of(SECTION), *notes]
    return Album([(kind, [shown[number] for number in kind.rows]) for kind in kinds], notes)


def _read(
    material: Material, numbers: list[int], threshold: float, grad_cam: bool
) -> tuple[_Pictures, list[str]]:
    rows = material.rows.iloc[numbers]
    read, problems = load_photographs(
        material.data_dir, rows[IMAGE_NAME].tolist(), material.prefer_suffix
    )
    notes, heat = _some(problems), dict[str, Any]()
    if grad_cam and read:
        known = rows[rows[IMAGE_NAME].isin(list(read))]
        called = known[material.scores[known.index] >= threshold][IMAGE_NAME].tolist()
        heat, reasons = _look(material, known, called)
        notes += [f"Grad-CAM: {reason}" for reason in _some(reasons)]
    elif read:
        notes.append("Grad-CAM was left out (--grad-cam false).")
    overlays = {name: overlay_uri(of) if of.any() else "" for name, of in heat.items()}
    sizes = {name: picture.size for name, picture in read.items()}
    return _Pictures(sizes, as_data_uris(read), overlays), notes


def _look(
    material: Material, rows: pd.DataFrame, called: list[str]
) -> tuple[dict[str, Any], list[str]]:
    from melanoma.report.attention import look_into  # brings torch

    run, config = material.runs[material.best_run], material.configs[material.best_run]
    size = (config.get("data") or {}).get("image_size")
    if not isinstance(size, int):
        return {}, [f"{run.config_yaml} has no data.image_size. Train again with --overwrite."]
    try:
        heat, reasons = look_into(
            run, rows, called, material.data_dir, size, material.prefer_suffix
        )
    except Exception as error:
        # A network of timm's that is built like no other, or weights that are none: whatever it is,
        # a few pictures are not worth the report, which says what was the matter.
        return {}, [f"could not be made ({type(error).__name__}: {error})."]
    if len(material.runs) > 1:
        name = material.predictions.names[material.best_run]
        reasons.append(f"of {name} alone, the best single run; the scores are of the blend.")
    return heat, reasons


def _photograph(
    material: Material, number: int, rank: float, threshold: float, pictures: _Pictures
) -> Photograph:
    row, score = material.rows.iloc[number], float(material.scores[number])
    name = str(row[IMAGE_NAME])
    facts, overlay = facts_of(row, score, rank), pictures.overlays.get(name)
    if overlay is not None:
        side = "for" if score >= threshold else "against"
        facts.append(("Grad-CAM", side if overlay else f"nothing {side}"))
    return Photograph(
        name,
        description_of(row, score),
        facts,
        pictures.uris.get(name),
        pictures.sizes.get(name, (0, 0)),
        overlay or None,
    )


def _some(problems: list[str]) -> list[str]:
    distinct = list(dict.fromkeys(problems))
    return [name_some(distinct, len(distinct))] if len(distinct) > 1 else distinct
