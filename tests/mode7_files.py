"""Files whose chunks are of mode 7 whatever would be smaller, and models of any predictor layout."""

import dataclasses
import io

import numpy as np

import aecodec
from aecodec.api.header import Header
from aecodec.api.reader import Reader
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.codec.finite import finite_values
from aecodec.codec.predicted_encoding import encode_predicted
from aecodec.container.writer import ContainerWriter
from aecodec.fidelity import Fidelity, fidelity_from_options
from aecodec.models.bundle import Bundle, encode_reference
from aecodec.models.predictor import PredictorWeights, predictor_graph, whole_weights
from aecodec.models.predictor_network import Layer, PredictorNetwork, feature_count
from aecodec.phases import PhaseLayout

MODE = 7


def drifting(shape, seed=0):
    """(steps, channels, rows, columns), values of some tens: smooth fields that change a little from step to step.

    No transform of a small tile catches them, which leaves them to the predictor.
    """
    random = np.random.default_rng(seed)
    _, c, h, w = shape
    wave = np.hypot(np.fft.fftfreq(2 * h)[:, None] * 2 * h, np.fft.fftfreq(2 * w)[None] * 2 * w)
    falling = np.where(wave > 0, 1.0 / np.maximum(wave, 1.0) ** 2, 0.0)
    state, fields = random.normal(size=(c, 2 * h, 2 * w)), np.empty(shape)
    for field in fields:
        state = 0.9 * state + 0.44 * random.normal(size=state.shape)
        field[...] = np.fft.ifft2(np.fft.fft2(state) * falling).real[:, :h, :w]
    return fields * (10.0 / fields.std())


def layout_of(reach=1, channel_reach=0, classes=1, sources=(), offsets=True, spacing=0, zeros=False):
    return PhaseLayout(reach, channel_reach, classes, tuple(sources), offsets, spacing, zeros)


def random_weights(layout, seed=0, size=0.3):
    """Weights that make every input count, so that a wrong one shows."""
    random = np.random.default_rng(seed)
    p = layout.inputs
    return PredictorWeights(
        random.normal(size=(layout.kinds, p, 3, 3)) * size / p,
        random.random((layout.kinds, p)) * size / p,
        random.random((layout.kinds, p)) * size / p,
        random.random(layout.kinds),
    )


def random_network(layout, spacing=16, width=6, kernels=((3, 3), (3, 3)), seed=0):
    """A network whose every layer counts."""
    random = np.random.default_rng(seed)

    def layer(outputs, inputs, kernel, size):
        weight = random.integers(-size, size + 1, (outputs, inputs, *kernel))
        return Layer(weight, random.integers(-50 * size, 50 * size + 1, (layout.kinds, outputs)), 6)

    sizes = [feature_count(layout), *[width] * len(kernels)]
    hidden = tuple(layer(width, inputs, kernel, 20) for inputs, kernel in zip(sizes, kernels, strict=False))
    linear = whole_weights(random_weights(layout, seed))
    outputs = [layer(1, sizes[-1], (1, 1), 9) for _ in range(layout.outputs)]
    return PredictorNetwork(linear, spacing, hidden, *outputs)


def remade(bundle: Bundle, layout, channels=1, offset=0.0, graph=None, field=None, field_step=0.01, sites=None, seed=0) -> Bundle:
    """A bundle with another predictor, as many channels, and this reference field and these constant sites (bool) or none."""
    part = None
    if field is not None:
        part, field = encode_reference(field, np.full(channels, field_step))
    manifest = dataclasses.replace(
        bundle.manifest,
        offset=tuple(np.broadcast_to(np.asarray(offset, float), (channels,)).tolist()),
        scale=(1.0,) * channels,
        reference=None if field is None else field.shape,
        predictor=layout,
    )
    return Bundle(
        manifest,
        bundle.decoder,
        None,
        field,
        part,
        predictor_graph(layout, random_weights(layout, seed)) if graph is None else graph,
        None if sites is None else np.packbits(sites).tobytes(),
    ).sealed()


def spec_of(array, axes):
    return ArraySpec(array.dtype, parse_axes(axes, array.ndim), array.shape)


def written(model, spec, fidelity, bodies):
    """A file of these chunk bodies, (start, count, body) each, its model embedded."""
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin(Header(spec, fidelity, model.id).to_json(), model.stored, None)
    for start, count, body in bodies:
        writer.chunk(start, count, body)
    writer.finish()
    return out.getvalue()


def body_of(canonical, model, errors, origin=(0, 0)):
    """The body, mode byte included, or None if the lattice does not serve."""
    found = encode_predicted(finite_values(np.ascontiguousarray(canonical)), np.asarray(errors, float), model, origin)
    return None if found is None else bytes([MODE]) + found.pack(False)


def predicted_file(array, axes, model, max_error, cuts=()):
    """`array` in chunks of mode 7, cut along its stream axis at `cuts`."""
    spec = spec_of(array, axes)
    fidelity = fidelity_from_options(max_error=max_error) if np.any(max_error) else Fidelity()
    errors = np.broadcast_to(np.asarray(max_error, float), (spec.channels,))
    stream = spec.axes.stream
    bodies = []
    slabs = [array] if stream is None else np.split(array, list(cuts), axis=stream)
    start = 0
    for slab in slabs:
        part = spec_of(slab, axes)
        origin = (start if spec.stream_axis == 2 else 0, start if spec.stream_axis == 3 else 0)
        body = body_of(part.to_canonical(slab), model, errors, origin)
        assert body is not None
        bodies.append((start, part.length, body))
        start += part.length
    return written(model, spec, fidelity, bodies)


def bodies_of(data):
    """(start, count, body) of each chunk."""
    with Reader(data) as reader:
        chunks = [reader.container.chunk(i) for i in range(reader.container.index.starts.size)]
        return [(chunk.start, chunk.count, bytes(chunk.body)) for chunk in chunks]


def fitted(array, axes, **options):
    return aecodec.fit(array, axes=axes, provider="cpu", **options)
