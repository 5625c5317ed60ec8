/* Numbers too large for digits, taken out of others and put back: eight at a time where the processor shuffles bytes by a table. */
#ifndef AECODEC_ESCAPES_H
#define AECODEC_ESCAPES_H

#include "vectors.h"

#define ESCAPES(BITS)                                                                                                               \
    /* Those from `least` on, less it, into `out`, which has room for all; returns how many there are. */                           \
    static int64_t take_rest##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t least, uint##BITS##_t *restrict out,       \
                                   int64_t done, int64_t n) {                                                                       \
        for (int64_t i = 0; i < n; i++) { /* without branches */                                                                    \
            out[done] = (uint##BITS##_t)(values[i] - least);                                                                        \
            done += values[i] >= least;                                                                                             \
        }                                                                                                                           \
        return done;                                                                                                                \
    }                                                                                                                               \
    /* Digits, and where they are `escape` that and the next of others, of which there are enough. */                                        \
    static void put_rest##BITS(const uint8_t *restrict digits, uint8_t escape, const uint##BITS##_t *restrict others,               \
                               uint##BITS##_t *restrict out, int64_t n) {                                                           \
        for (int64_t i = 0; i < n; i++)                                                                                             \
            out[i] = (uint##BITS##_t)(digits[i] == escape ? *others++ + escape : digits[i]);                                        \
    }

ESCAPES(8)
ESCAPES(16)
ESCAPES(32)

#if defined(FOR_AVX2)

/* By the bits of which of eight are meant: for each of the eight, how many of these come before it, or 0x80; and the number of each
 * of these, as bytes of 16 bits. */
static uint8_t ranks[256][8];
static uint8_t chosen[256][16];

static void make_tables(void) {
    for (int bits = 0; bits < 256; bits++) {
        int found = 0;
        memset(ranks[bits], 0x80, 8), memset(chosen[bits], 0x80, 16);
        for (int i = 0; i < 8; i++) {
            if (!(bits >> i & 1)) continue;
            ranks[bits][i] = (uint8_t)found;
            chosen[bits][2 * found] = (uint8_t)(2 * i), chosen[bits][2 * found + 1] = (uint8_t)(2 * i + 1);
            found++;
        }
    }
}

/* As many as there are whole eights of; `done` of those taken so far. */
FOR_AVX2 static int64_t take_eights(const uint16_t *values, uint16_t least, uint16_t *out, int64_t *done, int64_t n) {
    const __m128i low = _mm_set1_epi16((int16_t)least);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i x = _mm_loadu_si128((const __m128i *)(values + i)), there = _mm_cmpeq_epi16(_mm_max_epu16(x, low), x);
        int bits = _mm_movemask_epi8(_mm_packs_epi16(there, there)) & 255;
        __m128i order = _mm_loadu_si128((const __m128i *)chosen[bits]);
        _mm_storeu_si128((__m128i *)(out + *done), _mm_shuffle_epi8(_mm_sub_epi16(x, low), order));
        *done += __builtin_popcount((unsigned)bits);
    }
    return i;
}

/* As long as there are eight of the `left` others to look at. */
FOR_AVX2 static int64_t put_eights8(const uint8_t *digits, uint8_t escape, const uint8_t **others, int64_t left, uint8_t *out, int64_t n) {
    const __m128i wanted = _mm_set1_epi8((char)escape);
    const uint8_t *next = *others, *last = next + left - 8;
    int64_t i = 0;
    for (; i + 8 <= n && next <= last; i += 8) {
        __m128i x = _mm_loadl_epi64((const __m128i *)(digits + i)), there = _mm_cmpeq_epi8(x, wanted);
        int bits = _mm_movemask_epi8(there) & 255;
        __m128i order = _mm_loadl_epi64((const __m128i *)ranks[bits]), y = _mm_loadl_epi64((const __m128i *)next);
        y = _mm_add_epi8(y, wanted);
        _mm_storel_epi64((__m128i *)(out + i), _mm_blendv_epi8(x, _mm_shuffle_epi8(y, order), there));
        next += __builtin_popcount((unsigned)bits);
    }
    *others = next;
    return i;
}

FOR_AVX2 static int64_t put_eights16(const uint8_t *digits, uint8_t escape, const uint16_t **others, int64_t left, uint16_t *out,
                                 int64_t n) {
    const __m128i wanted = _mm_set1_epi16(escape), high = _mm_set1_epi16(0x100);
    const uint16_t *next = *others, *last = next + left - 8;
    int64_t i = 0;
    for (; i + 8 <= n && next <= last; i += 8) {
        __m128i x = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(digits + i))), there = _mm_cmpeq_epi16(x, wanted);
        int bits = _mm_movemask_epi8(_mm_packs_epi16(there, there)) & 255;
        __m128i order = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)ranks[bits]));
        order = _mm_add_epi16(_mm_mullo_epi16(order, _mm_set1_epi16(0x202)), high); /* bytes 2 r and 2 r + 1 */
        __m128i y = _mm_shuffle_epi8(_mm_add_epi16(_mm_loadu_si128((const __m128i *)next), wanted), order);
        _mm_storeu_si128((__m128i *)(out + i), _mm_blendv_epi8(x, y, there));
        next += __builtin_popcount((unsigned)bits);
    }
    *others = next;
    return i;
}

#else
static inline int has_avx2(void) { return 0; }
static void make_tables(void) {}
static int64_t take_eights(const uint16_t *values, uint16_t least, uint16_t *out, int64_t *done, int64_t n) { return 0; }
static int64_t put_eights8(const uint8_t *digits, uint8_t escape, const uint8_t **others, int64_t left, uint8_t *out, int64_t n) {
    return 0;
}
static int64_t put_eights16(const uint8_t *digits, uint8_t escape, const uint16_t **others, int64_t left, uint16_t *out, int64_t n) {
    return 0;
}
#endif

static int64_t take_from8(const uint8_t *values, uint8_t least, uint8_t *out, int64_t n) { return take_rest8(values, least, out, 0, n); }

static int64_t take_from16(const uint16_t *values, uint16_t least, uint16_t *out, int64_t n) {
    int64_t done = 0, i = has_avx2() ? take_eights(values, least, out, &done, n) : 0;
    return take_rest16(values + i, least, out, done, n - i);
}

static int64_t take_from32(const uint32_t *values, uint32_t least, uint32_t *out, int64_t n) {
    return take_rest32(values, least, out, 0, n);
}

/* Digits, and where they are `escape` that and the next of `escaped` others, which are as many. */
static void put_escaped8(const uint8_t *digits, uint8_t escape, const uint8_t *others, int64_t escaped, uint8_t *out, int64_t n) {
    int64_t i = has_avx2() ? put_eights8(digits, escape, &others, escaped, out, n) : 0;
    put_rest8(digits + i, escape, others, out + i, n - i);
}

static void put_escaped16(const uint8_t *digits, uint8_t escape, const uint16_t *others, int64_t escaped, uint16_t *out, int64_t n) {
    int64_t i = has_avx2() ? put_eights16(digits, escape, &others, escaped, out, n) : 0;
    put_rest16(digits + i, escape, others, out + i, n - i);
}

static void put_escaped32(const uint8_t *digits, uint8_t escape, const uint32_t *others, int64_t escaped, uint32_t *out, int64_t n) {
    (void)escaped;
    put_rest32(digits, escape, others, out, n);
}

#endif
