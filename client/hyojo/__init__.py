"""Ask a Hyojo service what pictures show.

>>> from hyojo import Hyojo
>>> with Hyojo("http://127.0.0.1:8000") as hyojo:
...     hyojo.classify("photo.jpg").label
'happiness'
"""

from hyojo.answers import Explanation, Face, Model, Problem, Result, Size, Timings
from hyojo.client import Hyojo
from hyojo.errors import HyojoError

__version__ = "0.1.0"
__all__ = [
    "Explanation",
    "Face",
    "Hyojo",
    "HyojoError",
    "Model",
    "Problem",
    "Result",
    "Size",
    "Timings",
]
