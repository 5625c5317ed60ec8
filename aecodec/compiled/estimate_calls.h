/* Estimates of sizes and runs of indices that share a stream, called from Python. */
#ifndef AECODEC_ESTIMATE_CALLS_H
#define AECODEC_ESTIMATE_CALLS_H

#include "arguments.h"
#include "estimates.h"

/* estimate(zigzagged, bytes of each, size) -> bits, logarithms of large numbers, both times 2**16; cells of `size`, or 0: none */
static PyObject *estimate(PyObject *self, PyObject *args) {
    Py_buffer b;
    long long size;
    int width;
    Estimate found = {0, 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iL", &b, &width, &size)) return NULL;
    int sound = check_width(width) && (size == 0 || (size >= 16 && size <= 1 << 15) ? 1 : fail("cells of other sizes"));
    int64_t count = sound ? b.len / width : 0;
    uint8_t *indices = sound && size && count ? malloc((size_t)((count + size - 1) / size)) : NULL;
    if (sound && size && count && !indices) {
        PyErr_NoMemory();
        sound = 0;
    }
    if (sound && count) {
        BEGIN_LONG(b.len);
        if (!size)
            found = width == 1   ? estimate_numbers8(b.buf, count, count, NULL)
                    : width == 2 ? estimate_numbers16(b.buf, count, count, NULL)
                                 : estimate_numbers32(b.buf, count, count, NULL);
        else
            found = width == 1   ? estimate_cells8(b.buf, count, size, indices)
                    : width == 2 ? estimate_cells16(b.buf, count, size, indices)
                                 : estimate_cells32(b.buf, count, size, indices);
        END_LONG;
    }
    free(indices);
    PyBuffer_Release(&b);
    return sound ? Py_BuildValue("LL", (long long)found.bits, (long long)found.tail) : NULL;
}

/* join_groups(zigzagged, bytes of each, ends, runs) -> how many runs; which index of the next run follows each is put into `runs`. `ends`:
 * of the numbers of each index, which lie by rising index */
static PyObject *join_groups(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*w*", &b[0], &width, &b[1], &b[2])) return NULL;
    const int64_t *ends = b[1].buf;
    int sound = check_width(width) && (b[1].len == INDICES * 8 && b[2].len == INDICES * 8 ? 1 : fail("groups of another number"));
    for (int i = 0; sound && i < INDICES; i++)
        if (ends[i] < (i ? ends[i - 1] : 0) || ends[i] > b[0].len / width) sound = fail("groups beyond their numbers");
    Runs *runs = sound ? malloc(sizeof *runs) : NULL;
    if (sound && !runs) {
        PyErr_NoMemory();
        sound = 0;
    }
    int64_t number = 0;
    if (sound) {
        BEGIN_LONG(b[0].len);
        find_runs(runs, b[0].buf, width, ends);
        END_LONG;
        number = runs->number;
        memcpy(b[2].buf, runs->ends, (size_t)number * 8);
    }
    free(runs);
    release(b, 3);
    return sound ? PyLong_FromLongLong(number) : NULL;
}

#endif
