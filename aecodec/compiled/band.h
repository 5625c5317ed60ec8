/* A band of a plane's lines as a linear predictor takes them: inputs in pairs, shifted and clipped, and their weighted magnitudes.
 *
 * Slots of one line each: the line before the band, its own, and the one after, of each pair, then of the magnitudes around a value,
 * for 3 x 3, and of those at it. Lines beyond the plane, and the places between two lines, are zeros.
 */
#ifndef AECODEC_BAND_H
#define AECODEC_BAND_H

#include "pairs.h"

typedef struct {
    const float *mean;          /* (P, 3, 3), in memory's orientation; whole numbers, as all weights */
    const float *near, *around; /* (P,): of magnitudes at the value, and summed over 3 x 3 */
    float floor;
} Weights;

/* Two inputs; the second may be none. */
typedef struct {
    Operand first, second; /* of the plane's first value */
    int32_t mean[9], near, around;
    int64_t at; /* slot 0 */
    int weighs;
} Pair;

/* What stays the same for all bands of a plane. */
typedef struct {
    const Grids *grids;
    const int64_t *places;
    const Geometry *g;
    const Weights *w;
    const Scratch *s;
    int shift, count;
    Pair pairs[(MOST_PLANES + 1) / 2];
    int64_t box, own; /* slot 0 of magnitudes */
} Plane;

/* An input of a plane that has these weights, or none where there is no second one. */
typedef struct {
    Operand operand;
    int64_t number;
} Input;

static void add_pair(Plane *plane, Input x, Input y) {
    const Weights *w = plane->w;
    Pair *pair = plane->pairs + plane->count;
    int alone = y.operand.kind == NONE;
    *pair = (Pair){.first = x.operand, .second = y.operand, .at = plane->count * plane->s->slots};
    for (int k = 0; k < 9; k++) {
        pair->mean[k] = join((int32_t)w->mean[9 * x.number + k], alone ? 0 : (int32_t)w->mean[9 * y.number + k]);
        pair->weighs |= pair->mean[k] != 0;
    }
    pair->near = join((int32_t)w->near[x.number], alone ? 0 : (int32_t)w->near[y.number]);
    pair->around = join((int32_t)w->around[x.number], alone ? 0 : (int32_t)w->around[y.number]);
    plane->count++;
}

/* What there is to see: differences of known values and of midpoints; of each source the distance from its midpoint and, with offsets,
 * of this from that here; magnitudes of residuals. */
static void find_pairs(Plane *plane) {
    const Geometry *g = plane->g;
    const Grids *grids = plane->grids;
    int64_t known = plane->places[0] * g->known_plane, stride = stride_of(g), last = plane_count(g) - 1;
    const int32_t *middle = plane->s->middle;
    Input none = {{.kind = NONE}, 0}, waiting = none;
    Input gap = {{DIFFERENCE, grids->values + known, middle, 0, g->known_pitch, stride}, 0};
    Input slope = {{DIFFERENCE, middle, middle, 0, stride, stride}, 1};
    Input size = {{MEAN_OF_TWO, grids->sizes + known, middle, 0, g->known_pitch, stride}, last};
    add_pair(plane, gap, slope);
    for (int64_t k = 0; k < g->sources; k++) {
        int64_t place = plane->places[1 + k], number = 2 + (1 + g->offsets) * k;
        if (place < 0) continue;
        Input detail = {{SINGLE, grids->details + place * g->lines * g->count, middle, 0, g->count, stride}, number};
        if (g->offsets) {
            Input offset = {{DISTANCE, grids->values + place * g->known_plane, middle, 0, g->known_pitch, stride}, number + 1};
            add_pair(plane, detail, offset);
        } else if (waiting.operand.kind == NONE) {
            waiting = detail;
        } else {
            add_pair(plane, waiting, detail);
            waiting = none;
        }
    }
    if (waiting.operand.kind == NONE)
        add_pair(plane, size, none);
    else
        add_pair(plane, waiting, size);
    plane->box = plane->count * plane->s->slots;
    plane->own = plane->box + plane->s->slots;
}

/* From a line and value on; the second known value of those on both sides, or midpoint, is so far from the first. */
static Operand moved(Operand o, const Part *part, int is_slope) {
    if (o.kind == NONE) return o;
    o.from += part->row * o.next + part->column;
    o.middle += part->row * o.next_middle + part->column;
    o.apart = is_slope ? part->after : part->apart;
    return o;
}

/* Lines from `first` to `end`, one at least, into slots from `slot` on. */
static void load_lines(const Plane *plane, int64_t slot, int64_t first, int64_t end) {
    Part parts[4];
    int count = find_parts(plane->g, first, end, parts);
    int64_t stride = stride_of(plane->g);
    for (int n = 0; n < count; n++) {
        const Part *part = parts + n;
        int64_t at = 1 + (slot + part->row - first) * stride + part->column;
        for (int k = 0; k < plane->count; k++) {
            const Pair *pair = plane->pairs + k;
            int32_t *band = plane->s->band + at;
            Load load = {band + pair->at, band + plane->box, band + plane->own, stride, part->rows, part->columns,
                         pair->near, pair->around, plane->shift};
            Operand x = moved(pair->first, part, 0), y = moved(pair->second, part, k == 0);
            load_pair(&x, &y, &load);
        }
    }
}

/* The band of lines from `row` on: what is in the last two slots goes to the first, and so on; a plane's first has none before. */
static void load_band(const Plane *plane, int64_t row) {
    const Scratch *s = plane->s;
    int64_t stride = stride_of(plane->g), lines = plane->g->lines, after = row + s->band_lines;
    for (int64_t p = 0; p < plane->count + 2; p++) {
        int32_t *slots = s->band + p * s->slots;
        if (row)
            memcpy(slots + 1, slots + 1 + s->band_lines * stride, (size_t)(2 * stride) * 4);
        else
            memset(slots, 0, (size_t)(stride + 1) * 4);
        if (after >= lines) memset(slots + 1 + (lines - row + 1) * stride, 0, (size_t)stride * 4);
    }
    int64_t first = row ? row + 1 : 0, end = after + 1 < lines ? after + 1 : lines;
    if (first < end) load_lines(plane, row ? 2 : 1, first, end);
}

#endif
