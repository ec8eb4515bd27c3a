from pathlib import Path

import pytest

from melanoma.images.layout import image_folder


@pytest.mark.parametrize("place", ["jpeg/test", "test", "."])
def test_photographs_are_found_in_each_layout(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    assert image_folder(tmp_path, "test") == tmp_path / place
    assert image_folder(tmp_path, "train") == tmp_path
