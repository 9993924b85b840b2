"""Areas by condition and day: wells count once each, and their intervals hold what they say."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jimt.statistics.condition_areas import (
    ConditionArea,
    compare_conditions,
    interval_of_wells,
    welch_interval,
)

CONDITIONS = ("untreated", "doxo", "10 uM", "2 uM")


def drawn(*, seed: int = 0, n_wells: int = 3) -> dict[str, list]:
    """Fields of some wells of each condition on two days; one to three fields of a well."""
    rng = np.random.default_rng(seed)
    found: dict[str, list] = {"area": [], "condition": [], "day": [], "well": []}
    for (level, condition), day in itertools.product(enumerate(CONDITIONS, 1), (1.0, 10.0)):
        for well in range(n_wells):
            for _ in range(1 + well % 3):
                share = rng.uniform(0.1, 0.2) * level
                for name, value in zip(found, (share, condition, day, f"{condition[0]}{well}"), strict=True):
                    found[name].append(value)
    return found


def compared(fields: dict[str, list], *, control: str = "untreated", confidence: float = 0.95) -> list[ConditionArea]:
    return compare_conditions(
        np.array(fields["area"]),
        fields["condition"],
        fields["day"],
        fields["well"],
        control=control,
        confidence=confidence,
    )


def test_rows_stand_by_day_with_the_control_first_and_numbers_in_their_order():
    order = [(row.day, row.condition) for row in compared(drawn())]
    assert order == list(itertools.product((1, 10), ("untreated", "2 uM", "10 uM", "doxo")))


def test_doses_stand_by_their_value_and_not_by_their_text():
    doses = ["0", "0.03", "0.1", "0.3", "1", "3", "10", "30", "100", "1000"]
    shuffled = np.random.default_rng(0).permutation(doses).tolist()
    found = compare_conditions(
        np.linspace(0, 1, 10), shuffled, [None] * 10, [f"A{n}" for n in range(10)], control="0", confidence=0.95
    )
    assert [row.condition for row in found] == doses


def test_a_well_counts_once_however_many_fields_it_has():
    (row,) = compare_conditions(
        np.array([0.1, 0.1, 0.1, 0.1, 0.5]), ["a"] * 5, [None] * 5, [*"wwww", "v"], control="a", confidence=0.95
    )
    assert row.mean == pytest.approx(0.3)
    assert row.wells == pytest.approx({"v": 0.5, "w": 0.1})
    assert (row.n_fields, row.difference, row.note) == (5, None, None)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_difference_to_the_control_of_the_same_day_has_scipys_welch_interval(confidence):
    rows = {(row.day, row.condition): row for row in compared(drawn(n_wells=5), confidence=confidence)}
    for (day, condition), row in rows.items():
        if condition == "untreated":
            assert row.difference is row.difference_interval is None
            continue
        of_control = rows[day, "untreated"]
        test = stats.ttest_ind(list(row.wells.values()), list(of_control.wells.values()), equal_var=False)
        assert row.difference == pytest.approx(row.mean - of_control.mean)
        assert row.difference_interval == pytest.approx(tuple(test.confidence_interval(confidence)))


def test_no_interval_reaches_beyond_what_an_area_can_be():
    low, high = welch_interval([0.9, 0.99], [0.01, 0.1], confidence=0.999)
    assert (low, high) == (-1, 1)
    low, high = interval_of_wells([0.001, 0.4], confidence=0.95)
    assert 0 < low < high < 1


def test_permuted_fields_change_nothing():
    fields = drawn()
    order = np.random.default_rng(1).permutation(len(fields["area"]))
    assert compared({name: [values[i] for i in order] for name, values in fields.items()}) == compared(fields)


def test_renamed_conditions_and_wells_keep_every_number():
    fields = drawn()
    names = dict(zip(CONDITIONS, ("vehicle", "z", "y", "x"), strict=True))
    renamed = fields | {
        "condition": [names[name] for name in fields["condition"]],
        "well": [f"plate/{name}" for name in fields["well"]],
    }
    found = {(row.day, row.condition): row for row in compared(renamed, control="vehicle")}
    for row in compared(fields):
        other = found[row.day, names[row.condition]]
        assert (other.mean, other.interval) == (row.mean, row.interval)
        assert (other.difference, other.difference_interval) == (row.difference, row.difference_interval)


def test_exchanging_control_and_treatment_turns_the_difference_around():
    fields = drawn()
    rows = {(row.day, row.condition): row for row in compared(fields)}
    for turned in compared(fields, control="doxo"):
        if turned.condition == "untreated":
            row = rows[turned.day, "doxo"]
            assert turned.difference == pytest.approx(-row.difference)
            assert turned.difference_interval == pytest.approx(
                (-row.difference_interval[1], -row.difference_interval[0])
            )


def test_what_is_stained_and_what_is_not_have_intervals_that_mirror_each_other():
    wells = [0.03, 0.1, 0.22]
    low, high = interval_of_wells(wells, confidence=0.95)
    assert interval_of_wells([1 - value for value in wells], confidence=0.95) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("areas", "wells", "note"),
    [
        ([0.2], ["B1"], "no interval: one well"),
        ([0.2, 0.2], ["B1", "B2"], "no interval: all wells are the same"),
        ([0.0, 0.0], ["B1", "B2"], "no interval: all wells are the same"),
        ([np.nan, 0.2], ["B1", "B2"], "no interval: one well"),
    ],
)
def test_a_mean_without_an_interval_says_why(areas, wells, note):
    n = len(areas)
    control, treated = compare_conditions(
        np.array([0.1, 0.15, *areas]),
        ["a", "a", *["b"] * n],
        [3.0] * (2 + n),
        ["A1", "A2", *wells],
        control="a",
        confidence=0.95,
    )
    assert control.note is None
    assert (treated.mean, treated.interval, treated.note) == (np.nanmean(areas), None, note)
    assert treated.difference == pytest.approx(np.nanmean(areas) - 0.125)
    assert (treated.difference_interval is None) == ("one" in note)


def test_a_control_of_one_well_or_of_another_day_is_told():
    rows = compare_conditions(
        np.array([0.1, 0.3, 0.5, 0.2, 0.4]),
        ["a", "b", "b", "b", "b"],
        [1.0, 1.0, 1.0, 2.0, 2.0],
        ["A1", "B1", "B2", "B1", "B2"],
        control="a",
        confidence=0.95,
    )
    assert [row.note for row in rows] == [
        "no interval: one well",
        "no interval of the difference: of the control, one well",
        "no well of the control on this day",
    ]
    assert [row.difference for row in rows] == [None, pytest.approx(0.3), None]


@pytest.mark.parametrize(("mean", "spread"), [(0.02, 0.5), (0.1, 0.6), (0.3, 0.3), (0.6, 0.2), (0.9, 0.05)])
@pytest.mark.parametrize("n_wells", [2, 3, 6])
def test_an_interval_over_few_wells_holds_the_mean_of_all_wells_as_often_as_it_says(mean, spread, n_wells):
    rng = np.random.default_rng(5)
    concentration = mean * (1 - mean) / (spread * mean) ** 2 - 1
    n = 1500
    wells = rng.beta(mean * concentration, (1 - mean) * concentration, (n, n_wells))
    found = np.array([interval_of_wells(values, confidence=0.95) for values in wells.tolist()])
    held = (found[:, 0] <= mean) & (mean <= found[:, 1])
    assert 0.925 < held.mean() < 0.98  # 0.006 is its standard error


@pytest.mark.parametrize(("control", "treated"), [((0.05, 0.5), (0.6, 0.15)), ((0.1, 0.3), (0.1, 0.3))])
@pytest.mark.parametrize("n_wells", [(2, 3), (3, 3), (6, 4)])
def test_an_interval_of_a_difference_holds_it_as_often_as_it_says(control, treated, n_wells):
    rng = np.random.default_rng(6)
    parts = []
    for (mean, spread), n in zip((control, treated), n_wells, strict=True):
        concentration = mean * (1 - mean) / (spread * mean) ** 2 - 1
        parts.append(rng.beta(mean * concentration, (1 - mean) * concentration, (1500, n)).tolist())
    found = np.array([welch_interval(values, others, confidence=0.95) for others, values in zip(*parts, strict=True)])
    true = treated[0] - control[0]
    assert 0.92 < ((found[:, 0] <= true) & (true <= found[:, 1])).mean() < 0.985
