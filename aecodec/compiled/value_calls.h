/* Values and units, bounds, ranges, symbols of slices and convolutions, called from Python. */
#ifndef AECODEC_VALUE_CALLS_H
#define AECODEC_VALUE_CALLS_H

#include "arguments.h"

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
        BEGIN_LONG(b[0].len);
        from_units(&shape, b[0].buf, b[1].buf, &base, b[3].buf);
        END_LONG;
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
        BEGIN_LONG(b[0].len);
        round_beyond(b[0].buf, b[1].buf, b[2].buf, b[3].buf, count);
        lost = add_unindexed(b[0].buf, b[1].buf, count);
        END_LONG;
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
        BEGIN_LONG(b[0].len);
        count = count_outside(&shape, b[0].buf, b[1].buf, b[2].buf);
        END_LONG;
        result = PyLong_FromLongLong(count);
    }
    release(b, 3);
    return result;
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
        BEGIN_LONG(b[0].len);
        find_ranges(&shape, b[0].buf, b[1].buf, b[2].buf);
        END_LONG;
    }
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* Add `w`, 3 x 3, times what is around each of n values, to `total`. */
WIDE_LOOP void convolve(const float *restrict x, int64_t stride, const float *restrict w, float *restrict total, int64_t n) {
    const float *restrict y = x + stride, *restrict z = y + stride;
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    for (int64_t i = 0; i < n; i++) {
        float sum = w0 * x[i] + w1 * x[i + 1] + w2 * x[i + 2];
        sum += w3 * y[i] + w4 * y[i + 1] + w5 * y[i + 2];
        total[i] += sum + (w6 * z[i] + w7 * z[i + 1] + w8 * z[i + 2]);
    }
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
                convolve(memory + a * pitch, pitch, w, sum + a * values, values);
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
        BEGIN_LONG(b[0].len);
        sound = convolve_images(b[0].buf, b[1].buf, &shape, sizes[1], sizes[3], b[2].buf);
        END_LONG;
        if (!sound) PyErr_NoMemory();
    }
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

#endif
