/* Pairs of inputs as 32 bits, the first in the lower 16: processors multiply both and add the products in one instruction.
 *
 * All sums are of whole numbers that stay below 2**24 (models/predictor.py), so their order does not change them.
 */
#ifndef AECODEC_PAIRS_H
#define AECODEC_PAIRS_H

#include "inputs.h"

typedef enum { NONE, SINGLE, DIFFERENCE, MEAN_OF_TWO, DISTANCE } Kind;

/* Where numbers of an input come from: the first, how far apart the second is of each, midpoints, and from line to line. */
typedef struct {
    Kind kind;
    const int32_t *from, *middle;
    int64_t apart, next, next_middle;
} Operand;

/* Lines of pairs, and of their weighted magnitudes, those around for 3 x 3 (box) and those at the values (own). */
typedef struct {
    int32_t *pairs, *box, *own;
    int64_t stride, rows, columns;
    int32_t near, around; /* pairs of weights */
    int shift;
} Load;

static inline int32_t join(int32_t x, int32_t y) { return (int32_t)(((uint32_t)x & 0xffff) | (uint32_t)y << 16); }
static inline int32_t lower(int32_t pair) { return (int16_t)(pair & 0xffff); }
static inline int32_t dot(int32_t a, int32_t b) { return wrap_add(lower(a) * lower(b), (a >> 16) * (b >> 16)); }

#define LANES 1
#define NAME(x) x##_one
#define TARGET
#define LANE_INLINE INLINE
#define Lanes int32_t
#define LOAD(p) (*(p))
#define STORE(p, x) (*(p) = (x))
#define SPREAD(x) ((int32_t)(x))
#define ADD(a, b) wrap_add(a, b)
#define SUBTRACT(a, b) wrap_sub(a, b)
#define RIGHT(x, n) ((x) >> (n))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define GREATEST(a, b) ((a) > (b) ? (a) : (b))
#define JOIN(x, y) join(x, y)
#define DOT(a, b) dot(a, b)
#define MAGNITUDES(x) join(abs(lower(x)), abs((x) >> 16))
#include "pair_loops.h"
#undef LANES
#undef NAME
#undef TARGET
#undef LANE_INLINE
#undef Lanes
#undef LOAD
#undef STORE
#undef SPREAD
#undef ADD
#undef SUBTRACT
#undef RIGHT
#undef LEAST
#undef GREATEST
#undef JOIN
#undef DOT
#undef MAGNITUDES

#if defined(FOR_AVX2)
#define LANES 8
#define NAME(x) x##_eight
#define TARGET FOR_AVX2
#define LANE_INLINE FOR_AVX2 INLINE
#define Lanes __m256i
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define SPREAD(x) _mm256_set1_epi32(x)
#define ADD(a, b) _mm256_add_epi32(a, b)
#define SUBTRACT(a, b) _mm256_sub_epi32(a, b)
#define RIGHT(x, n) _mm256_sra_epi32(x, _mm_cvtsi32_si128(n))
#define LEAST(a, b) _mm256_min_epi32(a, b)
#define GREATEST(a, b) _mm256_max_epi32(a, b)
#define JOIN(x, y) _mm256_blend_epi16(x, _mm256_slli_epi32(y, 16), 0xaa)
#define DOT(a, b) _mm256_madd_epi16(a, b)
#define MAGNITUDES(x) _mm256_abs_epi16(x)
#include "pair_loops.h"

static void load_pair(const Operand *x, const Operand *y, const Load *l) { (has_avx2() ? load_pair_eight : load_pair_one)(x, y, l); }
static void convolve_pair(const int32_t *x, int64_t stride, const int32_t *weights, int add, int32_t *total, int64_t n) {
    (has_avx2() ? convolve_pair_eight : convolve_pair_one)(x, stride, weights, add, total, n);
}
#else
static void load_pair(const Operand *x, const Operand *y, const Load *l) { load_pair_one(x, y, l); }
static void convolve_pair(const int32_t *x, int64_t stride, const int32_t *weights, int add, int32_t *total, int64_t n) {
    convolve_pair_one(x, stride, weights, add, total, n);
}
#endif

#endif
