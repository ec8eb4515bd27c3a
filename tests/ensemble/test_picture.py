from io import BytesIO

import numpy as np
from PIL import Image

from melanoma.ensemble.checks import measure_shift
from melanoma.ensemble.picture import draw_shifts


def test_a_picture_is_the_same_every_time_and_bears_certain_predictions() -> None:
    oof = np.array([0.0, 0.2, 1.0])
    test = np.array([[0.0, 0.9, 1.0], [0.5, 0.9, 1.0]])
    shifts = [measure_shift(name, oof, test) for name in ("a", "b", "c", "d")]
    picture = draw_shifts(shifts, [oof] * 4, [test] * 4)
    assert picture == draw_shifts(shifts, [oof] * 4, [test] * 4)
    with Image.open(BytesIO(picture)) as opened:
        assert opened.width > 1000
        assert opened.height > 600
