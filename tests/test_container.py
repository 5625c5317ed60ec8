"""Container layout: every create/parse pair by its bytes, and one invalid case for each check."""

import numpy as np
import pytest
import xxhash

from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    FRAME_SIZE,
    LIMITED_BY,
    MODEL_FILE,
    PREFIX_SIZE,
    Frame,
    Index,
    Kind,
    check_payload,
    create_end,
    create_index,
    create_json,
    create_prefix,
    create_record,
    parse_end,
    parse_frame,
    parse_index,
    parse_json,
    parse_prefix,
)
from aecodec.errors import ChecksumError, FormatError, LimitError, NotAecodecError, TruncatedError, VersionError
from aecodec.limits import DEFAULT_LIMITS, Limits

ARRAY_PREFIX = bytes.fromhex("894145430d0a1a0a 0101 5a 00")
MODEL_PREFIX = bytes.fromhex("894145430d0a1a0a 0101 4d 00")
RECORD = bytes.fromhex("e7524543 03 00 0000 05000000 0300000000000000 990977adf52cbc44 0143d576 616263")


def index_of(offsets, starts, counts):
    return Index(*(np.array(column, np.int64) for column in (offsets, starts, counts)))


def framed(kind=3, flags=0, reserved=0, sequence=5, length=3):
    """A frame with a sound checksum whatever its fields hold."""
    fields = [b"\xe7REC", bytes([kind, flags]), reserved.to_bytes(2, "little"), sequence.to_bytes(4, "little")]
    frame = b"".join([*fields, length.to_bytes(8, "little"), bytes(8)])
    return frame + (xxhash.xxh64_intdigest(frame) & 0xFFFFFFFF).to_bytes(4, "little")


def test_prefixes_name_the_kind_of_file():
    assert create_prefix(ARRAY_FILE) == ARRAY_PREFIX
    assert create_prefix(MODEL_FILE) == MODEL_PREFIX
    assert len(ARRAY_PREFIX) == PREFIX_SIZE
    parse_prefix(ARRAY_PREFIX, ARRAY_FILE)
    parse_prefix(MODEL_PREFIX, MODEL_FILE)


def test_a_newer_minor_version_is_accepted():
    parse_prefix(ARRAY_PREFIX[:9] + b"\x07" + ARRAY_PREFIX[10:], ARRAY_FILE)


TRUSTED = "if the source is trusted, raise it: limits=aecodec.Limits({}=...)"


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", NotAecodecError, "not an aecodec file: it begins with nothing, not 89 41 45 43 0d 0a 1a 0a"),
        (b"PK\3\4rest of it", NotAecodecError, "not an aecodec file: it begins with 50 4b 03 04 72 65 73 74, not 89 41"),
        (b"\x89AEC\n\x1a\n\1\0Z\0\0", NotAecodecError, " (line ends were converted on the way: transfer it as binary)"),
        (ARRAY_PREFIX[:5], TruncatedError, "the file ends after 5 bytes, inside its first 12"),
        (ARRAY_PREFIX[:11], TruncatedError, "the file ends after 11 bytes, inside its first 12"),
        (
            ARRAY_PREFIX[:8] + b"\x02\x05Z\0",
            VersionError,
            "format version 2.5 is newer than 1.1; upgrade aecodec to read it",
        ),
        (ARRAY_PREFIX[:8] + b"\0\0Z\0", FormatError, "malformed file prefix 00 00 5a 00"),
        (ARRAY_PREFIX[:8] + b"\1\0Z\1", FormatError, "malformed file prefix 01 00 5a 01"),
        (MODEL_PREFIX, FormatError, "this is a model (.aecm), but an array (.aecz) is expected"),
        (ARRAY_PREFIX[:8] + b"\1\0Q\0", FormatError, "this is a file of unknown kind 81, but an array (.aecz) is expected"),
    ],
)
def test_a_prefix_that_is_not_one_is_refused(data, kind, message):
    with pytest.raises(kind) as caught:
        parse_prefix(data, ARRAY_FILE)
    assert type(caught.value) is kind
    assert message in str(caught.value)


def test_a_record_is_a_frame_and_its_payload():
    assert create_record(Kind.CHUNK, 5, b"abc") == RECORD
    frame = parse_frame(RECORD[:FRAME_SIZE])
    assert frame == Frame(kind=3, sequence=5, length=3, checksum=0x44BC2CF5AD770999)
    check_payload(frame, b"abc")


def test_sequence_numbers_wrap_at_32_bits():
    assert parse_frame(create_record(Kind.CHUNK, 2**32 + 7, b"")).sequence == 7


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (RECORD[:31], TruncatedError, "the file ends inside a record frame: 31 of 32 bytes"),
        (b"", TruncatedError, "the file ends inside a record frame: 0 of 32 bytes"),
        (b"\0" + RECORD[1:], FormatError, "no record here: found 00 52 45 43, a record begins with e7 52 45 43"),
        (RECORD[:4] + b"\x04" + RECORD[5:], ChecksumError, "record frame is damaged: its checksum does not match"),
        (RECORD[:28] + b"\0\0\0\0", ChecksumError, "record frame is damaged: its checksum does not match"),
        (framed(flags=1), VersionError, "record uses reserved bits (flags 1, reserved 0); upgrade aecodec to read it"),
        (framed(reserved=256), VersionError, "record uses reserved bits (flags 0, reserved 256); upgrade aecodec to read it"),
        (
            framed(kind=1, length=2**26 + 1),
            LimitError,
            "header record declares 67108865 bytes, at most 67108864 are allowed; " + TRUSTED.format("header_bytes"),
        ),
        (
            framed(kind=2, length=2**28 + 1),
            LimitError,
            "model record declares 268435457 bytes, at most 268435456 are allowed; " + TRUSTED.format("model_bytes"),
        ),
    ],
)
def test_a_frame_that_is_not_one_is_refused(data, kind, message):
    with pytest.raises(kind) as caught:
        parse_frame(data[:FRAME_SIZE])
    assert type(caught.value) is kind
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", LIMITED_BY)
def test_a_record_at_its_limit_is_accepted(kind):
    name, _ = LIMITED_BY[kind]
    limits = Limits(**{name: 1000})
    assert parse_frame(framed(kind=kind, length=1000), limits).length == 1000
    with pytest.raises(LimitError, match=rf"declares 1001 bytes, at most 1000 are allowed; .*Limits\({name}=\.\.\.\)"):
        parse_frame(framed(kind=kind, length=1001), limits)
    assert parse_frame(framed(kind=kind, length=getattr(DEFAULT_LIMITS, name))).kind == kind


@pytest.mark.parametrize("kind", LIMITED_BY)
def test_a_record_that_readers_would_refuse_is_not_written(kind):
    name, remedy = LIMITED_BY[kind]
    assert len(create_record(kind, 0, b"x" * 9, limits=Limits(**{name: 9}))) == FRAME_SIZE + 9
    with pytest.raises(LimitError) as caught:
        create_record(kind, 0, b"x" * 10, limits=Limits(**{name: 9}))
    assert str(caught.value) == f"{kind.name.lower()} record would have 10 bytes, at most 9 are allowed; {remedy}"


@pytest.mark.parametrize("byte", range(FRAME_SIZE))
def test_any_changed_byte_of_a_frame_is_noticed(byte):
    damaged = bytearray(RECORD[:FRAME_SIZE])
    damaged[byte] ^= 0x10
    with pytest.raises(FormatError):
        parse_frame(bytes(damaged))


def test_a_payload_cut_short_or_changed_is_refused():
    frame = parse_frame(RECORD[:FRAME_SIZE])
    with pytest.raises(TruncatedError) as cut:
        check_payload(frame, b"ab")
    assert str(cut.value) == "record 5 has 2 of its 3 bytes; the file was cut off"
    with pytest.raises(ChecksumError) as damaged:
        check_payload(frame, b"abd")
    assert str(damaged.value) == "record 5 is damaged: its checksum does not match"


def test_an_index_by_its_bytes():
    assert create_index(index_of([], [], [])).hex() == "00" + "0103" * 3
    stored = bytes.fromhex("01" + "09030c00000000000000" + "09030000000000000000" + "09030700000000000000")
    assert create_index(index_of([12], [0], [7])) == stored
    parsed, previous = parse_index(stored)
    assert previous == 0
    assert [column.tolist() for column in (parsed.offsets, parsed.starts, parsed.counts)] == [[12], [0], [7]]


def test_an_index_lists_no_more_chunks_than_the_file_has_room_for():
    stored = create_index(index_of([12] * 5, range(5), [1] * 5))
    assert parse_index(stored, 5)[0].counts.tolist() == [1] * 5
    with pytest.raises(FormatError, match="value 5 at offset 1 is above its limit 4"):
        parse_index(stored, 4)


def test_an_index_names_the_one_before():
    stored = create_index(index_of([400], [7], [7]), previous=300)
    assert stored.hex().endswith("ac02")
    assert parse_index(stored)[1] == 300


def test_a_long_index_comes_back_in_a_byte_or_two_a_chunk():
    starts = np.arange(10_000) * 16
    index = index_of(np.cumsum(np.random.default_rng(0).integers(3000, 3064, 10_000)), starts, np.full(10_000, 16))
    stored = create_index(index)
    assert len(stored) < 20_000
    parsed, previous = parse_index(stored)
    assert previous == 0
    for column in ("offsets", "starts", "counts"):
        assert np.array_equal(getattr(parsed, column), getattr(index, column))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("01" + "0903ffffffffffffffff" + "09030000000000000000" * 2, "index holds negative numbers"),
        ("00" + "0103" * 3 + "0c00", "1 unexpected bytes after the end at offset 8"),
        ("02" + "09030c00000000000000" * 3, "stored chunk has 8 bytes, 16 are needed"),
        ("8080808001", "value 268435456 at offset 5 is above its limit 134217728"),
    ],
)
def test_an_index_that_is_not_one_is_refused(stored, message):
    with pytest.raises(FormatError) as caught:
        parse_index(bytes.fromhex(stored))
    assert str(caught.value) == message


def test_every_truncation_of_an_index_is_a_format_error():
    stored = create_index(index_of([12, 99], [0, 7], [7, 7]))
    for size in range(len(stored)):
        with pytest.raises(FormatError):
            parse_index(stored[:size])


def test_an_end_by_its_bytes():
    stored = bytes.fromhex("6400000000000000 9c00000000000000 414543454e440d0a")
    assert create_end(100, 156) == stored
    assert parse_end(stored) == (100, 156)
    assert len(create_record(Kind.END, 9, stored)) == END_SIZE == 56


@pytest.mark.parametrize(
    ("stored", "message"),
    [(bytes(23), "end record has 23 bytes, not 24"), (bytes(24), "end record lacks its magic")],
)
def test_an_end_that_is_not_one_is_refused(stored, message):
    with pytest.raises(FormatError) as caught:
        parse_end(stored)
    assert str(caught.value) == message


def test_json_is_canonical():
    assert create_json({"b": 1.5, "a": [None, "é"]}) == '{"a":[null,"é"],"b":1.5}'.encode()
    assert parse_json(b'{"a":[null],"b":1.5}') == {"a": [None], "b": 1.5}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"{", "malformed JSON: Expecting property name"),
        (b"\xff\xfe", "malformed JSON: "),
        (b"[" * 100_000, "malformed JSON: "),
        (b"[1]", "JSON object expected, found list"),
        (b'{"a":1,"a":2}', "malformed JSON: duplicate key"),
        (b'{"a":NaN}', "malformed JSON: NaN is not allowed"),
        (b'{"a":-Infinity}', "malformed JSON: -Infinity is not allowed"),
    ],
)
def test_json_that_is_not_an_honest_object_is_refused(stored, message):
    with pytest.raises(FormatError) as caught:
        parse_json(stored)
    assert str(caught.value).startswith(message)


def test_json_that_cannot_be_canonical_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        create_json({"a": float("nan")})
