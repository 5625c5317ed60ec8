/* The compiled module: phases of the predicted path as a whole, residuals taken from their groups or put into them.
 *
 * Arguments are contiguous buffers whose sizes are checked here and whose meaning walk.py gives; meanwhile other threads run.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "plane.h"
#include "digits.h"
#include "residual.h"
#include "values.h"

enum { VALUES, SIZES, DETAILS, NEW_VALUES, NEW_SIZES, PLACES, GEOMETRY, MEAN, NEAR, AROUND, FLOOR, TABLE, FREE, COMMON };
#define COMMON_FORMAT "y*y*w*w*w*y*y*y*y*y*y*y*y*"
#define COMMON_BUFFERS(b) \
    &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &b[7], &b[8], &b[9], &b[10], &b[11], &b[12]

typedef struct {
    Grids grids;
    int32_t *new_values, *new_sizes; /* the grids after the phase; the latter NULL if no later phase asks */
    Geometry geometry;
    Weights weights;
    const int64_t *places;
    int64_t planes;
    const uint8_t *free; /* of each value of the array: 1 where nothing is coded; or NULL */
} Phase;

LOOP void reconstruct(const int32_t *restrict means, const int32_t *restrict middle, const int32_t *restrict residual,
                      int32_t spacing, int32_t *restrict values, int32_t *restrict details, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t x = wrap_add(means[i], (int32_t)((uint32_t)residual[i] * (uint32_t)spacing));
        values[i] = x;
        details[i] = wrap_sub(x, middle[i]);
    }
}

LOOP void find_sizes(const int32_t *restrict residual, int32_t spacing, int32_t *restrict sizes, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t size = wrap_abs((int32_t)((uint32_t)residual[i] * (uint32_t)spacing));
        sizes[i] = size < SIZE_LIMIT ? size : SIZE_LIMIT;
    }
}

LOOP void interleave(const int32_t *restrict known, const int32_t *restrict between, int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        out[2 * i] = known[i];
        out[2 * i + 1] = between[i];
    }
}

/* Put line a of the values between, n of them, among the known ones of its plane. */
static void put_line(const Geometry *g, const int32_t *known, const int32_t *between, int64_t a, int32_t *out) {
    size_t bytes = (size_t)g->known_count * 4;
    if (g->across) {
        memcpy(out + 2 * a * g->count, known + a * g->count, bytes);
        memcpy(out + (2 * a + 1) * g->count, between, bytes);
        if (a == g->lines - 1 && g->known_lines > g->lines)
            memcpy(out + 2 * g->lines * g->count, known + g->lines * g->count, bytes);
        return;
    }
    known += a * g->known_count;
    out += a * (g->known_count + g->count);
    interleave(known, between, out, g->count);
    if (g->known_count > g->count) out[2 * g->count] = known[g->count];
}

/* The values of one plane, and what later ones will want to know of them, from s->means and s->residual. */
static void put_plane(const Phase *phase, const Scratch *s, int64_t plane) {
    const Geometry *g = &phase->geometry;
    int64_t n = g->count, before = plane * g->known_lines * g->known_count, after = before + plane * g->lines * n;
    for (int64_t a = 0; a < g->lines; a++) {
        int32_t *details = phase->grids.details + (plane * g->lines + a) * n;
        reconstruct(s->means + a * n, s->middle + a * n, s->residual + a * n, (int32_t)g->spacing, s->expected, details, n);
        put_line(g, phase->grids.values + before, s->expected, a, phase->new_values + after);
        if (!phase->new_sizes) continue;
        find_sizes(s->residual + a * n, (int32_t)g->spacing, s->expected, n);
        put_line(g, phase->grids.sizes + before, s->expected, a, phase->new_sizes + after);
    }
}

/* Residuals of one plane in coding order, those of index k from used[k], which is moved on, to ends[k]; 0 if these run out. */
static int take_residuals(const Phase *phase, const Scratch *s, int64_t plane, const int32_t *symbols, int64_t *used,
                          const int64_t *ends) {
    const Geometry *g = &phase->geometry;
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
            s->residual[at] = symbols[place];
            used[k] = place + 1;
        }
    }
    return 1;
}

static int decode_planes(const Phase *phase, const Scratch *s, const int32_t *symbols, int64_t *used, const int64_t *ends) {
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

/* Append the residuals of one plane and their indices in coding order, but where nothing is coded; returns how many there are. */
static int64_t append_residuals(const Phase *phase, const Scratch *s, int64_t plane, int32_t *symbols, uint8_t *indices, int64_t done) {
    const Geometry *g = &phase->geometry;
    int64_t n = g->count, size = g->lines * n;
    if (!phase->free && !g->across) {
        memcpy(symbols + done, s->residual, (size_t)size * 4);
        memcpy(indices + done, s->index, (size_t)size);
        return done + size;
    }
    int64_t outer = g->across ? n : g->lines, inner = g->across ? g->lines : n;
    int64_t step = g->across ? n : 1, line = g->across ? 1 : n;
    const uint8_t *free = phase->free ? phase->free + plane * g->extent + g->first : NULL;
    for (int64_t i = 0; i < outer; i++) {
        for (int64_t j = 0, at = i * line; j < inner; j++, at += step) {
            if (free && free[at / n * g->next_line + at % n * g->next]) {
                s->residual[at] = 0;
                continue;
            }
            symbols[done] = s->residual[at];
            indices[done++] = s->index[at];
        }
    }
    return done;
}

static int64_t encode_planes(const Phase *phase, const Scratch *s, const Source *source, int32_t *symbols, uint8_t *indices,
                             int64_t done) {
    for (int64_t n = 0; n < phase->planes; n++) {
        const int64_t *places = phase->places + n * (1 + phase->geometry.sources);
        predict_plane(&phase->grids, places, &phase->geometry, &phase->weights, s);
        take_nearest(source, &phase->geometry, s, places[0]);
        done = append_residuals(phase, s, places[0], symbols, indices, done);
        put_plane(phase, s, places[0]);
    }
    return done;
}

static int fail(const char *what) {
    PyErr_Format(PyExc_ValueError, "compiled phases: %s", what);
    return 0;
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
    if (b[MEAN].len != inputs * 36 || b[NEAR].len != inputs * 4 || b[AROUND].len != inputs * 4 || b[FLOOR].len != 4 ||
        b[TABLE].len != LARGEST_MAGNITUDE + 1)
        return fail("weights of other sizes");
    phase->grids = (Grids){b[VALUES].buf, b[SIZES].buf, b[DETAILS].buf};
    phase->new_values = b[NEW_VALUES].buf;
    phase->new_sizes = b[NEW_SIZES].len ? b[NEW_SIZES].buf : NULL;
    phase->geometry = g;
    phase->weights = (Weights){b[MEAN].buf, b[NEAR].buf, b[AROUND].buf, *(const float *)b[FLOOR].buf, b[TABLE].buf};
    phase->places = b[PLACES].buf;
    phase->planes = places / (1 + g.sources);
    phase->free = b[FREE].len ? b[FREE].buf : NULL;
    return 1;
}

static void release(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(&buffers[i]);
}

/* decode_phase(*common, symbols, used, ends) -> whether the symbols suffice */
static PyObject *decode_phase(PyObject *self, PyObject *args) {
    Py_buffer b[COMMON + 3];
    (void)self;
    if (!PyArg_ParseTuple(args, COMMON_FORMAT "y*w*y*", COMMON_BUFFERS(b), &b[13], &b[14], &b[15])) return NULL;
    Phase phase;
    Scratch scratch;
    PyObject *result = NULL;
    int64_t *used = b[COMMON + 1].buf;
    const int64_t *ends = b[COMMON + 2].buf;
    int sound = parse_phase(&phase, b);
    if (sound && (b[COMMON + 1].len != INDICES * 8 || b[COMMON + 2].len != INDICES * 8)) sound = fail("groups of another number");
    for (int i = 0; sound && i < INDICES; i++)
        if (used[i] < 0 || ends[i] > b[COMMON].len / 4) sound = fail("groups beyond the symbols");
    if (sound && !make_scratch(&scratch, &phase.geometry)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        int enough;
        Py_BEGIN_ALLOW_THREADS;
        enough = decode_planes(&phase, &scratch, b[COMMON].buf, used, ends);
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

/* encode_phase(*common, values, base, scales, symbols, indices, dead_zone, done) -> symbols there are then */
static PyObject *encode_phase(PyObject *self, PyObject *args) {
    Py_buffer b[COMMON + 5];
    Source source;
    long long done;
    (void)self;
    if (!PyArg_ParseTuple(args, COMMON_FORMAT "y*y*y*w*w*dL", COMMON_BUFFERS(b), &b[13], &b[14], &b[15], &b[16], &b[17],
                          &source.dead_zone, &done))
        return NULL;
    Phase phase;
    Scratch scratch;
    PyObject *result = NULL;
    int sound = parse_phase(&phase, b);
    int64_t room = b[COMMON + 4].len;
    sound = sound && parse_source(&source, b + COMMON, &phase, b[VALUES].len / 4 / (phase.geometry.known_lines * phase.geometry.known_count));
    if (sound && (done < 0 || b[COMMON + 3].len != room * 4)) sound = fail("symbols of other sizes");
    if (sound && phase.planes * phase.geometry.lines * phase.geometry.count > room - done) sound = fail("no room for the symbols");
    if (sound && !make_scratch(&scratch, &phase.geometry)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        done = encode_planes(&phase, &scratch, &source, b[COMMON + 3].buf, b[COMMON + 4].buf, done);
        Py_END_ALLOW_THREADS;
        free_scratch(&scratch);
        result = PyLong_FromLongLong(done);
    }
    release(b, COMMON + 5);
    return result;
}

/* All bits that zigzagged symbols have set. */
LOOP uint32_t join_bits(const int32_t *restrict symbols, int64_t n) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < n; i++) bits |= (uint32_t)symbols[i] << 1 ^ (uint32_t)(symbols[i] >> 31);
    return bits;
}

static inline uint32_t zigzag(int32_t x) { return (uint32_t)x << 1 ^ (uint32_t)(x >> 31); }

/* How many symbols have each index. Four counters each, since one that was just written takes its time to be read again. */
static void count_indices(const uint8_t *indices, int64_t n, int64_t *counts) {
    int64_t parts[4][256] = {{0}};
    int64_t whole = n - n % 4;
    for (int64_t i = 0; i < whole; i += 4)
        for (int j = 0; j < 4; j++) parts[j][indices[i + j]]++;
    for (int64_t i = whole; i < n; i++) parts[0][indices[i]]++;
    for (int k = 0; k < 256; k++) counts[k] = parts[0][k] + parts[1][k] + parts[2][k] + parts[3][k];
}

/* sort_by_index(symbols, indices, out, ends, least) -> bytes that each takes: symbols of indices from `least` on, zigzagged, by rising
 * index, in order within each, in 2 bytes where all fit, else 4; and where each index's end */
static PyObject *sort_by_index(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    int least;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*w*i", &b[0], &b[1], &b[2], &b[3], &least)) return NULL;
    const int32_t *symbols = b[0].buf;
    const uint8_t *indices = b[1].buf;
    int64_t count = b[1].len;
    int sound = 1;
    uint32_t used = 0;
    if (b[0].len != count * 4 || b[2].len != count * 4 || b[3].len != INDICES * 8) sound = fail("symbols of other sizes");
    if (sound) {
        int64_t places[256], at = 0;
        Py_BEGIN_ALLOW_THREADS;
        count_indices(indices, count, places);
        used = join_bits(symbols, count);
        for (int k = 0; k < 256; k++) {
            int64_t size = k < least ? 0 : places[k];
            places[k] = at;
            at += size;
        }
        if (used < 1 << 16) {
            uint16_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = (uint16_t)zigzag(symbols[i]);
        } else {
            uint32_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = zigzag(symbols[i]);
        }
        memcpy(b[3].buf, places, INDICES * 8);
        Py_END_ALLOW_THREADS;
    }
    release(b, 4);
    return sound ? PyLong_FromLong(used < 1 << 16 ? 2 : 4) : NULL;
}

/* 1 if the sizes in bytes are those of arrays of the shape, whose `wide` is found. */
static int check_shape(Shape *shape, Py_ssize_t bytes) {
    const int64_t most = 1 << 30;
    if (shape->steps < 0 || shape->channels < 1 || shape->pixels < 1 || shape->steps > most || shape->channels > most ||
        shape->pixels > most || shape->steps > INT64_MAX / 8 / shape->channels / shape->pixels)
        return fail("a shape out of range");
    int64_t values = shape->steps * shape->channels * shape->pixels;
    shape->wide = bytes == values * 8;
    return shape->wide || bytes == values * 4 ? 1 : fail("values of another size");
}

/* put_values(whole, units, base, out, (step, channel, pixel), (steps, channels, pixels)): put values into out */
static PyObject *put_values(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    Shape shape;
    Base base;
    long long apart[3], sizes[3];
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*(LLL)(LLL)", &b[0], &b[1], &b[2], &b[3], &apart[0], &apart[1], &apart[2], &sizes[0],
                          &sizes[1], &sizes[2]))
        return NULL;
    shape = (Shape){sizes[0], sizes[1], sizes[2], 0};
    base = (Base){b[2].buf, apart[0], apart[1], apart[2]};
    int sound = check_shape(&shape, b[3].len);
    int64_t most = b[2].len / 8;
    if (sound && (b[0].len != shape.steps * shape.channels * shape.pixels * 4 || b[1].len != shape.channels * 8)) sound = fail("whole numbers or units of other sizes");
    if (sound && (base.step < 0 || base.channel < 0 || base.pixel < 0 || base.pixel > 1 || base.step > most || base.channel > most ||
                  (shape.steps && (shape.steps - 1) * base.step + (shape.channels - 1) * base.channel + (shape.pixels - 1) * base.pixel >= most)))
        sound = fail("a base of another size");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        from_units(&shape, b[0].buf, b[1].buf, &base, b[3].buf);
        Py_END_ALLOW_THREADS;
    }
    release(b, 4);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* nearest_symbols(exact, index, zones, out) -> squares lost where the index is 0; see values.py */
static PyObject *nearest_symbols(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &b[0], &b[1], &b[2], &b[3])) return NULL;
    int64_t count = b[1].len;
    uint8_t largest = 0;
    for (int64_t i = 0; i < count; i++) largest = ((const uint8_t *)b[1].buf)[i] > largest ? ((const uint8_t *)b[1].buf)[i] : largest;
    int sound = 1;
    if (b[0].len != count * 4 || b[3].len != count * 4) sound = fail("symbols of other sizes");
    if (sound && count && b[2].len / 4 <= largest) sound = fail("an index that has no zone");
    if (sound) {
        double lost;
        Py_BEGIN_ALLOW_THREADS;
        round_beyond(b[0].buf, b[1].buf, b[2].buf, b[3].buf, count);
        lost = add_unindexed(b[0].buf, b[1].buf, count);
        Py_END_ALLOW_THREADS;
        result = PyFloat_FromDouble(lost);
    }
    release(b, 4);
    return result;
}

/* count_beyond(a, b, limits, (steps, channels, pixels)) -> how many values are further apart than their channel's limit */
static PyObject *count_beyond(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Shape shape;
    long long sizes[3];
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*(LLL)", &b[0], &b[1], &b[2], &sizes[0], &sizes[1], &sizes[2])) return NULL;
    shape = (Shape){sizes[0], sizes[1], sizes[2], 0};
    int sound = check_shape(&shape, b[0].len);
    if (sound && (b[1].len != b[0].len || b[2].len != shape.channels * 8)) sound = fail("values or limits of other sizes");
    if (sound) {
        int64_t count;
        Py_BEGIN_ALLOW_THREADS;
        count = count_outside(&shape, b[0].buf, b[1].buf, b[2].buf);
        Py_END_ALLOW_THREADS;
        result = PyLong_FromLongLong(count);
    }
    release(b, 3);
    return result;
}

/* spread_by_index(symbols, indices, used, ends, out) -> whether they suffice: the next symbols of each index, 0 where it is 0 */
static PyObject *spread_by_index(PyObject *self, PyObject *args) {
    Py_buffer b[5];
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*y*w*", &b[0], &b[1], &b[2], &b[3], &b[4])) return NULL;
    const int32_t *symbols = b[0].buf;
    const uint8_t *indices = b[1].buf;
    int64_t *used = b[2].buf, count = b[1].len;
    const int64_t *ends = b[3].buf;
    int32_t *out = b[4].buf;
    int sound = 1, enough = 1;
    if (b[4].len != count * 4 || b[2].len != INDICES * 8 || b[3].len != INDICES * 8) sound = fail("symbols of other sizes");
    for (int i = 0; sound && i < INDICES; i++)
        if (used[i] < 0 || ends[i] > b[0].len / 4) sound = fail("groups beyond the symbols");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        for (int64_t i = 0; enough && i < count; i++) {
            int k = indices[i];
            if (!k) {
                out[i] = 0;
            } else if (k < INDICES && used[k] < ends[k]) {
                out[i] = symbols[used[k]++];
            } else {
                enough = 0;
            }
        }
        Py_END_ALLOW_THREADS;
    }
    release(b, 5);
    return sound ? PyBool_FromLong(enough) : NULL;
}

/* residual_of(values, inverses, out, (planes, rows, columns), along rows, along columns); see residual.h */
static PyObject *residual_of(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Planes planes;
    Row row;
    long long sizes[3];
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*(LLL)pp", &b[0], &b[1], &b[2], &sizes[0], &sizes[1], &sizes[2], &planes.along_rows,
                          &planes.along_columns))
        return NULL;
    Shape shape = {sizes[0], sizes[1], sizes[2], 0};
    planes.planes = sizes[0], planes.rows = sizes[1], planes.columns = sizes[2];
    int sound = check_shape(&shape, b[0].len);
    int64_t count = sound ? sizes[0] * sizes[1] * sizes[2] : 0, inverses = b[1].len / 8;
    planes.wide = shape.wide;
    planes.narrow = b[2].len == count * 2;
    if (sound && ((!planes.narrow && b[2].len != count * 4) || (inverses != 1 && inverses != sizes[0]))) sound = fail("residuals or steps of other sizes");
    char *memory = sound ? malloc((size_t)planes.columns * 4 + (PART + 1) * 4 + PART * 8) : NULL;
    if (sound && !memory) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        row.products = (double *)memory;
        row.indices = (int32_t *)(memory + PART * 8);
        row.above = row.indices + PART + 1;
        Py_BEGIN_ALLOW_THREADS;
        find_residual(&planes, &row, b[0].buf, b[1].buf, inverses > 1, b[2].buf);
        Py_END_ALLOW_THREADS;
    }
    free(memory);
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* sum_cells(zigzagged, bytes of each, size, out): sums of magnitudes */
static PyObject *sum_cells(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    long long size;
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iLw*", &b[0], &width, &size, &b[1])) return NULL;
    int sound = (width == 2 || width == 4) && size >= 1 && size <= 1 << 15 ? 1 : fail("cells of other sizes");
    int64_t count = sound ? b[0].len / width : 0;
    if (sound && b[1].len != (count + size - 1) / size * 8) sound = fail("cells of another number");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        if (width == 2)
            sum_cells16(b[0].buf, count, size, b[1].buf);
        else
            sum_cells32(b[0].buf, count, size, b[1].buf);
        Py_END_ALLOW_THREADS;
    }
    release(b, 2);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

static int check_width(int width) { return width == 1 || width == 2 || width == 4 ? 1 : fail("numbers of another width"); }

#define BY_WIDTH(width, name, values, ...)                                \
    ((width) == 1   ? name##8((const uint8_t *)(values), __VA_ARGS__)     \
     : (width) == 2 ? name##16((const uint16_t *)(values), __VA_ARGS__)   \
                    : name##32((const uint32_t *)(values), __VA_ARGS__))

/* statistics(numbers, bytes of each) -> the largest, and their sum */
static PyObject *statistics(PyObject *self, PyObject *args) {
    Py_buffer b;
    int width;
    uint32_t most = 0;
    unsigned long long total = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*i", &b, &width)) return NULL;
    int sound = check_width(width);
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        most = BY_WIDTH(width, find_most, b.buf, b.len / width);
        total = BY_WIDTH(width, add_up, b.buf, b.len / width);
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&b);
    return sound ? Py_BuildValue("kK", (unsigned long)most, total) : NULL;
}

/* pack_joint(numbers, bytes of each, base, digits a byte, out) -> how many are base - 1 or more */
static PyObject *pack_joint(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    int width, base, per_byte;
    long long escaped = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiiw*", &b[0], &width, &base, &per_byte, &b[1])) return NULL;
    int sound = check_width(width);
    int64_t count = sound ? b[0].len / width : 0, size = b[1].len;
    if (sound && (base < 2 || base > 256 || per_byte < 1 || per_byte > 8 || size != (count + per_byte - 1) / per_byte))
        sound = fail("digits of other sizes");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        if (width == 1)
            pack8(b[0].buf, count, (uint8_t)(base - 1), per_byte, b[1].buf, size);
        else if (width == 2)
            pack16(b[0].buf, count, (uint16_t)(base - 1), per_byte, b[1].buf, size);
        else
            pack32(b[0].buf, count, (uint32_t)(base - 1), per_byte, b[1].buf, size);
        escaped = BY_WIDTH(width, count_from, b[0].buf, base - 1, count);
        Py_END_ALLOW_THREADS;
    }
    release(b, 2);
    return sound ? PyLong_FromLongLong(escaped) : NULL;
}

/* take_from(numbers, bytes of each, least, out): those from `least` on, less it */
static PyObject *take_from(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    int width;
    unsigned long least;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*ikw*", &b[0], &width, &least, &b[1])) return NULL;
    int sound = check_width(width);
    if (sound) {
        int64_t count = b[0].len / width, room = b[1].len / width;
        Py_BEGIN_ALLOW_THREADS;
        if (width == 1)
            take_from8(b[0].buf, (uint8_t)least, b[1].buf, room, count);
        else if (width == 2)
            take_from16(b[0].buf, (uint16_t)least, b[1].buf, room, count);
        else
            take_from32(b[0].buf, (uint32_t)least, b[1].buf, room, count);
        Py_END_ALLOW_THREADS;
    }
    release(b, 2);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* ranges(values, low, high, (steps, channels, pixels)) */
static PyObject *ranges(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Shape shape;
    long long sizes[3];
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*w*(LLL)", &b[0], &b[1], &b[2], &sizes[0], &sizes[1], &sizes[2])) return NULL;
    shape = (Shape){sizes[0], sizes[1], sizes[2], 0};
    int sound = check_shape(&shape, b[0].len);
    if (sound && (b[1].len != shape.channels * 8 || b[2].len != shape.channels * 8)) sound = fail("ranges of another number");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        find_ranges(&shape, b[0].buf, b[1].buf, b[2].buf);
        Py_END_ALLOW_THREADS;
    }
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* anchors(words, scatter, limit, places) -> how many there are; the first ones are put into places */
static PyObject *anchors(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    unsigned long scatter, limit;
    long long count;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*kkw*", &b[0], &scatter, &limit, &b[1])) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    count = find_anchors(b[0].buf, b[0].len / 4, (uint32_t)scatter, (uint32_t)limit, b[1].buf, b[1].len / 8);
    Py_END_ALLOW_THREADS;
    release(b, 2);
    return PyLong_FromLongLong(count);
}

/* Convolve (images, planes, lines, values), zeros around, to (images, lines, values); 0 if memory runs out. */
static int convolve_images(const float *planes, const float *weights, const Shape *shape, int64_t count, int64_t values, float *out) {
    int64_t lines = shape->pixels / values, pitch = values + 2;
    float *memory = calloc((size_t)((lines + 2) * pitch), 4);
    if (!memory) return 0;
    for (int64_t image = 0; image < shape->steps; image++) {
        float *sum = out + image * shape->pixels;
        memset(sum, 0, (size_t)shape->pixels * 4);
        for (int64_t p = 0; p < count; p++) {
            const float *plane = planes + (image * count + p) * shape->pixels, *w = weights + 9 * p;
            int weighs = 0;
            for (int i = 0; i < 9; i++) weighs |= w[i] != 0;
            if (!weighs) continue;
            for (int64_t a = 0; a < lines; a++) memcpy(memory + (a + 1) * pitch + 1, plane + a * values, (size_t)values * 4);
            for (int64_t a = 0; a < lines; a++)
                convolve(memory + a * pitch, memory + (a + 1) * pitch, memory + (a + 2) * pitch, w, sum + a * values, values);
        }
    }
    free(memory);
    return 1;
}

/* convolve_planes(planes, weights, out, (images, planes, lines, values)) */
static PyObject *convolve_planes(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    long long sizes[4];
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*(LLLL)", &b[0], &b[1], &b[2], &sizes[0], &sizes[1], &sizes[2], &sizes[3])) return NULL;
    const int64_t most = 1 << 30;
    int sound = sizes[2] >= 1 && sizes[3] >= 1 && sizes[2] <= most && sizes[3] <= most && sizes[2] * sizes[3] <= most ? 1 : fail("a shape out of range");
    Shape shape = {sizes[0], sizes[1], sound ? sizes[2] * sizes[3] : 1, 0};
    sound = sound && check_shape(&shape, b[0].len);
    if (sound && (shape.wide || b[1].len != sizes[1] * 36 || b[2].len != sizes[0] * shape.pixels * 4)) sound = fail("planes or weights of other sizes");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        sound = convolve_images(b[0].buf, b[1].buf, &shape, sizes[1], sizes[3], b[2].buf);
        Py_END_ALLOW_THREADS;
        if (!sound) PyErr_NoMemory();
    }
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"convolve_planes", convolve_planes, METH_VARARGS, NULL},
    {"anchors", anchors, METH_VARARGS, NULL},
    {"ranges", ranges, METH_VARARGS, NULL},
    {"pack_joint", pack_joint, METH_VARARGS, NULL},
    {"statistics", statistics, METH_VARARGS, NULL},
    {"take_from", take_from, METH_VARARGS, NULL},
    {"residual_of", residual_of, METH_VARARGS, NULL},
    {"sum_cells", sum_cells, METH_VARARGS, NULL},
    {"count_beyond", count_beyond, METH_VARARGS, NULL},
    {"nearest_symbols", nearest_symbols, METH_VARARGS, NULL},
    {"put_values", put_values, METH_VARARGS, NULL},
    {"decode_phase", decode_phase, METH_VARARGS, NULL},
    {"encode_phase", encode_phase, METH_VARARGS, NULL},
    {"spread_by_index", spread_by_index, METH_VARARGS, NULL},
    {"sort_by_index", sort_by_index, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernels", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&module); }
