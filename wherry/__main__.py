"""``python -m wherry`` is ``wherry``."""

from __future__ import annotations

import sys

from wherry.cli.start import main

sys.exit(main())
