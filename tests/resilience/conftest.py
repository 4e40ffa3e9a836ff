"""What happens when runs are killed and systems fail; against the stand-in, without root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))
