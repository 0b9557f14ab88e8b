"""Open a rosbag2 and read messages, with one-sentence errors whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from s3e_gnn_ros.data.bag_messages import message_types
from s3e_gnn_ros.data.messages import Message
from s3e_gnn_ros.errors import DropError, RecordingError

BAG_SUFFIXES = ('.mcap', '.db3')


class LoggedMessage(NamedTuple):
    """A message of a bag, not decoded yet."""

    topic: str
    msgtype: str
    log_ns: int
    data: bytes


class OpenBag:
    """A bag that is open for reading."""

    def __init__(self, path: Path, reader: Reader) -> None:
        """Keep the reader."""
        self._path = path
        self._reader = reader

    @property
    def connections(self) -> Sequence[Connection]:
        """One per topic and type that were recorded."""
        return self._reader.connections

    @property
    def start_ns(self) -> int:
        """Log time of the first message."""
        return self._reader.start_time

    @property
    def end_ns(self) -> int:
        """Log time just after the last message."""
        return self._reader.end_time

    def messages(self, topics: Sequence[str]) -> Iterator[LoggedMessage]:
        """Yield the messages of some topics in the order in which they were logged.

        Raises:
            RecordingError: the bag is damaged from here on.
        """
        chosen = [one for one in self.connections if one.topic in topics and one.msgcount]
        if not chosen:
            return
        messages = self._reader.messages(chosen)
        while True:
            try:
                connection, log_ns, data = next(messages)
            except StopIteration:
                return
            except Exception as err:  # a damaged bag can fail anywhere in its decoders
                raise RecordingError(_sentence(self._path, err)) from err
            yield LoggedMessage(connection.topic, connection.msgtype, log_ns, data)

    def decode(self, message: LoggedMessage) -> Message:
        """Decode a message of a standard type.

        The definitions in the bag are not used: they would cost 100 ms at each opening, and one
        custom type that rosbags cannot parse would make the whole bag unreadable.

        Raises:
            DropError: ``message_data``, when it is cut short or of another type than it says.
        """
        try:
            return message_types().deserialize_cdr(message.data, message.msgtype)
        except Exception as err:  # rosbags decodes with code it generates: any error is possible
            raise DropError(
                'message_data', f'message on {message.topic} cannot be decoded: {err}'
            ) from err


@contextmanager
def open_bag(path: Path) -> Iterator[OpenBag]:
    """Open a rosbag2 folder, or a single ``.mcap`` or ``.db3`` file.

    Raises:
        RecordingError: it is no bag, or damaged.
    """
    try:
        reader = Reader(path)
        reader.open()
    except Exception as err:  # see OpenBag.messages
        raise RecordingError(_sentence(path, err)) from err
    try:
        yield OpenBag(path, reader)
    finally:
        reader.close()


def is_bag(path: Path) -> bool:
    """Tell whether a path looks like a bag, whole or not."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(storage_files(path))
    return path.suffix in BAG_SUFFIXES


def storage_files(folder: Path) -> list[Path]:
    """Return the storage files in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in BAG_SUFFIXES)


def _sentence(path: Path, err: Exception) -> str:
    # Some of rosbags' errors are numbers or empty; their kind then says more.
    reason = (str(err).splitlines() or [''])[0].rstrip('.') or type(err).__name__
    return (
        f"cannot read bag '{path}': {reason} (if the recording was cut off, "
        "'ros2 bag reindex' or 'mcap recover' may save it)"
    )
