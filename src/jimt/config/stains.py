"""Settings of what counts as stained: PI-positive pixels, and nuclei."""

from dataclasses import dataclass, field

from jimt.config.checks import NOT_NEGATIVE, ONE_OR_MORE, POSITIVE, Settings, check, takes


@dataclass
class PositiveConfig(Settings, section="curation.label.positive"):
    """What counts as PI-positive; lengths and areas in pixels."""

    ratio: float = field(metadata=takes("more than 1", lambda value: value > 1))
    """A pixel is positive above this multiple of the background nearby."""
    smoothing: float = field(metadata=NOT_NEGATIVE)
    """Standard deviation of the Gaussian that PI is smoothed with before."""
    radius: float = field(metadata=ONE_OR_MORE)
    """Of the neighbourhood that holds some background."""
    min_area: float = field(metadata=POSITIVE)
    """Least area of a nucleus."""
    max_area: float = field(metadata=POSITIVE)

    def __post_init__(self) -> None:
        super().__post_init__()
        rises = f"more than curation.label.positive.min_area={self.min_area:g}"
        check("curation.label.positive.max_area", self.max_area, self.max_area > self.min_area, rises)


@dataclass
class NucleiConfig(Settings, section="curation.nuclei"):
    """What counts as a nucleus on a stain of all nuclei (``dataset.nuclei``); lengths and areas in pixels."""

    smoothing: float = field(metadata=NOT_NEGATIVE)
    """Standard deviation of the Gaussian that the stain is smoothed with before."""
    background: float = field(metadata=POSITIVE)
    """Of the Gaussian that gives the background nearby."""
    min_area: float = field(metadata=POSITIVE)
    """Least area of a nucleus."""
    max_area: float = field(metadata=POSITIVE)

    def __post_init__(self) -> None:
        super().__post_init__()
        rises = f"more than curation.nuclei.min_area={self.min_area:g}"
        check("curation.nuclei.max_area", self.max_area, self.max_area > self.min_area, rises)
        wider = f"more than curation.nuclei.smoothing={self.smoothing:g}"
        check("curation.nuclei.background", self.background, self.background > self.smoothing, wider)
