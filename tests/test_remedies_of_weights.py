"""Every remedy where weights cannot be had is taken by the command whose error names it, and mends what it says."""

from collections.abc import Callable

import pytest
import torch

from jimt.errors import InputError
from jimt.networks import weights
from jimt.networks.backbones import FeatureExtractor, create_backbone, load_weights
from remedies import composed_prepare, composed_train

SMALL = "test_resnet.r160_in1k"


def unreachable(monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(weights, "_download", fails)


def nothing_published(monkeypatch) -> None:
    monkeypatch.setattr(weights, "published_config", lambda _: {"architecture": SMALL, "tag": None})


# Of each function that raises an error with remedies: the weights that lead there, and what must be so.
RUNS: dict[tuple[str, str], list[tuple[str, Callable[[pytest.MonkeyPatch], None]]]] = {
    ("networks/weights.py", "load_weights"): [("nowhere.pth", unreachable)],
    ("networks/weights.py", "_load_from_hub"): [("hub", unreachable), ("hub", nothing_published)],
    ("networks/weights.py", "_load_from_package"): [("packaged", unreachable)],
}


CASES = [pytest.param(*case, id=f"{place[1]}-{case[0]}-{case[1].__name__}") for place in RUNS for case in RUNS[place]]


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "weights.pth"
    torch.save(create_backbone(SMALL, num_classes=2).state_dict(), path)
    return str(path)


@pytest.mark.parametrize(("given", "lead_there"), CASES)
def test_each_remedy_of_a_backbone_is_taken_by_training_and_mends_it(monkeypatch, file, given, lead_there):
    lead_there(monkeypatch)
    command = [f"backbone.name={SMALL}", f"backbone.weights={given}", "run_dir=run"]
    with pytest.raises(InputError) as refused:
        load_weights(create_backbone(SMALL, num_classes=2), SMALL, given)
    assert str(refused.value).endswith(f"give {', or '.join(refused.value.remedies)}")
    assert "backbone=efficientnet_lite0" in refused.value.remedies
    monkeypatch.undo()  # the hub answers again, for the remedy that asks it
    for remedy in refused.value.remedies:
        if remedy == "backbone.weights=hub":
            composed_train(*command, remedy)
            continue
        # a backbone is chosen in place of the name and the weights that were given
        kept = command[2:] if remedy.startswith("backbone=") else command
        config = composed_train(*kept, remedy.replace("FILE", file)).backbone
        load_weights(create_backbone(config.name, num_classes=2), config.name, config.weights)


@pytest.mark.parametrize(("given", "lead_there"), CASES)
def test_each_remedy_of_the_empty_filter_is_taken_by_prepare_and_mends_it(monkeypatch, file, given, lead_there):
    lead_there(monkeypatch)
    options = {"device": "cpu", "batch_size": 1, "precision": "32-true"}
    command = [f"curation.empty_filter.backbone={SMALL}", f"curation.empty_filter.weights={given}"]
    with pytest.raises(InputError) as refused:
        FeatureExtractor(SMALL, given, **options)
    assert not any(part.startswith("backbone") for remedy in refused.value.remedies for part in remedy.split())
    monkeypatch.undo()
    for remedy in refused.value.remedies:
        _, curation = composed_prepare(*command, *remedy.replace("FILE", file).split())
        if curation.empty_filter.enabled and curation.empty_filter.weights != "hub":
            FeatureExtractor(curation.empty_filter.backbone, curation.empty_filter.weights, **options)
