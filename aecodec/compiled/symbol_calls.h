/* Symbols sorted by their scale index, and spread again. */
#ifndef AECODEC_SYMBOL_CALLS_H
#define AECODEC_SYMBOL_CALLS_H

#include "arguments.h"
#include "scale.h"

/* All bits that zigzagged symbols have set. */
LOOP uint32_t join_bits(const int32_t *restrict symbols, int64_t n) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < n; i++) bits |= zigzag(symbols[i]);
    return bits;
}

/* Where each index from `least` on begins if symbols lie by rising index; the next ones take these places. */
static void begin_indices(const uint8_t *indices, int64_t n, int least, int64_t *places) {
    int64_t at = 0;
    count_indices(indices, n, places);
    for (int k = 0; k < 256; k++) {
        int64_t size = k < least ? 0 : places[k];
        places[k] = at;
        at += size;
    }
}

/* sort_by_index(symbols, indices, out, ends, least) -> bytes that each takes: symbols of indices from `least` on, zigzagged, by rising
 * index, in order within each; and where each index's end. Symbols of 2 bytes are zigzagged already and stay so; those of 4 are not,
 * and take 2 where all fit */
static PyObject *sort_by_index(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    int least, width = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*w*i", &b[0], &b[1], &b[2], &b[3], &least)) return NULL;
    const uint8_t *indices = b[1].buf;
    int64_t count = b[1].len;
    int is_narrow = b[0].len == count * 2;
    int sound = (is_narrow || b[0].len == count * 4) && b[2].len == b[0].len && b[3].len == INDICES * 8;
    if (sound) {
        int64_t places[256];
        BEGIN_LONG(b[0].len);
        begin_indices(indices, count, least, places);
        width = is_narrow || join_bits(b[0].buf, count) < 1 << 16 ? 2 : 4;
        if (is_narrow) {
            const uint16_t *symbols = b[0].buf;
            uint16_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = symbols[i];
        } else if (width == 2) {
            const int32_t *symbols = b[0].buf;
            uint16_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = (uint16_t)zigzag(symbols[i]);
        } else {
            const int32_t *symbols = b[0].buf;
            uint32_t *out = b[2].buf;
            for (int64_t i = 0; i < count; i++)
                if (indices[i] >= least) out[places[indices[i]]++] = zigzag(symbols[i]);
        }
        memcpy(b[3].buf, places, INDICES * 8);
        END_LONG;
    } else {
        fail("symbols of other sizes");
    }
    release(b, 4);
    return sound ? PyLong_FromLong(width) : NULL;
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
        BEGIN_LONG(b[0].len);
        enough = spread(&symbols, b[3].buf, b[1].buf, b[2].buf, b[4].buf, b[3].len);
        END_LONG;
    }
    release(b, 5);
    return sound ? PyBool_FromLong(enough) : NULL;
}

#endif
