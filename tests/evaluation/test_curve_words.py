"""What curves over groups mean for the next experiment, in words, by which side of 0 an interval lies on."""

import pytest

from jimt.evaluation.curve_words import adaptation_in_words


def told(low: float, high: float) -> str:
    """Of a model that is off by so much more than the mean share of the stained fields."""
    gain = {"value": -0.03, "interval": (-0.05, -0.01)}
    beside = {"value": (low + high) / 2, "interval": (low, high)}
    row = {"truth": "pi", "stained": 1, "adapted": {"value": 0.03}, "before": {"value": 0.06}}
    row |= {"adapted - before": gain, "adapted - mean of the stained": beside}
    (text,) = adaptation_in_words({"rows": [row, row | {"stained": 2}]})
    return text


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.04, -0.02), "The adapted model is nearer than the mean share of the stained fields alone, by -0.030 ("),
        ((-0.02, 0.04), "not nearer, by more than chance, than the mean share of the stained fields alone: the differ"),
        ((0.02, 0.04), "The mean share of the stained fields alone is nearer than the adapted model: the fields of a"),
    ],
)
def test_a_model_that_stain_alone_surpasses_is_not_said_to_be_level_with_it(interval, said):
    text = told(*interval)
    assert said in text
    assert text.startswith("Stain 1 field of the next experiment and adapt the model to it: against PI, ")
    assert "off by 0.030 in place of 0.060, a change of -0.030 (-0.050 to -0.010). " in text
    assert "((" not in text
    assert "))" not in text
