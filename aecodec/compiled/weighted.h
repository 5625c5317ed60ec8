/* Residuals under weighted prediction of differences along columns, as weighted.py has them in numpy, to the same bits. */
#ifndef AECODEC_WEIGHTED_H
#define AECODEC_WEIGHTED_H

#include "residual.h"

enum { WEIGHTS = 5, WEIGHT_BITS = 6 };

/* Differences of one step and the one before: (channels, 1 + rows, columns + 1), each channel's first line and each line's last place
 * zeros. */
typedef struct {
    int64_t steps, channels, rows, columns;
    int32_t weights[WEIGHTS];
    int32_t *now, *before;
} Weighted;

static int64_t differences_of(const Weighted *w) { return w->channels * (w->rows + 1) * (w->columns + 1); }

static int make_differences(Weighted *w) {
    w->now = calloc((size_t)differences_of(w), 4);
    w->before = calloc((size_t)differences_of(w), 4);
    return w->now && w->before;
}

static void free_differences(Weighted *w) { free(w->now), free(w->before); }

static void next_step(Weighted *w) {
    int32_t *kept = w->before;
    w->before = w->now, w->now = kept;
}

/* Differences predicted from those of the line above, and of this and the line above a step before. */
static inline uint32_t predicted_at(const int32_t *above, const int32_t *before, const int32_t *both, const int32_t *w, int64_t i) {
    uint32_t sum = (uint32_t)w[0] * (uint32_t)above[i] + (uint32_t)w[1] * (uint32_t)above[i + 1];
    sum += (uint32_t)w[2] * (uint32_t)before[i] + (uint32_t)w[3] * (uint32_t)before[i + 1] + (uint32_t)w[4] * (uint32_t)both[i];
    return (uint32_t)((int32_t)(sum + (1u << (WEIGHT_BITS - 1))) >> WEIGHT_BITS);
}

LOOP void find_differences(const int32_t *restrict indices, int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = wrap_sub(indices[i + 1], indices[i]);
}

LOOP void leave16(const int32_t *restrict here, const int32_t *restrict above, const int32_t *restrict before,
                  const int32_t *restrict both, const int32_t *restrict weights, uint16_t *restrict out, int64_t n) {
    const int32_t w[WEIGHTS] = {weights[0], weights[1], weights[2], weights[3], weights[4]};
    for (int64_t i = 0; i < n; i++) {
        int16_t narrow = (int16_t)((uint32_t)here[i] - predicted_at(above, before, both, w, i));
        out[i] = (uint16_t)((uint32_t)(uint16_t)narrow << 1 ^ (uint32_t)(narrow >> 15));
    }
}

LOOP void leave32(const int32_t *restrict here, const int32_t *restrict above, const int32_t *restrict before,
                  const int32_t *restrict both, const int32_t *restrict weights, uint32_t *restrict out, int64_t n) {
    const int32_t w[WEIGHTS] = {weights[0], weights[1], weights[2], weights[3], weights[4]};
    for (int64_t i = 0; i < n; i++) out[i] = zigzag((int32_t)((uint32_t)here[i] - predicted_at(above, before, both, w, i)));
}

LOOP void restore_differences(const int32_t *restrict left, const int32_t *restrict above, const int32_t *restrict before,
                              const int32_t *restrict both, const int32_t *restrict weights, int32_t *restrict out, int64_t n) {
    const int32_t w[WEIGHTS] = {weights[0], weights[1], weights[2], weights[3], weights[4]};
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)((uint32_t)left[i] + predicted_at(above, before, both, w, i));
}

/* Zigzagged residuals of `values`; `row` has room for the indices and products of PART values. */
static void find_weighted(Weighted *w, const Planes *p, const Row *row, const char *values, const double *inverses, int64_t apart, char *out) {
    int64_t from = p->wide ? 8 : 4, to = p->narrow ? 2 : 4, pitch = w->columns + 1;
    for (int64_t step = 0; step < w->steps; step++, next_step(w))
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t r = 0; r < w->rows; r++) {
                int64_t above = (c * (w->rows + 1) + r) * pitch, here = above + pitch;
                row->indices[0] = 0;
                for (int64_t at = 0; at < w->columns; at += PART, row->indices[0] = row->indices[PART]) {
                    int64_t n = w->columns - at < PART ? w->columns - at : PART;
                    round_part(p, row, values + at * from, inverses[c * apart], n);
                    find_differences(row->indices, w->now + here + at, n);
                }
                if (p->narrow)
                    leave16(w->now + here, w->now + above, w->before + here, w->before + above, w->weights, (uint16_t *)out, w->columns);
                else
                    leave32(w->now + here, w->now + above, w->before + here, w->before + above, w->weights, (uint32_t *)out, w->columns);
                values += w->columns * from, out += w->columns * to;
            }
}

/* Indices of residuals, in their place. */
static void restore_weighted(Weighted *w, int32_t *values) {
    int64_t pitch = w->columns + 1;
    for (int64_t step = 0; step < w->steps; step++, next_step(w))
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t r = 0; r < w->rows; r++, values += w->columns) {
                int64_t above = (c * (w->rows + 1) + r) * pitch, here = above + pitch;
                int32_t sum = 0;
                restore_differences(values, w->now + above, w->before + here, w->before + above, w->weights, w->now + here, w->columns);
                for (int64_t i = 0; i < w->columns; i++) values[i] = sum = wrap_add(sum, w->now[here + i]);
            }
}

#endif
