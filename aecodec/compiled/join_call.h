/* Long byte strings made of pieces, called from Python. */
#ifndef AECODEC_JOIN_CALL_H
#define AECODEC_JOIN_CALL_H

#include "arguments.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Ask for large pages: to be given thousands of small ones, each when it is first written to, takes as long as to write them. */
static void ask_for_large_pages(char *data, int64_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = 1 << 21;
    uintptr_t first = ((uintptr_t)data + page - 1) & ~(page - 1), last = ((uintptr_t)data + (uintptr_t)size) & ~(page - 1);
    if (first < last) madvise((void *)first, last - first, MADV_HUGEPAGE); /* where that is not to be had, nothing is lost */
#else
    (void)data, (void)size;
#endif
}

/* join_pieces(tuple of buffers) -> bytes */
static PyObject *join_pieces(PyObject *self, PyObject *args) {
    PyObject *pieces, *result = NULL;
    int64_t count, held = 0, size = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &pieces)) return NULL;
    count = PyTuple_Size(pieces);
    Py_buffer *b = malloc((size_t)(count + 1) * sizeof *b);
    if (!b) return PyErr_NoMemory();
    for (; held < count && PyObject_GetBuffer(PyTuple_GetItem(pieces, held), &b[held], PyBUF_SIMPLE) == 0; held++) size += b[held].len;
    if (held == count) result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (result) {
        char *out = PyBytes_AsString(result);
        BEGIN_LONG(size);
        ask_for_large_pages(out, size);
        for (int64_t i = 0; i < count; out += b[i++].len) memcpy(out, b[i].buf, (size_t)b[i].len);
        END_LONG;
    }
    release(b, (int)held);
    free(b);
    return result;
}

#endif
