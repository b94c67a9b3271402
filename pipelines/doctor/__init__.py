"""Every part held against the others, and against its own sums; nothing is written."""

from pipelines.doctor.examine import examine
from pipelines.doctor.findings import Finding

__all__ = ["Finding", "examine"]
