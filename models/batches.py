"""How many crops a network is given at once."""

SIZES = (1, 4)
"""The only batch sizes a network ever sees. A new shape's first call takes ten times a warm one's,
and for each oneDNN lays the weights out anew. Other numbers go as fours and ones: which is quicker
than an eight, and than a four that is not full."""


def sizes(largest: int) -> tuple[int, ...]:
    """Those of at most `largest` crops (1 or more), smallest first."""
    return tuple(size for size in SIZES if size <= largest)
