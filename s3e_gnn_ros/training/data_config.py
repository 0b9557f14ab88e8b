"""What a training set is built from, as read from ``config/train/data_*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.simulation.picture_folder import load_pictures
from s3e_gnn_ros.simulation.scene import Scene
from s3e_gnn_ros.simulation.scenes import open_scene
from s3e_gnn_ros.training.build import GroupSource, build_training_set
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.photo_views import PhotoGroups, PhotoViewOptions
from s3e_gnn_ros.training.photos import list_photos, split_photos
from s3e_gnn_ros.training.rendered_views import RenderedGroups, RenderedViewOptions, World
from s3e_gnn_ros.training.section import Section, value
from s3e_gnn_ros.training.view_maker import PatchOptions

SPLITS = ('all', 'train', 'validation')
SOURCES = ('photos', 'worlds', 'sequences')


@dataclass(frozen=True)
class PhotoSplitConfig(Section):
    """Photographs.

    Attributes:
        folder: searched at any depth.
        split: which part of it; photographs of one site stay together.
        validation_share: of the sites.
        seed: of the split; the same for both parts.
    """

    folder: str = ''
    split: str = value('train', choices=SPLITS)
    validation_share: float = value(0.15, minimum=0.0, maximum=1.0)
    seed: int = value(0, minimum=0)


@dataclass(frozen=True)
class WorldConfig(Section):
    """Worlds to render.

    Attributes:
        files: GLB files.
        buildings: number of procedural buildings beside them.
        first_building: seed of the first; training and validation take different ones.
        pictures: folder of pictures for the walls of every second building (odd seeds); empty:
            drawn ones everywhere.
        groups_per_world: groups of one world before the next has its turn.
        max_depth_m: what is farther away counts as unknown.
    """

    files: tuple[str, ...] = ()
    buildings: int = value(0, minimum=0)
    first_building: int = value(0, minimum=0)
    pictures: str = ''
    groups_per_world: int = value(32, minimum=1)
    max_depth_m: float = value(20.0, minimum=0.1)


@dataclass(frozen=True)
class SceneConfig(Section):
    """One scene for embedding sequences.

    Attributes:
        name: of the scene, and of its file.
        recordings: two runs in one world frame, or one, whose halves are the two runs.
    """

    name: str = ''
    recordings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequenceDataConfig(Section):
    """Embedding sequences for the GNN.

    Attributes:
        weights: file or packaged name of the encoder.
        scenes: recordings of each.
        num_degraded: degraded copies of each image.
    """

    weights: str = ''
    scenes: tuple[SceneConfig, ...] = ()
    num_degraded: int = value(1, minimum=0)


@dataclass(frozen=True)
class DataBuildConfig(Section):
    """A training set.

    Attributes:
        source: 'photos' or 'worlds' for groups of views, 'sequences' for the GNN.
        num_groups: groups of views to make.
        num_views: V, per group.
        seed: of everything random.
        workers: processes; the result does not depend on it.
        patches: how patches are cut, as the encoder to be trained takes them.
        degradation: what happens to each view.
        photos: of the source 'photos'.
        worlds: of the source 'worlds'.
        sequences: of the source 'sequences'.
    """

    source: str = value('photos', choices=SOURCES)
    num_groups: int = value(1024, minimum=1)
    num_views: int = value(4, minimum=2)
    seed: int = value(0, minimum=0)
    workers: int = value(1, minimum=1)
    patches: PatchOptions = field(default_factory=PatchOptions)
    degradation: Degradation = field(default_factory=Degradation)
    photos: PhotoSplitConfig = field(default_factory=PhotoSplitConfig)
    worlds: WorldConfig = field(default_factory=WorldConfig)
    sequences: SequenceDataConfig = field(default_factory=SequenceDataConfig)


def build_views(config: DataBuildConfig, folder: Path) -> dict[str, Any]:
    """Build a training set of views.

    Raises:
        ConfigError: the source names nothing.
        InputError: the folder holds something, or an image or world cannot be read.
    """
    source = _photo_source(config) if config.source == 'photos' else _world_source(config)
    shards = build_training_set(source, folder, config.num_groups, workers=config.workers)
    return {
        'data': str(folder),
        'num_groups': len(shards),
        'num_scenes': len(set(shards.scenes)),
        'num_bytes': sum(file.stat().st_size for file in folder.iterdir()),
    }


def _photo_source(config: DataBuildConfig) -> GroupSource:
    photos = list_photos(Path(config.photos.folder))
    if config.photos.split != 'all':
        parts = split_photos(photos, config.photos.validation_share, config.photos.seed)
        photos = parts[SPLITS.index(config.photos.split) - 1]
    options = PhotoViewOptions(
        num_views=config.num_views,
        patches=config.patches,
        degradation=config.degradation,
        seed=config.seed,
    )
    return PhotoGroups(photos, options)


def _world_source(config: DataBuildConfig) -> GroupSource:
    worlds = config.worlds
    made = [World(Path(f).stem, partial(open_scene, f, config.seed)) for f in worlds.files]
    seeds = range(worlds.first_building, worlds.first_building + worlds.buildings)
    made += [World(f'building {s}', partial(_building, s, worlds.pictures)) for s in seeds]
    if not made:
        raise ConfigError('worlds names neither files nor buildings')
    options = RenderedViewOptions(
        num_views=config.num_views,
        groups_per_world=worlds.groups_per_world,
        max_depth_m=worlds.max_depth_m,
        patches=config.patches,
        degradation=config.degradation,
        seed=config.seed,
    )
    return RenderedGroups(made, options)


def _building(seed: int, pictures: str) -> Scene:
    folder = load_pictures(Path(pictures)) if pictures and seed % 2 else None
    return open_scene('building', seed, folder)


def build_sequences(config: DataBuildConfig, folder: Path) -> dict[str, Any]:
    """Build one embedding sequence per scene; those that are there already are kept.

    Raises:
        ConfigError: no scenes.
        InputError: the weights or a file cannot be read or written.
        RecordingError: a recording lacks depth or true poses.
    """
    from s3e_gnn_ros.data.open_recording import open_recording
    from s3e_gnn_ros.encoder.encoder import load_encoder
    from s3e_gnn_ros.evaluation.files import make_directory
    from s3e_gnn_ros.training.embed_recordings import embed_recordings
    from s3e_gnn_ros.training.sequences import save_sequence

    scenes = config.sequences.scenes
    if not scenes:
        raise ConfigError('sequences.scenes names no recordings')
    make_directory(folder)
    encoder = load_encoder(config.sequences.weights)
    counts = {}
    for number, scene in enumerate(scenes):
        path = folder / f'{number:02d}_{scene.name}.npz'  # a scene may have several recordings
        if path.exists():
            continue
        runs = [open_recording(Path(recording)) for recording in scene.recordings]
        sequence = embed_recordings(
            scene.name,
            runs,
            encoder,
            num_degraded=config.sequences.num_degraded,
            seed=config.seed,
        )
        save_sequence(path, sequence)
        counts[path.stem] = len(sequence.run)
    return {'data': str(folder), 'num_keyframes': counts}
