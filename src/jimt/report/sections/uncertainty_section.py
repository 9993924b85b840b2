"""Whether it knows when it does not know."""

from collections.abc import Iterator, Sequence

from jimt.figures.certain_errors import risk_coverage_curves
from jimt.report.blocks import Block, Drawing
from jimt.report.study import Model
from jimt.statistics.risk_coverage import RiskCoverage, risk_coverage
from jimt.statistics.uncertainty import UNCERTAIN
from jimt.statistics.value_text import number_text, percent_text, value_text

_RESAMPLES = 500


def uncertainty_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Error rate against coverage of models that were tested on the same data set."""
    drawn: dict[str, tuple[RiskCoverage, str]] = {}
    confidence = 0.95
    for model in models:
        labels, scores, groups = model.arrays
        confidence = model.confidence
        found = risk_coverage(
            labels, scores, groups, n_resamples=_RESAMPLES, confidence=confidence, seed=model.record.seed
        )
        words = f"area {value_text(found.area, found.area_interval)}"
        if found.certain is not None:
            coverage, error = found.certain
            words += f"\n{100 * coverage:.0f} % certain, error {number_text(error)}"
        drawn[model.name] = found, words
    low, high = UNCERTAIN
    bands = "No bands: too few groups, or none known."
    if any(found.band is not None for found, _ in drawn.values()):
        bands = f"Bands: pointwise {percent_text(confidence)} of {_RESAMPLES} bootstrap resamples over groups."
    yield Drawing(
        "risk_coverage",
        "Errors as uncertain patches are left out",
        f"Error rate of the patches that the model is most certain of, against how many these are; the area below is "
        f"the mean over all coverages, and smaller is better. A curve that does not rise says that certainty tells "
        f"nothing. Uncertain: P(live) between {low:g} and {high:g}, where one call in four or more would be wrong "
        f"if scores are probabilities. {bands}",
        risk_coverage_curves(drawn),
    )
