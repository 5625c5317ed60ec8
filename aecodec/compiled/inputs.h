/* What a linear predictor sees of one plane of a phase, line by line: integers, and how far they are to be shifted.
 *
 * A plane is walked along memory, whether the phase's own lines run along it or across it: a line is one of memory here.
 * FORMAT.md, 4.10, is normative; phase_inputs.py and the model's graph do the same in numpy and ONNX Runtime.
 */
#ifndef AECODEC_INPUTS_H
#define AECODEC_INPUTS_H

#include "vectors.h"

enum { INPUT_LIMIT = 4095, LIMIT_BITS = 12, ROOM = 16, LARGEST_MAGNITUDE = (1 << 14) - 1, INDICES = 48, SIZE_LIMIT = 1 << 20 };
enum { LINES = 4 }; /* that are kept in cache */
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

/* Differences of the midpoints of line a to those after them across the phase's own direction. */
static void find_slope(const Geometry *g, int64_t a, const int32_t *here, int32_t *out) {
    int64_t n = g->count;
    if (g->across) {
        subtract(here, here + 1, out, n - 1);
        out[n - 1] = 0;
    } else if (a + 1 < g->lines) {
        subtract(here, here + n, out, n);
    } else {
        memset(out, 0, (size_t)n * 4);
    }
}

/* Line a of input p, before it is shifted and clipped, where it lies or in `out`; NULL if its source is not there. */
static const int32_t *find_input(const Grids *grids, const int64_t *places, const Geometry *g, const Scratch *s, int64_t p, int64_t a,
                                 int32_t *out) {
    int64_t n = g->count, known = g->known_lines * g->known_count;
    const int32_t *here = s->middle + a * n, *first, *second;
    if (p == 0) {
        int64_t paired = find_ends(grids->values + places[0] * known, g, a, &first, &second);
        subtract(first, second, out, paired);
        if (paired < n) out[paired] = 0;
    } else if (p == 1) {
        find_slope(g, a, here, out);
    } else if (p == plane_count(g) - 1) {
        find_middle(grids->sizes + places[0] * known, g, a, out);
    } else {
        int64_t place = places[1 + (p - 2) / (1 + g->offsets)];
        if (place < 0) return NULL;
        if (!g->offsets || p % 2 == 0) return grids->details + (place * g->lines + a) * n;
        find_middle(grids->values + place * known, g, a, s->expected);
        subtract(here, s->expected, out, n);
    }
    return out;
}

/* The magnitudes of every fourth value of lines that are `apart`, and, in `bits`, what they have set: a sum of 32 bits holds if those
 * are few. */
LOOP uint32_t add_fourths(const int32_t *restrict line, int64_t lines, int64_t apart, uint32_t n, uint32_t *restrict bits) {
    uint32_t sum = 0, seen = 0;
    for (; lines; lines--, line += apart)
        for (uint32_t i = 0; i < n; i++) { /* without strides, that is faster */
            uint32_t size = (uint32_t)wrap_abs(line[i]) & (i & 3 ? 0 : UINT32_MAX);
            sum += size;
            seen |= size;
        }
    *bits = seen;
    return sum;
}

static int64_t add_quarter(const int32_t *line, int64_t lines, int64_t apart, int64_t n) {
    uint32_t bits, total = add_fourths(line, lines, apart, (uint32_t)n, &bits);
    if ((uint64_t)bits * (uint64_t)((n / 4 + 1) * lines) <= INT32_MAX) return total;
    int64_t sum = 0;
    for (; lines; lines--, line += apart)
        for (int64_t i = 0; i < n; i += 4) sum += wrap_abs(line[i]);
    return sum;
}

/* Bits to drop so that usual inputs, of which every fourth line is looked at, stay within the limit. */
static int find_shift(const Grids *grids, const int64_t *places, const Geometry *g, const Scratch *s) {
    int64_t most = 0, n = g->count, lines = (g->lines + 3) / 4;
    for (int64_t p = 0; p < plane_count(g) - 1; p++) {
        const int32_t *first = find_input(grids, places, g, s, p, 0, s->means);
        if (!first) continue;
        int is_made = first == s->means;
        for (int64_t k = 1; is_made && k < lines; k++) find_input(grids, places, g, s, p, 4 * k, s->means + k * n);
        int64_t total = add_quarter(first, lines, is_made ? n : 4 * n, n);
        most = total > most ? total : most;
    }
    most = most * ROOM / (lines * ((n + 3) / 4));
    int bits = 0;
    while (most >> bits) bits++;
    return bits > LIMIT_BITS ? bits - LIMIT_BITS : 0;
}

#endif
