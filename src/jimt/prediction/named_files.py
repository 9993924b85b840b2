"""The image files that words of a command line name: files, folders and globs."""

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jimt.config.patterns import Reading
from jimt.curation.listing import files_below, format_name
from jimt.errors import InputError
from jimt.prediction.image_files import FORMATS, HOW_TO_EXPORT, SUFFIXES
from jimt.prediction.parts import holds_prediction
from jimt.prediction.source_names import natural_key


@dataclass(frozen=True)
class NamedImage:
    """A file, the folder that was named above it, and what a pattern has read in its name."""

    path: Path
    base: Path
    reading: Reading | None = None

    @property
    def below(self) -> str:
        """Its path below that folder."""
        return self.path.relative_to(self.base).as_posix()


def images_named(words: Sequence[str], notes: list[str], *, out: Path | None) -> list[NamedImage]:
    """Every image that the words name, once, sorted by path as a person sorts.

    A file that is named is taken whatever its suffix, and may be refused when it is opened; in a folder, or by a glob,
    files of other kinds are passed over.

    Args:
        words: As they were typed. A file whose name holds the characters of a glob is that file.
        notes: What is passed over is added to it.
        out: Folder of answers, whose pictures are no images to be asked of; None for none.

    Raises:
        InputError: If a word names nothing, or no image is found.
    """
    passed_over: dict[str, list[str]] = {}
    links: list[str] = []
    answers: dict[Path, int] = {}
    found = [image for word in words for image in _of_word(word, passed_over, links, answers)]
    for name, paths in sorted(passed_over.items()):
        many = f"{len(paths)} files of {name} are" if len(paths) > 1 else f"1 file of {name} is"
        notes.append(f"{many} passed over, for example {paths[0]}: {HOW_TO_EXPORT}")
    for folder, n in answers.items():
        if out is None or folder.resolve() != out.resolve():
            notes.append(f"{n} images in {folder} are passed over: they are answers of a prediction")
    notes += links
    if out is not None:
        inside = [image for image in found if image.path.resolve().is_relative_to(out.resolve())]
        if inside and len(inside) == len(found):
            raise InputError(
                f"every image that was named lies in {out}, where the answers go",
                advice="give another folder",
                remedies=("--out FOLDER",),
            )
        those = {image.path for image in inside}
        found = [image for image in found if image.path not in those]
    if not found:
        raise InputError(
            f"there is no image in {' '.join(words) or 'what was named'} ({FORMATS} was looked for)",
            advice="name files of images, or folders that hold some",
            listed=tuple(notes),
        )
    found.sort(key=lambda image: (natural_key(image.path.as_posix()), str(image.path)))
    first: dict[Path, NamedImage] = {}
    for image in found:
        first.setdefault(image.path.resolve(), image)
    n_again = Counter(image.path.resolve() for image in {image.path.absolute(): image for image in found}.values())
    if again := [path for path, n in n_again.items() if n > 1]:
        notes.append(
            f"{len(again)} file{'s are' if len(again) > 1 else ' is'} named in several ways and taken once, "
            f"for example {first[again[0]].path}"
        )
    return list(first.values())


def _of_word(
    word: str, passed_over: dict[str, list[str]], links: list[str], answers: dict[Path, int]
) -> Iterator[NamedImage]:
    path = Path(word)
    if word and path.is_file():
        yield NamedImage(path, path.parent)
        return
    if word and path.is_dir():
        matches, base = [path], path
    else:
        matches = [Path(match) for match in sorted(glob.glob(word, recursive=True))]  # noqa: PTH207  # takes absolute ones
        base = _plain_part(path)
    if not matches:
        what = "nothing matches" if glob.has_magic(word) else "there is neither a file nor a folder"
        raise InputError(f"{what} {word or 'without a name'}", advice="check how it is spelt")
    for match in matches:
        in_folder = match.is_dir()
        for file in files_below(match, links=links) if in_folder else [match]:
            if file.suffix.lower() in SUFFIXES:
                above = (folder for folder in file.parents if folder != base and folder.is_relative_to(base))
                if (answer := next(filter(holds_prediction, above), None)) is not None:
                    answers[answer] = answers.get(answer, 0) + 1
                    continue
                yield NamedImage(file, base)
            elif (name := format_name(file)) is not None:
                passed_over.setdefault(name, []).append(str(file))


def _plain_part(path: Path) -> Path:
    """The folders of a glob before the first that holds a character of globs."""
    plain = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts[:-1]:
        if glob.has_magic(part):
            break
        plain /= part
    return plain
