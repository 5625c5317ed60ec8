/* Symbols sorted by their scale index, and spread again. */
#ifndef AECODEC_SYMBOL_CALLS_H
#define AECODEC_SYMBOL_CALLS_H

#include "arguments.h"

/* All bits that zigzagged symbols have set. */
LOOP uint32_t join_bits(const int32_t *restrict symbols, int64_t n) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < n; i++) bits |= (uint32_t)symbols[i] << 1 ^ (uint32_t)(symbols[i] >> 31);
    return bits;
}

static inline uint32_t zigzag(int32_t x) { return (uint32_t)x << 1 ^ (uint32_t)(x >> 31); }

/* How many symbols have each index. Four counters each, since one that was just written takes its time to be read again. */
static void count_indices(const uint8_t *indices, int64_t n, int64_t *counts) {
    int64_t parts[4][256] = {{0}};
    int64_t whole = n - n % 4;
    for (int64_t i = 0; i < whole; i += 4)
        for (int j = 0; j < 4; j++) parts[j][indices[i + j]]++;
    for (int64_t i = whole; i < n; i++) parts[0][indices[i]]++;
    for (int k = 0; k < 256; k++) counts[k] = parts[0][k] + parts[1][k] + parts[2][k] + parts[3][k];
}

/* sort_by_index(symbols, indices, out, ends, least) -> bytes that each takes: symbols of indices from `least` on, zigzagged, by rising
 * index, in order within each, in 2 bytes where all fit, else 4; and where each index's end */
static PyObject *sort_by_index(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    int least;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*w*i", &b[0], &b[1], &b[2], &b[3], &least)) return NULL;
    const int32_t *symbols = b[0].buf;
    const uint8_t *indices = b[1].buf;
    int64_t count = b[1].len;
    int sound = 1;
    uint32_t used = 0;
    if (b[0].len != count * 4 || b[2].len != count * 4 || b[3].len != INDICES * 8) sound = fail("symbols of other sizes");
    if (sound) {
        int64_t places[256], at = 0;
        Py_BEGIN_ALLOW_THREADS;
        count_indices(indices, count, places);
        used = join_bits(symbols, count);
        for (int k = 0; k < 256; k++) {
            int64_t size = k < least ? 0 : places[k];
            places[k] = at;
            at += size;
        }
        if (used < 1 << 16) {
            uint16_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = (uint16_t)zigzag(symbols[i]);
        } else {
            uint32_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = zigzag(symbols[i]);
        }
        memcpy(b[3].buf, places, INDICES * 8);
        Py_END_ALLOW_THREADS;
    }
    release(b, 4);
    return sound ? PyLong_FromLong(used < 1 << 16 ? 2 : 4) : NULL;
}

static int spread(const Symbols *symbols, const uint8_t *indices, int64_t *used, const int64_t *ends, int32_t *out, int64_t n) {
    const int16_t *narrow = symbols->width == 2 ? symbols->all : NULL;
    const int32_t *wide = symbols->all;
    for (int64_t i = 0; i < n; i++) {
        int k = indices[i];
        if (!k) {
            out[i] = 0;
            continue;
        }
        if (k >= INDICES || used[k] >= ends[k]) return 0;
        out[i] = narrow ? narrow[used[k]] : wide[used[k]];
        used[k]++;
    }
    return 1;
}

/* spread_by_index(symbols, bytes of each, indices, used, ends, out) -> whether they suffice: the next symbols of each index, 0 where
 * it is 0 */
static PyObject *spread_by_index(PyObject *self, PyObject *args) {
    Py_buffer b[5];
    Symbols symbols;
    int enough = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iw*y*y*w*", &b[0], &symbols.width, &b[1], &b[2], &b[3], &b[4])) return NULL;
    symbols.all = b[0].buf;
    int sound = check_symbols(&symbols, b);
    if (sound && b[4].len != b[3].len * 4) sound = fail("symbols of other sizes");
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        enough = spread(&symbols, b[3].buf, b[1].buf, b[2].buf, b[4].buf, b[3].len);
        Py_END_ALLOW_THREADS;
    }
    release(b, 5);
    return sound ? PyBool_FromLong(enough) : NULL;
}

#endif
