/* Loops that compilers vectorise, in versions of which the processor's own is chosen when the module is loaded; and arithmetic that
 * wraps. */
#ifndef AECODEC_VECTORS_H
#define AECODEC_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__) && defined(__x86_64__) && !defined(__AVX2__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v3", "default")))
#define FOR_WIDE_CPUS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#define FOR_WIDE_CPUS
#endif
#if defined(__GNUC__)
#define LOOP FOR_EACH_CPU static __attribute__((noinline)) /* on their own, loops are vectorised */
#define WIDE_LOOP FOR_WIDE_CPUS static __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define LOOP static
#define WIDE_LOOP static
#define INLINE static inline
#define INDEPENDENT
#define restrict __restrict
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define FOR_AVX2 __attribute__((target("avx2,popcnt"))) /* every processor with the one has the other */
static inline int has_avx2(void) { return __builtin_cpu_supports("avx2"); }
#endif

static inline int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static inline int32_t wrap_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
static inline int32_t wrap_abs(int32_t a) { return a < 0 ? wrap_sub(0, a) : a; }

static inline int32_t unzigzagged(uint32_t x) { return (int32_t)(x >> 1 ^ (0u - (x & 1))); }
static inline uint32_t zigzag(int32_t x) { return (uint32_t)x << 1 ^ (uint32_t)(x >> 31); }

#endif
