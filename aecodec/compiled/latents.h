/* Latents sorted by their scale index, and taken again: a row for each latent of all tiles, band by band. */
#ifndef AECODEC_LATENTS_H
#define AECODEC_LATENTS_H

#include "cells.h"
#include "energy.h"

enum { LINE = 16 }; /* numbers that share a line of cache: so many tiles are transposed before the next ones */

#if defined(__SSE2__)
#include <emmintrin.h>

/* Four numbers of four tiles each, `from` and `to` apart. */
static inline void load_square(const void *numbers, int64_t from, __m128i *x) {
    for (int i = 0; i < 4; i++) x[i] = _mm_loadu_si128((const __m128i *)((const int32_t *)numbers + i * from));
}

static inline void store_transposed(const __m128i *x, int64_t to, void *out) {
    __m128i a = _mm_unpacklo_epi32(x[0], x[1]), b = _mm_unpacklo_epi32(x[2], x[3]);
    __m128i c = _mm_unpackhi_epi32(x[0], x[1]), d = _mm_unpackhi_epi32(x[2], x[3]);
    __m128i y[4] = {_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b), _mm_unpacklo_epi64(c, d), _mm_unpackhi_epi64(c, d)};
    for (int i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)((int32_t *)out + i * to), y[i]);
}

static inline uint32_t square_in(const int32_t *symbols, int64_t from, int64_t to, uint32_t *out) {
    __m128i x[4], bits = _mm_setzero_si128();
    uint32_t all[4];
    load_square(symbols, from, x);
    for (int i = 0; i < 4; i++) {
        x[i] = _mm_xor_si128(_mm_slli_epi32(x[i], 1), _mm_srai_epi32(x[i], 31));
        bits = _mm_or_si128(bits, x[i]);
    }
    store_transposed(x, to, out);
    _mm_storeu_si128((__m128i *)all, bits);
    return all[0] | all[1] | all[2] | all[3];
}

static inline void square_out(const uint32_t *zigzagged, int64_t from, int64_t to, int32_t *out) {
    __m128i x[4];
    load_square(zigzagged, from, x);
    for (int i = 0; i < 4; i++) {
        __m128i sign = _mm_sub_epi32(_mm_setzero_si128(), _mm_and_si128(x[i], _mm_set1_epi32(1)));
        x[i] = _mm_xor_si128(_mm_srli_epi32(x[i], 1), sign);
    }
    store_transposed(x, to, out);
}
#else
static inline uint32_t square_in(const int32_t *symbols, int64_t from, int64_t to, uint32_t *out) {
    uint32_t bits = 0;
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) bits |= out[j * to + i] = zigzag(symbols[i * from + j]);
    return bits;
}

static inline void square_out(const uint32_t *zigzagged, int64_t from, int64_t to, int32_t *out) {
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) out[i * to + j] = unzigzagged(zigzagged[j * from + i]);
}
#endif

/* (tiles, latents) of signed symbols -> (latents, tiles), zigzagged; returns all bits that are set in these. */
static uint32_t transpose_in(const int32_t *symbols, int64_t tiles, int64_t latents, uint32_t *out) {
    uint32_t bits = 0;
    for (int64_t first = 0; first < tiles; first += LINE) {
        int64_t last = tiles - first < LINE ? tiles : first + LINE, tile, latent = 0;
        for (; latent + 4 <= latents; latent += 4) {
            for (tile = first; tile + 4 <= last; tile += 4) bits |= square_in(symbols + tile * latents + latent, latents, tiles, out + latent * tiles + tile);
            for (; tile < last; tile++)
                for (int j = 0; j < 4; j++) bits |= out[(latent + j) * tiles + tile] = zigzag(symbols[tile * latents + latent + j]);
        }
        for (; latent < latents; latent++)
            for (tile = first; tile < last; tile++) bits |= out[latent * tiles + tile] = zigzag(symbols[tile * latents + latent]);
    }
    return bits;
}

static void transpose_out(const uint32_t *zigzagged, int64_t tiles, int64_t latents, int32_t *out) {
    for (int64_t first = 0; first < tiles; first += LINE) {
        int64_t last = tiles - first < LINE ? tiles : first + LINE, tile, latent = 0;
        for (; latent + 4 <= latents; latent += 4) {
            for (tile = first; tile + 4 <= last; tile += 4) square_out(zigzagged + latent * tiles + tile, tiles, latents, out + tile * latents + latent);
            for (; tile < last; tile++)
                for (int j = 0; j < 4; j++) out[tile * latents + latent + j] = unzigzagged(zigzagged[(latent + j) * tiles + tile]);
        }
        for (; latent < latents; latent++)
            for (tile = first; tile < last; tile++) out[tile * latents + latent] = unzigzagged(zigzagged[latent * tiles + tile]);
    }
}

/* The scale indices of all bands, (bands, tiles), of rows of zigzagged symbols, and how many symbols have each. */
static void index_bands(const Energies *e, const Band *bands, int64_t count, const uint32_t *rows, uint8_t *indices, int64_t *sizes) {
    for (int64_t i = 0; i < count; i++, indices += e->tiles) {
        int64_t found[256];
        scale_indices(e->energy, bands[i].factor, indices, e->tiles);
        count_indices(indices, e->tiles, found);
        for (int k = 0; k < INDICES; k++) sizes[k] += found[k] * (int64_t)bands[i].width;
        if (i + 1 < count) update_energies(e, rows, &bands[i]);
        rows += (int64_t)bands[i].width * e->tiles;
    }
}

/* Where the numbers of four tiles lie whose places are `next`, which move on. All four are looked up before one is written, which takes
 * its time to be read again. */
#define FOUR_PLACES(next, k, p)                                                                                                \
    p[0] = next[k[0]];                                                                                                         \
    p[1] = next[k[1]] + (k[1] == k[0]);                                                                                        \
    p[2] = next[k[2]] + (k[2] == k[0]) + (k[2] == k[1]);                                                                       \
    p[3] = next[k[3]] + (k[3] == k[0]) + (k[3] == k[1]) + (k[3] == k[2]);                                                      \
    for (int j = 0; j < 4; j++) next[k[j]] = p[j] + 1

/* Symbols by rising index, from `places` on, which are moved on. */
#define SORT_BANDS(BITS)                                                                                                       \
    static void sort_bands##BITS(int64_t tiles, const Band *bands, int64_t count, const uint32_t *rows, const uint8_t *indices,  \
                                 int64_t *places, uint##BITS##_t *out) {                                                       \
        for (int64_t i = 0; i < count; i++, indices += tiles) {                                                                \
            int64_t width = (int64_t)bands[i].width;                                                                           \
            int64_t t = 0;                                                                                                     \
            for (; width == 1 && t + 4 <= tiles; t += 4) {                                                                     \
                const uint8_t *k = indices + t;                                                                                \
                int64_t at[4];                                                                                                 \
                FOUR_PLACES(places, k, at);                                                                                    \
                for (int j = 0; j < 4; j++) out[at[j]] = (uint##BITS##_t)rows[t + j];                                          \
            }                                                                                                                  \
            for (; t < tiles; t++)                                                                                             \
                for (int64_t j = 0; j < width; j++) out[places[indices[t]]++] = (uint##BITS##_t)rows[j * tiles + t];       \
            rows += width * tiles;                                                                                             \
        }                                                                                                                      \
    }

SORT_BANDS(16)
SORT_BANDS(32)

/* Rows of zigzagged symbols, taken from those of their indices; returns -1, or the index of which there are too few. */
#define TAKE_BANDS(BITS)                                                                                                       \
    static int64_t take_bands##BITS(const Energies *e, const Band *bands, int64_t count, Numbers *numbers, uint32_t *rows) {   \
        const uint##BITS##_t *next[INDICES];                                                                                   \
        for (int k = 0; k < INDICES; k++) next[k] = (const uint##BITS##_t *)numbers[k].stream + numbers[k].next;               \
        for (int64_t i = 0; i < count; i++) {                                                                                  \
            int64_t width = (int64_t)bands[i].width, found[256];                                                               \
            scale_indices(e->energy, bands[i].factor, e->indices, e->tiles);                                                   \
            count_indices(e->indices, e->tiles, found);                                                                        \
            for (int k = 0; k < INDICES; k++) {                                                                                \
                if (numbers[k].end - numbers[k].next < found[k] * width) return k;                                             \
                numbers[k].next += found[k] * width;                                                                           \
            }                                                                                                                  \
            int64_t t = 0;                                                                                                     \
            for (; width == 1 && t + 4 <= e->tiles; t += 4) {                                                                  \
                const uint8_t *k = e->indices + t;                                                                             \
                const uint##BITS##_t *at[4];                                                                                   \
                FOUR_PLACES(next, k, at);                                                                                      \
                for (int j = 0; j < 4; j++) rows[t + j] = *at[j];                                                              \
            }                                                                                                                  \
            for (; t < e->tiles; t++)                                                                                          \
                for (int64_t j = 0; j < width; j++) rows[j * e->tiles + t] = *next[e->indices[t]]++;                           \
            if (i + 1 < count) update_energies(e, rows, &bands[i]);                                                            \
            rows += width * e->tiles;                                                                                          \
        }                                                                                                                      \
        return -1;                                                                                                             \
    }

TAKE_BANDS(8)
TAKE_BANDS(16)
TAKE_BANDS(32)

#endif
