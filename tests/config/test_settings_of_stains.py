"""What the settings of a nuclear and a live stain take."""

import pytest

from checked_settings import checked
from jimt.errors import InputError

STACK = "dataset.layout=stack"
PATCHES = ["dataset.layout=patches", "dataset.pattern=null"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["dataset.nuclei=PI"], "dataset.fluorescence and dataset.nuclei are both PI"),
        (["dataset.live_stain=Trans"], "dataset.brightfield and dataset.live_stain are both Trans"),
        (["dataset.nuclei=G", "dataset.live_stain=G"], "dataset.live_stain and dataset.nuclei are both G"),
        ([STACK, "dataset.nuclei_index=1"], "dataset.fluorescence_index and dataset.nuclei_index are both 1"),
        ([STACK, "dataset.live_stain_index=-1"], "live_stain_index=-1 is not allowed: it takes 0 or more"),
        ([STACK, "dataset.nuclei=DAPI"], "dataset.nuclei is without effect where dataset.layout is stack"),
        (["dataset.live_stain_index=2"], "live_stain_index is without effect where dataset.layout is pairs"),
        ([*PATCHES, "dataset.nuclei=DAPI"], "dataset.nuclei is without effect where dataset.layout is patches"),
        ([*PATCHES, "dataset.live_stain=G"], "dataset.live_stain is without effect where dataset.layout is patches"),
        (["curation.nuclei.max_area=100"], "nuclei.max_area=100.0 is not allowed: it takes more than curation.nuclei"),
        (["curation.nuclei.background=1"], "background=1.0 is not allowed: it takes more than curation.nuclei.smooth"),
    ],
)
def test_a_channel_that_cannot_be_one_is_refused_by_its_setting(given, said):
    with pytest.raises(InputError) as told:
        checked(*given)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("given", "channels"),
    [
        ([], {"brightfield": "Trans", "fluorescence": "PI"}),
        (["dataset.live_stain=G"], {"brightfield": "Trans", "fluorescence": "PI", "live_stain": "G"}),
        ([STACK, "dataset.nuclei_index=2"], {"brightfield": "0", "fluorescence": "1", "nuclei": "2"}),
    ],
)
def test_channels_are_named_by_words_or_places_and_none_that_was_not_asked_for(given, channels):
    assert checked(*given).dataset.channels() == channels
