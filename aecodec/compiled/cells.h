/* Runs of a few zigzagged numbers that share a scale index, as residuals.py has them in numpy. */
#ifndef AECODEC_CELLS_H
#define AECODEC_CELLS_H

#include "digits.h"
#include "scale.h"

/* The scale index of each `size` numbers, the last of which may be fewer, as if zeros followed. */
#define INDEX_CELLS(BITS, SUM)                                                                                                 \
    FOR_EACH_CPU static void index_cells##BITS(const uint##BITS##_t *values, int64_t count, int64_t size, uint8_t *out) {      \
        double share = 1.0 / (double)size;                                                                                     \
        for (int64_t at = 0; at < count; at += size) {                                                                         \
            int64_t end = count - at < size ? count : at + size, i = at;                                                       \
            SUM sum = 0; /* of magnitudes: of up to 2**15 numbers */                                                           \
            for (; i + 16 <= end; i += 16)                                                                                     \
                for (int j = 0; j < 16; j++) sum += ((SUM)values[i + j] + 1) >> 1;                                             \
            for (; i < end; i++) sum += ((SUM)values[i] + 1) >> 1;                                                             \
            double mean = (double)sum * share;                                                                                 \
            *out++ = scale_index(mean > SMALLEST_SCALE ? mean : SMALLEST_SCALE);                                               \
        }                                                                                                                      \
    }

INDEX_CELLS(8, uint32_t)
INDEX_CELLS(16, uint32_t)
INDEX_CELLS(32, uint64_t)

/* Cells of `size` numbers of `width` bytes, by rising index; `ends`: of the numbers of each. A short last cell is filled with zeros. */
static void put_sorted(const char *values, int64_t bytes, int64_t cell, int width, const uint8_t *indices, int64_t cells, char *out,
                       int64_t *ends) {
    int64_t places[256], at = 0;
    count_indices(indices, cells, places);
    for (int k = 0; k < INDICES; k++) {
        int64_t size = places[k] * cell;
        places[k] = at;
        ends[k] = (at += size) / width;
    }
    for (int64_t i = 0; i < cells; i++) {
        int64_t left = bytes - i * cell, n = left < cell ? left : cell;
        char *here = out + places[indices[i]];
        if (cell == 32) /* the most usual, as a constant */
            memcpy(here, values + i * cell, n == 32 ? 32 : (size_t)n);
        else
            memcpy(here, values + i * cell, (size_t)n);
        if (n < cell) memset(here + n, 0, (size_t)(cell - n));
        places[indices[i]] += cell;
    }
}

/* The numbers of an index: in a stream of `width` bytes each. */
typedef struct {
    const char *stream;
    int64_t width, next, end;
} Numbers;

#define UNZIGZAG_CELL(TO)                                                                                                      \
    static inline void unzigzag_cell##TO(const Numbers *from, int64_t size, int##TO##_t *restrict out) {                       \
        const uint8_t *bytes = (const uint8_t *)from->stream + from->next;                                                     \
        const uint16_t *shorts = (const uint16_t *)from->stream + from->next;                                                  \
        const uint32_t *words = (const uint32_t *)from->stream + from->next;                                                   \
        for (int64_t at = 0; at < size; at += 16) /* all sizes are multiples of it */                                          \
            for (int i = 0; i < 16; i++) {                                                                                     \
                uint32_t x = from->width == 1 ? bytes[at + i] : from->width == 2 ? shorts[at + i] : words[at + i];             \
                out[at + i] = (int##TO##_t)unzigzagged(x);                                                                     \
            }                                                                                                                  \
    }                                                                                                                          \
    FOR_EACH_CPU static int64_t take_cells##TO(Numbers *numbers, const int32_t *indices, int64_t cells, int64_t size,          \
                                               int##TO##_t *out) {                                                             \
        for (int64_t i = 0; i < cells; i++, out += size) {                                                                     \
            int64_t k = indices[i];                                                                                            \
            if (k < 0 || k >= INDICES) {                                                                                       \
                memset(out, 0, (size_t)size * sizeof *out);                                                                    \
                continue;                                                                                                      \
            }                                                                                                                  \
            if (numbers[k].end - numbers[k].next < size) return k;                                                             \
            unzigzag_cell##TO(&numbers[k], size, out);                                                                         \
            numbers[k].next += size;                                                                                           \
        }                                                                                                                      \
        return -1;                                                                                                             \
    }

/* The next cells of the `indices`, zeros where there is no such index; returns -1, or the index of whose numbers there are too few. */
UNZIGZAG_CELL(16)
UNZIGZAG_CELL(32)

#endif
