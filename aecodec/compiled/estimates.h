/* How large zigzagged numbers would be, packed by scale index, and which indices share a stream: estimate.py and merging.py in C. */
#ifndef AECODEC_ESTIMATES_H
#define AECODEC_ESTIMATES_H

#include "cells.h"
#include "logarithm.h"

enum { STREAM_COST = 70, SYMBOL_COST = 4, TREE_COST = 140, JOIN_COST = 16, ZEROS_COST = 24, SAMPLED = 1 << 13 }; /* bits */

/* Times 2**16: bits, and the sum of the logarithms of numbers that the last column counts together. */
typedef struct {
    int64_t bits, tail;
} Estimate;

static int64_t size_of_table(const int64_t *table, int64_t rows) {
    int64_t bits = 0;
    for (const int64_t *row = table; row < table + rows * COLUMNS; row += COLUMNS) {
        int64_t total = 0, used = 0;
        for (int k = 0; k < COLUMNS; k++) {
            total += row[k], used += row[k] > 0;
            bits -= information(row[k]);
        }
        bits += information(total);
        if (total > row[0]) bits += (STREAM_COST + SYMBOL_COST * used) * (1 << FRACTION);
    }
    return bits;
}

static inline int64_t count_number(int64_t *row, int64_t number) {
    row[number < COLUMNS ? number : COLUMNS - 1]++;
    return number < COLUMNS - 1 ? 0 : logarithm(number - (COLUMNS - 3));
}

/* Numbers in cells of `size`, of these indices, or all of one. */
#define ESTIMATE(BITS)                                                                                                         \
    static Estimate estimate_numbers##BITS(const uint##BITS##_t *values, int64_t count, int64_t size, const uint8_t *indices) {  \
        int64_t table[INDICES * COLUMNS] = {0};                                                                                \
        Estimate found = {0, 0};                                                                                               \
        for (int64_t at = 0; at < count; at += size) {                                                                         \
            int64_t *row = table + COLUMNS * (indices ? *indices++ : 0), end = count - at < size ? count : at + size;          \
            for (int64_t i = at; i < end; i++) found.tail += count_number(row, (int64_t)values[i]);                            \
        }                                                                                                                      \
        found.bits = size_of_table(table, indices ? INDICES : 1);                                                              \
        return found;                                                                                                          \
    }                                                                                                                          \
    /* The same with the differences of the indices, which are found. */                                                       \
    static Estimate estimate_cells##BITS(const uint##BITS##_t *values, int64_t count, int64_t size, uint8_t *indices) {        \
        int64_t side[COLUMNS] = {0}, cells = (count + size - 1) / size, tail = 0;                                              \
        index_cells##BITS(values, count, size, indices);                                                                       \
        for (int64_t i = 0; i < cells; i++) tail += count_number(side, zigzag(indices[i] - (i ? indices[i - 1] : 0)));         \
        Estimate found = estimate_numbers##BITS(values, count, size, indices);                                                 \
        return (Estimate){found.bits + size_of_table(side, 1), found.tail + tail};                                             \
    }

ESTIMATE(8)
ESTIMATE(16)
ESTIMATE(32)

/* Size of a stream with these counts, times 2**16, its tree and framing included. */
static int64_t size_of_stream(const int64_t *counts) {
    int64_t total = 0, used = 0, bits = 0;
    for (int k = 0; k < BINS; k++) {
        total += counts[k], used += counts[k] > 0;
        bits -= information(counts[k]);
        if (k > FIRST_LONG) bits += counts[k] * (k - 249) * (1 << FRACTION); /* which a bin leaves open */
    }
    if (counts[0] == total) return ZEROS_COST * (1 << FRACTION);
    return bits + information(total) + (SYMBOL_COST * used + TREE_COST) * (1 << FRACTION);
}

/* Groups of neighbouring indices with counts of their numbers: which end where, and their sizes; and what to join each with the next
 * would gain. */
typedef struct {
    int64_t counts[INDICES][BINS], ends[INDICES], bits[INDICES], gains[INDICES];
    int64_t number;
} Runs;

static void find_gain(Runs *r, int64_t i) {
    int64_t both[BINS];
    if (i < 0 || i + 1 >= r->number) return;
    for (int k = 0; k < BINS; k++) both[k] = r->counts[i][k] + r->counts[i + 1][k];
    r->gains[i] = r->bits[i] + r->bits[i + 1] - size_of_stream(both) + JOIN_COST * (1 << FRACTION);
}

/* Join neighbours, the most gainful first, as long as that gains. */
static void join_runs(Runs *r) {
    for (int64_t i = 0; i < r->number; i++) r->bits[i] = size_of_stream(r->counts[i]);
    for (int64_t i = 0; i + 1 < r->number; i++) find_gain(r, i);
    while (r->number > 1) {
        int64_t best = 0, after;
        for (int64_t i = 1; i + 1 < r->number; i++) best = r->gains[i] > r->gains[best] ? i : best;
        if (r->gains[best] <= 0) return;
        for (int k = 0; k < BINS; k++) r->counts[best][k] += r->counts[best + 1][k];
        r->ends[best] = r->ends[best + 1];
        r->number--;
        after = r->number - best - 1;
        memmove(r->counts[best + 1], r->counts[best + 2], (size_t)after * sizeof r->counts[0]);
        memmove(r->ends + best + 1, r->ends + best + 2, (size_t)after * 8);
        memmove(r->bits + best + 1, r->bits + best + 2, (size_t)after * 8);
        memmove(r->gains + best, r->gains + best + 1, (size_t)(r->number - best) * 8);
        r->bits[best] = size_of_stream(r->counts[best]);
        find_gain(r, best - 1);
        find_gain(r, best);
    }
}

/* Runs of indices whose numbers end at `ends`: those without any join the one before them, or the first. */
static void find_runs(Runs *r, const void *values, int width, const int64_t *ends) {
    r->number = 0;
    for (int64_t i = 0, start = 0; i < INDICES; start = ends[i++]) {
        double counts[BINS];
        int64_t n = ends[i] - start, stride = (n / SAMPLED > 1 ? n / SAMPLED : 1) | 1;
        if (r->number) r->ends[r->number - 1] = i; /* until another index follows that joins it */
        if (!n) continue;
        if (width == 1)
            count_values8((const uint8_t *)values + start, n, stride, counts);
        else if (width == 2)
            count_values16((const uint16_t *)values + start, n, stride, counts);
        else
            count_values32((const uint32_t *)values + start, n, stride, counts);
        for (int k = 0; k < BINS; k++) r->counts[r->number][k] = (int64_t)counts[k];
        r->number++;
    }
    if (!r->number) {
        memset(r->counts[0], 0, sizeof r->counts[0]);
        r->number = 1;
    }
    r->ends[r->number - 1] = INDICES;
    join_runs(r);
}

#endif
