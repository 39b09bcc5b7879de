"""How many rounds a test of chances makes: few in a test run, as many as one likes by hand."""

import os


def rounds(name: str, default: int) -> int:
    """The number that PGQ_FAULTS_<name> gives, else the default."""
    return int(os.environ.get(f"PGQ_FAULTS_{name}", default))
