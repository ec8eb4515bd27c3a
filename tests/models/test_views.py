import pytest
import torch

from melanoma.models.views import Views, symmetric_views

PICTURE = torch.arange(9.0).view(1, 1, 3, 3)


@pytest.mark.parametrize("n_views", [1, 4, 8])
def test_views_are_different_symmetries_the_first_the_photograph_itself(n_views: Views) -> None:
    views = list(symmetric_views(PICTURE, n_views))
    assert torch.equal(views[0], PICTURE)
    assert len({tuple(view.flatten().tolist()) for view in views}) == n_views
    assert all(view[0, 0, 1, 1] == 4 for view in views)


def test_eight_views_are_closed_under_a_quarter_turn() -> None:
    views = {tuple(view.flatten().tolist()) for view in symmetric_views(PICTURE, 8)}
    turned = {
        tuple(view.flatten().tolist())
        for view in symmetric_views(torch.rot90(PICTURE, 1, (2, 3)), 8)
    }
    assert views == turned
