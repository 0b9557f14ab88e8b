"""What an encoder learns in each stage, and how it is validated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from s3e_gnn_ros.evaluation.ranking import average_precision, max_recall_at_full_precision
from s3e_gnn_ros.training.correspondences import correspondences
from s3e_gnn_ros.training.local_loss import (
    close_patches,
    local_correspondence_loss,
    match_accuracy,
)
from s3e_gnn_ros.training.losses import (
    MAX_UNRELATED_OVERLAP,
    MIN_OVERLAP,
    bin_weights,
    info_nce,
    multi_similarity_loss,
    pair_overlap,
    shrinkage_loss,
)
from s3e_gnn_ros.training.train_config import StageConfig
from s3e_gnn_ros.training.view_dataset import ViewBatch


class EncoderTask(nn.Module):
    """The network under the losses of one stage.

    Args:
        network: an encoder: pixels (B, n, C, S, S), points_px (B, n, 2) -> embedding (B, D),
            descriptors (B, n, E).
        stage: 'local', 'global' or 'pairs', with its weights.
        validation: batches to measure on, at any time the same.
    """

    def __init__(
        self,
        network: nn.Module,
        stage: StageConfig,
        validation: Sequence[ViewBatch] = (),
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.metric = 'match_accuracy' if stage.name == 'local' else 'average_precision'
        self._stage = stage
        self._validation = validation
        self._has_patches = hasattr(network, 'patch_network')
        self._local_parts = ('patch_network', 'context') if stage.exchange else ('patch_network',)
        frozen = tuple(stage.frozen)
        for name, parameter in network.named_parameters():
            learns = stage.name != 'local' or name.startswith(self._local_parts)
            parameter.requires_grad_(learns and not name.startswith(frozen))

    def set_training(self) -> None:
        """Put into training mode what learns; batch norm of frozen parts keeps its statistics."""
        self.train()
        for module in self.network.children():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()

    def forward(self, batch: ViewBatch) -> dict[str, Tensor]:
        """Return 'loss' and its parts for a batch of groups."""
        batch = _draw_views(batch, self._stage.views)
        if self._stage.name == 'local':
            return {'loss': self._local(_per_group(self._describe(batch), batch), batch)}
        embeddings, descriptors = self.network(_pixels(batch), batch.points_px.flatten(0, 1))
        overlap, known = pair_overlap(batch.overlap)
        loss = self._global(embeddings.float(), overlap, known)
        if not self._has_patches or self._stage.losses.local_weight == 0.0:
            return {'loss': loss}
        local = self._local(_per_group(descriptors, batch), batch)
        total = loss + self._stage.losses.local_weight * local
        return {'loss': total, 'global': loss, 'local': local}

    def validate(self) -> dict[str, float]:
        """Return retrieval and matching accuracy over the validation batches."""
        device = next(self.network.parameters()).device
        results = [self._measure(batch.to(device)) for batch in self._validation]
        if not results:
            return {}
        values = {}
        if self._has_patches:
            accuracies = torch.stack([accuracy for accuracy, _, _ in results])
            values['match_accuracy'] = float(accuracies.nanmean())
        if self._stage.name == 'local':
            return values
        cosine = torch.cat([found for _, found, _ in results]).cpu().numpy()
        overlap = torch.cat([truth for _, _, truth in results]).cpu().numpy()
        clear = (overlap >= MIN_OVERLAP) | (overlap <= MAX_UNRELATED_OVERLAP)
        positive = overlap[clear] >= MIN_OVERLAP
        return values | {
            'average_precision': average_precision(cosine[clear], positive),
            'recall_at_full_precision': max_recall_at_full_precision(cosine[clear], positive),
            'mean_absolute_error': float(abs(cosine - overlap).mean()),
        }

    def _measure(self, batch: ViewBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return match accuracy, and cosine and overlap of all pairs that are known."""
        none = batch.overlap.new_zeros(0)
        if self._stage.name == 'local':
            descriptors = self._describe(batch)
            return self._accuracy(_per_group(descriptors, batch), batch), none, none
        embeddings, descriptors = self.network(_pixels(batch), batch.points_px.flatten(0, 1))
        accuracy = none
        if self._has_patches:
            accuracy = self._accuracy(_per_group(descriptors, batch), batch)
        overlap, known = pair_overlap(batch.overlap)
        known = known.triu()
        return accuracy, (embeddings @ embeddings.T)[known], overlap[known]

    def _describe(self, batch: ViewBatch) -> Tensor:
        """Return the descriptors (G * V, n, E) that the local stage trains."""
        descriptors: Tensor = self.network.describe(_pixels(batch))
        if self._stage.exchange:
            descriptors = self.network.exchange(descriptors, batch.points_px.flatten(0, 1))
        return descriptors

    def _global(self, embeddings: Tensor, overlap: Tensor, known: Tensor) -> Tensor:
        losses = self._stage.losses
        if self._stage.name == 'pairs':
            truth = overlap[known]
            weight = bin_weights(truth, losses.num_bins)
            cosine = (embeddings @ embeddings.T)[known]
            return shrinkage_loss(cosine, truth, losses.shrinkage_a, losses.shrinkage_c, weight)
        if losses.name == 'multi_similarity':
            return multi_similarity_loss(embeddings, overlap, known)
        return info_nce(embeddings, overlap, known, losses.temperature)

    def _local(self, descriptors: Tensor, batch: ViewBatch) -> Tensor:
        """Mean over the first view of each group (G, V, n, E) with all others, both directions."""
        losses = self._stage.losses
        terms = []
        for view in range(1, batch.pixels.shape[1]):
            for first, second in ((0, view), (view, 0)):
                matches, close = _truth(batch, first, second, losses.tolerance_px)
                found = descriptors[:, first].float(), descriptors[:, second].float()
                terms.append(
                    local_correspondence_loss(*found, matches, close, losses.local_temperature)
                )
        return torch.stack(terms).mean()

    def _accuracy(self, descriptors: Tensor, batch: ViewBatch) -> Tensor:
        px = self._stage.losses.tolerance_px
        terms = [
            match_accuracy(descriptors[:, 0], descriptors[:, view], *_truth(batch, 0, view, px))
            for view in range(1, batch.pixels.shape[1])
        ]
        return torch.stack(terms).nanmean()


def _truth(batch: ViewBatch, a: int, b: int, tolerance_px: float) -> tuple[Tensor, Tensor]:
    """Return matches (G, n) and close patches (G, n, n) of two views of each group."""
    landmarks, spacing = batch.landmarks, batch.spacing
    places = (landmarks[:, a], spacing[:, a], landmarks[:, b], spacing[:, b])
    extent = batch.sizes_px * spacing
    matches = correspondences(*places, tolerance_px, extent[:, a], extent[:, b])
    return matches, close_patches(*places, tolerance_px)


def _draw_views(batch: ViewBatch, num_views: int) -> ViewBatch:
    """Keep the first view of each group, which all others overlap, and some of the others."""
    if num_views == 0 or num_views >= batch.pixels.shape[1]:
        return batch
    others = 1 + torch.randperm(batch.pixels.shape[1] - 1)[: num_views - 1]
    views = torch.cat([torch.zeros(1, dtype=torch.long), others]).to(batch.pixels.device)
    per_view = ('pixels', 'points_px', 'sizes_px', 'landmarks', 'spacing', 'image_size')
    kept = {name: getattr(batch, name)[:, views] for name in per_view}
    return dataclasses.replace(batch, **kept, overlap=batch.overlap[:, views][:, :, views])


def _pixels(batch: ViewBatch) -> Tensor:
    """Return the patches of all views in one row (G * V, n, C, S, S)."""
    pixels: Tensor = batch.pixels
    return pixels.flatten(0, 1)


def _per_group(rows: Tensor, batch: ViewBatch) -> Tensor:
    """Undo :func:`_pixels`: (G * V, ...) -> (G, V, ...)."""
    groups, views = batch.pixels.shape[:2]
    return rows.view(groups, views, *rows.shape[1:])
