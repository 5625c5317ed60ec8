/* Latents sorted by scale index and taken again, called from Python. */
#ifndef AECODEC_LATENT_CALLS_H
#define AECODEC_LATENT_CALLS_H

#include "cell_calls.h"
#include "latents.h"

/* 1 if `symbols` are all of as many tiles and of the bands, and there is memory; free_energies even if not. */
static int begin_energies(Energies *e, const long long *sizes, const Py_buffer *bands, int64_t symbols) {
    const int64_t most = 1 << 30;
    const Band *band = bands->buf;
    int64_t count = bands->len / (int64_t)sizeof(Band), latents = 0;
    *e = (Energies){.steps = sizes[0], .channels = sizes[1], .rows = sizes[2], .columns = sizes[3], .tiles = 1};
    if (count < 1 || bands->len % (int64_t)sizeof(Band)) return fail("bands of another size");
    for (int64_t i = 0; i < count; i++) {
        if (!(band[i].width >= 0 && band[i].width <= most && latents <= most)) return fail("bands of another width");
        latents += (int64_t)band[i].width;
    }
    for (int k = 0; k < 4; k++) {
        if (sizes[k] < 1 || sizes[k] > most || e->tiles * sizes[k] > most) return fail("a grid out of range");
        e->tiles *= sizes[k];
    }
    if (symbols % e->tiles || symbols / e->tiles != latents) return fail("symbols of another number");
    if (make_energies(e)) return 1;
    PyErr_NoMemory();
    return 0;
}

/* sort_latents(symbols, bands, rows, indices, out, ends, (steps, channels, rows, columns)) -> bytes that each takes, 2 or 4: int32 (tiles, latents)
 * zigzagged, by rising index, in coding order within each; and where each index's end. Bands are as in energy.h; `rows` has room for as
 * many numbers as symbols, and `indices` for one of each tile and band */
static PyObject *sort_latents(PyObject *self, PyObject *args) {
    Py_buffer b[6];
    Energies e = {0};
    long long sizes[4];
    int width = 4;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*w*w*w*(LLLL)", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &sizes[0], &sizes[1], &sizes[2], &sizes[3]))
        return NULL;
    int sound = b[2].len == b[0].len && b[4].len == b[0].len && b[5].len == INDICES * 8 && b[0].len % 4 == 0 ? 1 : fail("symbols of other sizes");
    sound = sound && begin_energies(&e, sizes, &b[1], b[0].len / 4);
    int64_t bands = b[1].len / (int64_t)sizeof(Band), *ends = b[5].buf;
    uint32_t *rows = b[2].buf;
    uint8_t *indices = b[3].buf;
    if (sound && b[3].len != bands * e.tiles) sound = fail("indices of another number");
    if (sound) {
        int64_t places[INDICES], total[INDICES] = {0};
        BEGIN_LONG(b[0].len);
        e.small = transpose_in(b[0].buf, e.tiles, b[0].len / 4 / e.tiles, rows) < 1 << 16;
        width = e.small ? 2 : 4;
        index_bands(&e, b[1].buf, bands, rows, indices, total);
        for (int64_t k = 0, at = 0; k < INDICES; k++) places[k] = at, ends[k] = at += total[k];
        if (width == 2)
            sort_bands16(e.tiles, b[1].buf, bands, rows, indices, places, b[4].buf);
        else
            sort_bands32(e.tiles, b[1].buf, bands, rows, indices, places, b[4].buf);
        END_LONG;
    }
    free_energies(&e);
    release(b, 6);
    return sound ? PyLong_FromLong(width) : NULL;
}

/* take_latents(streams, places, bands, rows, out, (steps, channels, rows, columns)) -> -1, or an index of which there are too few numbers: the
 * inverse, from streams and places as take_cells has them, but that all are of one width */
static PyObject *take_latents(PyObject *self, PyObject *args) {
    Py_buffer b[4], streams[INDICES];
    PyObject *list;
    Energies e = {0};
    Numbers numbers[INDICES];
    long long sizes[4], missing = -1;
    int count = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!w*y*w*w*(LLLL)", &PyTuple_Type, &list, &b[0], &b[1], &b[2], &b[3], &sizes[0], &sizes[1], &sizes[2],
                          &sizes[3]))
        return NULL;
    int sound = b[2].len == b[3].len && b[3].len % 4 == 0 ? 1 : fail("symbols of other sizes");
    sound = sound && begin_energies(&e, sizes, &b[1], b[3].len / 4) && get_streams(list, streams, &count);
    sound = sound && find_numbers(numbers, &b[0], streams, count);
    for (int k = 1; sound && k < INDICES; k++)
        if (numbers[k].width != numbers[0].width) sound = fail("streams of several widths");
    uint32_t *rows = b[2].buf;
    if (sound) {
        BEGIN_LONG(b[3].len);
        int64_t bands = b[1].len / (int64_t)sizeof(Band);
        e.small = numbers[0].width < 4;
        missing = numbers[0].width == 1   ? take_bands8(&e, b[1].buf, bands, numbers, rows)
                  : numbers[0].width == 2 ? take_bands16(&e, b[1].buf, bands, numbers, rows)
                                          : take_bands32(&e, b[1].buf, bands, numbers, rows);
        if (missing < 0) transpose_out(rows, e.tiles, b[3].len / 4 / e.tiles, b[3].buf);
        END_LONG;
        keep_places(numbers, &b[0]);
    }
    free_energies(&e);
    release(streams, count);
    release(b, 4);
    return sound ? PyLong_FromLongLong(missing) : NULL;
}

#endif
