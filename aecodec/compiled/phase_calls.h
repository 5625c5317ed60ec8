/* Phases of the predicted path as a whole, residuals taken from their groups or put into them. */
#ifndef AECODEC_PHASE_CALLS_H
#define AECODEC_PHASE_CALLS_H

#include "arguments.h"

enum { VALUES, SIZES, DETAILS, NEW_VALUES, NEW_SIZES, PLACES, GEOMETRY, MEAN, NEAR, AROUND, FLOOR, FREE, COMMON };
#define COMMON_FORMAT "y*y*w*w*w*y*y*y*y*y*y*y*"
#define COMMON_BUFFERS(b) \
    &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &b[7], &b[8], &b[9], &b[10], &b[11]

typedef struct {
    Grids grids;
    int32_t *new_values, *new_sizes; /* the grids after the phase; the latter NULL if no later phase asks */
    Geometry geometry;
    Weights weights;
    const int64_t *places;
    int64_t planes;
    const uint8_t *free; /* of each value of the array: 1 where nothing is coded; or NULL */
} Phase;

/* Values from their means, and distances from their midpoints. */
LOOP void reconstruct(const int32_t *restrict means, const int32_t *restrict middle, const int32_t *restrict residual,
                      int32_t spacing, int32_t *restrict values, int32_t *restrict details, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t x = wrap_add(means[i], (int32_t)((uint32_t)residual[i] * (uint32_t)spacing));
        values[i] = x;
        details[i] = wrap_sub(x, middle[i]);
    }
}

/* The same, put between known ones. */
LOOP void reconstruct_between(const int32_t *restrict known, const int32_t *restrict means, const int32_t *restrict middle,
                              const int32_t *restrict residual, int32_t spacing, int32_t *restrict values,
                              int32_t *restrict details, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t x = wrap_add(means[i], (int32_t)((uint32_t)residual[i] * (uint32_t)spacing));
        values[2 * i] = known[i];
        values[2 * i + 1] = x;
        details[i] = wrap_sub(x, middle[i]);
    }
}

static inline int32_t size_of(int32_t residual, int32_t spacing) {
    int32_t size = wrap_abs((int32_t)((uint32_t)residual * (uint32_t)spacing));
    return size < SIZE_LIMIT ? size : SIZE_LIMIT;
}

/* Magnitudes of residuals. */
LOOP void find_sizes(const int32_t *restrict residual, int32_t spacing, int32_t *restrict sizes, int64_t n) {
    for (int64_t i = 0; i < n; i++) sizes[i] = size_of(residual[i], spacing);
}

LOOP void find_sizes_between(const int32_t *restrict known, const int32_t *restrict residual, int32_t spacing,
                             int32_t *restrict sizes, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        sizes[2 * i] = known[i];
        sizes[2 * i + 1] = size_of(residual[i], spacing);
    }
}

/* Known lines of a plane, those of the values between left out. */
static void copy_known(const Geometry *g, const int32_t *known, int32_t *out) {
    for (int64_t a = 0; a < g->known_lines; a++) memcpy(out + 2 * a * g->count, known + a * g->count, (size_t)g->count * 4);
}

/* The values of one plane, and what later ones will want to know of them, from s->means and s->residual. */
static void put_plane(const Phase *phase, const Scratch *s, int64_t plane) {
    const Geometry *g = &phase->geometry;
    int64_t n = g->count, known = g->known_lines * g->known_count, width = g->across ? 2 * n : g->known_count + n;
    const int32_t *values = phase->grids.values + plane * known, *sizes = phase->grids.sizes + plane * known;
    int32_t *details = phase->grids.details + plane * g->lines * n, spacing = (int32_t)g->spacing;
    int32_t *new_values = phase->new_values + plane * (known + g->lines * n);
    int32_t *new_sizes = phase->new_sizes ? phase->new_sizes + plane * (known + g->lines * n) : NULL;
    if (g->across) copy_known(g, values, new_values);
    if (g->across && new_sizes) copy_known(g, sizes, new_sizes);
    for (int64_t a = 0; a < g->lines; a++, details += n) {
        const int32_t *means = s->means + a * n, *middle = s->middle + a * n, *residual = s->residual + a * n;
        int32_t *out = new_values + a * width, *out_sizes = new_sizes ? new_sizes + a * width : NULL;
        if (g->across) {
            reconstruct(means, middle, residual, spacing, out + n, details, n);
            if (out_sizes) find_sizes(residual, spacing, out_sizes + n, n);
            continue;
        }
        const int32_t *line = values + a * g->known_count, *line_sizes = sizes + a * g->known_count;
        reconstruct_between(line, means, middle, residual, spacing, out, details, n);
        if (out_sizes) find_sizes_between(line_sizes, residual, spacing, out_sizes, n);
        if (g->known_count == n) continue;
        out[2 * n] = line[n];
        if (out_sizes) out_sizes[2 * n] = line_sizes[n];
    }
}

/* Residuals of one plane in coding order, those of index k from used[k], which is moved on, to ends[k]; 0 if these run out. */
static int take_residuals(const Phase *phase, const Scratch *s, int64_t plane, const Symbols *symbols, int64_t *used,
                          const int64_t *ends) {
    const Geometry *g = &phase->geometry;
    const int16_t *narrow = symbols->width == 2 ? symbols->all : NULL;
    const int32_t *wide = symbols->all;
    int64_t n = g->count, outer = g->across ? n : g->lines, inner = g->across ? g->lines : n;
    int64_t step = g->across ? n : 1, line = g->across ? 1 : n;
    const uint8_t *free = phase->free ? phase->free + plane * g->extent + g->first : NULL;
    for (int64_t i = 0; i < outer; i++) {
        for (int64_t j = 0, at = i * line; j < inner; j++, at += step) {
            if (free && free[at / n * g->next_line + at % n * g->next]) {
                s->residual[at] = 0;
                continue;
            }
            int k = s->index[at];
            int64_t place = used[k];
            if (place >= ends[k]) return 0;
            s->residual[at] = narrow ? narrow[place] : wide[place];
            used[k] = place + 1;
        }
    }
    return 1;
}

static int decode_planes(const Phase *phase, const Scratch *s, const Symbols *symbols, int64_t *used, const int64_t *ends) {
    for (int64_t n = 0; n < phase->planes; n++) {
        const int64_t *places = phase->places + n * (1 + phase->geometry.sources);
        predict_plane(&phase->grids, places, &phase->geometry, &phase->weights, s);
        if (!take_residuals(phase, s, places[0], symbols, used, ends)) return 0;
        put_plane(phase, s, places[0]);
    }
    return 1;
}

/* The nearest residuals of real numbers, those within the dead zone drawn towards 0. */
LOOP void quantize(const double *restrict reals, const int32_t *restrict means, double inverse, double dead_zone,
                   int32_t *restrict residual, int64_t n) {
    const double whole = 6755399441055744.0; /* 1.5 * 2**52: adding it rounds to the nearest, halves to even */
    for (int64_t i = 0; i < n; i++) {
        double exact = (reals[i] - means[i]) * inverse;
        double near = exact > -dead_zone ? exact : -dead_zone;
        near = near < dead_zone ? near : dead_zone;
        residual[i] = (int32_t)(exact - near + whole - whole);
    }
}

/* What is coded: values in the order of planes, and what makes real numbers of fine units of them. */
typedef struct {
    const char *values;
    int wide;             /* float64, else float32 */
    const double *base;   /* of each channel: one number, or one for each value of a plane */
    const double *scales; /* one for each channel */
    int64_t channels, per_channel;
    double dead_zone;
} Source;

/* The residuals of a plane. */
static void take_nearest(const Source *source, const Geometry *g, const Scratch *s, int64_t plane) {
    int64_t channel = plane % source->channels, apart = source->per_channel > 1 ? g->next : 0, n = g->count;
    const double *base = source->base + channel * source->per_channel;
    for (int64_t a = 0; a < g->lines; a++) {
        int64_t at = g->first + a * g->next_line;
        const char *values = source->values + (plane * g->extent + at) * (source->wide ? 8 : 4);
        to_units(values, source->wide, g->next, base + (apart ? at : 0), apart, source->scales[channel], s->reals, n);
        quantize(s->reals, s->means + a * n, 1.0 / (double)g->spacing, source->dead_zone, s->residual + a * n, n);
    }
}

/* Symbols as they are found, in coding order, and the scale index of each: `narrow` ones zigzagged, in 16 bits, into which some do not
 * fit once there is an `overflow`; others as they are, in 32. */
typedef struct {
    void *symbols;
    uint8_t *indices;
    int narrow, overflow;
    int64_t done;
} Found;

/* Returns all bits that are set. */
LOOP uint32_t zigzag_narrow(const int32_t *restrict residual, uint16_t *restrict out, int64_t n) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t symbol = zigzag(residual[i]);
        out[i] = (uint16_t)symbol;
        bits |= symbol;
    }
    return bits;
}

/* Append the residuals of one plane and their indices, but where nothing is coded. */
static void append_residuals(const Phase *phase, const Scratch *s, int64_t plane, Found *found) {
    const Geometry *g = &phase->geometry;
    int64_t n = g->count, size = g->lines * n, done = found->done;
    uint16_t *narrow = (uint16_t *)found->symbols + done;
    int32_t *wide = (int32_t *)found->symbols + done;
    uint32_t bits = 0;
    if (!phase->free && !g->across) {
        if (found->narrow)
            bits = zigzag_narrow(s->residual, narrow, size);
        else
            memcpy(wide, s->residual, (size_t)size * 4);
        memcpy(found->indices + done, s->index, (size_t)size);
        found->done = done + size;
        found->overflow |= bits > UINT16_MAX;
        return;
    }
    int64_t outer = g->across ? n : g->lines, inner = g->across ? g->lines : n;
    int64_t step = g->across ? n : 1, line = g->across ? 1 : n, count = 0;
    const uint8_t *free = phase->free ? phase->free + plane * g->extent + g->first : NULL;
    for (int64_t i = 0; i < outer; i++) {
        for (int64_t j = 0, at = i * line; j < inner; j++, at += step) {
            if (free && free[at / n * g->next_line + at % n * g->next]) {
                s->residual[at] = 0;
                continue;
            }
            bits |= zigzag(s->residual[at]);
            if (found->narrow)
                narrow[count] = (uint16_t)zigzag(s->residual[at]);
            else
                wide[count] = s->residual[at];
            found->indices[done + count++] = s->index[at];
        }
    }
    found->done = done + count;
    found->overflow |= found->narrow && bits > UINT16_MAX;
}

/* Returns 0 as soon as symbols do not fit. */
static int encode_planes(const Phase *phase, const Scratch *s, const Source *source, Found *found) {
    for (int64_t n = 0; n < phase->planes && !found->overflow; n++) {
        const int64_t *places = phase->places + n * (1 + phase->geometry.sources);
        predict_plane(&phase->grids, places, &phase->geometry, &phase->weights, s);
        take_nearest(source, &phase->geometry, s, places[0]);
        append_residuals(phase, s, places[0], found);
        put_plane(phase, s, places[0]);
    }
    return !found->overflow;
}

static int check_geometry(const Geometry *g) {
    const int64_t most = 1 << 30; /* so that no product below overflows */
    if (g->lines > most || g->count > most || g->known_lines > most || g->known_count > most || g->extent > most ||
        g->first > most || g->next_line > most || g->next > most)
        return fail("a plane is too large");
    int64_t known = g->across ? g->known_lines : g->known_count, between = g->across ? g->lines : g->count;
    if (g->lines < 1 || g->count < 1 || g->across < 0 || g->across > 1 || g->known_count < 1 || known < between ||
        known > between + 1 || (g->across ? g->known_count != g->count : g->known_lines != g->lines))
        return fail("a phase's values do not lie between known ones");
    if (g->sources < 0 || g->sources > MOST_SOURCES || g->offsets < 0 || g->offsets > 1 || g->mean_bits < 0 || g->mean_bits > 23 ||
        g->scale_bits < -6 || g->scale_bits > 23 || g->spacing < 1 || g->spacing > 1 << 20)
        return fail("numbers of sources or bits, or spacing, out of range");
    if (g->first < 0 || g->next < 1 || g->next_line < 1 ||
        g->first + (g->lines - 1) * g->next_line + (g->count - 1) * g->next >= g->extent)
        return fail("values lie outside their plane");
    return 1;
}

/* What the common buffers hold, if they agree with each other. */
static int parse_phase(Phase *phase, const Py_buffer *b) {
    Geometry g;
    if (b[GEOMETRY].len != (Py_ssize_t)sizeof g) return fail("geometry of another size");
    memcpy(&g, b[GEOMETRY].buf, sizeof g);
    if (!check_geometry(&g)) return 0;
    int64_t known = g.known_lines * g.known_count, own = g.lines * g.count, inputs = plane_count(&g), places = b[PLACES].len / 8;
    int64_t planes = b[VALUES].len / 4 / known;
    if (b[VALUES].len != planes * known * 4 || b[SIZES].len != b[VALUES].len || b[DETAILS].len != planes * own * 4 ||
        b[NEW_VALUES].len != planes * (known + own) * 4 || (b[NEW_SIZES].len && b[NEW_SIZES].len != b[NEW_VALUES].len) ||
        (b[FREE].len && b[FREE].len != planes * g.extent) || places % (1 + g.sources))
        return fail("grids of other sizes");
    for (int64_t i = 0; i < places; i++) {
        int64_t place = ((const int64_t *)b[PLACES].buf)[i];
        if (place >= planes || place < (i % (1 + g.sources) ? -1 : 0)) return fail("a place beyond the planes");
    }
    if (b[MEAN].len != inputs * 36 || b[NEAR].len != inputs * 4 || b[AROUND].len != inputs * 4 || b[FLOOR].len != 4)
        return fail("weights of other sizes");
    phase->grids = (Grids){b[VALUES].buf, b[SIZES].buf, b[DETAILS].buf};
    phase->new_values = b[NEW_VALUES].buf;
    phase->new_sizes = b[NEW_SIZES].len ? b[NEW_SIZES].buf : NULL;
    phase->geometry = g;
    phase->weights = (Weights){b[MEAN].buf, b[NEAR].buf, b[AROUND].buf, *(const float *)b[FLOOR].buf};
    phase->places = b[PLACES].buf;
    phase->planes = places / (1 + g.sources);
    phase->free = b[FREE].len ? b[FREE].buf : NULL;
    return 1;
}

/* decode_phase(*common, symbols, used, ends, bytes of each symbol) -> whether the symbols suffice */
static PyObject *decode_phase(PyObject *self, PyObject *args) {
    Py_buffer b[COMMON + 3];
    (void)self;
    Symbols symbols;
    if (!PyArg_ParseTuple(args, COMMON_FORMAT "y*w*y*i", COMMON_BUFFERS(b), &b[COMMON], &b[COMMON + 1], &b[COMMON + 2],
                          &symbols.width)) return NULL;
    Phase phase;
    Scratch scratch;
    PyObject *result = NULL;
    int sound = parse_phase(&phase, b);
    symbols.all = b[COMMON].buf;
    sound = sound && check_symbols(&symbols, b + COMMON);
    if (sound && !make_scratch(&scratch, &phase.geometry)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        int enough;
        Py_BEGIN_ALLOW_THREADS;
        enough = decode_planes(&phase, &scratch, &symbols, b[COMMON + 1].buf, b[COMMON + 2].buf);
        Py_END_ALLOW_THREADS;
        free_scratch(&scratch);
        result = PyBool_FromLong(enough);
    }
    release(b, COMMON + 3);
    return result;
}

/* What the buffers of values, base and scales hold, if they fit the phase. */
static int parse_source(Source *source, const Py_buffer *b, const Phase *phase, int64_t planes) {
    const Geometry *g = &phase->geometry;
    int64_t values = planes * g->extent, channels = b[2].len / 8, numbers = b[1].len / 8;
    if (channels < 1 || planes % channels || (b[0].len != values * 4 && b[0].len != values * 8) ||
        (numbers != channels && numbers != channels * g->extent))
        return fail("values, base or scales of other sizes");
    source->values = b[0].buf;
    source->wide = b[0].len == values * 8;
    source->base = b[1].buf;
    source->scales = b[2].buf;
    source->channels = channels;
    source->per_channel = numbers / channels;
    return 1;
}

/* encode_phase(*common, values, base, scales, symbols, indices, dead_zone, done) -> symbols there are then, or -1 if some do not fit
 * into theirs, which have 2 bytes, or 4 */
static PyObject *encode_phase(PyObject *self, PyObject *args) {
    Py_buffer b[COMMON + 5];
    Source source;
    Found found = {0};
    long long done;
    (void)self;
    if (!PyArg_ParseTuple(args, COMMON_FORMAT "y*y*y*w*w*dL", COMMON_BUFFERS(b), &b[COMMON], &b[COMMON + 1], &b[COMMON + 2], &b[COMMON + 3],
                          &b[COMMON + 4], &source.dead_zone, &done))
        return NULL;
    Phase phase;
    Scratch scratch;
    PyObject *result = NULL;
    int sound = parse_phase(&phase, b);
    int64_t room = b[COMMON + 4].len;
    sound = sound && parse_source(&source, b + COMMON, &phase, b[VALUES].len / 4 / (phase.geometry.known_lines * phase.geometry.known_count));
    found.narrow = b[COMMON + 3].len == room * 2;
    if (sound && (done < 0 || (!found.narrow && b[COMMON + 3].len != room * 4))) sound = fail("symbols of other sizes");
    if (sound && phase.planes * phase.geometry.lines * phase.geometry.count > room - done) sound = fail("no room for the symbols");
    if (sound && !make_scratch(&scratch, &phase.geometry)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        int fit;
        found.symbols = b[COMMON + 3].buf, found.indices = b[COMMON + 4].buf, found.done = done;
        Py_BEGIN_ALLOW_THREADS;
        fit = encode_planes(&phase, &scratch, &source, &found);
        Py_END_ALLOW_THREADS;
        free_scratch(&scratch);
        result = PyLong_FromLongLong(fit ? found.done : -1);
    }
    release(b, COMMON + 5);
    return result;
}

#endif
