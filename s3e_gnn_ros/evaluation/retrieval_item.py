"""One image as retrieval methods see it in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from s3e_gnn_ros.types import Features, Frame


@dataclass(frozen=True, eq=False)
class Item:
    """A query or an image of the database.

    Attributes:
        frame: the image, degraded where it is a query of such a variant, with its pose and depth
            where they are known. A method must look at neither ``T_world_camera`` nor depth.
        features: 1,000 ORB features of that image, shared by all methods.
        source: recording or folder it comes from, as its whole path: base names may be equal.
            Items of one source are one drive: the item with the next lower ``index`` is its
            predecessor. Shown nowhere.
        index: place in the order of its source, from 0.
        name: folder and file, or recording and stamp; the key of label files.
    """

    frame: Frame
    features: Features
    source: str
    index: int
    name: str

    @property
    def stamp_ns(self) -> int:
        """Stamp of its frame."""
        return self.frame.stamp_ns
