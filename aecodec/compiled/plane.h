/* What a linear predictor says of one plane of a phase: means, and indices of the scale expected.
 *
 * All sums of floats are of whole numbers below 2**24 (models/predictor.py), so neither their order nor fused operations change them.
 */
#ifndef AECODEC_PLANE_H
#define AECODEC_PLANE_H

#include "band.h"

enum { SHORT_LINE = 32 }; /* values; shorter ones are better taken together */

/* Add what an input says: of lines that follow each other, all at once. */
WIDE_LOOP void convolve(const float *restrict x, int64_t stride, const float *restrict w, float *restrict total, int64_t n) {
    const float *restrict y = x + stride, *restrict z = y + stride;
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    for (int64_t i = 0; i < n; i++) {
        float sum = w0 * x[i] + w1 * x[i + 1] + w2 * x[i + 2];
        sum += w3 * y[i] + w4 * y[i + 1] + w5 * y[i + 2];
        total[i] += sum + (w6 * z[i] + w7 * z[i + 1] + w8 * z[i + 2]);
    }
}

/* The same of pairs of lines, `stride` apart. */
WIDE_LOOP void convolve_pairs(const float *restrict x, int64_t stride, const float *restrict w, float *restrict total, int64_t pairs,
                              int64_t n) {
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    for (; pairs; pairs--, x += 2 * stride, total += 2 * stride) {
        const float *restrict u = x, *restrict v = u + stride, *restrict y = v + stride, *restrict z = y + stride;
        float *restrict first = total, *restrict second = total + stride;
        for (int64_t i = 0; i < n; i++) {
            float above = w0 * u[i] + w1 * u[i + 1] + w2 * u[i + 2], below = w0 * v[i] + w1 * v[i + 1] + w2 * v[i + 2];
            above += w3 * v[i] + w4 * v[i + 1] + w5 * v[i + 2];
            below += w3 * y[i] + w4 * y[i + 1] + w5 * y[i + 2];
            first[i] += above + (w6 * y[i] + w7 * y[i + 1] + w8 * y[i + 2]);
            second[i] += below + (w6 * z[i] + w7 * z[i + 1] + w8 * z[i + 2]);
        }
    }
}

/* x / 2**bits to the nearest, halves to even. */
static inline int32_t rounded(int32_t x, int bits) {
    if (bits <= 0) return (int32_t)((uint32_t)x << -bits);
    return (x + ((1 << (bits - 1)) - 1) + ((x >> bits) & 1)) >> bits;
}

/* Means from their sums and midpoints. */
WIDE_LOOP void add_means(const float *restrict total, const int32_t *restrict middle, int bits, int shift, int32_t *restrict out,
                         int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = wrap_add((int32_t)((uint32_t)rounded((int32_t)total[i], bits) << shift), middle[i]);
}

LOOP void add_lines(const float *restrict x, int64_t stride, float *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = x[i] + x[i + stride] + x[i + 2 * stride];
}

/* Scale indices of the magnitudes expected, from those around, three lines added up, and those at the values. As packing/scale.py has
 * them, by half octaves, which are read off the bits of floats; `by` is added. */
WIDE_LOOP void find_indices(const float *restrict sums, const float *restrict own, float floor, int bits, int by, int32_t *restrict out,
                            int64_t n) {
    enum { ROOT_TWO = 0x3504f4, EXPONENT = 23, BIAS = 127, OF_ONE = 4, OF_NONE = 2 };
    const int left = bits < 0 ? -bits : 0, right = bits > 0 ? bits : 0; /* as rounded() does, without branches */
    const int32_t half = right ? (1 << (right - 1)) - 1 : 0, odd = right ? 1 : 0;
    for (int64_t i = 0; i < n; i++) {
        float sum = sums[i] + sums[i + 1] + sums[i + 2];
        int32_t size = (int32_t)((uint32_t)(int32_t)(sum + own[i] + floor) << left);
        size = (size + half + (size >> right & odd)) >> right;
        size &= ~(size >> 31); /* at least 0, and at most the largest: comparisons would be followed to constants, by branches */
        size -= LARGEST_MAGNITUDE;
        float expected = (float)((size & size >> 31) + LARGEST_MAGNITUDE);
        int32_t real;
        memcpy(&real, &expected, 4);
        int32_t index = (real >> EXPONENT) + ((real + (1 << EXPONENT) - ROOT_TWO) >> EXPONENT) + OF_ONE - 2 * BIAS;
        index = (index > OF_NONE ? index : OF_NONE) + by;
        out[i] = index < INDICES - 1 ? index : INDICES - 1;
    }
}

LOOP void put_bytes(const int32_t *restrict numbers, uint8_t *restrict out, int64_t n) { /* of its own: the wider the loop, the fewer */
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)numbers[i];
}

/* Numbers of the planes that have weights and, if of a source, are there. */
static int find_active(const Geometry *g, const Weights *w, const int64_t *places, int *found) {
    int count = 0, planes = (int)plane_count(g);
    for (int p = 0; p < planes; p++) {
        int weighs = 0, is_source = p >= 2 && p < planes - 1;
        for (int i = 0; i < 9; i++) weighs |= w->mean[9 * p + i] != 0;
        if (weighs && !(is_source && places[1 + (p - 2) / (1 + g->offsets)] < 0)) found[count++] = p;
    }
    return count;
}

/* Sums that are means once they are rounded, of `rows` lines. What lies between lines is of no use, here and below. */
static void sum_band(const Plane *plane, int64_t rows) {
    const Geometry *g = plane->g;
    const Scratch *s = plane->s;
    int64_t stride = stride_of(g), done = g->count < SHORT_LINE ? 0 : rows / 2 * 2;
    memset(s->total, 0, (size_t)(rows * stride) * 4);
    for (int k = 0; k < plane->actives; k++) {
        const float *slots = slots_of(plane, plane->active[k]), *w = plane->w->mean + 9 * plane->active[k];
        if (done) convolve_pairs(slots, stride, w, s->total, done / 2, g->count);
        if (done < rows) convolve(slots + done * stride, stride, w, s->total + done * stride, (rows - done) * stride);
    }
}

/* Means and scale indices of a band, from line `row` on. */
static void finish_band(const Plane *plane, int64_t row, int64_t rows) {
    const Geometry *g = plane->g;
    const Scratch *s = plane->s;
    int64_t stride = stride_of(g), at = row * stride, n = rows * stride - 1, inputs = plane_count(g);
    add_means(s->total, s->middle + at, (int)g->mean_bits, plane->shift, s->means + at, n);
    add_lines(slots_of(plane, inputs), stride, s->sums, n + 2);
    find_indices(s->sums, slots_of(plane, inputs + 1) + 1 + stride, plane->w->floor, (int)g->scale_bits, 2 * plane->shift, s->expected, n);
    put_bytes(s->expected, s->index + at, n);
}

/* Fill s->middle, s->means and s->index, (lines, stride), of plane places[0], whose sources are the others, or -1. */
static void predict_plane(const Grids *grids, const int64_t *places, const Geometry *g, const Weights *w, const Scratch *s) {
    find_middle(grids->values + places[0] * g->known_plane, g, s->middle);
    Plane plane = {grids, places, g, w, s, find_shift(grids, places, g, s), 0, {0}};
    plane.actives = find_active(g, w, places, plane.active);
    for (int64_t row = 0; row < g->lines; row += s->band_lines) {
        int64_t rows = g->lines - row < s->band_lines ? g->lines - row : s->band_lines;
        load_band(&plane, row);
        sum_band(&plane, rows);
        finish_band(&plane, row, rows);
    }
}

#endif
