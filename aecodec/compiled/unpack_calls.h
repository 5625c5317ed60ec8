/* Digits and escaped numbers of streams unpacked again, called from Python. */
#ifndef AECODEC_UNPACK_CALLS_H
#define AECODEC_UNPACK_CALLS_H

#include "arguments.h"
#include "digits.h"

/* unpack_joint(packed, base, digits a byte, out) -> how many of the digits are base - 1 */
static PyObject *unpack_joint(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    int base, per_byte;
    long long escaped = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiw*", &b[0], &base, &per_byte, &b[1])) return NULL;
    int64_t size = b[0].len, count = b[1].len;
    int sound = base >= 2 && base <= 256 && per_byte >= 1 && per_byte <= 8 && size == (count + per_byte - 1) / per_byte;
    if (sound) {
        BEGIN_LONG(b[0].len);
        unpack(b[0].buf, size, base, per_byte, b[1].buf, count);
        escaped = count_equal(b[1].buf, (uint8_t)(base - 1), count);
        END_LONG;
    } else {
        fail("digits of other sizes");
    }
    release(b, 2);
    return sound ? PyLong_FromLongLong(escaped) : NULL;
}

/* put_escaped(digits, escape, others, bytes of each, out): see escapes.h; the number of others was counted before */
static PyObject *put_escaped(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int escape, width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*iw*", &b[0], &escape, &b[1], &width, &b[2])) return NULL;
    int64_t count = b[0].len;
    int sound = width == 1 || width == 2 || width == 4;
    sound = sound && escape >= 0 && escape < 256 && b[2].len == count * width;
    if (sound) {
        BEGIN_LONG(b[0].len);
        sound = count_equal(b[0].buf, (uint8_t)escape, count) * width == b[1].len;
        if (sound && width == 1)
            put_escaped8(b[0].buf, (uint8_t)escape, b[1].buf, b[1].len / width, b[2].buf, count);
        else if (sound && width == 2)
            put_escaped16(b[0].buf, (uint8_t)escape, b[1].buf, b[1].len / width, b[2].buf, count);
        else if (sound)
            put_escaped32(b[0].buf, (uint8_t)escape, b[1].buf, b[1].len / width, b[2].buf, count);
        END_LONG;
    }
    if (!sound) fail("escaped numbers of other sizes");
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* put_low(packed, bits, high, bytes of each, out, bytes of each): numbers without their lowest bits and these; as wide, or twice */
static PyObject *put_low(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    int bits, from, to;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*iw*i", &b[0], &bits, &b[1], &from, &b[2], &to)) return NULL;
    int sound = check_width(from) && check_width(to) && (to == from || to == 2 * from) && bits >= 1 && bits <= 8 && 8 % bits == 0;
    int64_t count = sound ? b[1].len / from : 0, size = b[0].len;
    if (!sound || b[2].len != count * to || size != (count + 8 / bits - 1) / (8 / bits)) sound = fail("low bits of other sizes");
    if (sound) {
        BEGIN_LONG(b[2].len);
        for (int part = 0; part < 8 / bits; part++) {
            int64_t start = part * size, n = count - start < size ? count - start : size;
            const char *high = (const char *)b[1].buf + start * from;
            char *out = (char *)b[2].buf + start * to;
            if (to == 1)
                add_low8to8(b[0].buf, part * bits, bits, (const uint8_t *)high, (uint8_t *)out, n);
            else if (to == 2 && from == 1)
                add_low8to16(b[0].buf, part * bits, bits, (const uint8_t *)high, (uint16_t *)out, n);
            else if (to == 2)
                add_low16to16(b[0].buf, part * bits, bits, (const uint16_t *)high, (uint16_t *)out, n);
            else if (from == 2)
                add_low16to32(b[0].buf, part * bits, bits, (const uint16_t *)high, (uint32_t *)out, n);
            else
                add_low32to32(b[0].buf, part * bits, bits, (const uint32_t *)high, (uint32_t *)out, n);
        }
        END_LONG;
    }
    release(b, 3);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

/* unzigzag(numbers, bytes of each, out, bytes of each): int32, or of numbers of up to 2 bytes int16 */
static PyObject *unzigzag(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    int from, to;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iw*i", &b[0], &from, &b[1], &to)) return NULL;
    int sound = (from == 1 || from == 2 || from == 4) && (to == 4 || (to == 2 && from < 4)) && b[0].len % from == 0;
    int64_t count = sound ? b[0].len / from : 0;
    sound = sound && b[1].len == count * to ? 1 : fail("numbers of other sizes");
    if (sound) {
        BEGIN_LONG(b[0].len);
        if (to == 2 && from == 1)
            narrow8(b[0].buf, b[1].buf, count);
        else if (to == 2)
            narrow16(b[0].buf, b[1].buf, count);
        else if (from == 1)
            unzigzag8(b[0].buf, b[1].buf, count);
        else if (from == 2)
            unzigzag16(b[0].buf, b[1].buf, count);
        else
            unzigzag32(b[0].buf, b[1].buf, count);
        END_LONG;
    }
    release(b, 2);
    if (!sound) return NULL;
    Py_RETURN_NONE;
}

#endif
