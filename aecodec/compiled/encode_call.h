/* Phases encoded: residuals are what brings values nearest to those given. */
#ifndef AECODEC_ENCODE_CALL_H
#define AECODEC_ENCODE_CALL_H

#include "phase.h"

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
    int64_t channel = plane % source->channels, apart = source->per_channel > 1 ? g->next : 0, n = g->count, stride = stride_of(g);
    const double *base = source->base + channel * source->per_channel;
    for (int64_t a = 0; a < g->lines; a++) {
        int64_t at = g->first + a * g->next_line;
        const char *values = source->values + (plane * g->extent + at) * (source->wide ? 8 : 4);
        to_units(values, source->wide, g->next, base + (apart ? at : 0), apart, source->scales[channel], s->reals, n);
        quantize(s->reals, s->means + a * stride, 1.0 / (double)g->spacing, source->dead_zone, s->residual + a * stride, n);
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

/* Lines one after the other; returns all bits that are set. */
LOOP uint32_t zigzag_narrow(const int32_t *restrict residual, int64_t stride, uint16_t *restrict out, int64_t lines, int64_t n) {
    uint32_t bits = 0;
    for (; lines; lines--, residual += stride, out += n)
        for (int64_t i = 0; i < n; i++) {
            uint32_t symbol = zigzag(residual[i]);
            out[i] = (uint16_t)symbol;
            bits |= symbol;
        }
    return bits;
}

/* Append the residuals of one plane and their indices, all of them, line by line. */
static void append_lines(const Geometry *g, const Scratch *s, Found *found) {
    int64_t n = g->count, stride = stride_of(g);
    uint16_t *narrow = (uint16_t *)found->symbols + found->done;
    int32_t *wide = (int32_t *)found->symbols + found->done;
    if (found->narrow) found->overflow |= zigzag_narrow(s->residual, stride, narrow, g->lines, n) > UINT16_MAX;
    for (int64_t a = 0; a < g->lines; a++, found->done += n, wide += n) {
        if (!found->narrow) memcpy(wide, s->residual + a * stride, (size_t)n * 4);
        memcpy(found->indices + found->done, s->index + a * stride, (size_t)n);
    }
}

/* The same but where nothing is coded, in either order. */
static void append_some(const Phase *phase, const Scratch *s, int64_t plane, Found *found) {
    const Geometry *g = &phase->geometry;
    uint16_t *narrow = (uint16_t *)found->symbols + found->done;
    int32_t *wide = (int32_t *)found->symbols + found->done;
    uint32_t bits = 0;
    int64_t outer = g->across ? g->count : g->lines, inner = g->across ? g->lines : g->count, count = 0;
    int64_t step = g->across ? stride_of(g) : 1, line = g->across ? 1 : stride_of(g);
    int64_t next = g->across ? g->next_line : g->next, next_line = g->across ? g->next : g->next_line;
    const uint8_t *free = phase->free ? phase->free + plane * g->extent + g->first : NULL;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0, at = i * line; j < inner; j++, at += step) {
            if (free && free[i * next_line + j * next]) {
                s->residual[at] = 0;
                continue;
            }
            bits |= zigzag(s->residual[at]);
            if (found->narrow)
                narrow[count] = (uint16_t)zigzag(s->residual[at]);
            else
                wide[count] = s->residual[at];
            found->indices[found->done + count++] = s->index[at];
        }
    found->done += count;
    found->overflow |= found->narrow && bits > UINT16_MAX;
}

static void append_residuals(const Phase *phase, const Scratch *s, int64_t plane, Found *found) {
    if (!phase->free && !phase->geometry.across)
        append_lines(&phase->geometry, s, found);
    else
        append_some(phase, s, plane, found);
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

/* 1 if the phases fit the source, and their symbols the room that there is. */
static int check_phases(Source *source, const Py_buffer *b, const Walk *walk, int64_t room) {
    for (Py_ssize_t i = 0; i < walk->count; i++) {
        const Phase *phase = walk->phases + i;
        const Geometry *g = &phase->geometry;
        int64_t planes = walk->buffers[i * COMMON + VALUES].len / 4 / g->known_plane;
        if (!parse_source(source, b, phase, planes)) return 0;
        room -= phase->planes * g->lines * g->count;
        if (room < 0) return fail("no room for the symbols");
    }
    return 1;
}

/* 1, 0 if some symbols do not fit into theirs, -1 without memory. */
static int encode_walk(const Walk *walk, const Source *source, Found *found) {
    int fit = 1;
    for (Py_ssize_t i = 0; fit == 1 && i < walk->count; i++) {
        Scratch scratch;
        if (!make_scratch(&scratch, &walk->phases[i].geometry)) return -1;
        fit = encode_planes(walk->phases + i, &scratch, source, found);
        free_scratch(&scratch);
    }
    return fit;
}

/* encode_phases([common, ...], values, base, scales, symbols, indices, dead_zone, done) -> symbols there are then, or -1 if some do not
 * fit into theirs, which have 2 bytes, or 4 */
static PyObject *encode_phases(PyObject *self, PyObject *args) {
    Py_buffer b[5];
    PyObject *steps, *result = NULL;
    Source source;
    Found found = {0};
    Walk walk;
    long long done;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*y*y*w*w*dL", &steps, &b[0], &b[1], &b[2], &b[3], &b[4], &source.dead_zone, &done)) return NULL;
    int64_t room = b[4].len;
    int sound = parse_walk(&walk, steps);
    found.narrow = b[3].len == room * 2;
    if (sound && (done < 0 || done > room || (!found.narrow && b[3].len != room * 4))) sound = fail("symbols of other sizes");
    if (sound && check_phases(&source, b, &walk, room - done)) {
        int fit;
        found.symbols = b[3].buf, found.indices = b[4].buf, found.done = done;
        Py_BEGIN_ALLOW_THREADS;
        fit = encode_walk(&walk, &source, &found);
        Py_END_ALLOW_THREADS;
        result = fit < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(fit ? found.done : -1);
    }
    release_walk(&walk);
    release(b, 5);
    return result;
}

#endif
