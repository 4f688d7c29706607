"""`python -m hyojo` is the command `hyojo`."""

import sys

from hyojo.command import main

sys.exit(main())
