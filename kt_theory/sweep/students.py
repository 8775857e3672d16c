"""The students of a specification; of those of one's own what a folder keeps, so that nothing is
imported where results are only looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kt_theory import catalogue
from kt_theory.access import WHOLE_ROW
from kt_theory.sweep import recipes
from kt_theory.validation import shown

_KEYS = {"recipe", "access", "top", "sizes"}


@dataclass(frozen=True)
class Swept:
    """A student of a sweep.

    Attributes
    ----------
    recipe : dict
    name, access : str
        How tables call it and its level.
    imported : bool
        Whether it is, or is made of, one that is imported.
    top : int
        How many top labels its level shows, and `sizes` the inputs and labels that it is for, None
        where any will do: of one that is imported.
    """

    recipe: dict[str, Any]
    name: str
    access: str
    imported: bool = False
    top: int = 0
    sizes: tuple[int | None, ...] = (None, None)

    @classmethod
    def read(cls, entry: Any, folder: Path = Path()) -> Swept:
        """Return the student of a name, a table, or what `kept` returned; files and modules are
        looked for in `folder` too.
        """
        if isinstance(entry, Mapping) and "recipe" in entry:
            return cls._of_kept(entry)
        recipe = catalogue.student_recipe(entry, folder)
        name, access = catalogue.name_of(recipe), catalogue.student_access(recipe)
        if not catalogue.is_imported(recipe):
            return cls(recipe, name, access)
        built = catalogue.build_student(recipe)
        sizes = built.sizes if built.prior is None else built.prior.shape
        return cls(recipe, name, access, True, int(built.access.shows.top), tuple(sizes))

    @classmethod
    def _of_kept(cls, entry: Mapping[str, Any]) -> Swept:
        if set(entry) != _KEYS or not isinstance(entry["recipe"], Mapping):
            raise ValueError(f"students: {shown(entry)}: must be a name, or a table with `name`")
        recipe, sizes = dict(entry["recipe"]), tuple(entry["sizes"])
        name = catalogue.name_of(recipe)
        return cls(recipe, name, entry["access"], True, entry["top"], sizes)

    @property
    def kept(self) -> dict[str, Any]:
        """What a specification holds of one that is imported."""
        facts = {"access": self.access, "top": self.top, "sizes": list(self.sizes)}
        return {"recipe": self.recipe, **facts}

    def served(self, levels: Sequence[Any]) -> bool:
        """Return whether one of several levels serves it."""
        return catalogue.granted(levels, self.recipe, self.access if self.imported else None)

    def misfit(self, teacher: Mapping[str, Any]) -> str:
        """Return why it is not for this teacher, such as more top labels than there are; empty if
        it is.
        """
        if self.recipe["name"] == "grad_ful":
            return ""
        built = None if self.imported else catalogue.build_student(self.recipe, 1)
        k = self.top if built is None else built.access.shows.top
        labels = recipes.shape(teacher)[1] if 0 < k < WHOLE_ROW else k
        if k > labels:
            return f"k = {k}: must be at most {labels}, the number of labels"
        if built is None:
            return self._other_sizes(teacher)
        if any(built.sizes) or built.prior is not None:
            shape = recipes.shape(teacher)
            try:
                built.refuse_other_sizes(shape)
                built.before(shape)
            except ValueError as error:
                return str(error)
        return ""

    def _other_sizes(self, teacher: Mapping[str, Any]) -> str:
        if not any(self.sizes):
            return ""
        shape = recipes.shape(teacher)
        for what, known, given in zip(("inputs", "labels"), self.sizes, shape, strict=True):
            if known not in (None, given):
                return (
                    f"student {self.name!r}: what it knows is about {known} {what}: the teacher "
                    f"has {given}"
                )
        return ""


def students_of(named: Sequence[Any], levels: Sequence[Any] | None, *, asked: bool) -> list[Swept]:
    """Return the students of a specification, those that the levels granted serve.

    Parameters
    ----------
    named : sequence
    levels : sequence or None
        None: every level.
    asked : bool
        Whether the specification names its students: one that no level serves is then refused.
    """
    found = [Swept.read(entry) for entry in named]
    if levels is not None:
        served = [student for student in found if student.served(levels)]
        refused = [student for student in found if student not in served]
        if refused and (asked or not served):
            raise ValueError(
                f"student {refused[0].name!r} needs access {refused[0].access!r}: access = "
                f"{list(levels)} grants less"
            )
        found = served
    labels = [student.name for student in found]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"students: {label!r} stands there twice")
    return found


def placed(entry: Any, folder: Path) -> Any:
    """Return an entry of `students` with its files and modules looked for in `folder`."""
    student = Swept.read(entry, folder)
    return student.kept if student.imported else catalogue.located(entry, folder)
