"""Every error says what mends it: in prose, or as something to type, and each of the latter has its run."""

import ast
from collections import Counter

import pytest

import test_remedies_of_conditions as of_conditions
import test_remedies_of_curation as of_curation
import test_remedies_of_export as of_export
import test_remedies_of_finding as of_finding
import test_remedies_of_inputs as of_inputs
import test_remedies_of_labels as of_labels
import test_remedies_of_runs as of_runs
import test_remedies_of_settings as of_settings
import test_remedies_of_stain as of_stain
import test_remedies_of_weights as of_weights
from jimt.errors import InputError
from remedies import TO_TYPE, Place, Told, told

ELSEWHERE: dict[Place, str] = {
    (
        "curation/parallel/cluster.py",
        "open_cluster",
    ): "it takes a scheduler, which test_cluster.py has",
    (
        "curation/parallel/cluster.py",
        "Cluster._await_worker",
    ): "likewise, and workers",
    ("config/setting_names.py", "unknown_setting"): "names are one's own: test_choosing.py gives some",
    ("prediction/asked.py", "find_pi"): "test_adapt.py names another channel, and that of PI",
    ("prediction/spreading.py", "_open"): "test_spreading.py has a worker without a card",
    ("networks/backbones.py", "FeatureExtractor._map_of"): "test_features_of_fields.py has such a network",
}
"""Places whose remedies are run where there is what they need."""

NEEDS_NONE: dict[Place, str] = {
    ("config/hydra_errors.py", "_no_value"): "what the value must be is all there is to say",
    ("curation/store.py", "FieldStore.fluorescence"): "published patches have no fluorescence, whatever one does",
    ("config/hydra_schema.py", "to_dataclasses"): "the sentence is OmegaConf's",
    ("evaluation/label_sensitivity.py", "of_run"): "class folders have no cut-offs",
    ("models/predictor.py", "Predictor.frozen_features"): "a note says so, and the evaluation goes on",
    ("report/sections/agreement_section.py", "agreement_of.make"): "a part of the report that these data do not have",
    ("report/sections/attention_section.py", "_has_patches_of"): "likewise",
    ("report/sections/data_section.py", "label_blocks"): "likewise",
    ("report/sections/data_section.py", "raw_pair_blocks"): "likewise",
    ("report/sections/filter_section.py", "empty_filter_blocks"): "likewise",
    ("report/sections/performance_section.py", "fluorescence_blocks"): "likewise",
    ("report/sections/performance_section.py", "training_blocks"): "likewise",
    ("report/sections/stain_section.py", "_field_blocks"): "likewise",
    ("evaluation/shown_fields.py", "ShownFields.__init__"): "likewise",
    ("report/activation.py", "_network"): "the report asks it of no such network",
    ("networks/squeezenet.py", "SqueezeNet.__init__"): "no setting leads here",
    ("config/hydra_errors.py", "_of_hydra"): "the sentence is Hydra's",
    ("prediction/stained_fields.py", "read_stained"): "a note says so, and the model is adapted to the others",
    ("prediction/asking.py", "Asking._checked"): "a note of the field says so, and it is predicted",
    ("evaluation/image_matching.py", "_towards"): "a line of the answer says what could not be matched, and why",
    ("evaluation/image_matching.py", "as_dense"): "likewise",
    ("evaluation/matched_scores.py", "scores_of"): "likewise",
    ("data/fields.py", "RawFields._read"): "what the image must be is all there is to say",
    ("models/predictor.py", "Predictor.patches_of"): "likewise",
}
"""Places where an error needs neither advice nor remedy."""


def test_every_place_that_names_a_remedy_has_its_run():
    modules = of_settings, of_conditions, of_curation, of_export, of_finding, of_inputs, of_labels, of_runs, of_stain
    modules = (*modules, of_weights)
    runs = [*(place for module in modules for place in module.RUNS), *ELSEWHERE]
    assert not [place for place, n in Counter(runs).items() if n > 1]
    named = Counter(one.place for one in told() if one.has("remedies"))
    assert set(named) - set(runs) == set(), "these name something to type, which no case runs"
    assert set(runs) - set(named) == set(), "these name nothing to type"


def test_every_error_says_what_mends_it_or_why_nothing_does():
    silent = {one.place for one in told() if not one.has("remedies") and not one.has("advice")}
    assert silent - {("report/write.py", "write_report")} == set(NEEDS_NONE)  # which says to free some of a full disk


def prose(one: Told) -> dict[str, str]:
    """The cause and the advice of a call as they stand in the source; ``{}`` for what is filled in."""
    parts = {"cause": one.call.args[0]} if one.call.args else {}
    parts |= {keyword.arg: keyword.value for keyword in one.call.keywords if keyword.arg == "advice"}
    return {name: "".join(_pieces(node)) for name, node in parts.items()}


def _pieces(node: ast.expr) -> list[str]:
    if isinstance(node, ast.JoinedStr):
        return [piece for value in node.values for piece in _pieces(value)]
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return ["{}"]


def test_what_is_to_be_typed_stands_in_no_prose():
    imperative = ("set", "use", "give", "choose", "add", "try", "run", "with", "or", "instead of")
    for one in told():
        words = prose(one)
        assert not TO_TYPE.search(words.get("advice", "")), words
        cause = words.get("cause", "")
        # a cause may quote what was given, and no more
        assert not any(f" {word} {found[2]}" in cause for found in TO_TYPE.finditer(cause) for word in imperative), (
            words
        )
        assert not {"python ", "pip install "} & {cause[n : n + 12] for n in range(len(cause))}, words


def test_a_sentence_is_one_line_that_ends_with_its_ways_out():
    error = InputError("it is full", advice="free some", remedies=("a.b=c d=E", "--out DIR", "python prepare.py"))
    assert str(error) == "it is full: free some, or give a.b=c d=E, or --out DIR, or run python prepare.py"
    assert (error.cause, error.advice) == ("it is full", "free some")


@pytest.mark.parametrize("kind", [InputError])
def test_an_error_that_comes_from_another_process_says_the_same(kind):
    import pickle

    error = kind("it is full", advice="free some", remedies=("a=B",), listed=("one", "two"))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.remedies) == ("it is full: free some, or give a=B\n  one\n  two", ("a=B",))
