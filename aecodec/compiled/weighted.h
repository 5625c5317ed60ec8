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

#define RESTORE_DIFFERENCES(BITS)                                                                                                  \
    LOOP void restore_differences##BITS(const int##BITS##_t *restrict left, const int32_t *restrict above,                         \
                                        const int32_t *restrict before, const int32_t *restrict both,                              \
                                        const int32_t *restrict weights, int32_t *restrict out, int64_t n) {                       \
        const int32_t w[WEIGHTS] = {weights[0], weights[1], weights[2], weights[3], weights[4]};                                   \
        for (int64_t i = 0; i < n; i++) out[i] = (int32_t)((uint32_t)left[i] + predicted_at(above, before, both, w, i));           \
    }

RESTORE_DIFFERENCES(8)
RESTORE_DIFFERENCES(16)
RESTORE_DIFFERENCES(32)

LOOP void put_products(const int32_t *restrict whole, double step, void *out, int wide, int64_t n) {
    float *restrict singles = out;
    double *restrict doubles = out;
    if (wide)
        for (int64_t i = 0; i < n; i++) doubles[i] = whole[i] * step;
    else
        for (int64_t i = 0; i < n; i++) singles[i] = (float)(whole[i] * step);
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

enum { PARTIAL = 4, LARGEST_FITTED = (1 << 15) - 1, MOMENTS = (WEIGHTS + 1) * WEIGHTS }; /* so that sums are whole numbers below 2**53 */

/* Adds up products of terms, each with each and with what they are to predict, which is the last of `of`: (terms, all). */
LOOP void add_moments(const double *const *of, double *sums, int64_t n) {
    double lanes[MOMENTS][PARTIAL] = {{0}};
    int64_t i = 0;
    for (; i + PARTIAL <= n; i += PARTIAL)
        for (int a = 0, k = 0; a < WEIGHTS; a++)
            for (int b = 0; b <= WEIGHTS; b++, k++)
                for (int lane = 0; lane < PARTIAL; lane++)
                    if (b >= a) lanes[k][lane] += of[a][i + lane] * of[b][i + lane];
    for (; i < n; i++)
        for (int a = 0, k = 0; a < WEIGHTS; a++)
            for (int b = 0; b <= WEIGHTS; b++, k++)
                if (b >= a) lanes[k][0] += of[a][i] * of[b][i];
    for (int k = 0; k < MOMENTS; k++) sums[k] += lanes[k][0] + lanes[k][1] + lanes[k][2] + lanes[k][3];
}

/* Differences of indices, (steps * channels * rows) lines, each followed by a zero. */
static void fitted_differences(const int32_t *indices, int64_t lines, int64_t columns, double *out) {
    for (int64_t line = 0; line < lines; line++, out += columns + 1, indices += columns) {
        out[0] = out[columns] = 0;
        for (int64_t i = 1; i < columns; i++) {
            int32_t found = wrap_sub(indices[i], indices[i - 1]);
            out[i] = found < -LARGEST_FITTED ? -LARGEST_FITTED : found > LARGEST_FITTED ? LARGEST_FITTED : found;
        }
    }
}

/* Moments of all places but the first of each axis of more than one; `found`: fitted differences, `zeros`: a line of them. */
static void find_moments(const Weighted *w, const double *found, const double *zeros, double *sums) {
    int64_t pitch = w->columns + 1, step_pitch = w->channels * w->rows * pitch;
    for (int64_t step = w->steps > 1; step < w->steps; step++)
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t row = w->rows > 1; row < w->rows; row++) {
                const double *here = found + step * step_pitch + (c * w->rows + row) * pitch;
                const double *above = row ? here - pitch : zeros, *before = step ? here - step_pitch : zeros;
                const double *both = row && step ? before - pitch : zeros;
                const double *of[WEIGHTS + 1] = {above + 1, above + 2, before + 1, before + 2, both + 1, here + 1};
                add_moments(of, sums, w->columns - 1);
            }
}

/* What residuals of `width` bytes give: int32 indices, or, where there are `lattice` steps, each `apart` for the next channel, values. */
typedef struct {
    const char *left;
    int width, wide;
    const double *lattice;
    int64_t apart;
    char *out;
} Restored;

static void restore_line(const Weighted *w, const char *left, int width, int64_t above, int64_t here) {
    const int32_t *a = w->now + above, *b = w->before + here, *c = w->before + above;
    if (width == 1)
        restore_differences8((const int8_t *)left, a, b, c, w->weights, w->now + here, w->columns);
    else if (width == 2)
        restore_differences16((const int16_t *)left, a, b, c, w->weights, w->now + here, w->columns);
    else
        restore_differences32((const int32_t *)left, a, b, c, w->weights, w->now + here, w->columns);
}

/* `part` has room for PART indices. */
static void restore_weighted(Weighted *w, Restored r, int32_t *part) {
    int64_t pitch = w->columns + 1, size = r.wide && r.lattice ? 8 : 4;
    for (int64_t step = 0; step < w->steps; step++, next_step(w))
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t row = 0; row < w->rows; row++, r.left += w->columns * r.width, r.out += w->columns * size) {
                int64_t above = (c * (w->rows + 1) + row) * pitch, here = above + pitch;
                int32_t sum = 0;
                restore_line(w, r.left, r.width, above, here);
                for (int64_t at = 0; at < w->columns; at += PART) {
                    int64_t n = w->columns - at < PART ? w->columns - at : PART;
                    int32_t *indices = r.lattice ? part : (int32_t *)r.out + at;
                    for (int64_t i = 0; i < n; i++) indices[i] = sum = wrap_add(sum, w->now[here + at + i]);
                    if (r.lattice) put_products(indices, r.lattice[c * r.apart], r.out + at * size, r.wide, n);
                }
            }
}

#endif
