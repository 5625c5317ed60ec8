/* Phases decoded: residuals are taken from their groups. */
#ifndef AECODEC_DECODE_CALL_H
#define AECODEC_DECODE_CALL_H

#include "phase.h"

#define TAKE(BITS)                                                                                                              \
    /* The next symbols of `n` indices, `step` apart as their residuals; 0 if those of an index run out. */                     \
    static inline int take##BITS(const int##BITS##_t *restrict symbols, const uint8_t *restrict index, int64_t step,            \
                                 int64_t *restrict used, const int64_t *restrict ends, int32_t *restrict residual, int64_t n) { \
        for (int64_t j = 0; j < n; j++, index += step, residual += step) {                                                      \
            int64_t place = used[*index];                                                                                       \
            if (place >= ends[*index]) return 0;                                                                                \
            *residual = symbols[place];__builtin_prefetch(symbols+place+64);                                                                                 \
            used[*index] = place + 1;                                                                                           \
        }                                                                                                                       \
        return 1;                                                                                                               \
    }

TAKE(16)
TAKE(32)

/* The same from place `at` on, but that nothing is taken where it is `free`, each `next` from the last, and the residual is 0. */
static int take_some(const Symbols *symbols, const uint8_t *free, int64_t next, const Scratch *s, int64_t at, int64_t step,
                     int64_t *used, const int64_t *ends, int64_t n) {
    for (int64_t j = 0; j < n; j++, at += step, free += next) {
        int k = s->index[at];
        s->residual[at] = 0;
        if (*free) continue;
        if (used[k] >= ends[k]) return 0;
        s->residual[at] = symbols->width == 2 ? ((const int16_t *)symbols->all)[used[k]] : ((const int32_t *)symbols->all)[used[k]];
        used[k]++;
    }
    return 1;
}

/* Residuals of one plane in coding order, those of index k from used[k], which is moved on, to ends[k]; 0 if these run out. */
static int take_residuals(const Phase *phase, const Scratch *s, int64_t plane, const Symbols *symbols, int64_t *used,
                          const int64_t *ends) {
    const Geometry *g = &phase->geometry;
    int64_t stride = stride_of(g), outer = g->across ? g->count : g->lines, inner = g->across ? g->lines : g->count;
    int64_t apart = g->across ? 1 : stride, step = g->across ? stride : 1;
    int64_t free_apart = g->across ? g->next : g->next_line, free_step = g->across ? g->next_line : g->next;
    int enough = 1;
    for (int64_t i = 0; enough && i < outer; i++) {
        const uint8_t *index = s->index + i * apart;
        int32_t *residual = s->residual + i * apart;
        if (phase->free)
            enough = take_some(symbols, phase->free + plane * g->extent + g->first + i * free_apart, free_step, s, i * apart, step,
                               used, ends, inner);
        else if (symbols->width == 2)
            enough = take16(symbols->all, index, step, used, ends, residual, inner);
        else
            enough = take32(symbols->all, index, step, used, ends, residual, inner);
    }
    return enough;
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

/* 1, 0 if the symbols do not suffice, -1 without memory. */
static int decode_walk(const Walk *walk, const Symbols *symbols, int64_t *used, const int64_t *ends) {
    int enough = 1;
    for (Py_ssize_t i = 0; enough == 1 && i < walk->count; i++) {
        Scratch scratch;
        if (!make_scratch(&scratch, &walk->phases[i].geometry)) return -1;
        enough = decode_planes(walk->phases + i, &scratch, symbols, used, ends);
        free_scratch(&scratch);
    }
    return enough;
}

/* decode_phases([common, ...], symbols, used, ends, bytes of each symbol) -> whether the symbols suffice */
static PyObject *decode_phases(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    PyObject *steps, *result = NULL;
    Symbols symbols;
    Walk walk;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*w*y*i", &steps, &b[0], &b[1], &b[2], &symbols.width)) return NULL;
    symbols.all = b[0].buf;
    if (parse_walk(&walk, steps) && check_symbols(&symbols, b)) {
        int enough;
        Py_BEGIN_ALLOW_THREADS;
        enough = decode_walk(&walk, &symbols, b[1].buf, b[2].buf);
        Py_END_ALLOW_THREADS;
        result = enough < 0 ? PyErr_NoMemory() : PyBool_FromLong(enough);
    }
    release_walk(&walk);
    release(b, 3);
    return result;
}

#endif
