/* Unsigned numbers of 8, 16 or 32 bits as small digits, several to a byte, as stream.py and digits.py have them in numpy. */
#ifndef AECODEC_DIGITS_H
#define AECODEC_DIGITS_H

#include "escapes.h"

enum { BINS = 288, FIRST_LONG = 255, COLUMNS = 64 }; /* as in streams.py */

#define BY_WIDTH(width, name, values, ...)                                \
    ((width) == 1   ? name##8((const uint8_t *)(values), __VA_ARGS__)     \
     : (width) == 2 ? name##16((const uint16_t *)(values), __VA_ARGS__)   \
                    : name##32((const uint32_t *)(values), __VA_ARGS__))

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
    LOOP void start_low##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t mask, uint8_t *restrict out, int64_t n) {      \
        for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(values[i] & mask);                                                     \
    }                                                                                                                             \
    LOOP void add_low##BITS(const uint##BITS##_t *restrict values, uint##BITS##_t mask, uint8_t *restrict out, int64_t n) {        \
        for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(out[i] * (mask + 1) + (values[i] & mask));                             \
    }                                                                                                                             \
    LOOP void shift##BITS(const uint##BITS##_t *restrict values, int bits, uint##BITS##_t *restrict out, int64_t n) {             \
        for (int64_t i = 0; i < n; i++) out[i] = (uint##BITS##_t)(values[i] >> bits);                                             \
    }                                                                                                                             \
    /* How often each value is there, those from 255 on by their length in bits, of every `stride`th. */                          \
    static void count_values##BITS(const uint##BITS##_t *values, int64_t n, int64_t stride, double *out) {                        \
        uint32_t counts[2][BINS] = {{0}};                                                                                         \
        for (int64_t i = 0, odd = 0; i < n; i += stride, odd ^= 1) {                                                              \
            uint32_t value = values[i], bits = 0;                                                                                 \
            if (value < FIRST_LONG) {                                                                                             \
                counts[odd][value]++;                                                                                             \
                continue;                                                                                                         \
            }                                                                                                                     \
            for (; value; value >>= 1) bits++;                                                                                    \
            counts[odd][FIRST_LONG - 7 + bits]++;                                                                                 \
        }                                                                                                                         \
        for (int k = 0; k < BINS; k++) out[k] = ((double)counts[0][k] + (double)counts[1][k]) * (double)stride;                   \
    }                                                                                                                             \
    /* How often each value is there with each index, or index 0, those from COLUMNS - 1 on together; 0 if an index is out of range. */\
    static int tabulate##BITS(const uint##BITS##_t *values, const uint8_t *indices, int64_t n, int64_t *table, int64_t rows) {    \
        for (int64_t i = 0; i < n; i++) {                                                                                         \
            int64_t row = indices ? indices[i] : 0, value = values[i];                                                            \
            if (row >= rows) return 0;                                                                                            \
            table[row * COLUMNS + (value < COLUMNS ? value : COLUMNS - 1)]++;                                                     \
        }                                                                                                                         \
        return 1;                                                                                                                 \
    }                                                                                                                             \
    /* Byte j of `size` holds digits j, size + j, ..., the first the least significant: `most` at most, or with `bits` the lowest. */  \
    static void pack##BITS(const uint##BITS##_t *values, int64_t count, uint##BITS##_t most, int bits, int per_byte, uint8_t *out,   \
                           int64_t size) {                                                                                        \
        for (int part = per_byte - 1; part >= 0; part--) {                                                                        \
            int64_t start = part * size, n = count - start < size ? count - start : size;                                         \
            n = n > 0 ? n : 0;                                                                                                    \
            if (part == per_byte - 1) {                                                                                           \
                (bits ? start_low##BITS : start_digits##BITS)(values + start, most, out, n);                                      \
                memset(out + n, 0, (size_t)(size - n));                                                                           \
            } else {                                                                                                              \
                (bits ? add_low##BITS : add_digits##BITS)(values + start, most, out, n);                                          \
                for (int64_t i = n; i < size; i++) out[i] = (uint8_t)(out[i] * (most + 1));                                       \
            }                                                                                                                     \
        }                                                                                                                         \
    }

DIGITS(8)
DIGITS(16)
DIGITS(32)

enum { PACKED_PART = 2048 }; /* bytes that are unpacked while they are in cache */

LOOP void split_digit(uint8_t *restrict rest, uint16_t inverse, uint8_t base, uint8_t *restrict digits, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint8_t quotient = (uint8_t)((uint32_t)rest[i] * inverse >> 16);
        digits[i] = (uint8_t)(rest[i] - quotient * base);
        rest[i] = quotient;
    }
}

/* The inverse of packing, for `count` digits; the last of a byte is not reduced. */
static void unpack(const uint8_t *packed, int64_t size, int base, int per_byte, uint8_t *out, int64_t count) {
    uint8_t rest[PACKED_PART], digits[PACKED_PART];
    uint16_t inverse = (uint16_t)(65536 / base + 1); /* exact for bytes: 255 * base < 65536 */
    for (int64_t at = 0; at < size; at += PACKED_PART) {
        int64_t n = size - at < PACKED_PART ? size - at : PACKED_PART;
        memcpy(rest, packed + at, (size_t)n);
        for (int part = 0; part < per_byte; part++) {
            int64_t start = part * size + at, room = count - start < n ? count - start : n;
            if (part < per_byte - 1) split_digit(rest, inverse, (uint8_t)base, digits, n);
            if (room > 0) memcpy(out + start, part < per_byte - 1 ? digits : rest, (size_t)room);
        }
    }
}

LOOP int64_t count_equal(const uint8_t *restrict values, uint8_t wanted, int64_t n) {
    int64_t count = 0;
    for (int64_t at = 0; at < n; at += UINT8_MAX) { /* so many fit into counts of a byte */
        int64_t end = n - at < UINT8_MAX ? n : at + UINT8_MAX;
        uint8_t part = 0;
        for (int64_t i = at; i < end; i++) part += values[i] == wanted;
        count += part;
    }
    return count;
}

/* Numbers of their `high` bits and the lowest ones, which stand in each byte of `packed` from one on. */
#define ADD_LOW(FROM, TO)                                                                                                        \
    LOOP void add_low##FROM##to##TO(const uint8_t *restrict packed, int first, int bits, const uint##FROM##_t *restrict high,    \
                                    uint##TO##_t *restrict out, int64_t n) {                                                     \
        const uint8_t mask = (uint8_t)((1 << bits) - 1);                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                          \
            out[i] = (uint##TO##_t)((uint32_t)high[i] << bits | (uint32_t)((uint8_t)(packed[i] >> first) & mask));               \
    }

ADD_LOW(8, 8)
ADD_LOW(8, 16)
ADD_LOW(16, 16)
ADD_LOW(16, 32)
ADD_LOW(32, 32)

#define UNZIGZAG(NAME, FROM, TO)                                                                          \
    LOOP void NAME(const FROM *restrict values, TO *restrict out, int64_t n) {                            \
        for (int64_t i = 0; i < n; i++)                                                                   \
            out[i] = (TO)unzigzagged(values[i]);                                                          \
    }

UNZIGZAG(unzigzag8, uint8_t, int32_t)
UNZIGZAG(unzigzag16, uint16_t, int32_t)
UNZIGZAG(unzigzag32, uint32_t, int32_t)
UNZIGZAG(narrow8, uint8_t, int16_t)
UNZIGZAG(narrow16, uint16_t, int16_t)

#endif
