/* What a linear predictor says of one plane of a phase: means, and indices of the scale expected.
 *
 * All sums of floats are of whole numbers below 2**24 (models/predictor.py), so neither their order nor fused operations change them.
 */
#ifndef AECODEC_PLANE_H
#define AECODEC_PLANE_H

#include "inputs.h"

/* A line of some inputs, where in the ring each goes, and the weights of their magnitudes. */
typedef struct {
    const int32_t *raw[MOST_PLANES];
    float *ring[MOST_PLANES];
    float around[MOST_PLANES], near[MOST_PLANES];
    int count;
} Lines;

/* Shift and clip `count` lines into their places of the ring, and add their weighted magnitudes to box, for 3 x 3, and own. */
INLINE void load_lines(int count, const Lines *lines, int from, int shift, float *restrict box, float *restrict own, int64_t n) {
    const int32_t *raw[4];
    float *ring[4], around[4], near[4];
    for (int p = 0; p < count; p++) {
        raw[p] = lines->raw[from + p], ring[p] = lines->ring[from + p];
        around[p] = lines->around[from + p], near[p] = lines->near[from + p];
    }
#if defined(__GNUC__)
#pragma GCC ivdep
#endif
    for (int64_t i = 0; i < n; i++) {
        float near_all = from ? own[i] : 0.0f, around_all = from ? box[i] : 0.0f;
        for (int p = 0; p < count; p++) {
            int32_t x = raw[p][i] >> shift;
            x = x > -INPUT_LIMIT ? x : -INPUT_LIMIT;
            x = x < INPUT_LIMIT ? x : INPUT_LIMIT;
            float y = (float)x, size = fabsf(y);
            ring[p][i] = y;
            around_all += around[p] * size;
            near_all += near[p] * size;
        }
        box[i] = around_all;
        own[i] = near_all;
    }
}

#define LOAD(COUNT)                                                                                     \
    LOOP void load##COUNT(const Lines *lines, int from, int shift, float *box, float *own, int64_t n) { \
        load_lines(COUNT, lines, from, shift, box, own, n);                                             \
    }

LOAD(1)
LOAD(2)
LOAD(3)
LOAD(4)

static void load(const Lines *lines, int shift, float *box, float *own, int64_t n) {
    for (int from = 0; from < lines->count; from += 4) {
        int left = lines->count - from;
        (left == 1 ? load1 : left == 2 ? load2 : left == 3 ? load3 : load4)(lines, from, shift, box, own, n);
    }
}

WIDE_LOOP void convolve(const float *restrict x, const float *restrict y, const float *restrict z, const float *restrict w,
                        float *restrict total, int64_t n) {
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    for (int64_t i = 0; i < n; i++) {
        float sum = w0 * x[i] + w1 * x[i + 1] + w2 * x[i + 2];
        sum += w3 * y[i] + w4 * y[i + 1] + w5 * y[i + 2];
        total[i] += sum + (w6 * z[i] + w7 * z[i + 1] + w8 * z[i + 2]);
    }
}

/* The same of two lines at once, of which u, v, x and y are those around. */
WIDE_LOOP void convolve_two(const float *restrict u, const float *restrict v, const float *restrict x, const float *restrict y,
                            const float *restrict w, float *restrict first, float *restrict second, int64_t n) {
    float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    for (int64_t i = 0; i < n; i++) {
        float above = w0 * u[i] + w1 * u[i + 1] + w2 * u[i + 2], below = w0 * v[i] + w1 * v[i + 1] + w2 * v[i + 2];
        above += w3 * v[i] + w4 * v[i + 1] + w5 * v[i + 2];
        below += w3 * x[i] + w4 * x[i + 1] + w5 * x[i + 2];
        first[i] += above + (w6 * x[i] + w7 * x[i + 1] + w8 * x[i + 2]);
        second[i] += below + (w6 * y[i] + w7 * y[i + 1] + w8 * y[i + 2]);
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

/* Scale indices of the magnitudes expected, from those around, lines x, y, z, and those at the values. As packing/scale.py has them,
 * by half octaves, which are read off the bits of floats; `by` is added. */
WIDE_LOOP void find_indices(const float *restrict x, const float *restrict y, const float *restrict z, const float *restrict own,
                            float floor, int bits, int by, int32_t *restrict out, int64_t n) {
    enum { ROOT_TWO = 0x3504f4, EXPONENT = 23, BIAS = 127, OF_ONE = 4, OF_NONE = 2 };
    const int left = bits < 0 ? -bits : 0, right = bits > 0 ? bits : 0; /* as rounded() does, without branches */
    const int32_t half = right ? (1 << (right - 1)) - 1 : 0, odd = right ? 1 : 0;
    for (int64_t i = 0; i < n; i++) {
        float sum = (x[i] + x[i + 1] + x[i + 2]) + (y[i] + y[i + 1] + y[i + 2]) + (z[i] + z[i + 1] + z[i + 2]);
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

/* What stays the same for all lines of a plane. */
typedef struct {
    const Grids *grids;
    const int64_t *places;
    const Geometry *g;
    const Weights *w;
    const Scratch *s;
    int64_t whole, line; /* values of a line in whole vectors, and floats from a line to the next */
    int shift, actives;
    int active[MOST_PLANES];
} Plane;

/* Line a of input p, or zeros. */
static inline const float *ring_of(const Plane *plane, int64_t a, int p) {
    const Scratch *s = plane->s;
    return a < 0 || a >= plane->g->lines ? s->zeros : s->ring + (a % LINES * plane_count(plane->g) + p) * plane->line;
}

/* The weighted magnitudes of line a, for 3 x 3, or zeros. */
static inline const float *box_of(const Plane *plane, int64_t a) {
    return a < 0 || a >= plane->g->lines ? plane->s->zeros : plane->s->box + a % LINES * plane->line;
}

static void load_inputs(const Plane *plane, int64_t a) {
    const Scratch *s = plane->s;
    int planes = (int)plane_count(plane->g);
    float *ring = s->ring + a % LINES * planes * plane->line + 1;
    Lines lines;
    lines.count = 0;
    for (int p = 0; p < planes; p++) {
        const int32_t *input = find_input(plane->grids, plane->places, plane->g, s, p, a, s->raw + p * plane->g->count);
        if (!input) continue;
        lines.raw[lines.count] = input, lines.ring[lines.count] = ring + p * plane->line;
        lines.around[lines.count] = plane->w->around[p], lines.near[lines.count++] = plane->w->near[p];
    }
    load(&lines, plane->shift, s->box + a % LINES * plane->line + 1, s->own + a % LINES * plane->line, plane->g->count);
}

/* Sums that are means once they are rounded, of line a and, if there is one, the next. In whole vectors, as all that follows: what is
 * written beyond a line is overwritten by the next, or lies in the room left. */
static void sum_lines(const Plane *plane, int64_t a) {
    float *first = plane->s->total, *second = first + plane->line;
    int two = a + 1 < plane->g->lines;
    memset(first, 0, (size_t)(2 * plane->line) * 4);
    for (int k = 0; k < plane->actives; k++) {
        int p = plane->active[k];
        const float *w = plane->w->mean + 9 * p, *here = ring_of(plane, a, p), *after = ring_of(plane, a + 1, p);
        if (two)
            convolve_two(ring_of(plane, a - 1, p), here, after, ring_of(plane, a + 2, p), w, first, second, plane->whole);
        else
            convolve(ring_of(plane, a - 1, p), here, after, w, first, plane->whole);
    }
}

static void finish_line(const Plane *plane, int64_t a, const float *total) {
    const Scratch *s = plane->s;
    const Geometry *g = plane->g;
    int64_t at = a * g->count;
    add_means(total, s->middle + at, (int)g->mean_bits, plane->shift, s->means + at, plane->whole);
    find_indices(box_of(plane, a - 1), box_of(plane, a), box_of(plane, a + 1), s->own + a % LINES * plane->line, plane->w->floor,
                 (int)g->scale_bits, 2 * plane->shift, s->expected, plane->whole);
    put_bytes(s->expected, s->index + at, plane->whole);
}

/* Fill s->middle, s->means and s->index, (lines, count), of plane places[0], whose sources are the others, or -1. */
static void predict_plane(const Grids *grids, const int64_t *places, const Geometry *g, const Weights *w, const Scratch *s) {
    int64_t known = g->known_lines * g->known_count;
    for (int64_t a = 0; a < g->lines; a++) find_middle(grids->values + places[0] * known, g, a, s->middle + a * g->count);
    Plane plane = {grids, places, g, w, s, whole_vectors(g->count), line_room(g), find_shift(grids, places, g, s), 0, {0}};
    plane.actives = find_active(g, w, places, plane.active);
    for (int64_t a = 0, loaded = 0; a < g->lines; a += 2) {
        for (; loaded < g->lines && loaded <= a + 2; loaded++) load_inputs(&plane, loaded);
        sum_lines(&plane, a);
        finish_line(&plane, a, s->total);
        if (a + 1 < g->lines) finish_line(&plane, a + 1, s->total + plane.line);
    }
}

#endif
