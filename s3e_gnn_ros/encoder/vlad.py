"""Pooling of local descriptors: VLAD and a whitening projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class VladHead(nn.Module):
    """Pools the descriptors of one image into one embedding.

    Soft VLAD (Arandjelovic et al., NetVLAD, CVPR 2016): residuals to K centres, weighted by a
    soft assignment and by a learned weight per patch, summed, normalised per centre; then a
    linear projection that starts as PCA whitening. The descriptors are reduced first, by a
    projection that starts as PCA: for the same size, more centres are worth more than more
    dimensions.

    Differs from the paper, which averages over the patches.

    Args:
        descriptor_dim: E.
        num_centres: K.
        embedding_dim: D.
        reduced_dim: R, of the descriptors that are pooled.

    Shapes:
        - input: descriptors (B, n, E).
        - output: (B, D), unit length.
    """

    def __init__(
        self, descriptor_dim: int, num_centres: int, embedding_dim: int, reduced_dim: int = 64
    ) -> None:
        super().__init__()
        self.reduction = nn.Linear(descriptor_dim, reduced_dim, bias=False)
        self.centres = nn.Parameter(torch.randn(num_centres, reduced_dim))
        self.sharpness = nn.Parameter(torch.tensor(20.0))
        self.weight = nn.Linear(descriptor_dim, 1)
        self.projection = nn.Linear(num_centres * reduced_dim, embedding_dim)
        nn.init.zeros_(self.weight.weight)
        nn.init.zeros_(self.weight.bias)

    def forward(self, descriptors: Tensor) -> Tensor:
        """Return embeddings (B, D)."""
        return functional.normalize(self.projection(self.aggregate(descriptors)), dim=1)

    def aggregate(self, descriptors: Tensor) -> Tensor:
        """Return VLAD vectors (B, K * R), unit length, before the projection."""
        centres = self.centres
        reduced = self.reduce(descriptors)  # (B, n, R)
        # Squared distance without the part that all centres share.
        logits = reduced @ centres.T - 0.5 * centres.square().sum(dim=1)
        share = functional.softmax(self.sharpness * logits, dim=2)  # (B, n, K)
        share = share * (2.0 * torch.sigmoid(self.weight(descriptors)))
        summed = share.transpose(1, 2) @ reduced  # (B, K, R)
        residual = summed - share.sum(dim=1).unsqueeze(2) * centres
        residual = functional.normalize(residual, dim=2)
        return functional.normalize(residual.flatten(1), dim=1)

    def reduce(self, descriptors: Tensor) -> Tensor:
        """Return the descriptors (..., R), unit length, that are pooled."""
        return functional.normalize(self.reduction(descriptors), dim=-1)

    @torch.no_grad()
    def set_reduction(self, descriptors: Tensor) -> None:
        """Start as the principal directions of descriptors (N, E)."""
        centred = descriptors - descriptors.mean(dim=0)
        _, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
        self.reduction.weight.copy_(directions.flip(1)[:, : self.reduction.out_features].T)

    @torch.no_grad()
    def set_centres(self, centres: Tensor) -> None:
        """Start from k-means centres (K, R)."""
        self.centres.copy_(centres)

    @torch.no_grad()
    def set_whitening(self, vlads: Tensor, damping: float = 0.1) -> None:
        """Start the projection as PCA whitening of VLAD vectors (N, K * R).

        Args:
            vlads: of training images, more than D of them.
            damping: share of the D-th variance that is added to each, against noise in the
                weak directions.
        """
        mean = vlads.mean(dim=0)
        centred = vlads - mean
        dim = self.projection.out_features
        # The smaller of the two products has the same eigenvalues.
        if len(vlads) > vlads.shape[1]:
            variance, vectors = torch.linalg.eigh(centred.T @ centred / (len(vlads) - 1))
            directions = vectors.flip(1)[:, :dim].T
            variance = variance.flip(0)[:dim]
        else:
            _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
            variance = singular[:dim].square() / (len(vlads) - 1)
            directions = directions[:dim]
        scale = (variance + damping * variance[-1]).rsqrt()
        matrix = directions * scale[:, None]
        self.projection.weight.copy_(matrix)
        self.projection.bias.copy_(-matrix @ mean)
