"""What every encoder network returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class EncoderOutput(NamedTuple):
    """What an encoder makes of B images of n patches.

    Attributes:
        embedding: (B, D) unit length.
        descriptors: (B, n, E) unit length, one per patch.
    """

    embedding: Tensor
    descriptors: Tensor
