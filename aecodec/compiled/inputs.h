/* What a linear predictor sees of one plane of a phase: midpoints, differences from them, and how far these are to be shifted.
 *
 * A plane is walked along memory, whether the phase's own lines run along it or across it: a line is one of memory here.
 * FORMAT.md, 4.10, is normative; phase_inputs.py and the model's graph do the same in numpy and ONNX Runtime.
 */
#ifndef AECODEC_INPUTS_H
#define AECODEC_INPUTS_H

#include "vectors.h"

enum { INPUT_LIMIT = 4095, LIMIT_BITS = 12, ROOM = 16, LARGEST_MAGNITUDE = (1 << 14) - 1, INDICES = 48, SIZE_LIMIT = 1 << 20 };
enum { EIGHT = 8, BAND = 1024, LEAST_LINES = 4 }; /* values that are kept in cache, about; and lines of them at least */
enum { MOST_SOURCES = 8, MOST_PLANES = 3 + 2 * MOST_SOURCES };

/* int64 so that Python can hand it over as one array (walk.py); "known" is the grid before the phase. */
typedef struct {
    int64_t lines, count;             /* of a plane of this phase: lines of memory, and values of each */
    int64_t known_lines, known_count; /* of the known grid */
    int64_t across;                   /* 1 if the phase's lines run across memory's */
    int64_t sources, offsets;         /* their number; 1 if they have offsets */
    int64_t spacing, mean_bits, scale_bits;
    int64_t extent, first, next_line, next; /* where the phase's values are in a plane of the array */
    int64_t known_pitch, known_plane;       /* from a line of the known grid to the next, and from a plane's to the next's */
    int64_t new_pitch, new_plane;           /* of the grid after the phase */
} Geometry;

/* Grids of all planes: fine units and magnitudes of residuals as known before; this phase's distances from midpoints, dense. Where a
 * phase's lines run across memory's, its values lie between known lines of the same grid. */
typedef struct {
    const int32_t *values, *sizes;
    int32_t *details;
} Grids;

/* Memory for one plane at a time. Numbers of a plane have places to spare after each line (stride_of), so that several lines can be
 * worked on as if they were one. */
typedef struct {
    int32_t *middle, *means, *residual; /* (lines, stride) */
    uint8_t *index;                     /* the same */
    int32_t *band, *total, *sums, *expected; /* band.h, plane.h */
    double *reals;                           /* of one line */
    int64_t band_lines, slots;
} Scratch;

static inline int64_t plane_count(const Geometry *g) { return 3 + (1 + g->offsets) * g->sources; }
static inline int64_t stride_of(const Geometry *g) { return (g->count + EIGHT) / EIGHT * EIGHT; } /* one place to spare at least */

/* Whether the last values along the phase's direction have no known one after them. */
static inline int is_open(const Geometry *g) { return g->across ? g->known_lines == g->lines : g->known_count == g->count; }

static void free_scratch(Scratch *s) {
    free(s->middle), free(s->means), free(s->residual), free(s->index);
    free(s->band), free(s->total), free(s->sums), free(s->expected), free(s->reals);
}

static int make_scratch(Scratch *s, const Geometry *g) {
    int64_t stride = stride_of(g), most = BAND / stride > LEAST_LINES ? BAND / stride : LEAST_LINES;
    s->band_lines = g->lines < most ? g->lines : most;
    s->slots = (s->band_lines + 2) * stride + EIGHT;
    size_t plane = (size_t)(g->lines * stride), band = (size_t)(s->band_lines * stride) + EIGHT;
    s->middle = malloc(plane * 4);
    s->means = malloc(plane * 4);
    s->residual = malloc(plane * 4);
    s->index = malloc(plane);
    s->band = calloc((size_t)(((plane_count(g) + 1) / 2 + 2) * s->slots), 4);
    s->total = calloc(band, 4);
    s->sums = calloc(band, 4);
    s->expected = calloc(band, 4);
    s->reals = malloc((size_t)stride * 8);
    if (s->middle && s->means && s->residual && s->index && s->band && s->total && s->sums && s->expected && s->reals) return 1;
    free_scratch(s);
    return 0;
}

/* Lines from `row` on, values from `column` on, `rows` by `columns` of them, all alike in how far apart the known values on both sides
 * are, and midpoints and those after them across the phase's own direction: 0 where there is none after. */
typedef struct {
    int64_t row, column, rows, columns, apart, after;
} Part;

/* Those of lines from `row` to `end`, one at least: all but the last values, and these, of all but the last line, and of this. Returns how many. */
static int find_parts(const Geometry *g, int64_t row, int64_t end, Part *parts) {
    int open = is_open(g), count = 0, edge_row = !g->across || open, edge_column = g->across || open;
    for (int last_row = 0; last_row < 2; last_row++)
        for (int last_column = 0; last_column < 2; last_column++) {
            int64_t first = last_row ? g->lines - 1 : row, stop = last_row || !edge_row || end < g->lines ? end : end - 1;
            Part part = {first, last_column ? g->count - 1 : 0, stop - first, last_column ? 1 : g->count - edge_column, 0, 0};
            if ((last_row && (!edge_row || end < g->lines)) || (last_column && !edge_column) || !part.rows || !part.columns) continue;
            if (g->across) {
                part.apart = last_row && open ? 0 : g->known_pitch;
                part.after = last_column ? 0 : 1;
            } else {
                part.apart = last_column && open ? 0 : 1;
                part.after = last_row ? 0 : stride_of(g);
            }
            parts[count++] = part;
        }
    return count;
}

LOOP void halve(const int32_t *restrict from, int64_t apart, int64_t next_from, int32_t *restrict out, int64_t next_out, int64_t rows,
                int64_t n) {
    for (; rows; rows--, from += next_from, out += next_out)
        for (int64_t i = 0; i < n; i++) out[i] = wrap_add(from[i], from[i + apart]) >> 1;
}

/* Midpoints of the known values, (lines, stride). */
static void find_middle(const int32_t *known, const Geometry *g, int32_t *out) {
    Part parts[4];
    int count = find_parts(g, 0, g->lines, parts);
    for (int k = 0; k < count; k++) {
        const Part *p = parts + k;
        halve(known + p->row * g->known_pitch + p->column, p->apart, g->known_pitch, out + p->row * stride_of(g) + p->column,
              stride_of(g), p->rows, p->columns);
    }
}

/* Sums of magnitudes at every fourth value of every fourth line. */
LOOP int64_t add_details(const int32_t *details, int64_t lines, int64_t n) {
    int64_t sum = 0;
    for (int64_t a = 0; a < lines; a += 4, details += 4 * n)
        for (int64_t i = 0; i < n; i += 4) sum += wrap_abs(details[i]);
    return sum;
}

LOOP int64_t add_differences(const int32_t *from, int64_t apart, int64_t next, int64_t lines, int64_t n) {
    int64_t sum = 0;
    for (int64_t a = 0; a < lines; a += 4, from += 4 * next)
        for (int64_t i = 0; i < n; i += 4) sum += wrap_abs(wrap_sub(from[i], from[i + apart]));
    return sum;
}

static int64_t add_offsets(const int32_t *known, const Geometry *g, const int32_t *middle) {
    Part parts[4];
    int64_t sum = 0;
    for (int k = find_parts(g, 0, g->lines, parts) - 1; k >= 0; k--) {
        const Part *p = parts + k;
        for (int64_t a = (p->row + 3) / 4 * 4; a < p->row + p->rows; a += 4)
            for (int64_t i = (p->column + 3) / 4 * 4; i < p->column + p->columns; i += 4) {
                const int32_t *first = known + a * g->known_pitch + i;
                sum += wrap_abs(wrap_sub(middle[a * stride_of(g) + i], wrap_add(first[0], first[p->apart]) >> 1));
            }
    }
    return sum;
}

/* Bits to drop so that usual inputs, of which a sixteenth is looked at, stay within the limit. */
static int find_shift(const Grids *grids, const int64_t *places, const Geometry *g, const Scratch *s) {
    int64_t n = g->count, lines = g->lines, stride = stride_of(g), pitch = g->known_pitch;
    const int32_t *values = grids->values + places[0] * g->known_plane;
    int64_t most = g->across ? add_differences(values, pitch, pitch, lines - is_open(g), n)
                             : add_differences(values, 1, pitch, lines, n - is_open(g));
    int64_t slope = g->across ? add_differences(s->middle, 1, stride, lines, n - 1) : add_differences(s->middle, stride, stride, lines - 1, n);
    most = slope > most ? slope : most;
    for (int64_t k = 0; k < g->sources; k++) {
        int64_t place = places[1 + k];
        if (place < 0) continue;
        int64_t total = add_details(grids->details + place * lines * n, lines, n);
        most = total > most ? total : most;
        if (!g->offsets) continue;
        total = add_offsets(grids->values + place * g->known_plane, g, s->middle);
        most = total > most ? total : most;
    }
    most = most * ROOM / ((lines + 3) / 4 * ((n + 3) / 4));
    int bits = 0;
    while (most >> bits) bits++;
    return bits > LIMIT_BITS ? bits - LIMIT_BITS : 0;
}

#endif
