import torch

from melanoma.images.dataset import Batch
from melanoma.models.fold_ensemble import FoldEnsemble
from melanoma.models.module import MelanomaModule

STATISTICS = {"age_mean": 0.0, "age_std": 1.0, "count_mean": 0.0, "count_std": 1.0}


def member(seed: int, sites: list[str]) -> MelanomaModule:
    torch.manual_seed(seed)
    statistics = {**STATISTICS, "sexes": ["female", "male"], "sites": sites}
    options = {"metadata": True, "metadata_statistics": statistics, "views": 4}
    return MelanomaModule("test_resnet", "none", **options).eval()  # type: ignore[arg-type]


def test_each_network_has_a_column_and_metadata_of_its_own() -> None:
    # The first fold's training images had no second site.
    members = [member(0, ["torso"]), member(1, ["head/neck", "torso"])]
    tables = [torch.rand(6, 7), torch.rand(6, 8)]
    batch: Batch = {
        "image": torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8),
        "index": torch.tensor([4, 1]),
    }
    outputs = FoldEnsemble(members, tables).predict_step(batch, 0)
    assert outputs["index"].tolist() == [4, 1]
    for column, (network, table) in enumerate(zip(members, tables)):
        alone = network.predict_step({**batch, "metadata": table[[4, 1]]}, 0)["prediction"]
        assert torch.equal(outputs["prediction"][:, column], alone)


def test_metadata_go_where_the_networks_go_and_not_into_checkpoints() -> None:
    ensemble = FoldEnsemble([member(0, ["torso"])], [torch.rand(6, 7)])
    assert ensemble.to("meta").get_buffer("metadata_0").is_meta
    assert "metadata_0" not in ensemble.state_dict()
