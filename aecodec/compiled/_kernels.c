/* The compiled module: its functions, whose arguments are contiguous buffers.
 *
 * Their sizes are checked here and their meaning is given in Python, beside who calls them; meanwhile other threads run.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "cell_calls.h"
#include "decode_call.h"
#include "draft_calls.h"
#include "encode_call.h"
#include "estimate_calls.h"
#include "join_call.h"
#include "latent_calls.h"
#include "stream_calls.h"
#include "symbol_calls.h"
#include "unpack_calls.h"
#include "value_calls.h"
#include "weighted_calls.h"

static PyMethodDef methods[] = {
    {"convolve_planes", convolve_planes, METH_VARARGS, NULL},
    {"anchors", anchors, METH_VARARGS, NULL},
    {"ranges", ranges, METH_VARARGS, NULL},
    {"pack_joint", pack_joint, METH_VARARGS, NULL},
    {"pack_low", pack_low, METH_VARARGS, NULL},
    {"statistics", statistics, METH_VARARGS, NULL},
    {"count_values", count_values, METH_VARARGS, NULL},
    {"tabulate", tabulate, METH_VARARGS, NULL},
    {"unpack_joint", unpack_joint, METH_VARARGS, NULL},
    {"put_escaped", put_escaped, METH_VARARGS, NULL},
    {"put_low", put_low, METH_VARARGS, NULL},
    {"unzigzag", unzigzag, METH_VARARGS, NULL},
    {"residual_of", residual_of, METH_VARARGS, NULL},
    {"weighted_moments", weighted_moments, METH_VARARGS, NULL},
    {"weighted_residual", weighted_residual, METH_VARARGS, NULL},
    {"weighted_restore", weighted_restore, METH_VARARGS, NULL},
    {"estimate", estimate, METH_VARARGS, NULL},
    {"join_groups", join_groups, METH_VARARGS, NULL},
    {"draft_streams", draft_streams, METH_VARARGS, NULL},
    {"join_pieces", join_pieces, METH_VARARGS, NULL},
    {"sort_latents", sort_latents, METH_VARARGS, NULL},
    {"take_latents", take_latents, METH_VARARGS, NULL},
    {"sort_cells", sort_cells, METH_VARARGS, NULL},
    {"take_cells", take_cells, METH_VARARGS, NULL},
    {"count_beyond", count_beyond, METH_VARARGS, NULL},
    {"nearest_symbols", nearest_symbols, METH_VARARGS, NULL},
    {"put_values", put_values, METH_VARARGS, NULL},
    {"decode_phases", decode_phases, METH_VARARGS, NULL},
    {"encode_phases", encode_phases, METH_VARARGS, NULL},
    {"spread_by_index", spread_by_index, METH_VARARGS, NULL},
    {"sort_by_index", sort_by_index, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernels", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void) {
    make_tables();
    make_logarithms();
    return PyModuleDef_Init(&module);
}
