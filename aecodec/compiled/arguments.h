/* What all calls from Python check and give back. */
#ifndef AECODEC_ARGUMENTS_H
#define AECODEC_ARGUMENTS_H

#include "inputs.h"
#include "values.h"

/* Around work on so many bytes: other threads go on meanwhile if it is long. After a short one, to wait for them would take longer than
 * it took. */
enum { SHORT_WORK = 1 << 17 };
#define BEGIN_LONG(BYTES)  \
    {                      \
        PyThreadState *saved = (BYTES) > SHORT_WORK ? PyEval_SaveThread() : NULL
#define END_LONG                            \
        if (saved) PyEval_RestoreThread(saved); \
    }

static int fail(const char *what) {
    PyErr_Format(PyExc_ValueError, "compiled phases: %s", what);
    return 0;
}

static void release(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(&buffers[i]);
}

/* 1 if the sizes in bytes are those of arrays of the shape, whose `wide` is found. */
static int check_shape(Shape *shape, Py_ssize_t bytes) {
    const int64_t most = 1 << 30;
    if (shape->steps < 0 || shape->channels < 1 || shape->pixels < 1 || shape->steps > most || shape->channels > most ||
        shape->pixels > most || shape->steps > INT64_MAX / 8 / shape->channels / shape->pixels)
        return fail("a shape out of range");
    int64_t values = shape->steps * shape->channels * shape->pixels;
    shape->wide = bytes == values * 8;
    return shape->wide || bytes == values * 4 ? 1 : fail("values of another size");
}

static int check_width(int width) { return width == 1 || width == 2 || width == 4 ? 1 : fail("numbers of another width"); }

/* Symbols of all scale indices, of 2 or 4 bytes each. */
typedef struct {
    const void *all;
    int width;
} Symbols;

/* 1 if b[0], the symbols, b[1], those used of each index, and b[2], where they end, agree. */
static int check_symbols(const Symbols *symbols, const Py_buffer *b) {
    const int64_t *used = b[1].buf, *ends = b[2].buf;
    if (symbols->width != 2 && symbols->width != 4) return fail("symbols of another width");
    if (b[1].len != INDICES * 8 || b[2].len != INDICES * 8) return fail("groups of another number");
    for (int i = 0; i < INDICES; i++)
        if (used[i] < 0 || ends[i] > b[0].len / symbols->width) return fail("groups beyond the symbols");
    return 1;
}

#endif
