"""Raw images of random pixels in many encodings, and what can happen to them and to their folders."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 64, 96
ENCODINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strips": {"rowsperstrip": 16},
    "lzw": {"compression": "lzw", "rowsperstrip": 16},
    "predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib", "rowsperstrip": 16},
    "tiles": {"compression": "zlib", "tile": (32, 32)},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "imagej": {"imagej": True},
    "ome": {"ome": True},
}
Pixels = NDArray[Any]
TURNS = [lambda v: v, np.fliplr, lambda v: v[::-1, ::-1], np.flipud, np.transpose]
TURNS += [lambda v: np.rot90(v, -1), lambda v: np.rot90(v, 2).T, np.rot90]  # of Orientation 1 to 8


@dataclass
class Case:
    """A folder of raw images, and what is true of each file; None of a file whose bytes were damaged."""

    root: Path
    layout: str
    rng: np.random.Generator
    truth: dict[Path, Pixels | None]
    drawn: dict[Path, Pixels]
    """As the files were at first: damage to what does not matter leaves that."""

    def any_file(self) -> Path:
        return sorted(self.truth)[self.rng.integers(len(self.truth))]

    def is_tiff(self) -> bool:
        return all(path.suffix != ".png" for path in self.truth)


def draw(root: Path, rng: np.random.Generator) -> Case:
    """Two raw images of 12 bits, as pairs or stacks, in one of the encodings."""
    layout = "stack" if rng.random() < 0.3 else "pairs"
    case = Case(root, layout, rng, {}, {})
    encoding = "png" if layout == "pairs" and rng.random() < 0.2 else str(rng.choice(list(ENCODINGS)))
    for well in (1, 2):
        pair = rng.integers(1, 4096, (2, HEIGHT, WIDTH)).astype(np.uint16)
        if layout == "stack":
            case.truth[root / f"well{well}_f1.tif"] = pair
        else:
            suffix = ".png" if encoding == "png" else ".tif"
            for channel, image in zip(("BF", "PI"), pair, strict=True):
                case.truth[root / f"well{well}_f1_{channel}{suffix}"] = image
    for path, image in case.truth.items():
        assert image is not None
        case.drawn[path] = image
        write(path, image, **ENCODINGS.get(encoding, {}))
    return case


def write(path: Path, image: Pixels, **options: Any) -> None:
    if path.suffix == ".png":
        cv2.imwrite(str(path), image)
    else:
        tifffile.imwrite(path, image, **{"photometric": "minisblack"} | options)


# ---- mutations: each changes a case, or returns without a change where it cannot


def flip_bytes(case: Case) -> None:
    path = case.any_file()
    data = bytearray(path.read_bytes())
    for _ in range(case.rng.integers(1, 4)):
        data[case.rng.integers(len(data))] = case.rng.integers(256)
    path.write_bytes(data)
    case.truth[path] = None


def flip_bits(case: Case) -> None:
    """Among the lowest bits, so that counts stay within 12 bits wherever pixels are hit."""
    path = case.any_file()
    data = bytearray(path.read_bytes())
    for _ in range(case.rng.integers(1, 4)):
        data[case.rng.integers(len(data))] ^= 1 << case.rng.integers(4)
    path.write_bytes(data)
    case.truth[path] = None


def flip_header(case: Case) -> None:
    path = case.any_file()
    data = bytearray(path.read_bytes())
    data[case.rng.integers(min(len(data), 400))] ^= 1 << case.rng.integers(8)
    path.write_bytes(data)
    case.truth[path] = None


def truncate(case: Case) -> None:
    path = case.any_file()
    path.write_bytes(path.read_bytes()[: case.rng.integers(path.stat().st_size)])
    case.truth[path] = None


def append(case: Case) -> None:
    path = case.any_file()
    path.write_bytes(path.read_bytes() + case.rng.bytes(case.rng.integers(1, 5000)))


def wrong_tag(case: Case) -> None:
    """Another number in one of the tags that say how pixels are stored."""
    if not case.is_tiff():
        return
    path = case.any_file()
    names = ["ImageWidth", "ImageLength", "BitsPerSample", "RowsPerStrip", "StripByteCounts", "StripOffsets"]
    names += ["TileWidth", "PhotometricInterpretation", "SampleFormat", "Predictor", "Compression", "SamplesPerPixel"]
    with tifffile.TiffFile(path, mode="r+") as tif:
        page = tif.pages[-1].aspage()
        tag = page.tags.get(str(case.rng.choice(names)))
        if tag is None or not isinstance(tag.value, int):
            return
        near = [0, 1, 2, 3, 8, 16, 32, tag.value - 1, tag.value + 1, tag.value * 2, tag.value // 2, 60_000]
        tag.overwrite(int(max(case.rng.choice(near), 0)))
    case.truth[path] = None


def offset_everywhere(case: Case) -> None:
    for path, image in case.truth.items():
        assert image is not None
        write(path, image + np.uint16(32768))


def offset_in_one(case: Case) -> None:
    path = case.any_file()
    write(path, case.truth[path] + np.uint16(32768))


def upper_bits(case: Case) -> None:
    for path, image in case.truth.items():
        assert image is not None
        write(path, image << np.uint16(4))


def bright(case: Case) -> None:
    path = case.any_file()
    image = np.array(case.truth[path])
    image[..., 3, 4] = case.rng.integers(4096, 65536)
    write(path, image)


def other_type(case: Case) -> None:
    path = case.any_file()
    kind = case.rng.choice(["int16", "int32", "uint32", "float32", "float64", "int8", "bool", "complex64"])
    if case.is_tiff():
        write(path, np.asarray(case.truth[path]).astype(kind))


def white_at_zero(case: Case) -> None:
    if case.is_tiff():
        path = case.any_file()
        write(path, 65535 - np.asarray(case.truth[path]), photometric="miniswhite")


def palette(case: Case) -> None:
    """8 bits by a palette of plain, reversed or coloured grey."""
    if case.layout == "stack":
        return
    path = case.any_file()
    grey = (np.asarray(case.truth[path]) >> 4).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 257
    kind = case.rng.integers(3)
    colours = np.stack([ramp[::-1] if kind == 1 else ramp] * 3)
    if kind == 2:
        colours[0] = 0
    numbers = 255 - grey if kind == 1 else grey
    if path.suffix == ".png":
        image = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
        image.putpalette((colours >> 8).astype(np.uint8).T.tobytes())
        image.save(path)
    else:
        tifffile.imwrite(path, numbers, photometric="palette", colormap=colours)
    case.truth[path] = grey


def turned(case: Case) -> None:
    """Stored in another orientation, which a tag names."""
    if not case.is_tiff():
        return
    path, orientation = case.any_file(), int(case.rng.integers(1, 9))
    back = {6: 8, 8: 6}.get(orientation, orientation)  # all others are their own inverse
    image = np.asarray(case.truth[path])
    stored = np.stack([TURNS[back - 1](plane) for plane in image]) if image.ndim == 3 else TURNS[back - 1](image)
    write(path, stored, extratags=[(274, 3, 1, orientation, False)])


def pyramid(case: Case) -> None:
    """Lower resolutions behind or below the image."""
    if not case.is_tiff():
        return
    path = case.any_file()
    image = np.atleast_3d(np.asarray(case.truth[path]).T).T
    below = bool(case.rng.integers(2))
    with tifffile.TiffWriter(path, ome=below) as tif:
        tif.write(
            image, photometric="minisblack", subifds=2 if below else None, metadata={"axes": "CYX"} if below else None
        )
        for step in (2, 4):
            tif.write(image[:, ::step, ::step], photometric="minisblack", subfiletype=1, metadata=None)


def several(case: Case) -> None:
    """More planes than one file should have, behind one page or behind several."""
    if not case.is_tiff():
        return
    path = case.any_file()
    image = np.asarray(case.truth[path])
    planes = np.concatenate([image, image[:1]]) if image.ndim == 3 else np.stack([image] * 2)
    # two channels first, as the plain file has them: a stack may hold more, a page may not
    write(path, planes, imagej=bool(case.rng.integers(2)), truncate=bool(case.rng.integers(2)))


def colours(case: Case) -> None:
    if case.layout == "pairs":
        path = case.any_file()
        image = np.stack([np.asarray(case.truth[path])] * 3, axis=-1)
        if case.rng.random() < 0.5:
            image[..., 2] //= 2
        write(path, image, photometric="rgb")


def other_size(case: Case) -> None:
    path = case.any_file()
    image = np.asarray(case.truth[path])
    height, width = case.rng.integers(1, [HEIGHT, WIDTH])
    case.truth[path] = image[..., :height, :width]
    write(path, image[..., :height, :width])


def blank(case: Case) -> None:
    path = case.any_file()
    write(path, np.full_like(np.asarray(case.truth[path]), case.rng.integers(4096)))


def renamed(case: Case) -> None:
    """A name or a place that the pattern may or may not match."""
    path = case.any_file()
    name = path.name
    new = case.rng.choice(
        [
            f"sub/{name}",
            f"copy of {name}",
            name.replace("well", "wéll"),
            unicodedata.normalize("NFD", name.replace("well", "wéll")),
            name.replace(path.suffix, path.suffix.upper()),
            name.replace(path.suffix, ".tiff"),
            name.replace(path.suffix, ".png" if path.suffix == ".tif" else ".tif"),
            name.replace(path.suffix, ".jpg"),
            name.replace("_BF", "_PI"),
            name.replace("_f1", "_f2"),
            f".{name}",
        ]
    )
    target = case.root / str(new)
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        path.rename(target)
        case.truth[target] = case.truth.pop(path)


def copied(case: Case) -> None:
    path = case.any_file()
    target = path.with_suffix(".tiff")
    target.write_bytes(path.read_bytes())
    case.truth[target] = case.truth[path]


def removed(case: Case) -> None:
    path = case.any_file()
    path.unlink()
    del case.truth[path]


def replaced(case: Case) -> None:
    """By what is no image: nothing, text, a folder, a link to nowhere, an image of another format."""
    path = case.any_file()
    image = (np.asarray(case.truth.pop(path)) >> 4).astype(np.uint8)
    path.unlink()
    kind = case.rng.integers(5)
    if kind == 0:
        path.touch()
    elif kind == 1:
        path.write_text("well,field\n" * 200)
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.symlink_to(path.with_name("gone"))
    else:
        path.write_bytes(cv2.imencode(".jpg", image.reshape(-1, WIDTH))[1].tobytes())


def linked(case: Case) -> None:
    path = case.any_file()
    store = case.root.parent / "store"
    store.mkdir()
    path.rename(store / path.name)
    path.symlink_to(store / path.name)


MUTATIONS: list[Callable[[Case], None]] = [flip_bytes, flip_bits, flip_header, truncate, wrong_tag, wrong_tag] * 3
MUTATIONS += [append, offset_everywhere, offset_in_one, upper_bits, bright, other_type, white_at_zero, palette, turned]
MUTATIONS += [pyramid, several, colours, other_size, blank, renamed, renamed, copied, removed, replaced, linked]
