"""The settings of DistillKit's compression, which its files do not hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kt_theory.dumps.layouts.bits import SIZES
from kt_theory.dumps.layouts.compression import Bin, Compressed, Curve, LegacyCompressed
from kt_theory.sources import read_utf8, require_file
from kt_theory.validation import LARGEST_COUNT, shown, true_or_false, whole_number

NAMES = ("compression_config.yaml", "compression_config.yml", "compression_config.json")
"""What DistillKit calls the file that it writes beside its own."""

_KEYS = ("logprob_compressor", "legacy_logit_compression")
"""Where the settings of a training run hold them, below `teacher`."""

_LARGEST_LABELS = 2**31 - 1


def beside(path: Path) -> Path | None:
    """Return the file of settings in the folder of a dump's file, or in the one above it."""
    folders = (path.resolve().parent, path.resolve().parent.parent)
    found = (folder / name for folder in folders for name in NAMES)
    return next((file for file in found if file.is_file()), None)


def compressed(path: Path) -> Compressed:
    """Return how rows of a file of settings are compressed."""
    held = _Held(path, _settings(path, _KEYS[0]))
    labels = held.whole("d", 1, _LARGEST_LABELS)
    listed = held.whole("k", 1, labels)
    exact = held.whole("exact_k", 0, listed)
    curve = Curve(
        tuple(_term(term, path) for term in held.take("polynomial_terms", None) or ()),
        held.kind("term_dtype"),
        held.switch("normalize_t", False),
    )
    bins = tuple(_bin(entry, path) for entry in held.take("residual_bins", ()))
    if sum(part.count for part in bins) > listed - exact:
        raise ValueError(f"{path}: residual_bins hold more than k - exact_k = {listed - exact}")
    held_kind = held.kind("exact_dtype")
    found = Compressed(
        labels, listed, exact, held_kind, curve, bins, held.switch("delta_encoding", True)
    )
    held.switch("error_diffusion", False)
    held.refuse_others()
    return found


def legacy(path: Path) -> LegacyCompressed:
    """Return how rows of a file of settings of the older kind are compressed."""
    held = _Held(path, _settings(path, _KEYS[1]))
    labels = held.whole("vocab_size", 1, _LARGEST_LABELS)
    listed = held.whole("k", 1, labels)
    exact = held.whole("exact_k", 0, listed)
    degree = held.whole("polynomial_degree", 0, 64)
    sign = -1.0 if held.switch("invert_polynomial", True) else 1.0
    powers = [sign * power for power in range(degree + 1)]
    if held.switch("with_sqrt_term", False):
        powers.append(0.5)
    held.kind("term_dtype")
    held.refuse_others()
    return LegacyCompressed(labels, listed, exact, tuple(powers))


class _Held:
    """Settings that are taken one by one."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.left = path, dict(settings)

    def take(self, name: str, default: Any = ...) -> Any:
        """Return a setting, or a default that is not ..."""
        value = self.left.pop(name, default)
        if value is ...:
            raise ValueError(f"{self.path}: {name!r} is missing")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """Return a whole number."""
        return self._checked(name, ..., lambda value: whole_number(value, name, low=low, high=high))

    def switch(self, name: str, default: bool) -> bool:
        """Return a truth value."""
        return self._checked(name, default, lambda value: true_or_false(value, name))

    def kind(self, name: str) -> str:
        """Return the name of a type."""
        return self._checked(name, "float32", lambda value: _kind(value, name))

    def refuse_others(self) -> None:
        """Refuse settings that nothing has taken: they may change what is stored."""
        if self.left:
            raise ValueError(f"{self.path}: unknown settings {', '.join(map(str, self.left))}")

    def _checked(self, name: str, default: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(self.take(name, default))
        except ValueError as error:
            text = str(error)
            raise ValueError(
                text if text.startswith(str(self.path)) else f"{self.path}: {text}"
            ) from None


def _kind(value: Any, name: str) -> str:
    if value not in SIZES:
        raise ValueError(f"{name} = {shown(value)}: must be one of {', '.join(SIZES)}")
    return str(value)


def _term(term: Any, path: Path) -> int | str:
    if term in ("sqrt", "exp"):
        return str(term)
    try:
        return whole_number(term, "polynomial_terms", low=0, high=64)
    except ValueError as error:
        raise ValueError(f"{path}: {error}, or 'sqrt' or 'exp'") from None


def _bin(entry: Any, path: Path) -> Bin:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{path}: residual_bins holds {shown(entry)}: must hold settings of bins")
    held = _Held(path, entry)
    found = Bin(
        held.kind("scale_dtype"),
        held.whole("element_bits", 1, 64),
        held.whole("num_elements", 1, LARGEST_COUNT),
    )
    held.refuse_others()
    return found


def _settings(path: Path, key: str) -> Mapping[str, Any]:
    found = _read(path)
    for name in ("teacher", key):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} holds {shown(found)}: must hold settings by name")
    return found


def _read(path: Path) -> Any:
    require_file(path)
    text = read_utf8(path, str(path))
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise ValueError(
            f"{path} needs PyYAML: pip install 'kt_theory[yaml]', or write it as JSON"
        ) from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is not YAML: {reason}") from None
