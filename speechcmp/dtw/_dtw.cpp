// Dynamic time warping by strips of SIMD lanes; the module speechcmp.dtw._dtw behind warp.py.
//
// Written with vector extensions (GCC, clang) in place of intrinsics: the same lines become
// SSE2, AVX2, AVX-512 or NEON. Python's limited API: one binary serves every version.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "_buffer.h"

namespace {

enum Metric { kL1, kL2, kSquared, kMetrics };
enum Code : std::int64_t { kDiagonal, kUp, kLeft };
constexpr std::int64_t kCodeMask = 3;
constexpr int kCodesInWord = 32;

// Frames of zeros before and after a packed recording: lanes reach that far out of it.
constexpr std::int64_t kPad = 16;

// Stands for infinity, yet adding a cost leaves it as it is and its two lowest bits are clear.
constexpr double kFar = 0x1p1000;

// Beyond this a squared difference summed over the dimensions might overflow float.
constexpr float kLargest = 1e15f;

// What a kernel needs to run one strip. Steps count from column 0 of the strip's first row.
struct Strip {
    const float* take;          // column 0 of dimension 0
    std::size_t stride;         // from one dimension to the next
    const float* rows;          // the strip's reference rows, (n_dims, lanes)
    std::size_t n_dims;
    double* border;             // column 0 of the row above; becomes the strip's bottom row
    std::int64_t start, stop;   // steps to run
    std::int64_t inner_start, inner_stop;  // steps where every lane is inside the band
    const std::int64_t* first;  // for each lane its first and last step inside the band
    const std::int64_t* last;
    double* kept;               // row `kept_row` of the strip is copied here unless null
    std::int64_t kept_row;
    std::uint64_t* words;       // step codes, lane by lane, a word for kCodesInWord steps
};

// By value: its fields stay in registers, as no store can change them.
using RunStrip = void (*)(Strip);

}  // namespace

#define SPEECHCMP_TARGET
#define SPEECHCMP_LANES 4
namespace {
namespace base {
#include "_dtw_kernel.h"
}
}  // namespace

#ifdef __x86_64__
#define SPEECHCMP_TARGET __attribute__((target("avx2")))
#define SPEECHCMP_LANES 8
namespace {
namespace avx2 {
#include "_dtw_kernel.h"
}
}  // namespace

#define SPEECHCMP_TARGET __attribute__((target("avx512f,avx512dq,avx512vl")))
#define SPEECHCMP_LANES 16
namespace {
namespace avx512 {
#include "_dtw_kernel.h"
}
}  // namespace
#endif

namespace {

// ------------------------------------------------------------------------- levels

struct Level {
    const char* name;
    int lanes;
    RunStrip (*choose)(int metric, bool path);
};

// Best first.
std::vector<Level> supported_levels() {
#ifdef __x86_64__
    std::vector<Level> levels;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        levels.push_back({"avx512", avx512::kLanes, avx512::choose});
    if (__builtin_cpu_supports("avx2")) levels.push_back({"avx2", avx2::kLanes, avx2::choose});
    levels.push_back({"sse2", base::kLanes, base::choose});
    return levels;
#elif defined(__ARM_NEON)
    return {{"neon", base::kLanes, base::choose}};
#else
    return {{"generic", base::kLanes, base::choose}};
#endif
}

// --------------------------------------------------------------------------- band

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }

// The cells with |i * (m - 1) - j * (n - 1)| <= reach, row by row.
struct Band {
    std::int64_t n, m, reach;

    Band(std::int64_t n_rows, std::int64_t n_columns, double fraction) : n(n_rows), m(n_columns), reach(-1) {
        if (fraction <= 0) return;
        const std::int64_t longer = std::max(n, m), shorter = std::min(n, m);
        const double wanted = std::floor(fraction * static_cast<double>(longer) * static_cast<double>(shorter - 1));
        reach = std::max(static_cast<std::int64_t>(wanted), longer / 2);
    }
    bool everything() const { return reach < 0 || n == 1 || m == 1; }
    std::int64_t first(std::int64_t i) const {
        return everything() ? 0 : std::max<std::int64_t>(0, -floor_divide(reach - i * (m - 1), n - 1));
    }
    std::int64_t last(std::int64_t i) const {
        return everything() ? m - 1 : std::min(m - 1, floor_divide(i * (m - 1) + reach, n - 1));
    }
};

// ------------------------------------------------------------------------- problem

struct Packed {
    const float* frames;  // (n_dims, kPad + n + kPad)
    std::int64_t n;
    std::size_t stride;

    float at(int d, std::int64_t frame) const { return frames[d * stride + kPad + frame]; }
};

struct Options {
    Level level;
    int metric, n_dims;
    double band;
    bool open_begin, open_end;
};

struct Total {
    double cost;
    std::int64_t end;
};

// Where a strip's codes are: the word of step t, lane k is words[(t - start) / 32 * lanes + k].
struct StripCodes {
    std::size_t offset;
    std::int64_t start, stop;
};

class Problem {
public:
    Problem(const Options& options, const Packed& reference, const Packed& take)
        : options_(options), reference_(reference), take_(take), lanes_(options.level.lanes),
          band_(reference.n, take.n, options.band), border_(take.n + 2 * kPad, kFar),
          rows_(options.n_dims * lanes_ + kPad), first_(lanes_), last_(lanes_) {}

    Total total() {
        run(false);
        return best_end();
    }

    // Writes the path's steps to the end of `steps`, which holds n + m - 1 of them, and
    // returns how many; -1 when the codes lead out of the matrix.
    std::int64_t path(std::int64_t* steps, Total& total) {
        run(true);
        total = best_end();
        const std::int64_t capacity = reference_.n + take_.n - 1;
        std::int64_t count = 0;
        for (std::int64_t i = reference_.n - 1, j = total.end;;) {
            if (count == capacity) return -1;
            std::int64_t* step = steps + 2 * (capacity - ++count);
            step[0] = i;
            step[1] = j;
            if (i == 0 && (j == 0 || options_.open_begin)) break;
            const std::int64_t code = i == 0 ? kLeft : j == 0 ? kUp : code_at(i, j);
            if (code < 0 || code > kLeft) return -1;
            i -= code != kLeft;
            j -= code != kUp;
        }
        total.cost = sum(steps + 2 * (capacity - count), count);
        return count;
    }

private:
    Options options_;
    Packed reference_, take_;
    std::int64_t lanes_;
    Band band_;
    std::vector<double> border_;
    std::vector<float> rows_;
    std::vector<std::int64_t> first_, last_;
    std::vector<double> kept_;
    std::vector<StripCodes> codes_;
    std::unique_ptr<std::uint64_t[]> words_;

    std::int64_t n_strips() const { return (reference_.n + lanes_ - 1) / lanes_; }

    StripCodes span(std::int64_t s) const {
        const std::int64_t top = s * lanes_, bottom = std::min(top + lanes_, reference_.n) - 1;
        return {0, band_.first(top), band_.last(bottom) + (bottom - top) + 1};
    }

    void run(bool path) {
        const RunStrip run_strip = options_.level.choose(options_.metric, path);
        double* border = border_.data() + kPad;
        border[-1] = 0;
        if (options_.open_begin) std::fill(border, border + band_.last(0) + 1, 0.0);
        if (options_.open_end) kept_.assign(take_.n + 2 * kPad, kFar);
        if (path) reserve_codes();
        for (std::int64_t s = 0; s < n_strips(); ++s) run_strip(prepare(s, path));
    }

    void reserve_codes() {
        std::size_t size = 0;
        for (std::int64_t s = 0; s < n_strips(); ++s) {
            StripCodes codes = span(s);
            codes.offset = size;
            codes_.push_back(codes);
            size += static_cast<std::size_t>((codes.stop - codes.start + kCodesInWord - 1) / kCodesInWord * lanes_);
        }
        words_.reset(new std::uint64_t[size]);
    }

    Strip prepare(std::int64_t s, bool path) {
        const std::int64_t top = s * lanes_, n_rows = std::min(lanes_, reference_.n - top);
        const StripCodes steps = span(s);
        Strip strip = {};
        float* rows = aligned_rows();
        for (int d = 0; d < options_.n_dims; ++d)
            for (std::int64_t k = 0; k < lanes_; ++k)
                rows[d * lanes_ + k] = reference_.at(d, top + lanes_ - 1 - k);
        strip.inner_start = steps.start;
        strip.inner_stop = steps.stop;
        for (std::int64_t q = 0; q < lanes_; ++q) {
            const bool bounded = q < n_rows && !band_.everything();
            const std::int64_t first = bounded ? band_.first(top + q) + q : steps.start;
            const std::int64_t last = bounded ? band_.last(top + q) + q : steps.stop;
            first_[lanes_ - 1 - q] = first;
            last_[lanes_ - 1 - q] = last;
            strip.inner_start = std::max(strip.inner_start, first);
            strip.inner_stop = std::min(strip.inner_stop, last + 1);
        }
        strip.inner_stop = std::max(strip.inner_start, strip.inner_stop);
        strip.take = take_.frames + kPad;
        strip.stride = take_.stride;
        strip.rows = rows;
        strip.n_dims = static_cast<std::size_t>(options_.n_dims);
        strip.border = border_.data() + kPad;
        strip.start = steps.start;
        strip.stop = steps.stop;
        strip.first = first_.data();
        strip.last = last_.data();
        if (s + 1 == n_strips()) {
            strip.kept = options_.open_end ? kept_.data() + kPad : nullptr;
            strip.kept_row = n_rows - 1;
        }
        strip.words = path ? words_.get() + codes_[s].offset : nullptr;
        return strip;
    }

    // No load of a register from here may straddle two cache lines.
    float* aligned_rows() {
        const std::uintptr_t mask = kPad * sizeof(float) - 1;
        return reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(rows_.data()) + mask) & ~mask);
    }

    Total best_end() const {
        const std::int64_t m = take_.n;
        if (!options_.open_end) return {border_[kPad + m - 1], m - 1};
        const std::int64_t bottom = reference_.n - 1;
        const double* row = kept_.data() + kPad;
        const double* best = std::min_element(row + band_.first(bottom), row + band_.last(bottom) + 1);
        return {*best, best - row};
    }

    std::int64_t code_at(std::int64_t i, std::int64_t j) const {
        const StripCodes& codes = codes_[i / lanes_];
        const std::int64_t q = i % lanes_, t = j + q;
        if (t < codes.start || t >= codes.stop) return -1;
        const std::int64_t step = t - codes.start;
        const std::uint64_t word = words_[codes.offset + step / kCodesInWord * lanes_ + (lanes_ - 1 - q)];
        return word >> (2 * (kCodesInWord - 1 - step % kCodesInWord)) & kCodeMask;
    }

    double sum(const std::int64_t* steps, std::int64_t count) const {
        double total = 0;
        for (std::int64_t k = 0; k < count; ++k) {
            const std::int64_t i = steps[2 * k], j = steps[2 * k + 1];
            double cost = 0;
            for (int d = 0; d < options_.n_dims; ++d) {
                const double difference = static_cast<double>(reference_.at(d, i)) - take_.at(d, j);
                cost += options_.metric == kL1 ? std::fabs(difference) : difference * difference;
            }
            total += options_.metric == kL2 ? std::sqrt(cost) : cost;
        }
        return total;
    }
};

// -------------------------------------------------------------------------- Python

bool as_packed(const Buffer& buffer, int n_dims, Packed& packed) {
    const std::int64_t stride = buffer.count<float>() / n_dims;
    if (stride * n_dims != buffer.count<float>() || stride <= 2 * kPad) return fail("not a packed recording");
    packed = {buffer.items<float>(), stride - 2 * kPad, static_cast<std::size_t>(stride)};
    return true;
}

bool as_options(const char* level, int metric, int n_dims, double band, int open_begin, int open_end,
                Options& options) {
    if (metric < 0 || metric >= kMetrics || n_dims < 1 || !(band >= 0 && band <= 1))
        return fail("option out of range");
    for (const Level& supported : supported_levels()) {
        if (std::strcmp(supported.name, level) != 0) continue;
        options = {supported, metric, n_dims, band, open_begin != 0, open_end != 0};
        return true;
    }
    return fail("instruction set not supported");
}

struct Recordings {
    std::vector<Buffer> buffers;
    std::vector<Packed> packed;

    bool acquire(PyObject* sequence, int n_dims) {
        const Py_ssize_t size = PySequence_Size(sequence);
        if (size < 0) return false;
        for (Py_ssize_t k = 0; k < size; ++k) {
            PyObject* item = PySequence_GetItem(sequence, k);
            if (item == nullptr) return false;
            buffers.emplace_back();
            packed.emplace_back();
            const bool good = buffers.back().acquire(item) && as_packed(buffers.back(), n_dims, packed.back());
            Py_DECREF(item);
            if (!good) return false;
        }
        return true;
    }
};

// The frames by dimension, padded; false when a value is NaN, infinite or too large.
bool transpose(const float* frames, std::int64_t n, int n_dims, float* packed) {
    const std::int64_t stride = n + 2 * kPad;
    std::int32_t largest, worst = 0;
    std::memcpy(&largest, &kLargest, sizeof largest);
    for (int d = 0; d < n_dims; ++d) {
        float* row = packed + d * stride;
        std::memset(row, 0, kPad * sizeof(float));
        for (std::int64_t k = 0; k < n; ++k) row[kPad + k] = frames[k * n_dims + d];
        std::memset(row + kPad + n, 0, kPad * sizeof(float));
    }
    for (std::int64_t k = 0; k < n * n_dims; ++k) {
        std::int32_t bits;
        std::memcpy(&bits, frames + k, sizeof bits);
        worst = std::max(worst, bits & 0x7fffffff);
    }
    return worst <= largest;
}

PyObject* pack(PyObject*, PyObject* arguments) {
    PyObject* object;
    int n_dims;
    Buffer frames;
    if (!PyArg_ParseTuple(arguments, "Oi:pack", &object, &n_dims) || !frames.acquire(object)) return nullptr;
    if (n_dims < 1 || frames.count<float>() % n_dims != 0) return fail("not (n_frames, n_dims) floats"), nullptr;
    const std::int64_t n = frames.count<float>() / n_dims;
    const std::int64_t size = (n + 2 * kPad) * n_dims;
    PyObject* packed = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size * sizeof(float)));
    if (packed == nullptr) return nullptr;
    float* to = reinterpret_cast<float*>(PyBytes_AsString(packed));
    if (transpose(frames.items<float>(), n, n_dims, to)) return packed;
    Py_DECREF(packed);
    Py_RETURN_NONE;
}

PyObject* totals(PyObject*, PyObject* arguments) try {
    const char* level;
    int metric, n_dims, open_begin, open_end;
    double band;
    PyObject *references_object, *takes_object, *pairs_object, *results_object;
    if (!PyArg_ParseTuple(arguments, "(siidpp)OOOO:totals", &level, &metric, &n_dims, &band, &open_begin, &open_end,
                          &references_object, &takes_object, &pairs_object, &results_object))
        return nullptr;
    Options options;
    Recordings references, takes;
    Buffer pairs_buffer, results;
    if (!as_options(level, metric, n_dims, band, open_begin, open_end, options) ||
        !references.acquire(references_object, n_dims) || !takes.acquire(takes_object, n_dims) ||
        !pairs_buffer.acquire(pairs_object) || !results.acquire(results_object, true))
        return nullptr;
    // A copy: the caller might change its array while the lock is not held.
    const std::int64_t* given = pairs_buffer.items<std::int64_t>();
    const std::vector<std::int64_t> pairs(given, given + pairs_buffer.count<std::int64_t>());
    for (std::size_t k = 0; k < pairs.size(); ++k) {
        const std::size_t limit = k % 2 == 0 ? references.packed.size() : takes.packed.size();
        if (pairs[k] < 0 || static_cast<std::size_t>(pairs[k]) >= limit) return fail("pair out of range"), nullptr;
    }
    if (pairs.size() % 2 != 0 || results.count<double>() != static_cast<std::int64_t>(pairs.size()))
        return fail("pairs and results differ in size"), nullptr;

    double* result = results.items<double>();
    bool enough_memory = true;
    Py_BEGIN_ALLOW_THREADS
    try {
        for (std::size_t k = 0; k < pairs.size(); k += 2) {
            const Total total = Problem(options, references.packed[pairs[k]], takes.packed[pairs[k + 1]]).total();
            result[k] = total.cost;
            result[k + 1] = static_cast<double>(total.end);
        }
    } catch (const std::bad_alloc&) {
        enough_memory = false;
    }
    Py_END_ALLOW_THREADS
    if (!enough_memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
} catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
}

PyObject* path(PyObject*, PyObject* arguments) {
    const char* level;
    int metric, n_dims, open_begin, open_end;
    double band;
    PyObject *reference_object, *take_object, *steps_object;
    if (!PyArg_ParseTuple(arguments, "(siidpp)OOO:path", &level, &metric, &n_dims, &band, &open_begin, &open_end,
                          &reference_object, &take_object, &steps_object))
        return nullptr;
    Options options;
    Buffer reference_buffer, take_buffer, steps;
    Packed reference, take;
    if (!as_options(level, metric, n_dims, band, open_begin, open_end, options) ||
        !reference_buffer.acquire(reference_object) || !take_buffer.acquire(take_object) ||
        !steps.acquire(steps_object, true) || !as_packed(reference_buffer, n_dims, reference) ||
        !as_packed(take_buffer, n_dims, take))
        return nullptr;
    if (steps.count<std::int64_t>() != 2 * (reference.n + take.n - 1)) return fail("wrong size for steps"), nullptr;

    Total total = {};
    std::int64_t count = 0;
    bool enough_memory = true;
    Py_BEGIN_ALLOW_THREADS
    try {
        count = Problem(options, reference, take).path(steps.items<std::int64_t>(), total);
    } catch (const std::bad_alloc&) {
        enough_memory = false;
    }
    Py_END_ALLOW_THREADS
    if (!enough_memory) return PyErr_NoMemory();
    if (count < 0) return fail("the recordings changed during the call"), nullptr;
    return Py_BuildValue("Ld", static_cast<long long>(count), total.cost);
}

PyObject* levels(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    if (names == nullptr) return nullptr;
    for (const Level& level : supported_levels()) {
        PyObject* name = PyUnicode_FromString(level.name);
        const bool good = name != nullptr && PyList_Append(names, name) == 0;
        Py_XDECREF(name);
        if (good) continue;
        Py_DECREF(names);
        return nullptr;
    }
    return names;
}

PyMethodDef methods[] = {
    {"levels", levels, METH_NOARGS, "levels() -> list of the instruction sets this processor has, best first"},
    {"pack", pack, METH_VARARGS, "pack(frames, n_dims) -> bytes, or None for a value no kernel can take"},
    {"totals", totals, METH_VARARGS,
     "totals((level, metric, n_dims, band, open_begin, open_end), references, takes, pairs, results)"},
    {"path", path, METH_VARARGS,
     "path((level, metric, n_dims, band, open_begin, open_end), reference, take, steps) -> (count, total_cost)"},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_dtw", "Dynamic time warping by strips of SIMD lanes.", 0, methods,
    nullptr, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__dtw() { return PyModuleDef_Init(&module); }
