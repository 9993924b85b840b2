"""METHODS.md of every kind of model: what it says is what was done."""

import re

import pytest

from answered import HOSTILE, failed, row
from jimt.models.adaptation import Adaptation, AdaptedField
from jimt.models.checkpoint import Checkpoint, EmptyFilter, Input, Network, Output, Record
from jimt.prediction.methods import Analysis, write_methods

FIELD = AdaptedField("A01", None, "1", "2")
ANALYSIS = {
    "model": "runs/mcf7",
    "stride": 112,
    "uncertain": (0.3, 0.7),
    "false_alarms": 0.1,
    "include_flagged": False,
    "confidence": 0.95,
}


def checkpoint(
    task="patch",
    *,
    method="finetune",
    trainable="all",
    nuclei_of=None,
    network=None,
    output=None,
    pixel_size=0.31,
    dataset="mcf7",
    filter_of=None,
    scale="positive_area",
    adaptation=None,
) -> Checkpoint:
    record = Record(
        dataset=dataset,
        curated_folder="",
        curation_fingerprint="",
        splits_digest="",
        groups={},
        fold=None,
        group_known=True,
        labels={} if scale is None else {"scale": scale, "live_below": 0.25},
        method=method,
        weights="hub: timm/resnet18.tv_in1k",
        seed=0,
        accelerator="cpu",
        precision="32-true",
        eval_batch_size=32,
        confidence=0.95,
        epoch=3,
        settings={"backbone.trainable": trainable, "stain.nuclei_of": nuclei_of},
        versions={"jimt": "0.0.9"},
        adaptation=adaptation,
    )
    takes = Input(224, {"method": "bit_depth"}, 16, 0, (0.0,) * 3, (1.0,) * 3, pixel_size)
    gives = Output(**{"temperature": 1.0, "orientations": 1, "tile": None} | (output or {}))
    network = Network(**{"name": "resnet18.tv_in1k", "head": "own"} | (network or {}))
    empty = EmptyFilter("resnet18.tv_in1k", filter_of, "32-true", None, {}) if filter_of else None
    return Checkpoint(task, network, takes, gives, empty, {}, record, {})


def told(tmp_path, of: Checkpoint, rows, **analysis) -> str:
    write_methods(of, rows, tmp_path / "METHODS.md", analysis=Analysis(**ANALYSIS | analysis))
    return (tmp_path / "METHODS.md").read_text(encoding="utf-8")


def paragraph_of(text: str) -> str:
    return text.split("## A paragraph for a paper\n\n")[1].split("\n")[0]


MODELS = {
    "fine-tuned": (
        checkpoint(output={"temperature": 0.57}, filter_of="field"),
        "patches",
        [
            "Patches of 224 x 224 px, one every 112 px, were scored by the network resnet18.tv_in1k",
            "fine-tuned on patches",
            "labelled live or dead by the square root of the share of PI-positive area",
            "(T = 0.57)",
            "support vector machine on features of resnet18.tv_in1k, averaged over each patch from those of its field",
            "mean of 1 - P(live)",
        ],
        ["Tiles", "decoder", "viability", "orientations"],
    ),
    "adapted": (
        checkpoint(adaptation=Adaptation("RUN", "0", "calibration", (FIELD, FIELD), (0.1,) * 2, (), (), "0")),
        "patches",
        ["the calibration of the model was adapted to PI of 2 stained fields", "not among those analysed"],
        ["last layer"],
    ),
    "last layer": (checkpoint(trainable="head"), "patches", ["whose last layer was trained on patches"], ["(T ="]),
    "probe": (
        checkpoint(method="linear_probe", trainable=None, network={"head": "linear"}),
        "patches",
        ["scored by a logistic regression on features of the frozen network resnet18.tv_in1k"],
        ["Tiles", "fine-tuned", "support vector machine"],
    ),
    "probe on tiles": (
        checkpoint(
            method="linear_probe",
            trainable=None,
            network={"head": "linear", "layer": "layer3"},
            output={"tile": 16, "orientations": 4},
        ),
        "patches",
        ["Tiles of 16 x 16 px", "layer layer3 of the frozen network", "4 orientations", "have the mean of their tiles"],
        ["fine-tuned"],
    ),
    "stain of PI": (
        checkpoint("stain", network={"head": "decoder", "decoder": "fpn", "outputs": ("log_pi", "positive")}),
        "area",
        ["FPN", "logarithm of propidium iodide (PI)", "probability that PI is positive", "over the area of cells"],
        ["nucleus", "viability", "labelled live or dead"],
    ),
    "stain with nuclei": (
        checkpoint(
            "stain",
            nuclei_of="cells",
            network={"head": "decoder", "decoder": "unet", "reduction": 4, "outputs": ("log_pi", "dead", "live")},
        ),
        "nuclei",
        ["U-Net", "4 x 4 pixels were taken as one", "counted cells", "dead nuclei among all", "viability 1 minus"],
        ["over the area of cells", "PI is positive"],
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_is_described_as_what_it_is(kind, tmp_path):
    of, share_of, said, unsaid = MODELS[kind]
    rows = [row(n, f"f{n}", well="A01", share_of=share_of, n_cells=9, pixel_size_um=0.31) for n in range(3)]
    paragraph = paragraph_of(told(tmp_path, of, rows))
    for words in [*said, "3 fields of 1 well", "jimt 0.0.9", "data set mcf7", "Student's t"]:
        assert words in paragraph
    for words in unsaid:
        assert words not in paragraph
    assert not re.search(r"None|nan|\{|\}|  ", paragraph)
    sentences = paragraph.replace("et al. ", "").split(". ")
    assert all(sentence[0].isupper() for sentence in sentences if not sentence.startswith("segmentation"))


def test_labels_that_came_with_the_patches_are_of_nothing_that_is_made_up(tmp_path):
    text = told(tmp_path, checkpoint(scale=None), [row()])
    assert "labelled live or dead when they were published" in text
    assert "labelled live or dead by the share of dead cells, counted" in told(
        tmp_path, checkpoint(scale="cells"), [row()]
    )


def test_only_a_share_of_nuclei_may_be_called_viability(tmp_path):
    for share_of in ("area", "patches"):
        text = told(tmp_path, checkpoint(), [row(share_of=share_of)])
        assert text.count("viability") == text.count("do not call 1 minus it viability") == 1


def test_what_was_flagged_left_out_and_resampled_is_counted(tmp_path):
    rows = [
        row(0, "a", pixel_size_um=0.31, dead_share=0.1),
        row(1, "b", pixel_size_um=0.62, zoom=2.0, dead_share=0.3, notes=("Resampled from 0.62 to 0.31 µm.",)),
        row(2, "c", dead_share=0.9, flags=("unlike", "focus"), reasons=("r", "s")),
        row(3, "d", dead_share=None),
        failed(4, "e", "damaged"),
    ]
    text = told(tmp_path, checkpoint(), rows)
    paragraph = paragraph_of(text)
    for words in (
        "Their pixels had a side of 0.31 to 0.62 µm.",
        "Images of 1 field were resampled to the 0.31 µm",
        "The pixel size of 2 fields was not known, and taken for that of the model.",
        "10 % of like fields are flagged",
        "Of 4, 1 field was flagged and left out of all means.",
    ):
        assert words in paragraph
    for key, value in {
        "fields given": "5",
        "without an answer": "1",
        "without cells to take a share of": "1",
        "flagged": "1",
        "in the means": "2",
        "dead share, mean over these fields": "0.200",
        "lowest and highest": "0.100, 0.300",
    }.items():
        assert f"| {key} | {value} |" in text
    assert "- unlike the training data: 1" in text
    assert "- Resampled from 0.62 to 0.31 µm. (1 field)" in text
    kept = told(tmp_path, checkpoint(), rows, include_flagged=True)
    assert "1 field was flagged and kept in the means" in kept
    assert "| in the means | 3 |" in kept
    assert "Fields that are flagged are among the means" in kept


def test_what_is_not_known_is_said(tmp_path):
    text = told(tmp_path, checkpoint(pixel_size=None), [row()], false_alarms=None, uncertain=None)
    assert "could not be told: the model holds no threshold for it" in text
    assert "The pixel size of the images that the model was trained on is not known, so none was resampled." in text
    assert "uncertain" not in text
    assert "Their pixel size was not known" in told(tmp_path, checkpoint(), [row()])


def test_names_are_nothing_but_text_and_the_same_answer_is_the_same_file(tmp_path):
    rows = [row(n, name, notes=(name,)) for n, name in enumerate(HOSTILE)]
    texts = {told(tmp_path, checkpoint(), rows, model="|".join(HOSTILE)) for _ in range(2)}
    (text,) = texts
    assert not re.search(r"(?<!\\)<", text)
    assert "new line (1 field)" in text
    table = [line for line in text.splitlines() if line.startswith("| model")]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 3


def test_no_field_at_all_is_told_too(tmp_path):
    assert "0 fields" in paragraph_of(told(tmp_path, checkpoint(), [failed(0, "a", "damaged")]))
