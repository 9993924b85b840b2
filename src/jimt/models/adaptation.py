"""What a checkpoint says of the stained fields that it was adapted to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AdaptedField:
    """A stained field that a model was adapted to, known again by its pixels whatever its file is called.

    Attributes:
        name: Its ``raw_image_id``.
        group: Plate and well, as its name tells them; None where it does not.
        brightfield: ``curation.copies.pixel_digest`` of its bright-field image; None of a blank one.
        fluorescence: Likewise of its PI.
    """

    name: str
    group: str | None
    brightfield: str | None
    fluorescence: str | None


@dataclass(frozen=True)
class Adaptation:
    """How a model was adapted to stained fields of a new experiment, after its training.

    Attributes:
        origin: The run or checkpoint that it was adapted from, as it was named.
        origin_digest: SHA-256 of that checkpoint.
        what: What was fitted, ``calibration`` or ``last-layer``.
        fields: The stained fields.
        pi_shares: Dead share of each by PI.
        before: What the model said of each before.
        after: And after.
        version: Of jimt.
    """

    origin: str
    origin_digest: str
    what: str
    fields: tuple[AdaptedField, ...]
    pi_shares: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    version: str

    @property
    def digests(self) -> frozenset[str]:
        """Of all images of the stained fields, of either channel."""
        of_fields = [digest for field in self.fields for digest in (field.brightfield, field.fluorescence)]
        return frozenset(digest for digest in of_fields if digest is not None)
