"""Model files: saved, loaded, found by name, and refused where they are damaged or hostile."""

import dataclasses
import hashlib

import numpy as np
import pytest

import aecodec
from aecodec.container.layout import (
    FRAME_SIZE,
    MODEL_FILE,
    PREFIX_SIZE,
    Kind,
    create_json,
    create_prefix,
    create_record,
    parse_json,
)
from aecodec.errors import FormatError, ModelError, OutputExistsError, TruncatedError
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest


def test_a_model_saves_and_loads(tmp_path, field, model):
    path = tmp_path / "wind.aecm"
    model.save(path)
    loaded = aecodec.load_model(path)
    assert loaded.id == model.id == hashlib.sha256(create_json(model.manifest.to_json())).hexdigest()
    assert aecodec.load_model(path.read_bytes()).id == model.id
    assert np.array_equal(loaded.encode(field), model.encode(field))
    with pytest.raises(OutputExistsError, match="exists; choose another name or pass overwrite=True"):
        model.save(path)
    model.save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["wind.aecm"]


def test_installed_models_are_found_by_name_and_id(tmp_path, monkeypatch, model):
    model.save(tmp_path / "wind.aecm")
    (tmp_path / "broken.aecm").write_bytes(b"not a model")
    monkeypatch.setenv("AECODEC_MODEL_PATH", str(tmp_path))
    assert aecodec.load_model("wind").id == model.id
    assert aecodec.load_model(model.id).id == model.id
    with pytest.raises(ModelError, match="no model 'gale': no such file, and no model of that name or id in "):
        aecodec.load_model("gale")


def test_every_damaged_byte_and_truncation_of_a_bundle_is_a_typed_error(model):
    data = model.bundle.to_bytes()
    for at in [*range(600), *range(600, len(data), 53)]:
        damaged = bytearray(data)
        damaged[at] ^= 0x21
        if at != 9:  # a greater minor version is accepted
            with pytest.raises((FormatError, aecodec.AecodecError)):
                Bundle.from_bytes(bytes(damaged))
        with pytest.raises(aecodec.AecodecError):
            Bundle.from_bytes(data[:at])
    with pytest.raises(TruncatedError):
        Bundle.from_bytes(data[:-1])


@pytest.fixture(scope="module")
def plain(field):
    """A model without a reference field."""
    return aecodec.fit(field, axes="tcyx", max_error=0.05, reference=False)


def rebuilt(model, change):
    """The bytes of a model file whose manifest was changed, its frames sound."""
    data = model.bundle.to_bytes()
    length = int.from_bytes(data[PREFIX_SIZE + 12 : PREFIX_SIZE + 20], "little")
    record = parse_json(data[PREFIX_SIZE + FRAME_SIZE : PREFIX_SIZE + FRAME_SIZE + length])
    record.update(change)
    header = create_record(Kind.HEADER, 0, create_json(record))
    return create_prefix(MODEL_FILE) + header + data[PREFIX_SIZE + FRAME_SIZE + length :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": [0, 1, 8, 8]}, "invalid model manifest: tile sizes must be 1 to 4096"),
        ({"scale": [1.0]}, "invalid model manifest: offset and scale need one finite number per channel"),
        ({"scale": [1.0, -1.0]}, "invalid model manifest: offset and scale need one finite number per channel"),
        ({"offset": [], "scale": []}, "invalid model manifest: offset and scale need one finite number per channel"),
        ({"bands": []}, "invalid model manifest: bands must rise and have finite spreads"),
        ({"bands": [[4, 1.0], [2, 1.0]]}, "invalid model manifest: bands must rise and have finite spreads"),
        ({"latent_unit": 0.3}, "invalid model manifest: latent_unit must be a power of two"),
        ({"latent_limit": 0}, "invalid model manifest: latent_limit must be 1 to 2**53"),
        ({"reference": [9, 4, 4]}, "invalid model manifest: reference must have the model's channels"),
        ({"parts": {}}, "invalid model manifest: parts must be among encoder, decoder, reference"),
        ({"tile": [1, 2]}, "malformed model manifest: ValueError"),
        ({"offset": "abc"}, "malformed model manifest: TypeError 'a' is no number"),
        ({"provenance": 3}, "malformed model manifest: TypeError"),
        (
            {"parts": {"decoder": "0" * 64, "predictor": "0" * 64}},
            "model part 'encoder' does not match the SHA-256 in the manifest",
        ),
        ({"reference": [2, 4, 4]}, "model lacks the reference field that its manifest names"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(plain, change, message):
    with pytest.raises(ModelError) as caught:
        Bundle.from_bytes(rebuilt(plain, change))
    assert str(caught.value).startswith(message)


def test_a_limit_beyond_the_proof_is_refused_before_anything_is_decoded(model):
    with pytest.raises(ModelError, match="need more than 53 bits"):
        aecodec.load_model(rebuilt(model, {"latent_limit": 2**53}))


def test_a_model_without_its_encoder_decodes_and_says_why_it_cannot_encode(field, model):
    bundle = dataclasses.replace(model.bundle, encoder=None).sealed()
    decoder = aecodec.load_model(bundle.to_bytes())
    assert decoder.decode(model.encode(field), field.shape).shape == field.shape
    with pytest.raises(ModelError, match="holds only a decoder; pass the full model to encode with it"):
        decoder.encode(field)


def test_keys_of_a_later_version_are_ignored_but_stay_part_of_the_id(field, model):
    later = rebuilt(model, {"colour": [1, {"a": "b"}], "unknown": 7})
    loaded = aecodec.load_model(later)
    record = {**model.manifest.to_json(), "colour": [1, {"a": "b"}], "unknown": 7}
    assert loaded.id == hashlib.sha256(create_json(record)).hexdigest() != model.id
    assert aecodec.load_model(loaded.stored).id == loaded.id
    assert np.array_equal(loaded.encode(field), model.encode(field))


def test_a_manifest_keeps_all_its_fields(model):
    assert Manifest.from_json(parse_json(create_json(model.manifest.to_json()))) == model.manifest
