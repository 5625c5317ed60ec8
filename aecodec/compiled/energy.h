/* Energies of tiles, which give each latent of a tile its scale index: contexts.py in C, to the same bits.
 *
 * Products that are not exact, and sums of them, stand in loops of their own: within one, compilers fuse them.
 */
#ifndef AECODEC_ENERGY_H
#define AECODEC_ENERGY_H

#include "scale.h"

enum { BLOCKED = 1024 }; /* tiles that are worked on while they are in cache */

/* What the quantizer's step and the band's place make of it: indices are of energies times `factor`; sums of magnitudes times `unit`
 * are mixed, `trust`ed as far, into what is kept of energies. */
typedef struct {
    double width, factor, unit, keep, trust;
} Band;

/* Tiles lie on a grid of (steps, channels, rows, columns); arrays have a number for each. */
typedef struct {
    int64_t steps, channels, rows, columns, tiles;
    int small; /* whether all zigzagged symbols are below 2**16 */
    double *energy, *relative, *smooth, *spare;
    uint8_t *indices;
} Energies;

static int make_energies(Energies *e) {
    size_t size = (size_t)e->tiles + 1;
    e->energy = malloc(size * 8), e->relative = malloc(size * 8), e->smooth = malloc(size * 8), e->spare = malloc(size * 8);
    e->indices = malloc(size);
    if (!e->energy || !e->relative || !e->smooth || !e->spare || !e->indices) return 0;
    for (int64_t i = 0; i < e->tiles; i++) e->energy[i] = 0.5;
    return 1;
}

static void free_energies(Energies *e) { free(e->energy), free(e->relative), free(e->smooth), free(e->spare), free(e->indices); }

LOOP void scale_indices(const double *restrict energy, double factor, uint8_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double scale = energy[i] * factor;
        out[i] = scale_index(scale > SMALLEST_SCALE ? scale : SMALLEST_SCALE);
    }
}

LOOP void scale_sums(const uint32_t *restrict sums, double unit, double *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = (double)(int32_t)sums[i] * unit;
}

LOOP void scale_magnitudes(const uint32_t *restrict zigzagged, double unit, double *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = (double)(int32_t)((zigzagged[i] + 1) >> 1) * unit;
}

LOOP void add_magnitudes(const uint32_t *restrict zigzagged, uint32_t *restrict sums, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += (zigzagged[i] + 1) >> 1;
}

/* Sums of magnitudes times the unit, of `width` rows of zigzagged symbols of all tiles. */
static void find_relative(const Energies *e, const uint32_t *rows, int64_t width, double unit) {
    if (e->small && width == 1) {
        scale_magnitudes(rows, unit, e->relative, e->tiles);
        return;
    }
    for (int64_t at = 0; at < e->tiles; at += BLOCKED) {
        int64_t n = e->tiles - at < BLOCKED ? e->tiles - at : BLOCKED;
        uint32_t sums[BLOCKED] = {0};
        if (e->small && width < 1 << 14) {
            for (int64_t j = 0; j < width; j++) add_magnitudes(rows + j * e->tiles + at, sums, n);
            scale_sums(sums, unit, e->relative + at, n);
            continue;
        }
        for (int64_t i = at; i < at + n; i++) {
            int64_t sum = 0;
            for (int64_t j = 0; j < width; j++) sum += (int64_t)(((uint64_t)rows[j * e->tiles + i] + 1) >> 1);
            e->relative[i] = (double)sum * unit;
        }
    }
}

/* Quarters and halves are exact, so that nothing can be fused wrongly. */
LOOP void mix(const double *restrict before, const double *restrict here, const double *restrict after, double *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = (before[i] + after[i]) * 0.25 + here[i] * 0.5;
}

/* Lines of `n` numbers, each mixed with its neighbours, itself where there is none. */
static void mix_lines(const double *in, int64_t lines, int64_t n, double *out) {
    const double *last = in + (lines - 1) * n;
    mix(in, in, in + n, out, n);
    mix(in, in + n, in + 2 * n, out + n, (lines - 2) * n);
    mix(last - n, last, last, out + (lines - 1) * n, n);
}

static void mix_columns(const double *in, int64_t lines, int64_t n, double *out) {
    if (lines * n > 2) mix(in, in + 1, in + 2, out + 1, lines * n - 2);
    for (int64_t line = 0; line < lines; line++, in += n, out += n) {
        out[0] = (in[0] + in[1]) * 0.25 + in[0] * 0.5;
        out[n - 1] = (in[n - 2] + in[n - 1]) * 0.25 + in[n - 1] * 0.5;
    }
}

/* (1 2 1)/4 along steps, rows and columns of what is relative; returns where that is. */
static const double *smoothed(const Energies *e) {
    const double *from = e->relative;
    double *to = e->smooth;
    int64_t plane = e->rows * e->columns, planes = e->steps * e->channels;
    if (e->steps > 1) {
        mix_lines(from, e->steps, e->channels * plane, to);
        from = to, to = e->spare;
    }
    if (e->rows > 1) {
        for (int64_t i = 0; i < planes; i++) mix_lines(from + i * plane, e->rows, e->columns, to + i * plane);
        from = to, to = to == e->smooth ? e->spare : e->smooth;
    }
    if (e->columns > 1) {
        mix_columns(from, planes * e->rows, e->columns, to);
        from = to;
    }
    return from;
}

LOOP void keep_and_trust(double *restrict energy, double keep, const double *restrict relative, const double *restrict smooth, double trust,
                         double *restrict trusted, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        energy[i] *= keep;
        trusted[i] = (relative[i] + smooth[i]) * trust;
    }
}

LOOP void add_to(const double *restrict numbers, double *restrict sums, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += numbers[i];
}

/* Learn from a coded band. */
static void update_energies(const Energies *e, const uint32_t *rows, const Band *band) {
    double trusted[BLOCKED];
    find_relative(e, rows, (int64_t)band->width, band->unit);
    const double *smooth = smoothed(e);
    for (int64_t at = 0; at < e->tiles; at += BLOCKED) {
        int64_t n = e->tiles - at < BLOCKED ? e->tiles - at : BLOCKED;
        keep_and_trust(e->energy + at, band->keep, e->relative + at, smooth + at, band->trust, trusted, n);
        add_to(trusted, e->energy + at, n);
    }
}

#endif
