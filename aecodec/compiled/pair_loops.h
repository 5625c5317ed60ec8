/* Loops over pairs of inputs, for one kind of processor: included by pairs.h once for each, which defines what is used here. */

/* Numbers of an input: as they lie in memory, differences or means of two, or distances of such means from midpoints. */
LANE_INLINE Lanes NAME(numbers)(const Operand *o, int64_t i) {
    if (o->kind == NONE) return SPREAD(0);
    Lanes first = LOAD(o->from + i);
    if (o->kind == SINGLE) return first;
    Lanes second = LOAD(o->from + i + o->apart);
    if (o->kind == DIFFERENCE) return SUBTRACT(first, second);
    Lanes mean = RIGHT(ADD(first, second), 1);
    return o->kind == MEAN_OF_TWO ? mean : SUBTRACT(LOAD(o->middle + i), mean);
}

LANE_INLINE Lanes NAME(clip)(Lanes x, int shift) { return LEAST(GREATEST(RIGHT(x, shift), SPREAD(-INPUT_LIMIT)), SPREAD(INPUT_LIMIT)); }

/* Pairs from i on, and their weighted magnitudes, added to `at` and `about`. */
LANE_INLINE void NAME(load_at)(const Operand *x, const Operand *y, const Load *l, int64_t i, Lanes at, Lanes about) {
    Lanes pair = JOIN(NAME(clip)(NAME(numbers)(x, i), l->shift), NAME(clip)(NAME(numbers)(y, i), l->shift)), sizes = MAGNITUDES(pair);
    STORE(l->pairs + i, pair);
    STORE(l->own + i, ADD(at, DOT(sizes, SPREAD(l->near))));
    STORE(l->box + i, ADD(about, DOT(sizes, SPREAD(l->around))));
}

LANE_INLINE void NAME(load_some)(Operand x, Operand y, Load l, int add) {
    const Lanes zero = SPREAD(0);
    int64_t last = l.columns - LANES;
    for (; l.rows; l.rows--) {
        int64_t i = 0;
        if (last >= 0) { /* what is left at the end is done together with some before it, whose sums must not change twice */
            Lanes at = add ? LOAD(l.own + last) : zero, about = add ? LOAD(l.box + last) : zero;
            INDEPENDENT
            for (; i <= last; i += LANES) NAME(load_at)(&x, &y, &l, i, add ? LOAD(l.own + i) : zero, add ? LOAD(l.box + i) : zero);
            if (i < l.columns) NAME(load_at)(&x, &y, &l, last, at, about);
        } else {
            for (; i < l.columns; i++) load_at_one(&x, &y, &l, i, add ? l.own[i] : 0, add ? l.box[i] : 0);
        }
        x.from += x.next, x.middle += x.next_middle, y.from += y.next, y.middle += y.next_middle;
        l.pairs += l.stride, l.box += l.stride, l.own += l.stride;
    }
}

/* The first pair of all are differences; kinds are told here so that loops have no branches. */
TARGET static void NAME(load_pair)(const Operand *x, const Operand *y, const Load *l) {
    Operand a = *x, b = *y;
#define OF_KINDS(FIRST, SECOND, ADDED)               \
    if (x->kind == FIRST && y->kind == SECOND) {     \
        a.kind = FIRST, b.kind = SECOND;             \
        NAME(load_some)(a, b, *l, ADDED);            \
    }
    OF_KINDS(DIFFERENCE, DIFFERENCE, 0)
    OF_KINDS(SINGLE, SINGLE, 1)
    OF_KINDS(SINGLE, MEAN_OF_TWO, 1)
    OF_KINDS(SINGLE, DISTANCE, 1)
    OF_KINDS(MEAN_OF_TWO, NONE, 1)
#undef OF_KINDS
}

/* Add to `total` what a pair says of n values, weights of 3 x 3 pairs, in whole vectors; or begin with it. */
LANE_INLINE void NAME(convolve_some)(const int32_t *x, int64_t stride, const int32_t *weights, int add, int32_t *total, int64_t n) {
    Lanes w0 = SPREAD(weights[0]), w1 = SPREAD(weights[1]), w2 = SPREAD(weights[2]), w3 = SPREAD(weights[3]), w4 = SPREAD(weights[4]);
    Lanes w5 = SPREAD(weights[5]), w6 = SPREAD(weights[6]), w7 = SPREAD(weights[7]), w8 = SPREAD(weights[8]);
    const int32_t *y = x + stride, *z = y + stride;
    INDEPENDENT
    for (int64_t i = 0; i < n; i += LANES) {
        Lanes sum = ADD(DOT(LOAD(x + i), w0), ADD(DOT(LOAD(x + i + 1), w1), DOT(LOAD(x + i + 2), w2)));
        sum = ADD(sum, ADD(DOT(LOAD(y + i), w3), ADD(DOT(LOAD(y + i + 1), w4), DOT(LOAD(y + i + 2), w5))));
        sum = ADD(sum, ADD(DOT(LOAD(z + i), w6), ADD(DOT(LOAD(z + i + 1), w7), DOT(LOAD(z + i + 2), w8))));
        STORE(total + i, add ? ADD(LOAD(total + i), sum) : sum);
    }
}

TARGET static void NAME(convolve_pair)(const int32_t *x, int64_t stride, const int32_t *weights, int add, int32_t *total, int64_t n) {
    if (add)
        NAME(convolve_some)(x, stride, weights, 1, total, n);
    else
        NAME(convolve_some)(x, stride, weights, 0, total, n);
}
