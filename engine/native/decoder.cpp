// One step of a decoder on a CPU, in one call: `thord_run` carries out a list of operations on M tokens.
//
// Generating a token reads every weight once, so the machine's memory bandwidth is the limit; torch's matrix-vector
// products reach a third of it, and the rest goes to calls of small operations. Here weights lie as they are read, and
// all threads stay in one parallel region. Python says what is computed (engine/native/program.py).
//
// Numbers: activations are float32 between operations. A matrix product rounds them to what its weights need: bfloat16
// for bfloat16 weights, 16 bits with one scale a row for 8-bit and 4-bit ones, nothing for float32. Each sum is taken
// in one order whatever M is, so a token's numbers do not depend on who else is computed, nor on how its prompt was cut.
//
// Weights [N, K] lie in panels of 16 outputs, K padded to GROUP with zeros; in a panel, for each step of k the 16
// outputs side by side: float32 1 k a step, bfloat16 2, 8-bit 4 (value + 128), 4-bit 8 (value + 8; the first four in the
// low halves of the bytes). Scales: 8-bit [N], 4-bit [N / 16, K / GROUP, 16].
//
// Where the processor has instructions for bfloat16 and 8-bit products (AVX-512 BF16 and VNNI), they are used.

#include "vectors.h"

#include <atomic>
#include <omp.h>

namespace {

constexpr int64_t GROUP = 32;
enum Format : int64_t { F32, BF16, INT8, INT4 };
enum Kind : int64_t { EMBED, NORM, LINEAR, ATTEND, GATE };
enum Finish : int64_t { SET, ADD, GELU };

}  // namespace

extern "C" {

struct Weight {
    Format format;
    int64_t n, k;  // as the model has them
    const void *packed;
    const float *scales;
    const float *bias;  // or null
};

// What one operation reads and writes; which fields count depends on its kind.
struct Operation {
    Kind kind;
    float *from, *to;                // [M, width of each]
    int64_t from_width, to_width;
    Weight weight;                   // LINEAR, EMBED: the table
    Finish finish;                   // LINEAR: what becomes of the product
    const float *scale, *shift;      // NORM: weight, and bias of a LayerNorm; EMBED: shift is the table of positions
    float epsilon;                   // NORM, and those of queries and keys
    void *keys, *values;             // ATTEND: one layer of the cache, [rows, kv_heads, length, head]
    int64_t cache_format, length;
    int64_t heads, kv_heads, head, window;
    const float *query_norm, *key_norm;  // [head], or null
    const float *cosines, *sines;        // [positions, head / 2], or null
};

}  // extern "C"

namespace {

// Threads wait for each other a few microseconds at a time: they spin, and sleep only when it takes longer.
class Barrier {
  public:
    void wait(int threads) {
        unsigned phase = phase_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            phase_.notify_all();
            return;
        }
        for (int i = 0; i < SPINS; i++) {
            if (phase_.load(std::memory_order_acquire) != phase) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        phase_.wait(phase, std::memory_order_acquire);
    }

  private:
    static constexpr int SPINS = 2000;
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> phase_{0};
};

// Matrix products -----------------------------------------------------------------------------------------------------

// Activations as a product reads them. Sums over k are kept for weights that are stored with an offset.
struct Prepared {
    int64_t k;         // padded
    float *plain;      // [M, k]
    bfloat16 *half;    // [M, k]
    int8_t *high, *low;  // [M, k]: 16 bits as 256 * high + low
    int32_t *high_sums, *low_sums;  // [M, k / GROUP]
    float *scales;     // [M]
};

void prepare_row(const Prepared &to, Format format, int64_t m, const float *x, int64_t width) {
    const int64_t k = to.k;
#if defined(__AVX512BF16__)
    if (format == BF16) {
        bfloat16 *out = to.half + m * k;
        for (int64_t i = 0; i < width; i++) out[i] = rounded(x[i]);
        for (int64_t i = width; i < k; i++) out[i] = 0;
        return;
    }
#endif
#if defined(__AVX512VNNI__)
    if (format == INT8 || format == INT4) {
        float most = 0;
        for (int64_t i = 0; i < width; i++) most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
        float scale = most / 32512.0f, inverse = most > 0 ? 32512.0f / most : 0.0f;
        if (!(most < INFINITY)) scale = NAN;
        to.scales[m] = scale;
        int8_t *high = to.high + m * k, *low = to.low + m * k;
        for (int64_t i = 0; i < k; i++) {
            int32_t value = i < width ? int32_t(std::nearbyint(x[i] * inverse)) : 0;
            low[i] = int8_t(value & 255);
            high[i] = int8_t((value - low[i]) >> 8);
        }
        for (int64_t g = 0; g < k / GROUP; g++) {
            int32_t a = 0, b = 0;
            for (int64_t i = g * GROUP; i < (g + 1) * GROUP; i++) a += high[i], b += low[i];
            to.high_sums[m * (k / GROUP) + g] = a;
            to.low_sums[m * (k / GROUP) + g] = b;
        }
        return;
    }
#endif
    std::memcpy(to.plain + m * k, x, width * sizeof(float));
    std::memset(to.plain + m * k + width, 0, (k - width) * sizeof(float));
}

// Each tile computes NB panels for MB rows: acc[m][n] are 16 outputs of one row.
template <int MB, int NB>
void tile_f32(const Prepared &x, int64_t m0, const float *w, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
    for (int64_t k = 0; k < x.k; k++) {
        for (int n = 0; n < NB; n++) {
            floats column = load(w + n * panel + k * LANES);
            for (int m = 0; m < MB; m++) acc[m][n] = fused(column, all(x.plain[(m0 + m) * x.k + k]), acc[m][n]);
        }
    }
}

template <int MB, int NB>
void tile_bf16(const Prepared &x, int64_t m0, const bfloat16 *w, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
    for (int64_t k = 0; k < x.k; k += 2) {
        for (int n = 0; n < NB; n++) {
            words pair = load_words(w + n * panel + k * LANES);
            // Many rows compute longer than one pair takes to come; the panels after these come meanwhile.
            if constexpr (MB >= 8) __builtin_prefetch(w + (NB + n) * panel + k * LANES, 0, 2);
            for (int m = 0; m < MB; m++) {
#if defined(__AVX512BF16__)
                int32_t both;
                std::memcpy(&both, x.half + (m0 + m) * x.k + k, 4);
                acc[m][n] = (floats)_mm512_dpbf16_ps((__m512)acc[m][n], (__m512bh)pair, (__m512bh)_mm512_set1_epi32(both));
#else
                const float *a = x.plain + (m0 + m) * x.k + k;
                acc[m][n] = fused(bits(pair << 16), all(a[0]), acc[m][n]);
                acc[m][n] = fused(bits(pair & 0xffff0000u), all(a[1]), acc[m][n]);
#endif
            }
        }
    }
}

#if defined(__AVX512VNNI__)
inline ints dot(ints acc, words w, const int8_t *a) {
    int32_t four;
    std::memcpy(&four, a, 4);
    return (ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(four));
}
#endif

template <int MB, int NB>
void tile_int8(const Prepared &x, int64_t m0, const uint8_t *w, const float *scales, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES;
#if defined(__AVX512VNNI__)
    ints high[MB][NB], low[MB][NB];
    for (int m = 0; m < MB; m++) {
        int32_t a = 0, b = 0;
        for (int64_t g = 0; g < x.k / GROUP; g++) {
            a += x.high_sums[(m0 + m) * (x.k / GROUP) + g];
            b += x.low_sums[(m0 + m) * (x.k / GROUP) + g];
        }
        for (int n = 0; n < NB; n++) high[m][n] = -128 * a - ints{}, low[m][n] = -128 * b - ints{};
    }
    for (int64_t k = 0; k < x.k; k += 4) {
        for (int n = 0; n < NB; n++) {
            words four = load_words(w + n * panel + k * LANES);
            for (int m = 0; m < MB; m++) {
                high[m][n] = dot(high[m][n], four, x.high + (m0 + m) * x.k + k);
                low[m][n] = dot(low[m][n], four, x.low + (m0 + m) * x.k + k);
            }
        }
    }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++)
            acc[m][n] = (256.0f * __builtin_convertvector(high[m][n], floats) + __builtin_convertvector(low[m][n], floats)) *
                        x.scales[m0 + m] * load(scales + n * LANES);
#else
    for (int64_t k = 0; k < x.k; k += 4)
        for (int n = 0; n < NB; n++) {
            words four = load_words(w + n * panel + k * LANES);
            for (int j = 0; j < 4; j++) {
                floats column = __builtin_convertvector((four >> (8 * j)) & 255u, floats) - 128.0f;
                for (int m = 0; m < MB; m++)
                    acc[m][n] = fused(column, all(x.plain[(m0 + m) * x.k + k + j]), acc[m][n]);
            }
        }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++) acc[m][n] *= load(scales + n * LANES);
#endif
}

template <int MB, int NB>
void tile_int4(const Prepared &x, int64_t m0, const uint8_t *w, const float *scales, floats (&acc)[MB][NB]) {
    const int64_t panel = x.k * LANES / 2, groups = x.k / GROUP;
    for (int64_t g = 0; g < groups; g++) {
        for (int n = 0; n < NB; n++) {
            const uint8_t *from = w + n * panel + g * GROUP * LANES / 2;
            const floats scale = load(scales + (n * groups + g) * LANES);
#if defined(__AVX512VNNI__)
            ints high[MB], low[MB];
            for (int m = 0; m < MB; m++) {
                high[m] = -8 * x.high_sums[(m0 + m) * groups + g] - ints{};
                low[m] = -8 * x.low_sums[(m0 + m) * groups + g] - ints{};
            }
            for (int64_t i = 0; i < GROUP; i += 8) {
                words eight = load_words(from + i * LANES / 2);
                words first = eight & 0x0f0f0f0fu, second = (eight >> 4) & 0x0f0f0f0fu;
                for (int m = 0; m < MB; m++) {
                    const int64_t at = (m0 + m) * x.k + g * GROUP + i;
                    high[m] = dot(dot(high[m], first, x.high + at), second, x.high + at + 4);
                    low[m] = dot(dot(low[m], first, x.low + at), second, x.low + at + 4);
                }
            }
            for (int m = 0; m < MB; m++)
                acc[m][n] += __builtin_convertvector(256 * high[m] + low[m], floats) * (scale * x.scales[m0 + m]);
#else
            for (int m = 0; m < MB; m++) {
                floats part = {};
                for (int64_t i = 0; i < GROUP; i += 8) {
                    words eight = load_words(from + i * LANES / 2);
                    for (int j = 0; j < 8; j++) {
                        words nibble = (eight >> (8 * (j % 4) + 4 * (j / 4))) & 15u;
                        const float a = x.plain[(m0 + m) * x.k + g * GROUP + i + j];
                        part = fused(__builtin_convertvector(nibble, floats) - 8.0f, all(a), part);
                    }
                }
                acc[m][n] += part * scale;
            }
#endif
        }
    }
}

template <int MB, int NB>
void tile(const Operation &op, const Prepared &x, int64_t m0, int64_t panel) {
    const Weight &w = op.weight;
    const int64_t bits_of[] = {32, 16, 8, 4};
    const uint8_t *from = static_cast<const uint8_t *>(w.packed) + panel * LANES * x.k * bits_of[w.format] / 8;
    floats acc[MB][NB] = {};
    switch (w.format) {
        case F32: tile_f32<MB, NB>(x, m0, reinterpret_cast<const float *>(from), acc); break;
        case BF16: tile_bf16<MB, NB>(x, m0, reinterpret_cast<const bfloat16 *>(from), acc); break;
        case INT8: tile_int8<MB, NB>(x, m0, from, w.scales + panel * LANES, acc); break;
        case INT4: tile_int4<MB, NB>(x, m0, from, w.scales + panel * (x.k / GROUP) * LANES, acc); break;
    }
    for (int m = 0; m < MB; m++)
        for (int n = 0; n < NB; n++) {
            const int64_t first = (panel + n) * LANES, there = w.n - first < LANES ? w.n - first : LANES;
            float out[LANES], bias[LANES] = {};
            if (w.bias) std::memcpy(bias, w.bias + first, there * sizeof(float));
            floats value = acc[m][n] + load(bias);
            store(out, op.finish == GELU ? gelu(value) : value);
            float *to = op.to + (m0 + m) * op.to_width + first;
            if (there == LANES) {
                store(to, op.finish == ADD ? load(to) + load(out) : load(out));
            } else {
                for (int64_t i = 0; i < there; i++) to[i] = op.finish == ADD ? to[i] + out[i] : out[i];
            }
        }
}

// All rows against NB panels that lie side by side; MB: as many rows at once as registers hold.
template <int MB, int NB>
void panels(const Operation &op, const Prepared &x, int64_t rows, int64_t panel) {
    int64_t m = 0;
    for (; m + MB <= rows; m += MB) tile<MB, NB>(op, x, m, panel);
    if constexpr (MB > 4) for (; m + 4 <= rows; m += 4) tile<4, NB>(op, x, m, panel);
    if constexpr (MB > 2) for (; m + 2 <= rows; m += 2) tile<2, NB>(op, x, m, panel);
    for (; m < rows; m++) tile<1, NB>(op, x, m, panel);
}

void linear(const Operation &op, const Prepared &x, int64_t rows, int64_t thread, int64_t threads) {
    const int64_t count = (op.weight.n + LANES - 1) / LANES;
    int64_t panel = count * thread / threads;
    const int64_t end = count * (thread + 1) / threads;
    const bool whole = op.weight.format == INT8 || op.weight.format == INT4;  // two sums an output: half the tile
    if (rows >= 8 && !whole) {
        for (; panel + 2 <= end; panel += 2) panels<8, 2>(op, x, rows, panel);
    } else if (whole && rows > 1) {
        for (; panel + 2 <= end; panel += 2) panels<4, 2>(op, x, rows, panel);
    } else {
        for (; panel + 4 <= end; panel += 4) panels<4, 4>(op, x, rows, panel);
    }
    for (; panel < end; panel++) panels<4, 1>(op, x, rows, panel);
}

// Everything else, token by token ---------------------------------------------------------------------------------------

float at(const Weight &w, int64_t padded, int64_t n, int64_t k) {
    const int64_t panel = n / LANES, lane = n % LANES, start = panel * LANES * padded;
    switch (w.format) {
        case F32: return static_cast<const float *>(w.packed)[start + k * LANES + lane];
        case BF16: return widened(static_cast<const bfloat16 *>(w.packed)[start + (k / 2 * LANES + lane) * 2 + k % 2]);
        case INT8: {
            int value = static_cast<const uint8_t *>(w.packed)[start + (k / 4 * LANES + lane) * 4 + k % 4];
            return float(value - 128) * w.scales[n];
        }
        default: {
            int byte = static_cast<const uint8_t *>(w.packed)[start / 2 + (k / 8 * LANES + lane) * 4 + k % 4];
            return float((k % 8 < 4 ? byte & 15 : byte >> 4) - 8) *
                   w.scales[(panel * (padded / GROUP) + k / GROUP) * LANES + lane];
        }
    }
}

void normalise(const Operation &op, int64_t m) {
    const float *x = op.from + m * op.from_width;
    float *y = op.to + m * op.to_width;
    const int64_t width = op.from_width;
    double total = 0, squares = 0;
    for (int64_t i = 0; i < width; i++) total += x[i];
    const float mean = op.shift ? float(total / width) : 0.0f;
    for (int64_t i = 0; i < width; i++) squares += double(x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / std::sqrt(float(squares / width) + op.epsilon);
    for (int64_t i = 0; i < width; i++) y[i] = (x[i] - mean) * factor * op.scale[i] + (op.shift ? op.shift[i] : 0.0f);
}

void gate(const Operation &op, int64_t m) {  // SwiGLU of [gate | up]
    const int64_t width = op.to_width;
    const float *x = op.from + m * op.from_width;
    float *y = op.to + m * width;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        floats g = load(x + i);
        store(y + i, g / (1.0f + power(-g)) * load(x + width + i));
    }
    for (; i < width; i++) y[i] = x[i] / (1.0f + std::exp(-x[i])) * x[width + i];
}

void turn(const Operation &op, float *head, int64_t position, const float *norm) {
    const int64_t width = op.head, half = width / 2;
    if (norm) {
        float squares = 0;
        for (int64_t i = 0; i < width; i++) squares += head[i] * head[i];
        const float factor = 1.0f / std::sqrt(squares / width + op.epsilon);
        for (int64_t i = 0; i < width; i++) head[i] *= factor * norm[i];
    }
    if (op.cosines) {
        const float *cosine = op.cosines + position * half, *sine = op.sines + position * half;
        for (int64_t i = 0; i < half; i++) {
            const float a = head[i], b = head[i + half];
            head[i] = a * cosine[i] - b * sine[i];
            head[i + half] = b * cosine[i] + a * sine[i];
        }
    }
}

inline void keep(float *to, const float *x, int64_t width) { std::memcpy(to, x, width * sizeof(float)); }
inline void keep(bfloat16 *to, const float *x, int64_t width) {
    for (int64_t i = 0; i < width; i++) to[i] = rounded(x[i]);
}

// Queries, keys and values of one token: turned by position; keys and values go into the cache.
template <class Element>
void remember(const Operation &op, int64_t m, int64_t row, int64_t position) {
    float *query = op.from + m * op.from_width;
    float *key = query + op.heads * op.head, *value = key + op.kv_heads * op.head;
    for (int64_t h = 0; h < op.heads; h++) turn(op, query + h * op.head, position, op.query_norm);
    for (int64_t h = 0; h < op.kv_heads; h++) {
        turn(op, key + h * op.head, position, op.key_norm);
        const int64_t place = ((row * op.kv_heads + h) * op.length + position) * op.head;
        keep(static_cast<Element *>(op.keys) + place, key + h * op.head, op.head);
        keep(static_cast<Element *>(op.values) + place, value + h * op.head, op.head);
    }
}

// Where keys and values of the positions lie that a token may look at.
struct Seen {
    int64_t place, count;
};

inline Seen seen(const Operation &op, int64_t h, int64_t row, int64_t position) {
    const int64_t begin = op.window && position >= op.window ? position - op.window + 1 : 0;
    const int64_t group = row * op.kv_heads + h / (op.heads / op.kv_heads);
    return {(group * op.length + begin) * op.head, position + 1 - begin};
}

// Has NV vectors come into the cache. Each head of each row lies elsewhere, so the processor does not foresee the next.
template <int NV, class Element>
inline void fetch(const Element *from) {
    constexpr int64_t BYTES = NV * LANES * sizeof(Element);
    for (int64_t at = 0; at < BYTES; at += 64) __builtin_prefetch(reinterpret_cast<const char *>(from) + at);
}

// What attention takes from the values in NV vectors of a head: side by side, because each sum waits for the one before.
template <int NV, class Element>
void mix(const Element *values, const Element *next, const float *scores, int64_t count, int64_t width, floats total,
         float *to) {
    floats mixed[NV] = {};
    for (int64_t s = 0; s < count; s++) {
        fetch<NV>(next + s * width);
        const floats score = all(scores[s]);
        for (int v = 0; v < NV; v++) mixed[v] = fused(score, load(values + s * width + v * LANES), mixed[v]);
    }
    for (int v = 0; v < NV; v++) store(to + v * LANES, mixed[v] / total);
}

// `next`: what the thread looks at after this.
template <class Element>
void attend(const Operation &op, int64_t m, int64_t h, const Seen &here, const Seen &next, float *scores) {
    const int64_t width = op.head, vectors = width / LANES, count = here.count;
    const Element *keys = static_cast<const Element *>(op.keys) + here.place;
    const Element *values = static_cast<const Element *>(op.values) + here.place;
    const Element *next_keys = static_cast<const Element *>(op.keys) + next.place;
    const Element *next_values = static_cast<const Element *>(op.values) + next.place;
    const float *query = op.from + m * op.from_width + h * width;
    const float shrink = 1.0f / std::sqrt(float(width));
    float most = -INFINITY;
    for (int64_t s = 0; s < count; s++) {
        floats products = {};
        for (int64_t v = 0; v < vectors; v++) {
            fetch<1>(next_keys + s * width + v * LANES);
            products = fused(load(query + v * LANES), load(keys + s * width + v * LANES), products);
        }
        scores[s] = sum(products) * shrink;
        most = scores[s] > most ? scores[s] : most;
    }
    for (int64_t s = count; s % LANES; s++) scores[s] = -INFINITY;
    floats totals = {};
    for (int64_t s = 0; s < count; s += LANES) {
        floats share = power(load(scores + s) - most);
        for (int64_t i = count - s; i < LANES; i++) share[i] = 0.0f;
        store(scores + s, share);
        totals += share;
    }
    const floats total = all(sum(totals));
    float *to = op.to + m * op.to_width + h * width;
    int64_t v = 0;
    for (; v + 4 <= vectors; v += 4) mix<4>(values + v * LANES, next_values + v * LANES, scores, count, width, total, to + v * LANES);
    for (; v < vectors; v++) mix<1>(values + v * LANES, next_values + v * LANES, scores, count, width, total, to + v * LANES);
}

int64_t padded(int64_t k) { return (k + GROUP - 1) / GROUP * GROUP; }

}  // namespace

extern "C" {

// Bytes of scratch that `thord_run` needs for `rows` tokens, products of at most `widest` inputs, `longest` positions.
int64_t thord_scratch(int64_t rows, int64_t widest, int64_t longest, int64_t threads) {
    const int64_t k = padded(widest);
    return rows * (k * (4 + 2 + 1 + 1) + k / GROUP * 8 + 4) + threads * (longest + 2 * LANES) * 4 + 16 * 64;
}

// Token m is `tokens[m]` at `positions[m]` of cache row `rows[m]`. Tokens of one row come in order.
void thord_run(const Operation *operations, int64_t count, int64_t tokens_count, const int64_t *tokens,
               const int64_t *rows, const int64_t *positions, uint8_t *scratch, int64_t widest, int64_t longest,
               int64_t wanted) {
    const int64_t M = tokens_count, K = padded(widest);
    auto take = [&scratch](int64_t bytes) {
        scratch = reinterpret_cast<uint8_t *>((reinterpret_cast<uintptr_t>(scratch) + 63) & ~uintptr_t(63));
        uint8_t *taken = scratch;
        scratch += bytes;
        return taken;
    };
    Prepared x{};
    x.plain = reinterpret_cast<float *>(take(M * K * 4));
    x.half = reinterpret_cast<bfloat16 *>(take(M * K * 2));
    x.high = reinterpret_cast<int8_t *>(take(M * K));
    x.low = reinterpret_cast<int8_t *>(take(M * K));
    x.high_sums = reinterpret_cast<int32_t *>(take(M * K / GROUP * 4));
    x.low_sums = reinterpret_cast<int32_t *>(take(M * K / GROUP * 4));
    x.scales = reinterpret_cast<float *>(take(M * 4));
    const int64_t room = longest + 2 * LANES;
    float *scores = reinterpret_cast<float *>(take(wanted * room * 4));
    Barrier barrier;
#pragma omp parallel num_threads(wanted)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();  // may be fewer than wanted
        for (const Operation *op = operations; op < operations + count; op++) {
            Prepared in = x;
            in.k = padded(op->weight.k);
            for (int64_t m = thread; m < M; m += threads) switch (op->kind) {
                case EMBED:
                    for (int64_t i = 0; i < op->to_width; i++)
                        op->to[m * op->to_width + i] =
                            at(op->weight, in.k, tokens[m], i) + (op->shift ? op->shift[positions[m] * op->to_width + i] : 0);
                    break;
                case NORM: normalise(*op, m); break;
                case GATE: gate(*op, m); break;
                case LINEAR: prepare_row(in, op->weight.format, m, op->from + m * op->from_width, op->weight.k); break;
                case ATTEND:
                    if (op->cache_format == BF16) remember<bfloat16>(*op, m, rows[m], positions[m]);
                    else remember<float>(*op, m, rows[m], positions[m]);
            }
            if (op->kind == LINEAR) {
                barrier.wait(threads);
                linear(*op, in, M, thread, threads);
                barrier.wait(threads);
            } else if (op->kind == ATTEND) {
                barrier.wait(threads);
                const int64_t heads = op->heads, end = M * heads;
                auto seen_by = [&](int64_t i) { return seen(*op, i % heads, rows[i / heads], positions[i / heads]); };
                for (int64_t i = thread; i < end; i += threads) {
                    const Seen here = seen_by(i), next = seen_by(i + threads < end ? i + threads : i);
                    float *own = scores + thread * room;
                    if (op->cache_format == BF16) attend<bfloat16>(*op, i / heads, i % heads, here, next, own);
                    else attend<float>(*op, i / heads, i % heads, here, next, own);
                }
                barrier.wait(threads);
            }
            // What is computed token by token stays with its thread until the next product: no barrier is needed.
        }
    }
}

}  // extern "C"
