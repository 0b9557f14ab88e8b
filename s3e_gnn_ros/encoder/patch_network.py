"""The patch embedding: one patch in, one local descriptor out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

DESCRIPTOR_DIM = 128

# Of grey levels: a patch flatter than this is mostly noise, and stays small.
_MIN_CONTRAST = 2.0


class PatchNetwork(nn.Module):
    """Embeds grey patches one by one into unit descriptors.

    Differs from the paper, which feeds raw patches to the sparse convolutions or the transformer:
    here a small network that is trained on patch correspondences first turns each patch into a
    local descriptor (E = 128). Patches are normalised one by one, so that light and exposure
    leave the descriptor unchanged.

    Two convolutions whose stride equals their kernel (4, then 2), as products of matrices, which
    is several times faster on a CPU.

    Args:
        sampled_size_px: S, side of the sampled patches; a multiple of 8.
        num_scales: C, how many sizes of surroundings each patch shows, as its channels.
        width: channels after the first convolution.
        descriptor_dim: E.

    Shapes:
        - input: pixels (M, C, S, S) uint8 or float, grey levels.
        - output: (M, E) float32, unit length.
    """

    def __init__(
        self,
        sampled_size_px: int = 16,
        num_scales: int = 1,
        width: int = 64,
        descriptor_dim: int = DESCRIPTOR_DIM,
    ) -> None:
        super().__init__()
        num_cells = (sampled_size_px // 8) ** 2
        self.first = nn.Linear(4 * 4 * num_scales, width, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Linear(2 * 2 * width, 2 * width, bias=False)
        self.second_norm = nn.BatchNorm1d(2 * width)
        self.last = nn.Linear(num_cells * 2 * width, descriptor_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return descriptors (M, E) of patches (M, C, S, S)."""
        num = len(pixels)
        x = _fold(normalise_patches(pixels).permute(0, 2, 3, 1), 4)  # (M, S/4, S/4, 16 C)
        side = x.shape[1]
        x = functional.relu(self.first_norm(self.first(x.flatten(0, 2))))  # (M * (S/4)^2, w)
        x = _fold(x.view(num, side, side, -1), 2)  # (M, S/8, S/8, 4 w)
        x = functional.relu(self.second_norm(self.second(x.flatten(0, 2))))  # (M (S/8)^2, 2 w)
        return functional.normalize(self.last(x.reshape(num, -1)), dim=1)


def normalise_patches(pixels: Tensor) -> Tensor:
    """Give each channel of each patch (M, C, S, S) zero mean and unit contrast; float32."""
    patches = pixels.float()
    patches = patches - patches.mean(dim=(2, 3), keepdim=True)
    contrast = patches.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return patches / (contrast + _MIN_CONTRAST)


def _fold(x: Tensor, step: int) -> Tensor:
    """Put blocks of step x step pixels into the channels: (M, H, W, C) -> (M, H/s, W/s, s s C)."""
    num, height, width, channels = x.shape
    x = x.reshape(num, height // step, step, width // step, step, channels)
    return x.transpose(2, 3).flatten(3)
