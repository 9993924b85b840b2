import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jimt.errors import InputError
from jimt.models.network import LiveDeadNetwork
from jimt.training.linear_probe import balanced_weights, set_linear


def probe(backbone="test_resnet.r160_in1k", layer=None):
    return LiveDeadNetwork(backbone, head="linear", layer=layer)


def test_the_linear_layer_is_scikit_learns_logistic_regression():
    rng = np.random.default_rng(0)
    network = probe()
    n_features = network.linear.in_features
    features = rng.normal(3, rng.uniform(0.1, 5, n_features), (60, n_features)).astype(np.float32)
    labels = np.tile([0, 1], 30)  # of unequal classes the oracle would standardise without the weights
    features[:, 0] += labels
    weights = balanced_weights(labels, np.arange(60).astype(object), balance_groups=False)
    set_linear(network, features, labels, weights, c=0.5)
    scores = network.linear(torch.tensor(features)).softmax(1)[:, 1].detach().numpy()
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, class_weight="balanced", max_iter=5000))
    assert scores == pytest.approx(oracle.fit(features, labels).predict_proba(features)[:, 1], abs=1e-3)


def test_both_classes_count_alike_and_large_groups_as_their_square_root():
    labels = np.array([1, 1, 1, 1, 0, 0])
    groups = np.array(["a", "a", "a", "a", "b", "c"], object)
    plain = balanced_weights(labels, groups, balance_groups=False)
    assert plain[labels == 1].sum() == pytest.approx(plain[labels == 0].sum())
    assert plain.mean() == pytest.approx(1)
    # within live: group a holds four patches (weight 1/2 each), group d one (weight 1)
    labels, groups = np.array([1, 1, 1, 1, 1, 0]), np.array(["a", "a", "a", "a", "d", "b"], object)
    weights = balanced_weights(labels, groups, balance_groups=True)
    assert weights[4] / weights[0] == pytest.approx(2)
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())


def test_the_features_of_a_named_part_are_its_feature_map():
    network = probe("resnet18.tv_in1k", "layer4.0").eval()
    image = torch.rand(1, 3, 96, 96)
    caught = {}
    network.network.layer4[0].register_forward_hook(lambda _m, _i, o: caught.update(map=o))
    logits = network(image)
    assert torch.equal(network.linear(caught["map"].mean((2, 3))), logits)
    assert network.linear.in_features == 512


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer4.7", "probe.layer=layer4.7 is not a part of resnet18.tv_in1k: did you mean layer"),
        ("xyz", "probe.layer=xyz is not a part of resnet18.tv_in1k: it has conv1, bn1"),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_near_names(layer, message):
    with pytest.raises(InputError, match=message):
        probe("resnet18.tv_in1k", layer)
