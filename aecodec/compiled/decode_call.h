/* Phases decoded: residuals are taken from their groups. */
#ifndef AECODEC_DECODE_CALL_H
#define AECODEC_DECODE_CALL_H

#include "phase.h"

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

#endif
