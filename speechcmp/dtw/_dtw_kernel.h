// One strip of the dynamic programme, for one instruction set.
//
// Included once for each instruction set, hence no include guard, inside a namespace of its
// own and with SPEECHCMP_LANES (float lanes of a register: 4, 8 or 16) and SPEECHCMP_TARGET
// (the attribute that allows the instructions) defined; it undefines both.
//
// A strip is kLanes reference rows. Lane k holds row `kLanes - 1 - k` of the strip and is
// skewed in time: at step t it stands at take column `t - (kLanes - 1) + k`. So the lanes'
// columns are contiguous, one unaligned load fetches a dimension of all of them, and each
// cell's three neighbors are ready: left is the last step, up the last step slid by one
// lane, diagonal the last step's up. Local costs are float, accumulated ones double.

#define SPEECHCMP_INLINE inline __attribute__((always_inline)) SPEECHCMP_TARGET

constexpr int kLanes = SPEECHCMP_LANES;
constexpr int kHalf = kLanes / 2;

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t FloatBits __attribute__((vector_size(kLanes * 4)));
typedef float HalfFloats __attribute__((vector_size(kHalf * 4)));
typedef double Doubles __attribute__((vector_size(kLanes * 4)));
typedef std::int64_t DoubleBits __attribute__((vector_size(kLanes * 4)));

// The cells of a step: lanes [0, kHalf) and [kHalf, kLanes).
struct Cells {
    Doubles low, high;
};

template <typename Vector, typename Scalar>
SPEECHCMP_INLINE Vector load(const Scalar* from) {
    Vector vector;
    __builtin_memcpy(&vector, from, sizeof vector);
    return vector;
}

template <typename Vector, typename Scalar>
SPEECHCMP_INLINE void store(Scalar* to, Vector vector) {
    __builtin_memcpy(to, &vector, sizeof vector);
}

SPEECHCMP_INLINE Doubles splat(double value) { return value - Doubles{}; }

SPEECHCMP_INLINE Doubles smaller(Doubles a, Doubles b) { return a < b ? a : b; }

// Lane k of the result is lane k + 1 of `low`; the last one is the first of `high`.
SPEECHCMP_INLINE Doubles slide(Doubles low, Doubles high) {
#if SPEECHCMP_LANES == 16
    return __builtin_shufflevector(low, high, 1, 2, 3, 4, 5, 6, 7, 8);
#elif SPEECHCMP_LANES == 8
    return __builtin_shufflevector(low, high, 1, 2, 3, 4);
#else
    return __builtin_shufflevector(low, high, 1, 2);
#endif
}

SPEECHCMP_INLINE Cells widen(Floats floats) {
    HalfFloats halves[2];
    __builtin_memcpy(halves, &floats, sizeof floats);
    return {__builtin_convertvector(halves[0], Doubles), __builtin_convertvector(halves[1], Doubles)};
}

SPEECHCMP_INLINE Floats square_root(Floats values) {
    for (int k = 0; k < kLanes; ++k) values[k] = __builtin_sqrtf(values[k]);
    return values;
}

template <int kMetric>
SPEECHCMP_INLINE Floats one_dim(Floats take, Floats reference) {
    const Floats difference = take - reference;
    return kMetric == kL1 ? (Floats)((FloatBits)difference & 0x7fffffff) : difference * difference;
}

template <int kMetric>
SPEECHCMP_INLINE Floats local_cost(const float* take, std::size_t stride, const float* rows, std::size_t n_dims) {
    Floats sum = one_dim<kMetric>(load<Floats>(take), load<Floats>(rows));
#pragma GCC unroll 4
    for (std::size_t d = 1; d < n_dims; ++d)
        sum += one_dim<kMetric>(load<Floats>(take + d * stride), load<Floats>(rows + d * kLanes));
    return kMetric == kL2 ? square_root(sum) : sum;
}

// The code of a step sits in the two lowest bits of its candidate: one minimum then picks
// cost and step together, and of equal costs the lower code, kDiagonal < kUp < kLeft.
SPEECHCMP_INLINE Doubles with_code(Doubles cells, std::int64_t code) {
    return (Doubles)((DoubleBits)cells | code);
}

SPEECHCMP_INLINE Doubles without_code(Doubles cells) { return (Doubles)((DoubleBits)cells & ~kCodeMask); }

template <bool kPath>
SPEECHCMP_INLINE Doubles advance(Doubles diagonal, Doubles up, Doubles left, Doubles cost, DoubleBits& codes) {
    if (!kPath) return smaller(diagonal, smaller(up, left)) + cost;
    const Doubles best = smaller(diagonal, smaller(with_code(up, kUp), with_code(left, kLeft)));
    codes = (codes << 2) | ((DoubleBits)best & kCodeMask);
    return without_code(best + cost);
}

SPEECHCMP_INLINE Doubles inside(Doubles cells, std::int64_t t, const std::int64_t* first,
                                const std::int64_t* last) {
    const DoubleBits step = t - DoubleBits{};
    const DoubleBits is_inside = (step >= load<DoubleBits>(first)) & (step <= load<DoubleBits>(last));
    return is_inside ? cells : splat(kFar);
}

template <int kMetric, bool kPath>
SPEECHCMP_TARGET void run_strip(const Strip strip) {
    const float* take = strip.take - (kLanes - 1);
    double* border = strip.border;
    std::uint64_t* words = strip.words;
    const std::uint64_t n_inner = static_cast<std::uint64_t>(strip.inner_stop - strip.inner_start);

    Cells cells = {splat(kFar), splat(kFar)};
    Cells diagonal = cells;
    diagonal.high[kHalf - 1] = border[strip.start - 1];
    DoubleBits codes_low = {}, codes_high = {};
    int n_codes = 0;
    for (std::int64_t t = strip.start; t < strip.stop; ++t) {
        const Cells cost = widen(local_cost<kMetric>(take + t, strip.stride, strip.rows, strip.n_dims));
        const Cells up = {slide(cells.low, cells.high), slide(cells.high, splat(border[t]))};
        cells.low = advance<kPath>(diagonal.low, up.low, cells.low, cost.low, codes_low);
        cells.high = advance<kPath>(diagonal.high, up.high, cells.high, cost.high, codes_high);
        if (static_cast<std::uint64_t>(t - strip.inner_start) >= n_inner) {
            cells.low = inside(cells.low, t, strip.first, strip.last);
            cells.high = inside(cells.high, t, strip.first + kHalf, strip.last + kHalf);
        }
        diagonal = up;
        // Written in place: the bottom row, in lane 0, is the last to write each column.
        store(border + t - (kLanes - 1), cells.low);
        store(border + t - (kLanes - 1) + kHalf, cells.high);
        if (strip.kept != nullptr) strip.kept[t - strip.kept_row] = border[t - strip.kept_row];
        if (kPath && (++n_codes == kCodesInWord || t + 1 == strip.stop)) {
            const int gap = 2 * (kCodesInWord - n_codes);
            store(words, codes_low << gap);
            store(words + kHalf, codes_high << gap);
            words += kLanes;
            n_codes = 0;
        }
    }
}

inline RunStrip choose(int metric, bool path) {
    switch (metric) {
        case kL1: return path ? run_strip<kL1, true> : run_strip<kL1, false>;
        case kL2: return path ? run_strip<kL2, true> : run_strip<kL2, false>;
        default: return path ? run_strip<kSquared, true> : run_strip<kSquared, false>;
    }
}

#undef SPEECHCMP_INLINE
#undef SPEECHCMP_LANES
#undef SPEECHCMP_TARGET
