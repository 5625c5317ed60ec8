/* What a linear predictor says of one plane of a phase: means, and indices of the scale expected.
 */
#ifndef AECODEC_PLANE_H
#define AECODEC_PLANE_H

#include "band.h"

/* x / 2**bits to the nearest, halves to even. */
static inline int32_t rounded(int32_t x, int bits) {
    if (bits <= 0) return (int32_t)((uint32_t)x << -bits);
    return (x + ((1 << (bits - 1)) - 1) + ((x >> bits) & 1)) >> bits;
}

/* Means from their sums and midpoints. */
WIDE_LOOP void add_means(const int32_t *restrict total, const int32_t *restrict middle, int bits, int shift, int32_t *restrict out,
                         int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = wrap_add((int32_t)((uint32_t)rounded(total[i], bits) << shift), middle[i]);
}

LOOP void add_lines(const int32_t *restrict x, int64_t stride, int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = wrap_add(wrap_add(x[i], x[i + stride]), x[i + 2 * stride]);
}

/* Scale indices of the magnitudes expected, from those around, three lines added up, and those at the values. As packing/scale.py has
 * them, by half octaves, which are read off the bits of floats; `by` is added. */
WIDE_LOOP void find_indices(const int32_t *restrict sums, const int32_t *restrict own, int32_t floor, int bits, int by,
                            int32_t *restrict out, int64_t n) {
    enum { ROOT_TWO = 0x3504f4, EXPONENT = 23, BIAS = 127, OF_ONE = 4, OF_NONE = 2 };
    const int left = bits < 0 ? -bits : 0, right = bits > 0 ? bits : 0; /* as rounded() does, without branches */
    const int32_t half = right ? (1 << (right - 1)) - 1 : 0, odd = right ? 1 : 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t sum = (uint32_t)sums[i] + (uint32_t)sums[i + 1] + (uint32_t)sums[i + 2] + (uint32_t)own[i] + (uint32_t)floor;
        int32_t size = (int32_t)(sum << left);
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

/* Sums that are means once they are rounded, of `rows` lines. What lies between lines is of no use, here and below. */
static void sum_band(const Plane *plane, int64_t rows) {
    const Scratch *s = plane->s;
    int64_t stride = stride_of(plane->g);
    int any = 0;
    for (int k = 0; k < plane->count; k++) {
        const Pair *pair = plane->pairs + k;
        if (!pair->weighs) continue;
        convolve_pair(s->band + pair->at, stride, pair->mean, any, s->total, rows * stride);
        any = 1;
    }
    if (!any) memset(s->total, 0, (size_t)(rows * stride) * 4);
}

/* Means and scale indices of a band, from line `row` on. */
static void finish_band(const Plane *plane, int64_t row, int64_t rows) {
    const Geometry *g = plane->g;
    const Scratch *s = plane->s;
    int64_t stride = stride_of(g), at = row * stride, n = rows * stride - 1;
    add_means(s->total, s->middle + at, (int)g->mean_bits, plane->shift, s->means + at, n);
    add_lines(s->band + plane->box, stride, s->sums, n + 2);
    find_indices(s->sums, s->band + plane->own + 1 + stride, (int32_t)plane->w->floor, (int)g->scale_bits, 2 * plane->shift,
                 s->expected, n);
    put_bytes(s->expected, s->index + at, n);
}

/* Fill s->middle, s->means and s->index, (lines, stride), of plane places[0], whose sources are the others, or -1. */
static void predict_plane(const Grids *grids, const int64_t *places, const Geometry *g, const Weights *w, const Scratch *s) {
    find_middle(grids->values + places[0] * g->known_plane, g, s->middle);
    Plane plane = {.grids = grids, .places = places, .g = g, .w = w, .s = s, .shift = find_shift(grids, places, g, s)};
    find_pairs(&plane);
    for (int64_t row = 0; row < g->lines; row += s->band_lines) {
        int64_t rows = g->lines - row < s->band_lines ? g->lines - row : s->band_lines;
        load_band(&plane, row);
        sum_band(&plane, rows);
        finish_band(&plane, row, rows);
    }
}

#endif
