/* Cells sorted by their scale index, and put back, called from Python. */
#ifndef AECODEC_CELL_CALLS_H
#define AECODEC_CELL_CALLS_H

#include "arguments.h"
#include "cells.h"

static int check_cells(long long size) { return size >= 16 && size <= 1 << 15 && size % 16 == 0 ? 1 : fail("cells of other sizes"); }

/* sort_cells(zigzagged, bytes of each, size, indices, out, ends): cells by rising scale index, which is found; see cells.h */
static PyObject *sort_cells(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    long long size;
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iLw*w*w*", &b[0], &width, &size, &b[1], &b[2], &b[3])) return NULL;
    int sound = check_width(width) && check_cells(size);
    int64_t count = sound ? b[0].len / width : 0, cells = sound ? (count + size - 1) / size : 0;
    if (sound && (b[1].len != cells || b[2].len != cells * size * width || b[3].len != INDICES * 8)) sound = fail("cells of another number");
    if (sound) {
        BEGIN_LONG(b[0].len);
        if (width == 1)
            index_cells8(b[0].buf, count, size, b[1].buf);
        else if (width == 2)
            index_cells16(b[0].buf, count, size, b[1].buf);
        else
            index_cells32(b[0].buf, count, size, b[1].buf);
        put_sorted(b[0].buf, count * width, size * width, width, b[1].buf, cells, b[2].buf, b[3].buf);
        END_LONG;
    }
    release(b, 4);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* Where the numbers of each index are: int64 (INDICES, 4) of which stream, its bytes a number, the next number and the end. */
static int find_numbers(Numbers *numbers, const Py_buffer *places, const Py_buffer *streams, int64_t count) {
    const int64_t *of = places->buf;
    if (places->len != INDICES * 4 * 8) return fail("groups of another number");
    for (int k = 0; k < INDICES; k++, of += 4) {
        int sound = of[0] >= 0 && of[0] < count && (of[1] == 1 || of[1] == 2 || of[1] == 4) && of[2] >= 0 && of[2] <= of[3];
        if (!sound || of[3] > streams[of[0]].len / of[1]) return fail("groups beyond their streams");
        numbers[k] = (Numbers){streams[of[0]].buf, of[1], of[2], of[3]};
    }
    return 1;
}

static void keep_places(const Numbers *numbers, const Py_buffer *places) {
    for (int k = 0; k < INDICES; k++) ((int64_t *)places->buf)[4 * k + 2] = numbers[k].next;
}

/* Those of the list's buffers that are got are counted, even if not all are. */
static int get_streams(PyObject *list, Py_buffer *streams, int *count) {
    if (PyTuple_Size(list) > INDICES) return fail("more streams than groups");
    for (; *count < PyTuple_Size(list); ++*count)
        if (PyObject_GetBuffer(PyTuple_GetItem(list, *count), &streams[*count], PyBUF_SIMPLE)) return 0;
    return 1;
}

/* take_cells(streams, places, indices, size, out) -> -1, or an index of which there are too few numbers: cells of int32 `indices`, int16
 * or int32; `places`, see above, get their next numbers */
static PyObject *take_cells(PyObject *self, PyObject *args) {
    Py_buffer b[3], streams[INDICES];
    PyObject *list;
    Numbers numbers[INDICES];
    long long size, missing = -1;
    int count = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!w*y*Lw*", &PyTuple_Type, &list, &b[0], &b[1], &size, &b[2])) return NULL;
    int sound = check_cells(size) && get_streams(list, streams, &count);
    int64_t cells = b[1].len / 4;
    int narrow = b[2].len == cells * size * 2;
    if (sound && !narrow && b[2].len != cells * size * 4) sound = fail("cells of another number");
    sound = sound && find_numbers(numbers, &b[0], streams, count);
    if (sound) {
        BEGIN_LONG(b[2].len);
        missing = narrow ? take_cells16(numbers, b[1].buf, cells, size, b[2].buf) : take_cells32(numbers, b[1].buf, cells, size, b[2].buf);
        END_LONG;
        keep_places(numbers, &b[0]);
    }
    release(streams, count);
    release(b, 3);
    return sound ? PyLong_FromLongLong(missing) : NULL;
}

#endif
