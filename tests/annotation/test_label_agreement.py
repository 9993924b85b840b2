"""Cohen's kappa of annotators, PI and a model: as scikit-learn computes it, its interval over groups."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

import jimt
from annotating import DATASET, write_curated
from conftest import TINY, composed_prepare, composed_train
from jimt.annotation.annotate import main
from jimt.curation.manifest import open_curated
from jimt.statistics.hand_label_agreement import f1_over_groups, kappa_over_groups


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    return write_curated(tmp_path_factory.mktemp("to_label"))


def judges(*, seed: int = 0, n: int = 400, n_groups: int = 25):
    rng = np.random.default_rng(seed)
    first = rng.choice(["live", "dead"], n).astype(object)
    groups = rng.integers(0, n_groups, n)
    wrong = rng.random(n) < np.where(groups % 4 == 0, 0.4, 0.1)
    second = np.where(wrong, np.where(first == "live", "dead", "live"), first).astype(object)
    return first, second, np.array([f"group {group}" for group in groups], object)


def test_kappa_is_that_of_scikit_learn_and_its_interval_that_of_whole_groups():
    first, second, groups = judges()
    found = kappa_over_groups(first, second, groups, confidence=0.95)
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    low, high = found.interval
    assert low < found.value < high
    names = np.unique(groups)
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(400):  # a bootstrap over groups, by hand
        rows = np.concatenate([np.flatnonzero(groups == name) for name in rng.choice(names, len(names))])
        resampled.append(cohen_kappa_score(first[rows], second[rows]))
    assert high - low == pytest.approx(np.subtract(*np.quantile(resampled, [0.975, 0.025])), rel=0.25)
    again = kappa_over_groups(second, first, groups, confidence=0.95)
    assert (again.value, *again.interval) == pytest.approx((found.value, low, high))


def test_kappa_of_one_word_throughout_is_none_and_of_two_groups_has_no_interval():
    same = np.array(["live"] * 4, object)
    groups = np.array(["a", "a", "b", "b"], object)
    assert kappa_over_groups(same, same, groups, confidence=0.95).value is None
    other = np.array(["live", "dead", "live", "live"], object)
    found = kappa_over_groups(other, other[::-1], groups, confidence=0.95)
    assert found.value == pytest.approx(cohen_kappa_score(other, other[::-1]))
    assert found.interval is None


def test_f1_is_that_of_scikit_learn():
    first, second, groups = judges()
    found = f1_over_groups(first == "dead", second == "dead", groups, confidence=0.95)
    assert found.value == pytest.approx(f1_score(first == "dead", second == "dead"))
    assert found.interval[0] < found.value < found.interval[1]


def test_two_annotators_are_compared_and_what_they_disagree_on_is_listed(curated, tmp_path, capsys):
    rows = [(f"{well}_s{field}", y, 0) for well in ("A1", "A2", "B1", "B2") for field in (0, 1) for y in (0, 32)]
    for name, words in (("anna", "bfbfbfbfbfbfbfbf"), ("[b]en", "bfbfbfbfbfbfbbbu")):
        said = [{"b": "bare", "f": "full", "u": "unsure"}[word] for word in words]
        table = pd.DataFrame(
            [(*row, word) for row, word in zip(rows, said, strict=True)], columns=["raw_image_id", "y", "x", "label"]
        )
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    with (tmp_path / "[b]en.csv").open("a") as file:
        file.write("A1_s0,64,64,bare\nA1_s0,64,64,undone\n")
    main([DATASET, "--curated", str(curated), "--out", "out", "--compare", "anna.csv", "[b]en.csv"])
    told = capsys.readouterr().out
    kappa = cohen_kappa_score(list("bfbfbfbfbfbfbfb"), list("bfbfbfbfbfbfbbb"))
    assert f"Cohen's kappa: {kappa:.3f}" in told
    assert "anna.csv: full" in told
    assert "[b]en.csv: bare" in told  # as it is called, brackets and all
    assert "16 patches, 15 of them clear to both, of 4 groups" in told
    listed = pd.read_csv(f"out/{DATASET}/disagreements.csv")
    assert listed.to_dict("list") == {
        "raw_image_id": ["B2_s0", "B2_s1"],
        "y": [32, 32],
        "x": [0, 0],
        "anna.csv": ["full", "full"],
        "[b]en.csv": ["bare", "unsure"],
    }


def test_an_audit_is_held_against_pi_and_a_model(uneven, tmp_path, capsys):
    from jimt.training.run import train  # late, with what it imports

    train(composed_train(*uneven, *TINY, "trainer.max_epochs=1", f"run_dir={tmp_path / 'run'}"))
    dataset, curation = composed_prepare(*uneven)
    curated = open_curated(tmp_path / curation.output_root / dataset.name)
    rows = curated.manifest[curated.manifest["label"].isin([0, 1, -1])].iloc[::2].copy()
    by_pi = rows["label"].map({0: "dead", 1: "live", -1: "mixed"}).astype(object)
    said = by_pi.copy()
    said.iloc[::5] = ["unsure" if number % 2 else "dead" for number in range(len(said.iloc[::5]))]
    rows.assign(label=said)[["raw_image_id", "y", "x", "label"]].to_csv("audit.csv", index=False)
    capsys.readouterr()
    main([dataset.name, "--curated", curation.output_root, "--compare", "audit.csv", "--run", "run"])
    told = capsys.readouterr().out
    clear = said.isin(["live", "dead"]) & by_pi.isin(["live", "dead"])
    of_pi = cohen_kappa_score(said[clear], by_pi[clear])
    known = said.isin(["live", "dead"])
    scores = jimt.load(tmp_path / "run").live_scores(curated.store, rows[known])
    of_model = cohen_kappa_score(said[known], np.where(scores >= 0.5, "live", "dead"))
    assert "audit.csv: unsure" in told
    assert "PI: unsure" not in told  # a judge has no column of a word that it never says
    kappas = [line for line in told.splitlines() if line.startswith("Cohen's kappa")]
    assert kappas[0].startswith(f"Cohen's kappa: {of_pi:.3f} (")
    assert kappas[1].startswith(f"Cohen's kappa: {of_model:.3f}")
    n_trained = int(rows["split"].isin(["train", "val"]).sum())
    assert f"{n_trained} of these patches are of groups that the model was trained on" in told
