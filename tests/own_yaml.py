"""YAML of one's own, and what a run keeps of how it was started."""

from pathlib import Path


def write_overrides(run: Path, *overrides: str, folder: Path | None = None) -> None:
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
    if folder is not None:
        (run / ".hydra/hydra.yaml").write_text(
            "hydra:\n  runtime:\n    config_sources:\n"
            "    - {path: hydra.conf, schema: pkg, provider: hydra}\n"
            "    - {path: /somewhere/conf, schema: file, provider: main}\n"
            f"    - {{path: {folder}, schema: file, provider: command-line}}\n"
            "    - {path: '', schema: structured, provider: schema}\n"
        )


def write_dataset(folder: Path, root: Path, name: str = "our_lab") -> Path:
    (folder / "dataset").mkdir(parents=True)
    path = folder / "dataset" / f"{name}.yaml"
    path.write_text(
        f"""# @package _global_
defaults:
  - layout/pairs
  - _self_
dataset:
  name: {name}
  root: {root}
  pattern: ^(?P<raw_image_id>--(?P<group>W\\d+)--.*)--(?P<channel>Trans|PI).tif$
  brightfield: Trans
  fluorescence: PI
"""
    )
    return path
