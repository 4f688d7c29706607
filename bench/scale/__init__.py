"""What one machine gives, measured and simulated, and what many would: docs/SCALE.md."""

import importlib.util
import sys

if importlib.util.find_spec("simpy") is None:
    sys.exit("bench.scale needs SimPy, which is in the tests' list. Run it by: make scale")
