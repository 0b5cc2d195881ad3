"""Run `python -m edgeconnect_hf.cli` as `edgeconnect`."""

import sys

from . import main

sys.exit(main())
