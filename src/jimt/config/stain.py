"""Settings of a network that predicts the stain: ``task=stain``."""

from dataclasses import dataclass, field

from jimt.config.checks import NOT_NEGATIVE, ONE_OR_MORE, POSITIVE, SHARE, Settings, one_of, takes
from jimt.errors import InputError


@dataclass
class StainConfig(Settings, section="stain"):
    """What is predicted of each place of a field, and how the network is shown it."""

    decoder: str = field(metadata=one_of("fpn", "unet"))
    """What makes maps of the backbone's features, by segmentation-models-pytorch: a feature pyramid, or a U-Net."""
    decoder_lr: float = field(metadata=POSITIVE)
    """Learning rate of the decoder, which begins at random weights; ``optim.lr`` is the backbone's."""
    log_pi: float = field(metadata=NOT_NEGATIVE)
    """Weight of the loss of log(PI / background); 0 leaves it out."""
    positive: float = field(metadata=NOT_NEGATIVE)
    """Of PI-positive pixels, by ``curation.label.positive``; likewise."""
    nuclei: float = field(metadata=NOT_NEGATIVE)
    """Of dead and living nuclei; likewise."""
    nuclei_of: str | None = field(metadata=one_of("cells", "nuclei"))
    """Where nuclei are taken from: counted ``cells`` (``dataset.cells``), or all ``nuclei`` on their stain
    (``dataset.nuclei``), dead where they are PI-positive. Null where ``nuclei`` is 0."""
    nucleus_radius: float = field(metadata=POSITIVE)
    """Radius in pixels of the disc that a nucleus is drawn as."""
    smoothing: float = field(metadata=NOT_NEGATIVE)
    """Standard deviation in pixels of the Gaussian that PI is smoothed with before its logarithm is taken."""
    crop: int | None = field(
        metadata=takes("null, or a multiple of 32 pixels", lambda side: side > 0 and side % 32 == 0)
    )
    """Side in pixels of what is cut from a field at random; null for whole fields."""
    crops: int = field(metadata=ONE_OR_MORE)
    """Crops, or whole fields, an epoch over all devices."""
    positive_crops: float = field(metadata=SHARE)
    """Share of the crops whose centre is PI-positive or in a dead nucleus, where the field has any."""
    balance_groups: bool
    """A group is drawn by the square root of its number of fields: large experiments would else outvote the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any((self.log_pi, self.positive, self.nuclei)):
            raise InputError(
                "stain.log_pi, stain.positive and stain.nuclei are all 0, so nothing is to be predicted",
                remedies=("stain.log_pi=1",),
            )
        if (self.nuclei > 0) != (self.nuclei_of is not None):
            raise InputError(
                f"stain.nuclei={self.nuclei:g} and stain.nuclei_of={self.nuclei_of or 'null'}: nuclei are predicted "
                "from what tells where they lie",
                remedies=("stain.nuclei=1 stain.nuclei_of=cells", "stain.nuclei=0 stain.nuclei_of=null"),
            )
        if self.crop is None and self.positive_crops > 0:
            raise InputError(
                f"stain.positive_crops={self.positive_crops:g} is without effect on whole fields",
                remedies=("stain.positive_crops=0", "stain.crop=224"),
            )
