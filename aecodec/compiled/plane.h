/* What a linear predictor says of one plane of a phase, line by line in cache: means, and indices of the scale expected.
 *
 * A plane is walked along memory, whether the phase's own lines run along it or across it: a line is one of memory here.
 * FORMAT.md, 4.10, is normative; phase_inputs.py and the model's graph do the same in numpy and ONNX Runtime. All sums of floats
 * are of whole numbers below 2**24 (models/predictor.py), so neither their order nor fused operations change them.
 */
#ifndef AECODEC_PLANE_H
#define AECODEC_PLANE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__) && defined(__x86_64__) && !defined(__AVX2__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v3", "default"))) /* chosen when the module is loaded */
#define FOR_WIDE_CPUS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#define FOR_WIDE_CPUS
#endif
#if defined(__GNUC__)
#define LOOP FOR_EACH_CPU static __attribute__((noinline)) /* on their own, loops are vectorised */
#define WIDE_LOOP FOR_WIDE_CPUS static __attribute__((noinline))
#else
#define LOOP static
#define WIDE_LOOP static
#define restrict __restrict
#endif

enum { INPUT_LIMIT = 4095, LIMIT_BITS = 12, ROOM = 16, LARGEST_MAGNITUDE = (1 << 14) - 1, INDICES = 48, SIZE_LIMIT = 1 << 20 };
enum { VECTOR = 16, LINES = 4 }; /* values of a vector; lines that are kept in cache */
enum { MOST_SOURCES = 8, MOST_PLANES = 3 + 2 * MOST_SOURCES };

/* int64 so that Python can hand it over as one array (walk.py); "known" is the grid before the phase. */
typedef struct {
    int64_t lines, count;             /* of a plane of this phase: lines of memory, and values of each */
    int64_t known_lines, known_count; /* of the known grid */
    int64_t across;                   /* 1 if the phase's lines run across memory's */
    int64_t sources, offsets;         /* their number; 1 if they have offsets */
    int64_t spacing, mean_bits, scale_bits;
    int64_t extent, first, next_line, next; /* where the phase's values are in a plane of the array */
} Geometry;

/* Grids of all planes: fine units and magnitudes of residuals as known before; this phase's distances from midpoints. */
typedef struct {
    const int32_t *values, *sizes;
    int32_t *details;
} Grids;

typedef struct {
    const float *mean;          /* (P, 3, 3), in memory's orientation */
    const float *near, *around; /* (P,): of magnitudes at the value, and summed over 3 x 3 */
    float floor;
} Weights;

/* Memory for one plane at a time. */
typedef struct {
    int32_t *middle, *means, *residual, *raw, *expected;
    uint8_t *index;
    float *ring, *box, *own, *total, *zeros;
    double *reals; /* of one line */
} Scratch;

static inline int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static inline int32_t wrap_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
static inline int32_t wrap_abs(int32_t a) { return a < 0 ? wrap_sub(0, a) : a; }

static inline uint32_t zigzag(int32_t x) { return (uint32_t)x << 1 ^ (uint32_t)(x >> 31); }

static inline int64_t whole_vectors(int64_t n) { return (n + VECTOR - 1) / VECTOR * VECTOR; }

static inline int64_t plane_count(const Geometry *g) { return 3 + (1 + g->offsets) * g->sources; }

static void free_scratch(Scratch *s) {
    free(s->middle), free(s->means), free(s->residual), free(s->raw), free(s->expected), free(s->index);
    free(s->ring), free(s->box), free(s->own), free(s->total), free(s->zeros), free(s->reals);
}

/* Values of a line and one on each side, in whole vectors. */
static inline int64_t line_room(const Geometry *g) { return whole_vectors(g->count) + 2; }

static int make_scratch(Scratch *s, const Geometry *g) {
    size_t plane = (size_t)(g->lines * g->count) + VECTOR, line = (size_t)line_room(g), planes = (size_t)plane_count(g);
    s->middle = malloc(plane * 4);
    s->means = malloc(plane * 4);
    s->residual = malloc(plane * 4);
    s->index = malloc(plane);
    s->raw = calloc(planes * line, 4);
    s->expected = calloc(line, 4);
    s->ring = calloc(LINES * planes * line, 4);
    s->box = calloc(LINES * line, 4);
    s->own = calloc(LINES * line, 4);
    s->total = calloc(2 * line, 4);
    s->zeros = calloc(line, 4);
    s->reals = malloc(line * 8);
    if (s->middle && s->means && s->residual && s->index && s->raw && s->expected && s->ring && s->box && s->own &&
        s->total && s->zeros && s->reals)
        return 1;
    free_scratch(s);
    return 0;
}

LOOP void halve(const int32_t *restrict a, const int32_t *restrict b, int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = wrap_add(a[i], b[i]) >> 1;
}

LOOP void subtract(const int32_t *restrict a, const int32_t *restrict b, int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = wrap_sub(a[i], b[i]);
}

/* The known values on both sides of those between, of line a of one plane; the same line again where there is none after. Returns
 * how many have one after them: n, or n - 1. */
static inline int64_t find_ends(const int32_t *plane, const Geometry *g, int64_t a, const int32_t **first, const int32_t **second) {
    *first = plane + a * g->known_count;
    if (g->across) {
        *second = plane + (a + 1 < g->known_lines ? a + 1 : a) * g->known_count;
        return g->count;
    }
    *second = *first + 1;
    return g->known_count > g->count ? g->count : g->count - 1;
}

static inline void find_middle(const int32_t *plane, const Geometry *g, int64_t a, int32_t *out) {
    const int32_t *first, *second;
    int64_t paired = find_ends(plane, g, a, &first, &second);
    halve(first, second, out, paired);
    if (paired < g->count) out[paired] = wrap_add(first[paired], first[paired]) >> 1;
}

/* Point `inputs` at the P inputs of line a, before they are shifted and clipped; NULL for those of absent sources. */
static void gather(const Grids *grids, const int64_t *places, const Geometry *g, int64_t a, const Scratch *s, const int32_t **inputs) {
    int64_t n = g->count, known = g->known_lines * g->known_count;
    int32_t *raw = s->raw;
    const int32_t *here = s->middle + a * n, *first, *second;
    int64_t paired = find_ends(grids->values + places[0] * known, g, a, &first, &second);
    subtract(first, second, raw, paired);
    if (paired < n) raw[paired] = 0;
    *inputs++ = raw;
    raw += n;
    if (g->across) {
        subtract(here, here + 1, raw, n - 1);
        raw[n - 1] = 0;
    } else if (a + 1 < g->lines) {
        subtract(here, here + n, raw, n);
    } else {
        memset(raw, 0, (size_t)n * 4);
    }
    *inputs++ = raw;
    for (int64_t k = 1; k <= g->sources; k++) {
        int is_there = places[k] >= 0;
        *inputs++ = is_there ? grids->details + (places[k] * g->lines + a) * n : NULL;
        if (!g->offsets) continue;
        raw += n;
        if (is_there) {
            find_middle(grids->values + places[k] * known, g, a, s->expected);
            subtract(here, s->expected, raw, n);
        }
        *inputs++ = is_there ? raw : NULL;
    }
    raw += n;
    find_middle(grids->sizes + places[0] * known, g, a, raw);
    *inputs = raw;
}

/* The magnitudes of every fourth value of a line, and, in `bits`, what they have set: a sum of 32 bits holds if those are few. */
LOOP uint32_t add_fourths(const int32_t *restrict line, uint32_t n, uint32_t *restrict bits) {
    uint32_t sum = 0, seen = 0;
    for (uint32_t i = 0; i < n; i++) { /* without strides, that is faster */
        uint32_t size = (uint32_t)wrap_abs(line[i]) & (i & 3 ? 0 : UINT32_MAX);
        sum += size;
        seen |= size;
    }
    *bits = seen;
    return sum;
}

static int64_t add_quarter(const int32_t *line, int64_t n) {
    uint32_t bits, total = add_fourths(line, (uint32_t)n, &bits);
    if ((uint64_t)bits * (uint64_t)(n / 4 + 1) <= INT32_MAX) return total;
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i += 4) sum += wrap_abs(line[i]);
    return sum;
}

/* Bits to drop so that usual inputs stay within the limit. */
static int find_shift(const Grids *grids, const int64_t *places, const Geometry *g, const Scratch *s) {
    int64_t totals[MOST_PLANES] = {0}, most = 0, n = g->count, planes = plane_count(g);
    const int32_t *inputs[MOST_PLANES];
    for (int64_t a = 0; a < g->lines; a += 4) {
        gather(grids, places, g, a, s, inputs);
        for (int64_t p = 0; p < planes - 1; p++)
            if (inputs[p]) totals[p] += add_quarter(inputs[p], n);
    }
    for (int64_t p = 0; p < planes - 1; p++) most = totals[p] > most ? totals[p] : most;
    most = most * ROOM / (((g->lines + 3) / 4) * ((n + 3) / 4));
    int bits = 0;
    while (most >> bits) bits++;
    return bits > LIMIT_BITS ? bits - LIMIT_BITS : 0;
}

/* Lines of some inputs, `apart` each of these from the next in the ring, and the weights of their magnitudes. */
typedef struct {
    const int32_t *raw[MOST_PLANES];
    float *ring[MOST_PLANES];
    float around[MOST_PLANES], near[MOST_PLANES];
    int count;
} Lines;

/* Shift and clip `count` lines into their places of the ring, and add their weighted magnitudes to box, for 3 x 3, and own. */
static inline __attribute__((always_inline)) void load_lines(int count, const Lines *lines, int from, int shift, float *restrict box,
                                                             float *restrict own, int64_t n) {
    const int32_t *raw[4];
    float *ring[4], around[4], near[4];
    for (int p = 0; p < count; p++) {
        raw[p] = lines->raw[from + p], ring[p] = lines->ring[from + p];
        around[p] = lines->around[from + p], near[p] = lines->near[from + p];
    }
#pragma GCC ivdep
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

#define LOAD(COUNT)                                                                                                    LOOP void load##COUNT(const Lines *lines, int from, int shift, float *box, float *own, int64_t n) {                    load_lines(COUNT, lines, from, shift, box, own, n);                                                            }
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
    const int32_t *inputs[MOST_PLANES];
    int planes = (int)plane_count(plane->g);
    float *ring = s->ring + a % LINES * planes * plane->line + 1;
    Lines lines;
    lines.count = 0;
    gather(plane->grids, plane->places, plane->g, a, s, inputs);
    for (int p = 0; p < planes; p++) {
        if (!inputs[p]) continue;
        lines.raw[lines.count] = inputs[p], lines.ring[lines.count] = ring + p * plane->line;
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
