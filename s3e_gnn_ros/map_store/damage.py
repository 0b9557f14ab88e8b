"""What a damaged file is told by, before the name of the map is known."""

from s3e_gnn_ros.errors import InputError


class DamageError(InputError):
    """Bytes of a map that cannot be what was written; says how, not where."""
