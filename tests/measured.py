"""`sitrep`, and what its largest process had resident, in kilobytes.

python -m tests.measured FILE ARGUMENT…
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path


def main() -> None:
    # The system's own account of a finished child, which no polling can miss.
    status = subprocess.call([sys.executable, "-m", "crawler", *sys.argv[2:]])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(sys.argv[1]).write_text(str(peak))
    sys.exit(status)


if __name__ == "__main__":
    main()
