"""`python -m edgeconnect_hf.cli`, the same as `edgeconnect`."""

import sys

from . import main

sys.exit(main())
