/* Residuals of Lorenzo prediction on a lattice, zigzagged, as fast_lattice.py has them in numpy, to the same bits.
 *
 * Values times the inverse of the step are rounded to their own precision before they are rounded to whole numbers, which is why
 * both have loops of their own: within one, compilers fuse them. All differences wrap.
 */
#ifndef AECODEC_RESIDUAL_H
#define AECODEC_RESIDUAL_H

#include "vectors.h"

enum { PART = 4096 }; /* values of a row that are worked on while they are in cache */

typedef struct {
    int64_t planes, rows, columns;
    int along_rows, along_columns;
    int wide;   /* values in float64, else float32 */
    int narrow; /* residuals in 16 bits, else 32 */
} Planes;

/* Memory for one row: indices with a place before them, products, and what the row above left along its columns. */
typedef struct {
    int32_t *indices, *above;
    double *products;
} Row;

LOOP void multiply_singles(const float *restrict values, float inverse, float *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = values[i] * inverse;
}

LOOP void multiply_doubles(const double *restrict values, double inverse, double *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = values[i] * inverse;
}

/* To the nearest, halves to even; magnitudes below 2**22, or 2**31. */
LOOP void round_small(const float *restrict reals, int32_t *restrict out, int64_t n) {
    const float whole = 12582912.0f; /* 1.5 * 2**23 */
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)(reals[i] + whole - whole);
}

LOOP void round_singles(const float *restrict reals, int32_t *restrict out, int64_t n) {
    const double whole = 6755399441055744.0; /* 1.5 * 2**52 */
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)((double)reals[i] + whole - whole);
}

LOOP void round_doubles(const double *restrict reals, int32_t *restrict out, int64_t n) {
    const double whole = 6755399441055744.0;
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)(reals[i] + whole - whole);
}

/* `left` and `up` are all ones where prediction runs along columns and rows, else 0. */
LOOP void difference16(const int32_t *restrict indices, uint32_t left, uint32_t up, int32_t *restrict above, uint16_t *restrict out,
                       int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t along = (uint32_t)indices[i + 1] - ((uint32_t)indices[i] & left), rest = along - (uint32_t)above[i];
        int16_t narrow = (int16_t)rest;
        above[i] = (int32_t)(along & up);
        out[i] = (uint16_t)((uint32_t)(uint16_t)narrow << 1 ^ (uint32_t)(narrow >> 15));
    }
}

LOOP void difference32(const int32_t *restrict indices, uint32_t left, uint32_t up, int32_t *restrict above, uint32_t *restrict out,
                       int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t along = (uint32_t)indices[i + 1] - ((uint32_t)indices[i] & left), rest = along - (uint32_t)above[i];
        above[i] = (int32_t)(along & up);
        out[i] = rest << 1 ^ (uint32_t)((int32_t)rest >> 31);
    }
}

/* Lattice indices, from row->indices[1] on. */
static void round_part(const Planes *p, const Row *row, const char *values, double inverse, int64_t n) {
    if (p->wide) {
        multiply_doubles((const double *)values, inverse, row->products, n);
        round_doubles(row->products, row->indices + 1, n);
    } else {
        float *products = (float *)row->products;
        multiply_singles((const float *)values, (float)inverse, products, n);
        if (p->narrow)
            round_small(products, row->indices + 1, n);
        else
            round_singles(products, row->indices + 1, n);
    }
}

static void residual_part(const Planes *p, const Row *row, const char *values, double inverse, int32_t *above, char *out, int64_t n) {
    round_part(p, row, values, inverse, n);
    uint32_t left = p->along_columns ? UINT32_MAX : 0, up = p->along_rows ? UINT32_MAX : 0;
    if (p->narrow)
        difference16(row->indices, left, up, above, (uint16_t *)out, n);
    else
        difference32(row->indices, left, up, above, (uint32_t *)out, n);
    row->indices[0] = row->indices[n];
}

/* `inverses`: of the steps, one for all planes, or one for each. */
static void find_residual(const Planes *p, const Row *row, const char *values, const double *inverses, int64_t apart, char *out) {
    int64_t from = p->wide ? 8 : 4, to = p->narrow ? 2 : 4;
    for (int64_t plane = 0; plane < p->planes; plane++) {
        memset(row->above, 0, (size_t)p->columns * 4);
        for (int64_t r = 0; r < p->rows; r++) {
            row->indices[0] = 0;
            for (int64_t at = 0; at < p->columns; at += PART) {
                int64_t n = p->columns - at < PART ? p->columns - at : PART;
                residual_part(p, row, values, inverses[plane * apart], row->above + at, out, n);
                values += n * from;
                out += n * to;
            }
        }
    }
}

#endif
