"""Models by their hash, for stores whose metadata name one: along with the name, installed, or behind a URL that is allowed."""

import base64
import binascii
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aecodec.api.options import ModelLike, as_model
from aecodec.codec.model import Model
from aecodec.container.source import ForkedLock
from aecodec.errors import AecodecError, FormatError, ModelError, UsageError, require_extra
from aecodec.limits import DEFAULT_LIMITS
from aecodec.models.bundle import Bundle
from aecodec.models.registry import ENVIRONMENT, find_by_id, places

URLS = "AECODEC_MODEL_URLS"
SMALL = 1 << 18  # bytes of a model that metadata carry unasked
_ID = re.compile(r"[0-9a-f]{64}")
_KEPT = 16
_KEYS = {"id", "data", "url"}


@dataclass(frozen=True)
class ModelReference:
    """A model's id and, if it comes along, its .aecm file in base64, or the URL that it was put under."""

    id: str
    data: str | None = field(default=None, repr=False)
    url: str | None = None

    def to_json(self) -> dict[str, str]:
        """The record in a store's metadata."""
        return {key: value for key in ("id", "data", "url") if (value := getattr(self, key)) is not None}

    @classmethod
    def from_json(cls, record: Any) -> "ModelReference":
        """Parse and validate; the record may be hostile."""
        if not isinstance(record, dict) or "id" not in record or not all(type(v) is str for v in record.values()):
            raise FormatError(f"model {str(record)[:60]!r} is no object of texts with an id")
        if unknown := set(record) - _KEYS:
            raise FormatError(f"model has unknown key {min(unknown)[:40]!r}; upgrade aecodec")
        if not _ID.fullmatch(record["id"]):
            raise FormatError(f"model id {record['id'][:70]!r} is no SHA-256 in hexadecimal")
        return cls(record["id"], record.get("data"), record.get("url"))

    @cached_property
    def _embedded(self) -> bytes:
        assert self.data is not None
        DEFAULT_LIMITS.check("model_bytes", len(self.data) * 3 // 4, f"the model in the metadata has {len(self.data)} characters")
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error as error:
            raise FormatError(f"the model in the metadata is no base64: {error}") from None

    def running(self, provider: str = "auto") -> Model:
        """The running model; one for each process, whoever asks. ModelError names the hash and all places that were searched."""
        key = (self.id, provider)
        with _lock:
            if key in _models:
                _models.move_to_end(key)
                return _models[key]
            model = Model(self._bundle(), provider)
            _keep(key, model)
            return model

    def _bundle(self) -> Bundle:
        if self.data is not None:
            return _checked(self._embedded, self.id, "the store's metadata")
        found = find_by_id(self.id)
        if found is not None:
            return found
        tried = []
        for url in self._urls():
            data = _fetched(url)
            if isinstance(data, bytes):
                return _checked(data, self.id, url)
            tried.append(f"{url} ({data})")
        raise ModelError(
            f"the array needs model {self.id}, which is not in its metadata and not in {places()}"
            + (f", nor at {', '.join(tried)}" if tried else "")
            + (f"; its metadata name {self.url}, allow that by {URLS}={self.url}" if self.url and not _allowed(self.url) else "")
            + f"; put its .aecm into a directory that {ENVIRONMENT} names"
        )

    def _urls(self) -> Iterator[str]:
        if self.url is not None and _allowed(self.url):
            yield self.url
        for prefix in _prefixes():
            if prefix != "*":
                yield f"{prefix.rstrip('/')}/{self.id}.aecm"


_lock = ForkedLock()
_models: OrderedDict[tuple[str, str], Model] = OrderedDict()


def reference_to(model: ModelLike, embed: bool | None, url: str | None, provider: str = "auto") -> ModelReference | None:
    """What metadata say of `model`: along with it unless it ships, is large, or has a `url`; `embed` overrules that."""
    found = as_model(model, provider)
    if found is None:
        return None
    with _lock:
        _keep((found.id, provider), found)
    if embed is None:
        embed = not found.shipped and url is None
        if embed and len(found.stored) > SMALL:
            raise UsageError(
                f"the model has {len(found.stored)} bytes, more than the {SMALL} that metadata carry unasked; pass "
                f"embed_model=True, or model_url= where it can be found, or embed_model=False if readers have it in {ENVIRONMENT}"
            )
    return ModelReference(found.id, base64.b64encode(found.stored).decode() if embed else None, url)


def _keep(key: tuple[str, str], model: Model) -> None:
    _models[key] = model
    _models.move_to_end(key)
    while len(_models) > _KEPT:
        _models.popitem(last=False)


def _prefixes() -> list[str]:
    return os.environ.get(URLS, "").split()


def _allowed(url: str) -> bool:
    return any(prefix == "*" or url.startswith(prefix) for prefix in _prefixes())


def _fetched(url: str) -> bytes | str:
    """What is there, no more than a model may have; or why there is nothing."""
    try:
        import fsspec
    except ImportError:
        raise require_extra("fsspec", "zarr", "models behind URLs") from None
    try:
        with fsspec.open(url, "rb") as file:
            return bytes(file.read(DEFAULT_LIMITS.model_bytes + 1))
    except Exception as error:  # noqa: BLE001  # each protocol has errors of its own
        return f"{type(error).__name__}: {str(error)[:100]}"


def _checked(data: bytes, wanted: str, place: str) -> Bundle:
    """The bundle, if it is the one wanted; before any of its graphs is looked at."""
    try:
        bundle = Bundle.from_bytes(data)
    except AecodecError as error:
        raise ModelError(f"the model in {place} cannot be read: {error}") from None
    if bundle.id != wanted:
        raise ModelError(f"the array needs model {wanted}, but the one in {place} is {bundle.id}")
    return bundle
