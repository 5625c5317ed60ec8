/* Between values and whole numbers of fine units, as lattice.py and fine_lattice.py do it in numpy, to the same bits.
 *
 * Products and sums are rounded one by one, which is why they stand in loops of their own: within one, compilers fuse them.
 */
#ifndef AECODEC_VALUES_H
#define AECODEC_VALUES_H

#include "vectors.h"

enum { BLOCK = 1024 }; /* values that are worked on while they are in cache */

/* Canonical values, (steps, channels, pixels); `wide` if float64, else float32. */
typedef struct {
    int64_t steps, channels, pixels;
    int wide;
} Shape;

/* What lattices start from: how far apart its numbers are for values of the next step, channel and pixel. */
typedef struct {
    const double *numbers;
    int64_t step, channel, pixel;
} Base;

/* Values `next` apart, less their base and times `scale`. */
static inline void scale_line(const void *values, int wide, int64_t next, const double *restrict base, int64_t base_next,
                              double scale, double *restrict out, int64_t n) {
    const float *restrict singles = values;
    const double *restrict doubles = values;
    if (wide)
        for (int64_t i = 0; i < n; i++) out[i] = (doubles[i * next] - base[i * base_next]) * scale;
    else
        for (int64_t i = 0; i < n; i++) out[i] = ((double)singles[i * next] - base[i * base_next]) * scale;
}

LOOP void to_units(const void *values, int wide, int64_t next, const double *base, int64_t base_next, double scale, double *out,
                   int64_t n) {
    if (next == 2 && base_next == 0) /* constants, so that these are vectorised */
        scale_line(values, wide, 2, base, 0, scale, out, n);
    else if (next == 2 && base_next == 2)
        scale_line(values, wide, 2, base, 2, scale, out, n);
    else
        scale_line(values, wide, next, base, base_next, scale, out, n);
}

LOOP void multiply(const int32_t *restrict whole, double unit, double *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = whole[i] * unit;
}

static inline void add_line(const double *restrict products, const double *restrict base, int64_t base_next, void *out, int wide,
                            int64_t n) {
    float *restrict singles = out;
    double *restrict doubles = out;
    if (wide)
        for (int64_t i = 0; i < n; i++) doubles[i] = products[i] + base[i * base_next];
    else
        for (int64_t i = 0; i < n; i++) singles[i] = (float)(products[i] + base[i * base_next]);
}

LOOP void add_base(const double *products, const double *base, int64_t base_next, void *out, int wide, int64_t n) {
    if (base_next == 0)
        add_line(products, base, 0, out, wide, n);
    else
        add_line(products, base, 1, out, wide, n);
}

/* Write the values of whole numbers of `units`, one for each channel. */
static void from_units(const Shape *shape, const int32_t *whole, const double *units, const Base *base, char *out) {
    double products[BLOCK];
    int64_t width = shape->wide ? 8 : 4;
    for (int64_t t = 0; t < shape->steps; t++)
        for (int64_t c = 0; c < shape->channels; c++)
            for (int64_t done = 0; done < shape->pixels; done += BLOCK) {
                int64_t n = shape->pixels - done < BLOCK ? shape->pixels - done : BLOCK;
                const double *start = base->numbers + t * base->step + c * base->channel + done * base->pixel;
                multiply(whole, units[c], products, n);
                add_base(products, start, base->pixel, out, shape->wide, n);
                whole += n;
                out += n * width;
            }
}

/* Magnitudes less the zone of their index, rounded, halves to even, and the signs again. */
LOOP void round_beyond(const float *restrict exact, const uint8_t *restrict index, const float *restrict zones,
                       int32_t *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float size = rintf(fabsf(exact[i]) - zones[index[i]]);
        out[i] = (int32_t)copysignf(size, exact[i]);
    }
}

LOOP double add_unindexed(const float *restrict exact, const uint8_t *restrict index, int64_t n) {
    double totals[8] = {0}, total = 0; /* so many at a time, in an order that is the same everywhere */
    int64_t whole = n - n % 8;
    for (int64_t i = 0; i < whole; i += 8)
        for (int64_t j = 0; j < 8; j++) {
            float size = index[i + j] ? 0.0f : rintf(exact[i + j]);
            totals[j] += (double)size * (double)size;
        }
    for (int64_t i = whole; i < n; i++) {
        float size = index[i] ? 0.0f : rintf(exact[i]);
        total += (double)size * (double)size;
    }
    for (int64_t j = 0; j < 8; j++) total += totals[j];
    return total;
}

/* Smallest and largest of the bits of some numbers, joined to those before, as signed integers that rise as the numbers do: so these
 * loops are vectorised. NaN lies beyond the infinities, on either side. */
#define RANGES(BITS)                                                                                                       \
    static inline int##BITS##_t key##BITS(int##BITS##_t bits) {                                                            \
        return bits ^ (int##BITS##_t)((uint##BITS##_t)(bits >> (BITS - 1)) >> 1);                                          \
    }                                                                                                                      \
    LOOP void range##BITS(const int##BITS##_t *restrict values, int64_t n, int##BITS##_t *low, int##BITS##_t *high) {      \
        int##BITS##_t least = *low, most = *high;                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                                                  \
            int##BITS##_t key = key##BITS(values[i]);                                                                      \
            least = key < least ? key : least;                                                                             \
            most = key > most ? key : most;                                                                                \
        }                                                                                                                  \
        *low = least, *high = most;                                                                                        \
    }

RANGES(32)
RANGES(64)

static double single_of(int32_t key) {
    float value;
    key = key32(key);
    memcpy(&value, &key, 4);
    return value;
}

static double double_of(int64_t key) {
    double value;
    key = key64(key);
    memcpy(&value, &key, 8);
    return value;
}

/* Smallest and largest value of each channel, as doubles; NaN where it has one. Meanwhile there are keys in `low` and `high`. */
static void find_ranges(const Shape *shape, const char *values, void *low, void *high) {
    int64_t *least = low, *most = high, size = shape->pixels * (shape->wide ? 8 : 4);
    for (int64_t c = 0; c < shape->channels; c++) least[c] = INT64_MAX, most[c] = INT64_MIN;
    for (int64_t t = 0; t < shape->steps; t++)
        for (int64_t c = 0; c < shape->channels; c++, values += size) {
            if (shape->wide) {
                range64((const int64_t *)values, shape->pixels, least + c, most + c);
                continue;
            }
            int32_t first = INT32_MAX, last = INT32_MIN;
            range32((const int32_t *)values, shape->pixels, &first, &last);
            least[c] = first < least[c] ? first : least[c];
            most[c] = last > most[c] ? last : most[c];
        }
    for (int64_t c = 0; c < shape->channels; c++) {
        double first = shape->wide ? double_of(least[c]) : single_of((int32_t)least[c]);
        double last = shape->wide ? double_of(most[c]) : single_of((int32_t)most[c]);
        if (isnan(first) || isnan(last)) first = last = NAN;
        ((double *)low)[c] = first, ((double *)high)[c] = last;
    }
}

/* Where words times `scatter` are below `limit`: up to `room` places; returns how many there are. */
LOOP int64_t find_anchors(const uint32_t *restrict words, int64_t n, uint32_t scatter, uint32_t limit, int64_t *restrict places,
                          int64_t room) {
    int64_t count = 0;
    for (int64_t at = 0; at < n; at += 64) {
        int64_t end = at + 64 < n ? at + 64 : n;
        uint32_t least = UINT32_MAX;
        for (int64_t i = at; i < end; i++) least = words[i] * scatter < least ? words[i] * scatter : least;
        for (int64_t i = at; least < limit && i < end; i++) {
            if (words[i] * scatter >= limit) continue;
            if (count < room) places[count] = i;
            count++;
        }
    }
    return count;
}

LOOP int64_t count_singles(const float *restrict a, const float *restrict b, double limit, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += !(fabs((double)a[i] - (double)b[i]) <= limit);
    return count;
}

LOOP int64_t count_doubles(const double *restrict a, const double *restrict b, double limit, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += !(fabs(a[i] - b[i]) <= limit);
    return count;
}

/* How many values of b are not within their channel's limit of those of a; those that are NaN are not. */
static int64_t count_outside(const Shape *shape, const char *a, const char *b, const double *limits) {
    int64_t count = 0, size = shape->pixels * (shape->wide ? 8 : 4);
    for (int64_t t = 0; t < shape->steps; t++)
        for (int64_t c = 0; c < shape->channels; c++, a += size, b += size)
            count += shape->wide ? count_doubles((const double *)a, (const double *)b, limits[c], shape->pixels)
                                 : count_singles((const float *)a, (const float *)b, limits[c], shape->pixels);
    return count;
}

#endif
