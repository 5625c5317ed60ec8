"""Hostile .npy input of the command: files and pipes whose headers lie are refused by a typed error, and nothing is unpickled."""

import io
import pickle

import numpy as np
import pytest

from aecodec.api.files import load_npy
from aecodec.cli.inputs import read_source
from aecodec.errors import AecodecError


def npy(header, content=b"", version=1):
    """A .npy file with this text as its header."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + content


def fields(descr="'<f4'", order="False", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


class Trap:
    """Unpickling this would tell."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def objects():
    out = io.BytesIO()
    np.save(out, np.array([Trap()], object), allow_pickle=True)
    return out.getvalue()


HOSTILE = {
    "nothing": b"",
    "only a magic": b"\x93NUMPY",
    "a future version": b"\x93NUMPY\x09\x00" + b"\x00" * 20,
    "no header": npy(""),
    "a pickle": pickle.dumps(Trap()),
    "objects": objects(),
    "a dict of nothing": npy("{}"),
    "a list": npy("[]"),
    "code": npy("__import__('os').system('true')"),
    "brackets": npy("(" * 9000),
    "a long header": npy(fields() + " " * 60000),
    "a header longer than the file": b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b"{",
    "a shape of 2**60": npy(fields(shape="(2**60,)")),
    "a huge shape": npy(fields(shape="(1152921504606846976, 8)"), b"\x00" * 12),
    "a shape beyond 64 bits": npy(fields(shape="(4611686018427387904, 4611686018427387904)"), b"\x00" * 12),
    "a negative shape": npy(fields(shape="(-3,)"), b"\x00" * 12),
    "two negatives": npy(fields(shape="(-3, -1)"), b"\x00" * 12),
    "a negative row": npy(fields(shape="(3, -1)"), b"\x00" * 12),
    "a shape of text": npy(fields(shape="'abc'"), b"\x00" * 12),
    "no tuple": npy(fields(shape="3"), b"\x00" * 12),
    "fortran of 2**60": npy(fields(order="True", shape="(1152921504606846976, 1)"), b"\x00" * 12),
    "an unknown dtype": npy(fields("'<f3'"), b"\x00" * 12),
    "a structure": npy(fields("[('a', '<f4')]"), b"\x00" * 12),
    "a nested structure": npy(fields("[('a', " * 50 + "'<f4'" + ")]" * 50), b"\x00" * 12),
    "text": npy(fields("'<U4000000'"), b"\x00" * 12),
    "a dtype of numbers": npy(fields("3"), b"\x00" * 12),
    "times": npy(fields("'<M8[s]'", shape="(1,)"), b"\x00" * 8),
    "too little": npy(fields(), b"\x00" * 11),
    "version 2 too little": npy(fields(), b"\x00" * 11, version=2),
}


def from_pipe(data, monkeypatch):
    """All slabs that the command would take from a pipe."""

    class Stdin:
        buffer = io.BytesIO(data)

    monkeypatch.setattr("sys.stdin", Stdin)
    source = read_source("-", None, None, None)
    return [source.array] if source.array is not None else list(source.slabs)


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_lie_are_refused(name, tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(AecodecError):
        load_npy(path)
    assert not Trap.sprung


@pytest.mark.parametrize("name", [name for name in HOSTILE if HOSTILE[name][:6] == b"\x93NUMPY"])
def test_pipes_that_lie_are_refused(name, monkeypatch):
    with pytest.raises(AecodecError):
        from_pipe(HOSTILE[name], monkeypatch)
    assert not Trap.sprung


def test_every_changed_byte_of_a_header_gives_an_array_or_a_typed_error(tmp_path, monkeypatch):
    out = io.BytesIO()
    np.save(out, np.arange(12, dtype="f4").reshape(3, 4))
    data = out.getvalue()
    path = tmp_path / "x.npy"
    random = np.random.default_rng(0)
    for at in range(len(data) - 48):
        for change in (1, 0x20, 0x80, int(random.integers(1, 256))):
            damaged = bytearray(data)
            damaged[at] ^= change
            path.write_bytes(damaged)
            for read in (lambda: load_npy(path), lambda damaged=damaged: from_pipe(bytes(damaged), monkeypatch)):
                try:
                    read()
                except AecodecError:
                    continue
