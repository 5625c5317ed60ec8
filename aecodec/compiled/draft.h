/* Streams of unsigned numbers as trees of byte layouts, whose leaves zstd codes later: what stream.py does where plans come from means. */
#ifndef AECODEC_DRAFT_H
#define AECODEC_DRAFT_H

#include "digits.h"

enum { CONSTANT, BYTES, GAPS, FIRST_LOW = 4, LAST_LOW = 7, JOINT_FIRST = 8, JOINTS = 13 }; /* ops, FORMAT.md, 2.1 */
enum { DEEPEST = 12, MAGNITUDES = 8, FEWEST_PLANNED = 64 };
static const uint8_t JOINT[JOINTS][2] = {{2, 8}, {3, 5}, {3, 4}, {4, 4}, {4, 3}, {5, 3}, {6, 3}, {8, 2}, {12, 2}, {16, 2}, {24, 1}, {48, 1}, {96, 1}};

/* For numbers of each magnitude and each of so many means, from which on one holds, an op. */
typedef struct {
    const uint8_t *ops;
    const double *means;
    int64_t steps;
} Plans;

/* `size` of them used, of as many as there is room for. */
typedef struct {
    char *data;
    int64_t size, room;
} Bytes;

/* A leaf's place in the bytes around it, and where it begins and how many bytes it has. */
typedef struct {
    int64_t place, start, size;
} Leaf;

typedef struct {
    Plans first, others; /* for roots, which may be of zigzagged numbers, and for what is below */
    Bytes out, leaves, list, scratch; /* scratch: of what is below a node, as long as it takes */
    int failed;                       /* for want of room */
} Draft;

/* Numbers of `width` bytes, the largest and their sum. */
typedef struct {
    const void *values;
    int64_t count;
    int width;
    uint32_t most;
    uint64_t total;
} Stream;

/* So many more bytes, or NULL. */
static char *extend(Draft *d, Bytes *bytes, int64_t more) {
    if (bytes->size + more > bytes->room) {
        d->failed = 1;
        return NULL;
    }
    bytes->size += more;
    return bytes->data + bytes->size - more;
}

static void put_byte(Draft *d, int byte) {
    char *out = extend(d, &d->out, 1);
    if (out) *out = (char)byte;
}

static void put_varint(Draft *d, uint64_t value) {
    for (; value >= 128; value >>= 7) put_byte(d, (int)(value & 127) | 128);
    put_byte(d, (int)value);
}

/* Room for the next leaf. */
static uint8_t *add_leaf(Draft *d, int64_t size) {
    char *leaf = extend(d, &d->leaves, size), *entry = extend(d, &d->list, sizeof(Leaf));
    if (!leaf || !entry) return NULL;
    *(Leaf *)entry = (Leaf){d->out.size, d->leaves.size - size, size};
    return (uint8_t *)leaf;
}

static int plan(const Plans *p, const Stream *s, int depth) {
    if (!s->most) return CONSTANT;
    if (depth >= DEEPEST || s->count < FEWEST_PLANNED) return s->most < 256 ? BYTES : LAST_LOW;
    double mean = (double)s->total / (double)s->count;
    if (mean > p->means[p->steps - 1]) return LAST_LOW;
    int64_t step = 0, bits = 0;
    while (step + 1 < p->steps - 1 && mean >= p->means[step + 1]) step++;
    for (int64_t n = s->count; n; n >>= 1) bits++;
    int op = p->ops[(bits / 3 < MAGNITUDES ? bits / 3 : MAGNITUDES - 1) * (p->steps - 1) + step];
    return op == BYTES && s->most >= 256 ? (mean < 60 ? FIRST_LOW : 6) : op;
}

static Stream stream_of(const void *values, int64_t count, int width) {
    return (Stream){values, count, width, BY_WIDTH(width, find_most, values, count), BY_WIDTH(width, add_up, values, count)};
}

/* Digits, and what is taken out of the numbers meanwhile, into `rest`, which has room for one more: how many those are. */
static int64_t put_digits(const Stream *s, int base, int per_byte, uint8_t *out, void *rest) {
    int64_t size = (s->count + per_byte - 1) / per_byte;
    if (s->width == 1) {
        pack8(s->values, s->count, (uint8_t)(base - 1), 0, per_byte, out, size);
        return take_from8(s->values, (uint8_t)(base - 1), rest, s->count);
    }
    if (s->width == 2) {
        pack16(s->values, s->count, (uint16_t)(base - 1), 0, per_byte, out, size);
        return take_from16(s->values, (uint16_t)(base - 1), rest, s->count);
    }
    pack32(s->values, s->count, (uint32_t)(base - 1), 0, per_byte, out, size);
    return take_from32(s->values, (uint32_t)(base - 1), rest, s->count);
}

/* The lowest bits, and the numbers without them, into `rest`. */
static void put_low_bits(const Stream *s, int bits, uint8_t *out, void *rest) {
    int64_t size = (s->count + 8 / bits - 1) / (8 / bits);
    if (s->width == 1) {
        pack8(s->values, s->count, (uint8_t)((1 << bits) - 1), bits, 8 / bits, out, size);
        shift8(s->values, bits, rest, s->count);
    } else if (s->width == 2) {
        pack16(s->values, s->count, (uint16_t)((1 << bits) - 1), bits, 8 / bits, out, size);
        shift16(s->values, bits, rest, s->count);
    } else {
        pack32(s->values, s->count, (uint32_t)((1 << bits) - 1), bits, 8 / bits, out, size);
        shift32(s->values, bits, rest, s->count);
    }
}

static inline uint32_t number_at(const Stream *s, int64_t i) {
    return s->width == 1 ? ((const uint8_t *)s->values)[i] : s->width == 2 ? ((const uint16_t *)s->values)[i] : ((const uint32_t *)s->values)[i];
}

/* Room for so many numbers of `width` bytes. */
static void *scratch_for(Draft *d, int64_t count, int width) { return extend(d, &d->scratch, (count * width + 7) & ~(int64_t)7); }

/* Whether 32 bytes are zeros. */
static inline int is_zero(const void *bytes) {
    uint64_t words[4];
    memcpy(words, bytes, 32);
    return !(words[0] | words[1] | words[2] | words[3]);
}

/* How many zeros stand before each other number, and those less 1; `gaps` has room for one more. */
#define FIND_GAPS(BITS)                                                                                                        \
    LOOP int64_t count_filled##BITS(const uint##BITS##_t *restrict values, int64_t n) {                                        \
        int64_t count = 0;                                                                                                     \
        for (int64_t i = 0; i < n; i++) count += values[i] > 0;                                                                \
        return count;                                                                                                          \
    }                                                                                                                          \
    static void find_gaps##BITS(const uint##BITS##_t *restrict values, int64_t n, int sparse, uint32_t *restrict gaps,         \
                                uint##BITS##_t *restrict others) {                                                             \
        const int64_t together = sparse ? 256 / BITS : n; /* where most are zeros, those of 32 bytes are passed over at once */ \
        int64_t count = 0, last = 0;                                                                                           \
        for (int64_t at = 0; at < n; at += together) {                                                                         \
            int64_t end = n - at < together ? n : at + together;                                                               \
            if (sparse && end - at == together && is_zero(values + at)) continue;                                              \
            for (int64_t i = at; i < end; i++) { /* without branches: places first */                                          \
                gaps[count] = (uint32_t)i;                                                                                     \
                count += values[i] > 0;                                                                                        \
            }                                                                                                                  \
        }                                                                                                                      \
        for (int64_t j = 0; j < count; j++) {                                                                                  \
            int64_t place = gaps[j];                                                                                           \
            gaps[j] = (uint32_t)(place - last), others[j] = (uint##BITS##_t)(values[place] - 1);                               \
            last = place + 1;                                                                                                  \
        }                                                                                                                      \
    }

FIND_GAPS(8)
FIND_GAPS(16)
FIND_GAPS(32)

static void draft(Draft *d, const Stream *s, int depth);

static void draft_gaps(Draft *d, const Stream *s, int depth) {
    int64_t count = BY_WIDTH(s->width, count_filled, s->values, s->count);
    uint32_t *gaps = scratch_for(d, count + 1, 4);
    void *others = scratch_for(d, count, s->width);
    if (!gaps || !others) return;
    BY_WIDTH(s->width, find_gaps, s->values, s->count, count < s->count / 32, gaps, others);
    put_varint(d, (uint64_t)count);
    Stream parts[2] = {stream_of(gaps, count, 4), stream_of(others, count, s->width)};
    draft(d, &parts[0], depth + 1);
    draft(d, &parts[1], depth + 1);
}

static void draft_digits(Draft *d, const Stream *s, int op, int depth) {
    int low = op <= LAST_LOW, bits = low ? 1 << (op - FIRST_LOW) : 0, base = low ? 0 : JOINT[op - JOINT_FIRST][0];
    int per_byte = low ? 8 / bits : JOINT[op - JOINT_FIRST][1];
    int64_t size = (s->count + per_byte - 1) / per_byte;
    int64_t begin = d->scratch.size, count = s->count;
    void *rest = scratch_for(d, s->count + 1, s->width);
    uint8_t *out = low ? (uint8_t *)extend(d, &d->out, size) : add_leaf(d, size);
    if (!rest || !out) return;
    if (low)
        put_low_bits(s, bits, out, rest);
    else
        count = put_digits(s, base, per_byte, out, rest);
    d->scratch.size = begin;
    if (!scratch_for(d, count, s->width)) return;
    Stream next = stream_of(rest, count, s->width);
    if (low || s->most >= (uint32_t)base - 1) draft(d, &next, depth + 1);
}

static void draft(Draft *d, const Stream *s, int depth) {
    int64_t begin = d->scratch.size;
    int op = plan(depth ? &d->others : &d->first, s, depth);
    if (d->failed) return;
    put_byte(d, op);
    if (op == BYTES) {
        uint8_t *out = add_leaf(d, s->count);
        for (int64_t i = 0; out && i < s->count; i++) out[i] = (uint8_t)number_at(s, i);
    } else if (op == GAPS) {
        draft_gaps(d, s, depth);
    } else if (op != CONSTANT) {
        draft_digits(d, s, op, depth);
    }
    d->scratch.size = begin;
}

#endif
