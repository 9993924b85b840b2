"""A model of maps is shifted so that its dead shares come out right; where it sees cells, and in which order, stays."""

import numpy as np
import pytest

from jimt.curation.manifest import Curated, open_curated
from jimt.errors import InputError
from jimt.models.adapting import adapt, as_it_was, refuse_last_layer, share_after
from jimt.models.checkpoint import Checkpoint, read_checkpoint
from jimt.models.pi_truth import pi_settings
from jimt.models.predictor import Predictor
from jimt.models.stained_evidence import Evidence, evidence_of
from jimt.system.files import BEST
from stain_runs import stain_run


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> tuple[Checkpoint, Curated, list[int]]:
    """A quickly trained model, its data set, and three fields that it sees nuclei in."""
    run = stain_run(tmp_path_factory)
    checkpoint, curated = read_checkpoint(run / BEST), open_curated(run.parent / "curated/synthetic")
    predictor = Predictor(checkpoint)
    seen = [number for number in range(len(curated.store)) if len(predictor.nuclei(curated.store, number)) > 2]
    return checkpoint, curated, seen[:3]


def asked(checkpoint: Checkpoint, curated: Curated, fields: list[int], dead: bool | None = None) -> list[Evidence]:
    """What the model says of some fields, whose PI is as it was measured, or such that all of it is dead or nothing."""
    predictor, found = Predictor(checkpoint), []
    for number in fields:
        rows = predictor.patches_of(curated.store, number, stride=32)
        pi = curated.store.fluorescence(number)
        if dead is not None:
            top = 2**checkpoint.input.bit_depth - 1  # saturated, so positive whatever the background
            pi = np.full_like(pi, top if dead else 100) - (np.arange(pi.shape[1]) % 2 * (not dead)).astype(pi.dtype)
        settings = pi_settings(checkpoint)
        found.append(evidence_of(predictor, curated.store, number, rows, pi, settings, what="calibration"))
    return found


def test_the_shares_that_were_worked_out_are_those_of_the_model_and_of_the_adapted_one(model):
    checkpoint, curated, fields = model
    evidence = asked(checkpoint, curated, fields)
    shares = Predictor(checkpoint).shares(curated.store, fields)
    assert set(shares["share_of"]) == {"nuclei"} == {each.share_of for each in evidence}
    before = [share_after(each, as_it_was(1.0)) for each in evidence]
    assert before == pytest.approx(shares["predicted_share"].tolist())
    adapted = adapt(checkpoint, lambda one: asked(one, curated, fields), what="calibration")
    after = Predictor(adapted).shares(curated.store, fields)["predicted_share"].tolist()
    true = [each.pi_share for each in evidence]
    assert abs(np.mean(after) - np.mean(true)) <= abs(np.mean(before) - np.mean(true))


@pytest.mark.parametrize("dead", [False, True])
def test_fields_of_one_class_shift_every_map_that_way_and_no_nucleus_to_another_place(model, dead):
    checkpoint, curated, fields = model
    adapted = adapt(checkpoint, lambda one: asked(one, curated, fields, dead=dead), what="calibration")
    old, new = Predictor(checkpoint), Predictor(adapted)
    for number in fields:
        one, other = old.maps(curated.store, number), new.maps(curated.store, number)
        for name in ("positive", "dead"):
            shift = np.sign(other[name] - one[name])
            assert (shift >= 0).all() if dead else (shift <= 0).all()
            assert (shift != 0).any()
        np.testing.assert_allclose(other["dead"] + other["live"], one["dead"] + one["live"], atol=1e-5)
        np.testing.assert_array_equal(other["log_pi"], one["log_pi"])
        rows = old.patches_of(curated.store, number, stride=32)
        scores = [each.live_scores(curated.store, rows) for each in (old, new)]
        assert scores[1].mean() < scores[0].mean() if dead else scores[1].mean() > scores[0].mean()
    assert checkpoint.output.offset == 0  # the one before is left as it was


def test_the_last_layer_of_maps_is_left_alone(model):
    with pytest.raises(InputError, match="the model predicts maps, .*: fit its calibration alone"):
        refuse_last_layer(model[0])
