/* A band of a plane's lines as a linear predictor takes them: inputs shifted and clipped, and their weighted magnitudes.
 *
 * Slots of one line each: the line before the band, its own, and the one after, of each input, then of the magnitudes around a value,
 * for 3 x 3, and of those at it. Lines beyond the plane, and the place between two lines, are zeros.
 */
#ifndef AECODEC_BAND_H
#define AECODEC_BAND_H

#include "inputs.h"

typedef struct {
    const float *mean;          /* (P, 3, 3), in memory's orientation */
    const float *near, *around; /* (P,): of magnitudes at the value, and summed over 3 x 3 */
    float floor;
} Weights;

/* Where an input's numbers go, and what their magnitudes weigh. */
typedef struct {
    float *to;
    float near, around;
} Target;

/* Lines of sources: distances from midpoints, and where offsets are asked for, the known values on both sides. */
typedef struct {
    const int32_t *details, *known;
    Target detail, offset;
} Loaded;

static inline float clipped(int32_t x, int shift) {
    float y = (float)(x >> shift); /* clipped as floats, since integers would be followed to constants, by branches */
    y = y > -(float)INPUT_LIMIT ? y : -(float)INPUT_LIMIT;
    return y < (float)INPUT_LIMIT ? y : (float)INPUT_LIMIT;
}

/* Differences of known values and of midpoints, and magnitudes of residuals: what there always is. */
LOOP void load_own(const int32_t *restrict values, const int32_t *restrict sizes, int64_t apart, int64_t next_known,
                   const int32_t *restrict middle, int64_t after, int64_t stride, int shift, Target gap, Target slope, Target size,
                   float *restrict box, float *restrict own, int64_t rows, int64_t n) {
    float *restrict gaps = gap.to, *restrict slopes = slope.to, *restrict near = size.to;
    for (; rows; rows--) {
#if defined(__GNUC__)
#pragma GCC ivdep
#endif
        for (int64_t i = 0; i < n; i++) {
            float x = clipped(wrap_sub(values[i], values[i + apart]), shift), y = clipped(wrap_sub(middle[i], middle[i + after]), shift);
            float z = clipped(wrap_add(sizes[i], sizes[i + apart]) >> 1, shift);
            gaps[i] = x, slopes[i] = y, near[i] = z;
            x = fabsf(x), y = fabsf(y), z = fabsf(z);
            box[i] = gap.around * x + slope.around * y + size.around * z;
            own[i] = gap.near * x + slope.near * y + size.near * z;
        }
        values += next_known, sizes += next_known, middle += stride;
        gaps += stride, slopes += stride, near += stride, box += stride, own += stride;
    }
}

/* Distances of one source, or of more, from their midpoints. */
INLINE void load_details(int count, const Loaded *sources, int64_t next, int64_t stride, int shift, float *restrict box,
                         float *restrict own, int64_t rows, int64_t n) {
    const int32_t *from[3];
    float *to[3], near[3], around[3];
    for (int k = 0; k < count; k++) {
        from[k] = sources[k].details, to[k] = sources[k].detail.to;
        near[k] = sources[k].detail.near, around[k] = sources[k].detail.around;
    }
    for (; rows; rows--) {
#if defined(__GNUC__)
#pragma GCC ivdep
#endif
        for (int64_t i = 0; i < n; i++) {
            float near_all = own[i], around_all = box[i];
            for (int k = 0; k < count; k++) {
                float x = clipped(from[k][i], shift), size = fabsf(x);
                to[k][i] = x;
                around_all += around[k] * size;
                near_all += near[k] * size;
            }
            box[i] = around_all;
            own[i] = near_all;
        }
        for (int k = 0; k < count; k++) from[k] += next, to[k] += stride;
        box += stride, own += stride;
    }
}

#define LOAD(COUNT)                                                                                                               \
    LOOP void load##COUNT(const Loaded *sources, int64_t next, int64_t stride, int shift, float *box, float *own, int64_t rows,   \
                          int64_t n) {                                                                                            \
        load_details(COUNT, sources, next, stride, shift, box, own, rows, n);                                                     \
    }

LOAD(1)
LOAD(2)
LOAD(3)

/* Distances of a source's midpoints from those here. */
LOOP void load_offset(const int32_t *restrict known, int64_t apart, int64_t next_known, const int32_t *restrict middle, int64_t stride,
                      int shift, Target offset, float *restrict box, float *restrict own, int64_t rows, int64_t n) {
    float *restrict to = offset.to;
    for (; rows; rows--, known += next_known, middle += stride, to += stride, box += stride, own += stride) {
#if defined(__GNUC__)
#pragma GCC ivdep
#endif
        for (int64_t i = 0; i < n; i++) {
            float x = clipped(wrap_sub(middle[i], wrap_add(known[i], known[i + apart]) >> 1), shift);
            to[i] = x;
            box[i] += offset.around * fabsf(x);
            own[i] += offset.near * fabsf(x);
        }
    }
}

/* What stays the same for all bands of a plane. */
typedef struct {
    const Grids *grids;
    const int64_t *places;
    const Geometry *g;
    const Weights *w;
    const Scratch *s;
    int shift, actives;
    int active[MOST_PLANES]; /* inputs that have weights and, if of a source, are there */
} Plane;

/* Slot 0 of input p, or, after the inputs, of the magnitudes around values, then at them; a line's first value is preceded by a zero. */
static inline float *slots_of(const Plane *plane, int64_t p) { return plane->s->band + p * plane->s->slots; }

static inline Target target_of(const Plane *plane, int64_t p, int64_t at) {
    return (Target){slots_of(plane, p) + at, plane->w->near[p], plane->w->around[p]};
}

/* Part of the lines, those from `first` on in slots from `slot` on. */
static void load_part(const Plane *plane, const Part *part, int64_t slot, int64_t first) {
    const Geometry *g = plane->g;
    int64_t stride = stride_of(g), inputs = plane_count(g);
    int64_t at = 1 + (slot + part->row - first) * stride + part->column, in_known = part->row * g->known_pitch + part->column;
    const int32_t *middle = plane->s->middle + part->row * stride + part->column;
    float *box = slots_of(plane, inputs) + at, *own = slots_of(plane, inputs + 1) + at;
    Loaded sources[MOST_SOURCES];
    int count = 0;
    for (int64_t k = 0; k < g->sources; k++) {
        int64_t place = plane->places[1 + k], input = 2 + (1 + g->offsets) * k;
        if (place < 0) continue;
        sources[count].details = plane->grids->details + (place * g->lines + part->row) * g->count + part->column;
        sources[count].detail = target_of(plane, input, at);
        if (g->offsets) {
            sources[count].known = plane->grids->values + place * g->known_plane + in_known;
            sources[count].offset = target_of(plane, input + 1, at);
        }
        count++;
    }
    const int32_t *values = plane->grids->values + plane->places[0] * g->known_plane + in_known;
    const int32_t *sizes = plane->grids->sizes + plane->places[0] * g->known_plane + in_known;
    load_own(values, sizes, part->apart, g->known_pitch, middle, part->after, stride, plane->shift, target_of(plane, 0, at),
             target_of(plane, 1, at), target_of(plane, inputs - 1, at), box, own, part->rows, part->columns);
    for (int from = 0; from < count; from += 3) {
        int left = count - from;
        (left == 1 ? load1 : left == 2 ? load2 : load3)(sources + from, g->count, stride, plane->shift, box, own, part->rows,
                                                        part->columns);
    }
    for (int k = 0; g->offsets && k < count; k++)
        load_offset(sources[k].known, part->apart, g->known_pitch, middle, stride, plane->shift, sources[k].offset, box, own,
                    part->rows, part->columns);
}

/* Lines from `first` to `end` into slots from `slot` on. */
static void load_lines(const Plane *plane, int64_t slot, int64_t first, int64_t end) {
    Part parts[4];
    int count = find_parts(plane->g, first, end, parts);
    for (int k = 0; k < count; k++) load_part(plane, parts + k, slot, first);
}

/* The band of lines from `row` on: what is in the last two slots goes to the first, and so on; a plane's first has none before. */
static void load_band(const Plane *plane, int64_t row) {
    const Scratch *s = plane->s;
    int64_t stride = stride_of(plane->g), lines = plane->g->lines, after = row + s->band_lines, arrays = plane_count(plane->g) + 2;
    for (int64_t p = 0; p < arrays; p++) {
        float *slots = slots_of(plane, p);
        if (row)
            memcpy(slots + 1, slots + 1 + s->band_lines * stride, (size_t)(2 * stride) * 4);
        else
            memset(slots, 0, (size_t)(stride + 1) * 4);
        if (after >= lines) memset(slots + 1 + (lines - row + 1) * stride, 0, (size_t)stride * 4);
    }
    load_lines(plane, row ? 2 : 1, row ? row + 1 : 0, after + 1 < lines ? after + 1 : lines);
}

#endif
