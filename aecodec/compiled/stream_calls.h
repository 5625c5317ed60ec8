/* Residuals of the fast levels, digits and anchors, called from Python. */
#ifndef AECODEC_STREAM_CALLS_H
#define AECODEC_STREAM_CALLS_H

#include "arguments.h"
#include "draft.h"
#include "residual.h"

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
        BEGIN_LONG(b[0].len);
        find_residual(&planes, &row, b[0].buf, b[1].buf, inverses > 1, b[2].buf);
        END_LONG;
    }
    free(memory);
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

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
        BEGIN_LONG(b.len);
        most = BY_WIDTH(width, find_most, b.buf, b.len / width);
        total = BY_WIDTH(width, add_up, b.buf, b.len / width);
        END_LONG;
    }
    PyBuffer_Release(&b);
    return sound ? Py_BuildValue("kK", (unsigned long)most, total) : NULL;
}

/* pack_joint(numbers, bytes of each, base, digits a byte, out, escaped) -> of those from base - 1 on, which are put, less it, into
 * `escaped`, that has room for all: how many they are, the largest, and their sum */
static PyObject *pack_joint(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int width, base, per_byte;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiiw*w*", &b[0], &width, &base, &per_byte, &b[1], &b[2])) return NULL;
    int sound = check_width(width);
    int64_t count = sound ? b[0].len / width : 0, size = b[1].len, escaped = 0;
    uint32_t most = 0;
    unsigned long long total = 0;
    if (sound && (base < 2 || base > 256 || per_byte < 1 || per_byte > 8 || size != (count + per_byte - 1) / per_byte ||
                  b[2].len < (count + 1) * width))
        sound = fail("digits of other sizes");
    if (sound) {
        BEGIN_LONG(b[0].len);
        Stream numbers = {.values = b[0].buf, .count = count, .width = width};
        escaped = put_digits(&numbers, base, per_byte, b[1].buf, b[2].buf);
        most = BY_WIDTH(width, find_most, b[2].buf, escaped);
        total = BY_WIDTH(width, add_up, b[2].buf, escaped);
        END_LONG;
    }
    release(b, 3);
    return sound ? Py_BuildValue("LkK", (long long)escaped, (unsigned long)most, total) : NULL;
}

/* pack_low(numbers, bytes of each, bits, out, rest) -> of the numbers without so many lowest bits, which go into `out`, several to a
 * byte, and the others into `rest`: the largest, and their sum */
static PyObject *pack_low(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int width, bits;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiw*w*", &b[0], &width, &bits, &b[1], &b[2])) return NULL;
    int sound = check_width(width);
    int64_t count = sound ? b[0].len / width : 0, size = b[1].len;
    uint32_t most = 0;
    unsigned long long total = 0;
    if (sound && (bits < 1 || bits > 8 || 8 % bits || size != (count + 8 / bits - 1) / (8 / bits) || b[2].len != b[0].len))
        sound = fail("low bits of another size");
    if (sound) {
        BEGIN_LONG(b[0].len);
        Stream numbers = {.values = b[0].buf, .count = count, .width = width};
        put_low_bits(&numbers, bits, b[1].buf, b[2].buf);
        most = BY_WIDTH(width, find_most, b[2].buf, count);
        total = BY_WIDTH(width, add_up, b[2].buf, count);
        END_LONG;
    }
    release(b, 3);
    return sound ? Py_BuildValue("kK", (unsigned long)most, total) : NULL;
}

/* count_values(numbers, bytes of each, stride, out): float64, see digits.h */
static PyObject *count_values(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    int width;
    long long stride;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iLw*", &b[0], &width, &stride, &b[1])) return NULL;
    int sound = check_width(width);
    if (sound && (stride < 1 || b[1].len != BINS * 8)) sound = fail("counts of another number");
    if (sound) {
        int64_t count = b[0].len / width;
        BEGIN_LONG(b[0].len);
        if (width == 1)
            count_values8(b[0].buf, count, stride, b[1].buf);
        else if (width == 2)
            count_values16(b[0].buf, count, stride, b[1].buf);
        else
            count_values32(b[0].buf, count, stride, b[1].buf);
        END_LONG;
    }
    release(b, 2);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* tabulate(numbers, bytes of each, indices, table): int64 (indices, COLUMNS), added to; no indices: all are 0 */
static PyObject *tabulate(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*w*", &b[0], &width, &b[1], &b[2])) return NULL;
    int sound = check_width(width);
    int64_t count = sound ? b[0].len / width : 0, rows = b[2].len / (COLUMNS * 8);
    if (sound && (rows < 1 || b[2].len % (COLUMNS * 8) || (b[1].len && b[1].len != count))) sound = fail("counts of another number");
    if (sound) {
        const uint8_t *indices = b[1].len ? b[1].buf : NULL;
        BEGIN_LONG(b[0].len);
        if (width == 1)
            sound = tabulate8(b[0].buf, indices, count, b[2].buf, rows);
        else if (width == 2)
            sound = tabulate16(b[0].buf, indices, count, b[2].buf, rows);
        else
            sound = tabulate32(b[0].buf, indices, count, b[2].buf, rows);
        END_LONG;
        if (!sound) fail("an index out of range");
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
    BEGIN_LONG(b[0].len);
    count = find_anchors(b[0].buf, b[0].len / 4, (uint32_t)scatter, (uint32_t)limit, b[1].buf, b[1].len / 8);
    END_LONG;
    release(b, 2);
    return PyLong_FromLongLong(count);
}

#endif
