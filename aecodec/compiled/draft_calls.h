/* Streams drafted, called from Python. */
#ifndef AECODEC_DRAFT_CALLS_H
#define AECODEC_DRAFT_CALLS_H

#include "arguments.h"
#include "draft.h"

static int is_layout(int op) { return op == BYTES || op == GAPS || (op >= FIRST_LOW && op < JOINT_FIRST + JOINTS); }

/* 1 if b[0], ops of roots, b[1], those of what is below, and b[2], float64 means, are such plans. */
static int read_plans(Draft *d, const Py_buffer *b) {
    int64_t steps = b[2].len / 8;
    if (steps < 2 || b[0].len != MAGNITUDES * (steps - 1) || b[1].len != b[0].len) return fail("plans of other sizes");
    for (int64_t i = 0; i < b[0].len; i++)
        if (!is_layout(((const uint8_t *)b[0].buf)[i]) || !is_layout(((const uint8_t *)b[1].buf)[i])) return fail("plans of an unknown layout");
    d->first = (Plans){b[0].buf, b[2].buf, steps};
    d->others = (Plans){b[1].buf, b[2].buf, steps};
    return 1;
}

/* draft_streams(numbers, bytes of each, ends, ops of roots, ops below, means, out, leaves, list, scratch, out ends) -> how many leaves, or -1 where
 * there was too little room: bytes around leaves in `out`, leaves, and int64 (leaves, 3): the place of each in the former, and its own in
 * the latter and its size. Of each stream, whose numbers end at `ends`, where its bytes end is put into `out ends` */
static PyObject *draft_streams(PyObject *self, PyObject *args) {
    Py_buffer b[10];
    Draft d = {0};
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*y*y*y*w*w*w*w*w*", &b[0], &width, &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &b[7], &b[8],
                          &b[9]))
        return NULL;
    const int64_t *ends = b[1].buf;
    int64_t streams = b[1].len / 8;
    int sound = check_width(width) && read_plans(&d, b + 2) && (b[9].len == streams * 8 ? 1 : fail("streams of another number"));
    for (int64_t i = 0; sound && i < streams; i++)
        if (ends[i] < (i ? ends[i - 1] : 0) || ends[i] > b[0].len / width) sound = fail("streams beyond their numbers");
    d.out = (Bytes){b[5].buf, 0, b[5].len}, d.leaves = (Bytes){b[6].buf, 0, b[6].len}, d.list = (Bytes){b[7].buf, 0, b[7].len}, d.scratch = (Bytes){b[8].buf, 0, b[8].len};
    if (sound) {
        BEGIN_LONG(b[0].len);
        for (int64_t i = 0, start = 0; i < streams && !d.failed; start = ends[i++]) {
            Stream stream = stream_of((const char *)b[0].buf + start * width, ends[i] - start, width);
            draft(&d, &stream, 0);
            ((int64_t *)b[9].buf)[i] = d.out.size;
        }
        END_LONG;
    }
    release(b, 10);
    return sound ? PyLong_FromLongLong(d.failed ? -1 : d.list.size / (int64_t)sizeof(Leaf)) : NULL;
}

#endif
