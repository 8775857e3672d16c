"""An access level: what a query shows of a row, through which channel, and of which rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access.channel import AsIs, Channel
from kt_theory.access.reach import OwnRow, Reach
from kt_theory.access.shows import Shows, Told

_AS_IS, _OWN_ROW = AsIs(), OwnRow()


class AccessError(ValueError):
    """A student needs more than the access level reveals."""


@dataclass(frozen=True)
class Access:
    """What one query reveals of the teacher besides the pair (s, a) itself.

    Levels of equal parts are equal.

    Attributes
    ----------
    shows : Shows
        What of a row, see `kt_theory.access.shows`.
    channel : Channel
        How the revealed probabilities are shown, see `kt_theory.access.channel`.
    reach : Reach
        Which rows, see `kt_theory.access.reach`.
    name : str
        As in tables; that of the parts if omitted.
    description : str
        What one query returns; that of the parts if omitted.
    """

    shows: Shows
    channel: Channel = _AS_IS
    reach: Reach = _OWN_ROW
    name: str = field(default="", compare=False)
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        base, text = (
            self.reach.name or self.shows.name,
            self.reach.description or self.shows.description,
        )
        if self.channel.name:
            base, text = f"{self.channel.name} {base}", f"{text}; {self.channel.description}"
        object.__setattr__(self, "name", self.name or base)
        object.__setattr__(self, "description", self.description or text)

    @property
    def everywhere(self) -> bool:
        """Whether one query, wherever it falls, reveals every row."""
        return self.reach.everywhere

    @property
    def plain(self) -> Access:
        """The level with probabilities shown as they are."""
        return Access(self.shows, reach=self.reach)

    @property
    def beyond_row(self) -> bool:
        """Whether a query reveals more than the row of its input."""
        return self.reach != OwnRow()

    def revealed(self, labels: int) -> int:
        """Return how many log-probabilities an answer of a row of A `labels` holds; 0 where inputs
        differ in that.
        """
        return 0 if self.beyond_row else self.shows.revealed(labels)

    @property
    def told(self) -> Told | None:
        """What records hold of the level, None where they do not say what it would reveal."""
        plain = self.channel == AsIs() or self.recovers
        return self.shows.told if plain and not self.beyond_row else None

    @property
    def unaltered(self) -> bool:
        """Whether probabilities are shown as they are, if any are shown."""
        return self.channel == AsIs() and not self.shows.parts

    @property
    def settled(self) -> bool:
        """Whether one answer reveals all that any number of answers of its row do."""
        return self.shows.settled or self.shows.whole

    @property
    def recovers(self) -> bool:
        """Whether the row of an input can be computed from one answer of it."""
        return self.shows.whole and self.channel.undone

    @property
    def alike(self) -> bool:
        """Whether equal rows are shown alike, each by its own queries, so that their answers can be
        put together.
        """
        return self.channel.alike and self.reach.alone and not self.shows.parts

    @property
    def for_kernels(self) -> tuple[bool, bool, bool, int, float, bool]:
        """What the kernels must know: own, greedy, parts, top, sigma, everywhere."""
        shows = self.shows
        return (
            shows.own,
            not shows.draws,
            shows.parts,
            shows.top,
            self.channel.sigma,
            self.everywhere,
        )

    def covers(self, other: Access) -> bool:
        """Return whether every answer of `other` can be computed from an answer of this level (a
        garbling of it).
        """
        ordered = self.channel.keeps_order
        return (
            self.shows.covers(other.shows, ordered=ordered)
            and self.channel.gives_labels(other.channel)
            and self._gives_weights(other)
            and self.reach.covers(other.reach)
        )

    def _gives_weights(self, other: Access) -> bool:
        whole = self.shows.whole
        if other.shows.parts and not self.shows.parts:
            return whole and self.channel.keeps_order
        if not other.shows.top and not other.shows.own:
            return True
        return self.channel.gives(other.channel, whole=whole)

    def balls(self, inputs: int) -> Any:
        """Return the (S, S) boolean csr_array whose row s marks the inputs whose query reveals row
        s.

        Of a level that reveals every row (`everywhere`) it has S^2 entries: use the flag where S is
        large.

        Raises
        ------
        BallsTooLarge
            Before more than `kt_theory.graphs.MOST_ENTRIES` entries would have to be worked
            through.
        """
        return self.reach.balls(inputs)

    def refuse_impossible(self, pi: np.ndarray) -> None:
        """Raise ValueError if no teacher of table pi (S, A) can answer so: a Jacobian needs affine
        logits.
        """
        self.reach.refuse_impossible(pi)

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) that an answer shows in place of the probabilities pi (S, A),
        without noise.
        """
        return self.channel.shown(pi)

    def seen_counts(
        self, counts: ArrayLike, pi: ArrayLike, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return the counts (S, A) as a student sees them: a greedy query returns the most probable
        label, and a confusion matrix others than were drawn.

        Parameters
        ----------
        counts : array_like, (S, A)
        pi : array_like, (S, A)
        rng : numpy.random.Generator, optional
            Which label comes back as which, where labels are mixed.
        """
        answered = self.shows.answered(np.asarray(counts), np.asarray(pi))
        confusion = self.channel.confusion(answered.shape[1])
        if confusion is None:
            return answered
        self._refuse_without(rng)
        assert rng is not None
        mixed = rng.multinomial(answered.astype(np.int64), confusion)
        return np.asarray(mixed.sum(axis=1))

    def _refuse_without(self, rng: np.random.Generator | None) -> None:
        if rng is None:
            raise ValueError(
                f"rng = None: access {self.name!r} is noisy; give a numpy.random.Generator"
            )

    def reveal(
        self, counts: ArrayLike, pi: ArrayLike, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return what a transfer set reveals of the teacher's table.

        Parameters
        ----------
        counts : array_like, (S, A)
            How often each (input, label) pair was sampled.
        pi : array_like, (S, A)
            The teacher's table.
        rng : numpy.random.Generator, optional
            Where the noise of a noisy level comes from. A weight that k queries revealed is the
            geometric mean of what they showed: its log-probability plus noise / sqrt(k).

        Returns
        -------
        (S, A) array: what is shown of pi where it is revealed, NaN where it is hidden.
        """
        counts, pi = np.asarray(counts), np.asarray(pi, dtype=np.float64)
        self.refuse_impossible(pi)
        visits = counts.sum(axis=1)
        reached = self.reach.reached(visits)
        revealed = self.shows.marked(counts, pi, reached)
        weights = self.shows.weights(counts, pi, self.shown(pi))
        if self.channel.sigma > 0.0:
            self._refuse_without(rng)
            assert rng is not None
            ranked = self.shows.ranked(pi, reached)
            answers = np.maximum(np.where(ranked, visits[:, None], counts), 1)
            weights = weights * np.exp(
                self.channel.sigma * rng.standard_normal(pi.shape) / np.sqrt(answers)
            )
        return np.where(revealed, weights, np.nan)

    def answers(
        self, counts: np.ndarray, tables: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts as seen and what is revealed, (R, S, A) both, of counts drawn from
        tables (R, S, A).
        """
        if self.reach.alone:
            # Rows do not see each other: all tables are one tall one.
            flat, rows = (array.reshape(-1, array.shape[-1]) for array in (counts, tables))
            seen, revealed = self.seen_counts(flat, rows, rng), self.reveal(flat, rows, rng)
            return seen.reshape(counts.shape), revealed.reshape(counts.shape)
        pairs = list(zip(counts, tables, strict=True))
        seen = np.array([self.seen_counts(count, table, rng) for count, table in pairs])
        return seen, np.array([self.reveal(count, table, rng) for count, table in pairs])

    def refuse_unrecorded(self, student: str) -> None:
        """Raise AccessError if records of labels and log-probabilities hold no such answers.

        Parameters
        ----------
        student : str
            The name of who needs them.
        """
        others = (
            f" needs access {self.name!r} ({self.description}): records of sampled labels and "
            "log-probabilities show others; take 'ce_sgl', 'sel_ptl', 'ce_ful' or top_k"
        )
        kind = self.channel.name.partition("(")[0]
        parts = f": of records that show {kind} probabilities, whole rows alone can be undone"
        undone = self.shows.whole or self.channel == AsIs()
        why = (
            self.reach.unrecorded
            or ("" if self.shows.recorded else others)
            or self.channel.unrecorded
            or ("" if undone else parts)
        )
        if why:
            raise AccessError(f"student {student!r}{why}")

    def __repr__(self) -> str:
        return f"Access({self.name}: {self.description})"
