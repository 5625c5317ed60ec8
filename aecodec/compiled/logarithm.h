/* Logarithms of whole numbers in whole numbers, as logarithm.py has them in numpy. */
#ifndef AECODEC_LOGARITHM_H
#define AECODEC_LOGARITHM_H

#include "vectors.h"

enum { FRACTION = 16, TABLE_BITS = 12 };

static int32_t fractions[1 << TABLE_BITS];

static void make_logarithms(void) {
    for (int64_t k = 0; k < 1 << TABLE_BITS; k++) {
        uint64_t x = (uint64_t)(k + (1 << TABLE_BITS)) << (31 - TABLE_BITS);
        fractions[k] = 0;
        for (int i = 0; i < FRACTION; i++) {
            x = x * x >> 31;
            fractions[k] = 2 * fractions[k] + (int32_t)(x >> 32);
            x >>= x >> 32;
        }
    }
}

/* Of a number from 1 on, to the base 2 and times 2**16. */
static inline int64_t logarithm(int64_t number) {
    double real = (double)number;
    int64_t word;
    memcpy(&word, &real, 8);
    int64_t bits = (word >> 52) - 1023;
    return bits * (1 << FRACTION) + fractions[word >> (52 - TABLE_BITS) & ((1 << TABLE_BITS) - 1)];
}

/* A count from 0 on times its logarithm. */
static inline int64_t information(int64_t count) { return count ? count * logarithm(count) : 0; }

#endif
