/* Scale indices, as scale.py has them in numpy, to the same bits; and how many there are of each. */
#ifndef AECODEC_SCALE_H
#define AECODEC_SCALE_H

#include "inputs.h"

static const double SMALLEST_SCALE = 1.0 / 256;

/* Of a positive scale: half-octaves from 2**-7 on. */
static inline uint8_t scale_index(double scale) {
    const uint64_t rest_of_root_half = ((uint64_t)1 << 52) - 0x6a09e667f3bcd; /* of the mantissa of 0.7071067811865476, to the next power */
    uint64_t bits;
    memcpy(&bits, &scale, 8);
    uint32_t high = (uint32_t)(bits >> 32), next = (uint32_t)((bits + rest_of_root_half) >> 32); /* halves, so that loops are narrower */
    int32_t index = (int32_t)(high >> 20) + (int32_t)(next >> 20) - 2030;
    return (uint8_t)(index < 0 ? 0 : index < INDICES - 1 ? index : INDICES - 1);
}

/* How many symbols have each index. Four counters each, since one that was just written takes its time to be read again. */
static void count_indices(const uint8_t *indices, int64_t n, int64_t *counts) {
    int64_t parts[4][256] = {{0}};
    int64_t whole = n - n % 4;
    for (int64_t i = 0; i < whole; i += 4)
        for (int j = 0; j < 4; j++) parts[j][indices[i + j]]++;
    for (int64_t i = whole; i < n; i++) parts[0][indices[i]]++;
    for (int k = 0; k < 256; k++) counts[k] = parts[0][k] + parts[1][k] + parts[2][k] + parts[3][k];
}

#endif
