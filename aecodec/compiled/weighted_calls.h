/* Weighted prediction called from Python. */
#ifndef AECODEC_WEIGHTED_CALLS_H
#define AECODEC_WEIGHTED_CALLS_H

#include "arguments.h"
#include "weighted.h"

/* 1 if there are as many values, and memory; free_differences even if not. */
static int begin_weighted(Weighted *w, const long long *sizes, const Py_buffer *weights, Py_ssize_t bytes) {
    const int64_t most = 1 << 30;
    *w = (Weighted){sizes[0], sizes[1], sizes[2], sizes[3], {0}, NULL, NULL};
    if (sizes[2] < 1 || sizes[3] < 1 || sizes[2] > most || sizes[3] > most || sizes[2] * sizes[3] > most) return fail("a shape out of range");
    Shape shape = {sizes[0], sizes[1], sizes[2] * sizes[3], 0};
    if (!check_shape(&shape, bytes)) return 0;
    if (weights->len != WEIGHTS) return fail("weights of another number");
    for (int k = 0; k < WEIGHTS; k++) w->weights[k] = ((const int8_t *)weights->buf)[k];
    if (make_differences(w)) return 1;
    PyErr_NoMemory();
    return 0;
}

/* weighted_residual(values, inverses, weights, out, (steps, channels, rows, columns)): zigzagged, `out` of 2 or 4 bytes each */
static PyObject *weighted_residual(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    long long sizes[4];
    Weighted w;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*(LLLL)", &b[0], &b[1], &b[2], &b[3], &sizes[0], &sizes[1], &sizes[2], &sizes[3])) return NULL;
    int sound = begin_weighted(&w, sizes, b + 2, b[0].len);
    int64_t count = sound ? w.steps * w.channels * w.rows * w.columns : 0, inverses = b[1].len / 8;
    Planes planes = {.wide = b[0].len == count * 8, .narrow = b[3].len == count * 2};
    if (sound && ((!planes.narrow && b[3].len != count * 4) || (inverses != 1 && inverses != w.channels)))
        sound = fail("residuals or steps of other sizes");
    Row row = {.products = malloc(PART * 8), .indices = malloc((PART + 1) * 4)};
    if (sound && (!row.products || !row.indices)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        BEGIN_LONG(b[0].len);
        find_weighted(&w, &planes, &row, b[0].buf, b[1].buf, inverses > 1, b[3].buf);
        END_LONG;
    }
    free_differences(&w);
    free(row.products), free(row.indices);
    release(b, 4);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* weighted_moments(indices, out, (steps, channels, rows, columns)): int32; sums of products of terms, with each that is not before them
 * and with the differences, float64 (terms, terms + 1) */
static PyObject *weighted_moments(PyObject *self, PyObject *args) {
    Py_buffer b[2], none = {.buf = (void *)"\0\0\0\0\0", .len = WEIGHTS};
    long long sizes[4];
    Weighted w;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*(LLLL)", &b[0], &b[1], &sizes[0], &sizes[1], &sizes[2], &sizes[3])) return NULL;
    int sound = begin_weighted(&w, sizes, &none, b[0].len);
    int64_t lines = sound ? w.steps * w.channels * w.rows : 0;
    if (sound && (b[0].len != lines * w.columns * 4 || b[1].len != MOMENTS * 8)) sound = fail("moments of another number");
    double *found = sound ? malloc((size_t)lines * (size_t)(w.columns + 1) * 8 + 8) : NULL, *zeros = sound ? calloc((size_t)w.columns + 1, 8) : NULL;
    if (sound && (!found || !zeros)) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        BEGIN_LONG(b[0].len);
        memset(b[1].buf, 0, MOMENTS * 8);
        fitted_differences(b[0].buf, lines, w.columns, found);
        find_moments(&w, found, zeros, b[1].buf);
        END_LONG;
    }
    free(found), free(zeros);
    free_differences(&w);
    release(b, 2);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* weighted_restore(residuals, bytes of each, weights, lattice steps, out, (steps, channels, rows, columns)): floats of one step for all
 * or of one for each channel, or, without any, int32 indices */
static PyObject *weighted_restore(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    long long sizes[4];
    int width;
    Weighted w;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*y*w*(LLLL)", &b[0], &width, &b[1], &b[2], &b[3], &sizes[0], &sizes[1], &sizes[2], &sizes[3]))
        return NULL;
    int sound = begin_weighted(&w, sizes, b + 1, b[3].len);
    int64_t count = sound ? w.steps * w.channels * w.rows * w.columns : 0, lattice = b[2].len / 8;
    if (sound && ((width != 1 && width != 2 && width != 4) || b[0].len != count * width)) sound = fail("residuals of another size");
    if (sound && lattice > 1 && lattice != w.channels) sound = fail("lattice steps of another number");
    if (sound && !lattice && b[3].len != count * 4) sound = fail("indices of another size");
    int32_t *part = malloc(PART * 4);
    if (sound && !part) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound) {
        Restored r = {b[0].buf, width, b[3].len == count * 8, lattice ? b[2].buf : NULL, lattice > 1, b[3].buf};
        BEGIN_LONG(b[3].len);
        restore_weighted(&w, r, part);
        END_LONG;
    }
    free_differences(&w);
    free(part);
    release(b, 4);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

#endif
