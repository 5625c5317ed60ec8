/* Phases of the predicted path as Python hands them over, and what their planes leave for later ones. */
#ifndef AECODEC_PHASE_H
#define AECODEC_PHASE_H

#include "arguments.h"
#include "plane.h"

enum { VALUES, SIZES, DETAILS, NEW_VALUES, NEW_SIZES, PLACES, GEOMETRY, MEAN, NEAR, AROUND, FLOOR, FREE, COMMON };
enum { MOST_PHASES = 1 << 12 }; /* of one call */
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

/* The values of one plane, and what later ones will want to know of them, from s->means and s->residual. */
static void put_plane(const Phase *phase, const Scratch *s, int64_t plane) {
    const Geometry *g = &phase->geometry;
    int64_t n = g->count, stride = stride_of(g);
    const int32_t *values = phase->grids.values + plane * g->known_plane, *sizes = phase->grids.sizes + plane * g->known_plane;
    int32_t *details = phase->grids.details + plane * g->lines * n, spacing = (int32_t)g->spacing;
    int32_t *out = phase->new_values + plane * g->new_plane + (g->across ? g->new_pitch : 0);
    int32_t *out_sizes = phase->new_sizes ? phase->new_sizes + plane * g->new_plane + (g->across ? g->new_pitch : 0) : NULL;
    int64_t next = g->across ? g->known_pitch : g->new_pitch;
    for (int64_t a = 0; a < g->lines; a++, details += n, out += next, values += g->known_pitch, sizes += g->known_pitch) {
        const int32_t *means = s->means + a * stride, *middle = s->middle + a * stride, *residual = s->residual + a * stride;
        if (g->across) {
            reconstruct(means, middle, residual, spacing, out, details, n);
            if (out_sizes) find_sizes(residual, spacing, out_sizes, n);
        } else {
            reconstruct_between(values, means, middle, residual, spacing, out, details, n);
            if (out_sizes) find_sizes_between(sizes, residual, spacing, out_sizes, n);
            if (g->known_count > n) {
                out[2 * n] = values[n];
                if (out_sizes) out_sizes[2 * n] = sizes[n];
            }
        }
        if (out_sizes) out_sizes += next;
    }
}

/* Pitches and sizes of the grids of one plane. */
static int check_grids(const Geometry *g) {
    const int64_t most = 1 << 30;
    int64_t lines = g->known_lines + (g->across ? g->lines : 0), width = g->across ? g->count : g->known_count + g->count;
    if (g->known_pitch < g->known_count || g->new_pitch < width || g->known_pitch > most || g->new_pitch > most ||
        g->known_plane > most || g->new_plane > most || (g->known_lines - 1) * g->known_pitch + g->known_count > g->known_plane ||
        (lines - 1) * g->new_pitch + width > g->new_plane ||
        (g->across && (g->known_pitch != 2 * g->new_pitch || g->known_plane != g->new_plane)))
        return fail("lines do not fit into their grids");
    return 1;
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
    return check_grids(g);
}

/* Whether all weights are numbers of 16 bits, as those of a predictor that was proven are. */
static int are_short(const Py_buffer *weights) {
    const float *all = weights->buf;
    for (Py_ssize_t i = 0; i < weights->len / 4; i++)
        if (!(all[i] >= INT16_MIN && all[i] <= INT16_MAX)) return 0;
    return 1;
}

/* What the common buffers hold, if they agree with each other. */
static int parse_phase(Phase *phase, const Py_buffer *b) {
    Geometry g;
    if (b[GEOMETRY].len != (Py_ssize_t)sizeof g) return fail("geometry of another size");
    memcpy(&g, b[GEOMETRY].buf, sizeof g);
    if (!check_geometry(&g)) return 0;
    int64_t own = g.lines * g.count, inputs = plane_count(&g), places = b[PLACES].len / 8;
    int64_t planes = b[VALUES].len / 4 / g.known_plane;
    if (b[VALUES].len != planes * g.known_plane * 4 || b[SIZES].len != b[VALUES].len || b[DETAILS].len != planes * own * 4 ||
        b[NEW_VALUES].len != planes * g.new_plane * 4 || (b[NEW_SIZES].len && b[NEW_SIZES].len != b[NEW_VALUES].len) ||
        (b[FREE].len && b[FREE].len != planes * g.extent) || places % (1 + g.sources))
        return fail("grids of other sizes");
    if (g.across && (b[VALUES].buf != b[NEW_VALUES].buf || (b[NEW_SIZES].len && b[SIZES].buf != b[NEW_SIZES].buf)))
        return fail("a phase across memory's lines has two grids");
    for (int64_t i = 0; i < places; i++) {
        int64_t place = ((const int64_t *)b[PLACES].buf)[i];
        if (place >= planes || place < (i % (1 + g.sources) ? -1 : 0)) return fail("a place beyond the planes");
    }
    if (b[MEAN].len != inputs * 36 || b[NEAR].len != inputs * 4 || b[AROUND].len != inputs * 4 || b[FLOOR].len != 4)
        return fail("weights of other sizes");
    if (!are_short(b + MEAN) || !are_short(b + NEAR) || !are_short(b + AROUND)) return fail("weights beyond 16 bits");
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

/* Phases one after the other, and the memory that Python lends for them. */
typedef struct {
    Py_buffer *buffers; /* COMMON of each */
    Phase *phases;
    Py_ssize_t count, taken; /* phases, and how many buffers are held */
} Walk;

static void release_walk(Walk *walk) {
    release(walk->buffers, (int)walk->taken);
    PyMem_Free(walk->buffers);
    PyMem_Free(walk->phases);
}

/* What a list of tuples of the common buffers holds; release_walk even if it is not sound. */
static int parse_walk(Walk *walk, PyObject *steps) {
    *walk = (Walk){0};
    if (!PyList_Check(steps)) return fail("no list of phases");
    Py_ssize_t count = PyList_Size(steps);
    if (count > MOST_PHASES) return fail("too many phases at once");
    walk->buffers = PyMem_Calloc((size_t)count * COMMON + 1, sizeof(Py_buffer));
    walk->phases = PyMem_Calloc((size_t)count + 1, sizeof(Phase));
    if (!walk->buffers || !walk->phases) {
        PyErr_NoMemory();
        return 0;
    }
    for (; walk->count < count; walk->count++) {
        Py_buffer *b = walk->buffers + walk->taken;
        PyObject *step = PyList_GetItem(steps, walk->count);
        if (!step || !PyTuple_Check(step)) return fail("a phase is no tuple");
        if (!PyArg_ParseTuple(step, COMMON_FORMAT, COMMON_BUFFERS(b))) return 0;
        walk->taken += COMMON;
        if (!parse_phase(walk->phases + walk->count, b)) return 0;
    }
    return 1;
}

#endif
