"""The thousand things of ImageNet by name, in the order that published networks answer them."""

import importlib.util
from collections import Counter
from functools import cache
from pathlib import Path

from models.errors import UsageError

COUNT = 1000
# Names that the list gives to two things: a bird and a machine; two kinds of bathing dress.
_APART = {
    134: "crane (bird)",
    517: "crane (machine)",
    638: "maillot",
    639: "maillot (tank suit)",
}
SOURCE = "PaddleClas 2.6.0, ppcls/utils/imagenet1k_label_list.txt (Apache-2.0): each first name"


@cache
def labels() -> tuple[str, ...]:
    """A thousand different names: the first of each synset's, told apart where two are alike.

    Raises:
        UsageError: PaddleClas, whose list it is, is not installed or has another list.
    """
    found = importlib.util.find_spec("paddleclas")  # looked up, not imported: that takes seconds
    place = (
        Path(found.origin or "").parent / "ppcls/utils/imagenet1k_label_list.txt" if found else None
    )
    if place is None or not place.is_file():
        raise UsageError(
            "ImageNet's names are in the package paddleclas, which is not installed here. "
            "Install requirements.txt."
        )
    names = []
    for number, line in enumerate(place.read_text().splitlines()):
        index, _, synonyms = line.partition(" ")
        if index != str(number):
            raise UsageError(f"{place} is not in order at line {number + 1}. Install it again.")
        names.append(_APART.get(number, synonyms.split(", ")[0].strip()))
    if len(names) != COUNT or max(Counter(names).values()) > 1:
        raise UsageError(f"{place} does not name {COUNT} different things. Install it again.")
    return tuple(names)
