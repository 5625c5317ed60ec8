/* Unsigned numbers of 8, 16 or 32 bits as small digits, several to a byte, as stream.py and digits.py have them in numpy. */
#ifndef AECODEC_DIGITS_H
#define AECODEC_DIGITS_H

#include "plane.h"

/* One definition for each width of the numbers. */
#define DIGITS(BITS)                                                                                                              \
    LOOP uint32_t find_most##BITS(const uint##BITS##_t *restrict values, int64_t n) {                                             \
        uint##BITS##_t most = 0;                                                                                                  \
        for (int64_t i = 0; i < n; i++) most = values[i] > most ? values[i] : most;                                               \
        return most;                                                                                                              \
    }                                                                                                                             \
    LOOP uint64_t add_up##BITS(const uint##BITS##_t *restrict values, int64_t n) {                                                \
        uint64_t total = 0;                                                                                                       \
        for (int64_t i = 0; i < n; i++) total += values[i];                                                                       \
        return total;                                                                                                             \
    }                                                                                                                             \
    LOOP void start_digits##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t most, uint8_t *restrict out, int64_t n) {  \
        for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(values[i] < most ? values[i] : most);                                  \
    }                                                                                                                             \
    LOOP void add_digits##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t most, uint8_t *restrict out, int64_t n) {    \
        for (int64_t i = 0; i < n; i++)                                                                                           \
            out[i] = (uint8_t)(out[i] * (most + 1) + (values[i] < most ? values[i] : most));                                      \
    }                                                                                                                             \
    LOOP int64_t count_from##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t least, int64_t n) {                       \
        int64_t count = 0;                                                                                                        \
        for (int64_t i = 0; i < n; i++) count += values[i] >= least;                                                              \
        return count;                                                                                                             \
    }                                                                                                                             \
    /* Those from `least` on, less it; there are `room` of them. */                                                               \
    static void take_from##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t least, uint##BITS##_t *restrict out,        \
                                int64_t room, int64_t n) {                                                                        \
        for (int64_t i = 0, done = 0; i < n && done < room; i++) {                                                                \
            out[done] = (uint##BITS##_t)(values[i] - least);                                                                      \
            done += values[i] >= least;                                                                                           \
        }                                                                                                                         \
    }                                                                                                                             \
    /* Byte j of `size` holds digits j, size + j, ..., the first the least significant. */                                        \
    static void pack##BITS(const uint##BITS##_t *values, int64_t count, uint##BITS##_t most, int per_byte, uint8_t *out,          \
                           int64_t size) {                                                                                        \
        for (int part = per_byte - 1; part >= 0; part--) {                                                                        \
            int64_t start = part * size, n = count - start < size ? count - start : size;                                         \
            n = n > 0 ? n : 0;                                                                                                    \
            if (part == per_byte - 1) {                                                                                           \
                start_digits##BITS(values + start, most, out, n);                                                                 \
                memset(out + n, 0, (size_t)(size - n));                                                                           \
            } else {                                                                                                              \
                add_digits##BITS(values + start, most, out, n);                                                                   \
                for (int64_t i = n; i < size; i++) out[i] = (uint8_t)(out[i] * (most + 1));                                       \
            }                                                                                                                     \
        }                                                                                                                         \
    }

DIGITS(8)
DIGITS(16)
DIGITS(32)

#endif
