"""What a classifier says of patches does not depend on how they are batched or ordered."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import composed_prepare
from jimt.curation.manifest import Curated, open_curated
from jimt.errors import InputError
from jimt.models.checkpoint import Input
from jimt.models.devices import prediction_device
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import PatchPredictor

TAKES = Input(64, {}, 12, 0, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), None)


@pytest.fixture(scope="module")
def curated(uneven) -> Curated:
    _, curation = composed_prepare(*uneven)
    return open_curated(Path(curation.output_root) / "no_treatment")


@pytest.fixture(scope="module")
def network() -> LiveDeadNetwork:
    torch.manual_seed(0)
    network = LiveDeadNetwork("test_resnet", head="own", layer=None)
    torch.nn.init.normal_(network.own_head.weight, std=1.0)  # so that scores differ
    return network.eval()


def outputs(network, curated, rows, *, batch_size=16, precision="32-true", orientations=1) -> np.ndarray:
    scorer = PatchPredictor(network, TAKES, orientations, torch.device("cpu"), precision, batch_size)
    return scorer.logits(curated.store, rows)


def by_hand(network, curated, rows) -> torch.Tensor:
    """Logits of each of the eight orientations, ``(n, 8, 2)``."""
    logits = []
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (TAKES.mean, TAKES.std))
    for row in rows.itertuples():
        patch = curated.store.field(row.field)[row.y : row.y + 64, row.x : row.x + 64]
        grey = torch.from_numpy(np.array(patch)).float()[None] / 255
        views = [torch.rot90(copy, turns, (1, 2)) for copy in (grey, grey.flip(2)) for turns in range(4)]
        with torch.inference_mode():
            logits.append(network((torch.stack(views) - mean) / std))
    return torch.stack(logits)


def test_outputs_are_the_networks_in_the_order_of_the_rows_at_any_batch_size(network, curated):
    rows = curated.manifest.sample(37, random_state=0)
    expected = by_hand(network, curated, rows)[:, 0].numpy()
    assert expected.std(0).min() > 1e-3
    for batch_size in (1, 5, 64):
        found = outputs(network, curated, rows, batch_size=batch_size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("orientations", [4, 8])
def test_outputs_over_several_orientations_are_their_mean(network, curated, orientations):
    rows = curated.manifest.iloc[::13]
    each = by_hand(network, curated, rows)
    found = outputs(network, curated, rows, orientations=orientations)
    np.testing.assert_allclose(found, each[:, :orientations].mean(1).numpy(), rtol=1e-4, atol=1e-5)
    assert np.abs(found - each[:, 0].numpy()).max() > 1e-3


def test_bfloat16_rounds_and_no_more(network, curated):
    rows = curated.manifest.iloc[::5]
    exact, rounded = (outputs(network, curated, rows, precision=p) for p in ("32-true", "bf16-mixed"))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_scoring_leaves_the_network_as_it_was(network, curated):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    one, other = (outputs(network, curated, curated.manifest.iloc[:20]) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_card_that_is_not_there_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="give --accelerator cpu"):
        prediction_device("gpu", index=0, precision="32-true")
    assert prediction_device("cpu", index=0, precision="32-true").type == "cpu"


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "squeezenet1_1"])
@pytest.mark.parametrize("head", ["own", "linear"])
def test_one_pass_gives_logits_and_features_to_the_last_bit(name, head):
    torch.manual_seed(0)
    network = LiveDeadNetwork(name, head=head, layer=None).eval()
    images = torch.randn(3, 3, 96, 96)
    with torch.inference_mode():
        logits, features = network.logits_and_features(images)
        assert torch.equal(logits, network(images))
        assert torch.equal(features, network.pooled_features(images))
