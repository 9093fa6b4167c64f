// One chunk of a reference warped into a take, entered anywhere: the module speechcmp.dtw._segmental behind segmental.py.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <cstdint>

#include "_buffer.h"

namespace {

// The cheapest way to each cell of a row, and the column where it was entered.
struct Cell {
    double cost;
    std::int32_t begin;
};

constexpr double kFar = 1e300;

inline Cell cheaper(Cell a, Cell b) { return b.cost < a.cost ? b : a; }

// Rows of local costs (n_rows, n), one after another; `cost` and `begin` (n) are those of the row before and
// become those of the last one. Steps off the diagonal cost `detour` more, diagonal ones the local cost twice.
void advance(const float* local, std::int64_t n_rows, std::int64_t n, double detour, double* cost,
             std::int32_t* begin) {
    for (const float* row = local; row != local + n_rows * n; row += n) {
        Cell diagonal = {kFar, 0}, left = {kFar, 0};
        for (std::int64_t j = 0; j < n; ++j) {
            const double aside = static_cast<double>(row[j]) + detour;
            const Cell up = {cost[j], begin[j]};
            const Cell stay = cheaper({diagonal.cost + 2.0 * row[j], diagonal.begin}, {up.cost + aside, up.begin});
            left = cheaper(stay, {left.cost + aside, left.begin});
            cost[j] = left.cost;
            begin[j] = left.begin;
            diagonal = up;
        }
    }
}

// The first row, entered at column j for cost[j].
void enter(const float* row, std::int64_t n, double detour, double* cost, std::int32_t* begin) {
    Cell left = {kFar, 0};
    for (std::int64_t j = 0; j < n; ++j) {
        left = cheaper({cost[j] + 2.0 * row[j], static_cast<std::int32_t>(j)},
                       {left.cost + row[j] + detour, left.begin});
        cost[j] = left.cost;
        begin[j] = left.begin;
    }
}

PyObject* sweep(PyObject*, PyObject* arguments) {
    PyObject *local_object, *cost_object, *begin_object;
    double detour;
    int entered;
    Buffer local, cost, begin;
    if (!PyArg_ParseTuple(arguments, "OdpOO:sweep", &local_object, &detour, &entered, &cost_object, &begin_object) ||
        !local.acquire(local_object) || !cost.acquire(cost_object, true) || !begin.acquire(begin_object, true))
        return nullptr;
    const std::int64_t n = cost.count<double>();
    if (n == 0 || begin.count<std::int32_t>() != n || local.count<float>() == 0 || local.count<float>() % n != 0)
        return fail("sizes differ"), nullptr;
    const float* rows = local.items<float>();
    const std::int64_t n_rows = local.count<float>() / n, done = entered ? 0 : 1;
    Py_BEGIN_ALLOW_THREADS
    if (done) enter(rows, n, detour, cost.items<double>(), begin.items<std::int32_t>());
    advance(rows + done * n, n_rows - done, n, detour, cost.items<double>(), begin.items<std::int32_t>());
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"sweep", sweep, METH_VARARGS, "sweep(local, detour, entered, cost, begin)"},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_segmental", "A chunk warped into a take, entered anywhere.", 0, methods,
    nullptr, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__segmental() { return PyModuleDef_Init(&module); }
