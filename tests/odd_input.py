"""Strategies for input that is well-formed and odd: tables, configurations, photographs."""

import io
import json

import numpy as np
import yaml
from hypothesis import strategies as st
from PIL import Image

_COLUMNS = [
    *("image_name", "patient_id", "sex", "age_approx", "target", "fold", "prediction"),
    *("image_name_1", "image_name_2", "anatom_site_general_challenge", "diagnosis", ""),
]
_VALUES = st.one_of(
    st.sampled_from(
        ["", "nan", "007", "1", "0", "-1", "2", "0.5", "1e400", "inf", "True", "..", "/"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from([f"ISIC_{row:03d}" for row in range(12)]),
)
_OPTIONS = [
    *("seed", "fold", "resume", "top_k", "logger", "photographs", "parallel_folds", "config"),
    *("image_size", "batch_size", "num_workers", "cache", "sampling", "augmentation", "data_dir"),
    *("backbone", "weights", "loss", "dropout", "ema_decay", "metadata_sizes", "views", "schedule"),
    *("max_epochs", "devices", "precision", "strategy", "callbacks", "plugins", "profiler"),
    *("class_path", "init_args", "data", "model", "trainer"),
]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(_OPTIONS),
)
_SETTINGS = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_OPTIONS), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A CSV file of columns that are known, and values that may be."""
    columns = draw(st.lists(st.sampled_from(_COLUMNS), min_size=1, max_size=6, unique=True))
    rows = draw(st.lists(st.lists(_VALUES, min_size=1, max_size=7), max_size=6))
    separator = draw(st.sampled_from([",", ",", ",", ";", "\t"]))
    lines = [separator.join(row) for row in [columns, *rows]]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@st.composite
def configs(draw: st.DrawFn) -> bytes:
    """A configuration of options that are known, in sections that are, with any values."""
    sections = st.sampled_from(["data", "model", "trainer", *_OPTIONS[:8]])
    settings = draw(st.dictionaries(sections, _SETTINGS, max_size=4))
    if draw(st.booleans()):
        return json.dumps(settings).encode()
    return yaml.safe_dump(settings, allow_unicode=True).encode("utf-8", "surrogatepass")


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """A picture of any shape and colours, in any format."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    mode = draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"]))
    pixels = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, (height, width))
    picture = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, draw(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"])))
    except (OSError, ValueError):  # not every format holds every mode
        picture.convert("RGB").save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


STRATEGIES = {"tables": tables(), "configs": configs(), "images": pictures()}
