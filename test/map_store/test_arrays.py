import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.arrays import ArrayReader, pack_array

_DTYPES = st.sampled_from([np.uint8, np.uint16, np.int32, np.float16, np.float32, np.float64])
_ARRAYS = _DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))
)


@given(st.lists(_ARRAYS, max_size=4))
def test_arrays_come_back_bit_by_bit_in_their_order(arrays):
    reader = ArrayReader(b''.join(pack_array(a, a.dtype) for a in arrays))
    for array in arrays:
        found = reader.read(array.shape, array.dtype)
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert found.tobytes() == array.tobytes()
    reader.finish()


@pytest.mark.parametrize(
    ('array', 'most'),
    [
        (np.zeros(10_000), 110),  # deflated
        (np.linspace(1.0, 2.0, 10_000, dtype=np.float32), 30_000),  # shuffled
        (np.random.default_rng(0).integers(0, 256, 10_000, np.uint8), 10_005),  # as it is
    ],
)
def test_the_shortest_way_is_taken(array, most):
    assert len(pack_array(array, array.dtype)) <= most


def test_what_is_read_can_be_written_to():
    reader = ArrayReader(pack_array(np.zeros(3), np.float64))
    reader.read((3,), np.float64)[0] = 1


@pytest.mark.parametrize(
    'data',
    [
        b'',
        pack_array(np.zeros(3), np.float64)[:-1],
        pack_array(np.zeros(2), np.float64),
        pack_array(np.zeros(4), np.float64),
        struct.pack('<BI', 3, 24) + bytes(24),
        struct.pack('<BI', 0, 2**32 - 1) + bytes(24),
        struct.pack('<BI', 1, 5) + b'hello',
        # A bomb: ten megabytes of zeros.
        struct.pack('<BI', 1, len(zlib.compress(bytes(10**7)))) + zlib.compress(bytes(10**7)),
    ],
)
def test_wrong_bytes_are_refused(data):
    with pytest.raises(InputError, match='array'):
        ArrayReader(data).read((3,), np.float64)


def test_bytes_left_over_are_refused():
    reader = ArrayReader(pack_array(np.zeros(3), np.float64) + b'x')
    reader.read((3,), np.float64)
    with pytest.raises(InputError, match='1 bytes are left over'):
        reader.finish()
