"""Settings of what counts as stained: PI-positive pixels, and nuclei."""

from dataclasses import dataclass, field

from jimt.config.checks import NOT_NEGATIVE, ONE_OR_MORE, POSITIVE, Settings, takes


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
        self.check_rises("min_area", "max_area")


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
        self.check_rises("min_area", "max_area")
        self.check_rises("smoothing", "background")
