// One step of a decoder on a CPU, in one call: `thord_run` carries out a list of operations on M tokens.
//
// Generating a token reads every weight once, so the machine's memory bandwidth is the limit; torch's matrix-vector
// products reach a third of it, and the rest goes to calls of small operations. Here weights lie as they are read, and
// all threads stay in one parallel region. Python says what is computed (engine/inference/native/program.py).
//
// Numbers: activations are float32 between operations. A matrix product rounds them to what its weights need: bfloat16
// for bfloat16 weights, 16 bits with one scale a row for 8-bit and 4-bit ones, nothing for float32. Each sum is taken
// in one order whatever M is, so a token's numbers do not depend on who else is computed, nor on how its prompt was cut.

#include "adapters.h"
#include "attention.h"

#include <atomic>
#include <omp.h>

namespace {

// Threads wait for each other a few microseconds at a time: they spin, and sleep only when it takes longer.
class Barrier {
  public:
    void wait(int threads) { await(arrive(threads)); }

    // Says that this thread is here, and goes on. What it gives is for `await`, before the thread arrives again.
    unsigned arrive(int threads) {
        const unsigned phase = phase_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            phase_.notify_all();
        }
        return phase;
    }

    // Waits until all threads are there.
    void await(unsigned phase) {
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

void normalise(const Operation &op, int64_t m) {
    const float *x = op.from + m * op.from_width;
    float *y = op.to + m * op.to_width;
    const int64_t width = op.from_width;
    floats totals = {}, squares = {};
    if (op.shift)
        for (int64_t i = 0; i < width; i += LANES) totals += some(x, i, width);
    const float mean = op.shift ? sum(totals) / float(width) : 0.0f;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) squares = fused(load(x + i) - mean, load(x + i) - mean, squares);
    float total = sum(squares);
    for (; i < width; i++) total += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / std::sqrt(total / float(width) + op.epsilon);
    i = 0;
    for (; i + LANES <= width; i += LANES) {
        const floats v = (load(x + i) - mean) * factor * load(op.scale + i);
        store(y + i, op.shift ? v + load(op.shift + i) : v);
    }
    for (; i < width; i++) y[i] = (x[i] - mean) * factor * op.scale[i] + (op.shift ? op.shift[i] : 0.0f);
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

}  // namespace

extern "C" {

// Bytes of scratch that `thord_run` needs for `rows` tokens, products of at most `widest` inputs, `longest` positions.
int64_t thord_scratch(int64_t rows, int64_t widest, int64_t longest, int64_t threads) {
    const int64_t k = padded(widest);
    const int64_t prepared = rows * (k * (4 + 2 + 2) + k / GROUP * 4 + 4) + 2 * k;
    const int64_t own = MOST_HEADS * (longest + 2 * LANES) + room_for_sums(rows);  // numbers of each thread
    return prepared + threads * own * 4 + 16 * 64;
}

void thord_run(const Operation *operations, int64_t count, const Tokens *given, uint8_t *scratch, int64_t widest,
               int64_t longest, int64_t wanted) {
    const Tokens &tokens = *given;
    const int64_t M = tokens.count, K = padded(widest);
    auto take = [&scratch](int64_t bytes) {
        scratch = reinterpret_cast<uint8_t *>((reinterpret_cast<uintptr_t>(scratch) + 63) & ~uintptr_t(63));
        uint8_t *taken = scratch;
        scratch += bytes;
        return taken;
    };
    Prepared x{};
    x.plain = reinterpret_cast<float *>(take(M * K * 4));
    x.half = reinterpret_cast<bfloat16 *>(take(M * K * 2));  // AMX reads up to 15 rows, but no more than M, beyond
    x.whole = reinterpret_cast<int16_t *>(take(M * K * 2));
    uint8_t *bytes = take(2 * K);
    if (M == 1) x.high = reinterpret_cast<int8_t *>(bytes), x.low = x.high + K;
    x.sums = reinterpret_cast<int32_t *>(take(M * K / GROUP * 4));
    x.scales = reinterpret_cast<float *>(take(M * 4));
    const int64_t room = longest + 2 * LANES;
    float *scores = reinterpret_cast<float *>(take(wanted * MOST_HEADS * room * 4));
    float *sums = reinterpret_cast<float *>(take(wanted * room_for_sums(M) * 4));
    Barrier barrier;
#pragma omp parallel num_threads(wanted)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();  // may be fewer than wanted
#if defined(__AMX_BF16__)
        const MatrixRegisters registers(M);
#endif
        for (const Operation *op = operations; op < operations + count; op++) {
            Prepared in = x;
            in.k = padded(op->weight.k);
            Format beside = F32;
            const int64_t of_a = op->kind == LINEAR ? panels_of_a(*op, tokens, beside) : 0;
            int64_t group = 0;
            for (int64_t m = thread; m < M; m += threads) switch (op->kind) {
                case EMBED:
                    for (int64_t i = 0; i < op->to_width; i++)
                        op->to[m * op->to_width + i] =
                            at(op->weight, in.k, tokens.ids[m], i) +
                            (op->shift ? op->shift[tokens.positions[m] * op->to_width + i] : 0);
                    break;
                case NORM: normalise(*op, m); break;
                case GATE: gate(*op, m); break;
                case LINEAR:
                    prepare_row(in, op->weight.format, m, op->from + m * op->from_width, op->weight.k);
                    if (of_a && beside != op->weight.format)
                        prepare_row(in, beside, m, op->from + m * op->from_width, op->weight.k);
                    break;
                case ATTEND:
                    while (m >= tokens.groups[group].end) group++;
                    if (op->cache_format == BF16) remember<bfloat16>(*op, tokens, tokens.groups[group].cache, m);
                    else remember<float>(*op, tokens, tokens.groups[group].cache, m);
            }
            if (op->kind == LINEAR) {
                barrier.wait(threads);
                float *own = sums + thread * room_for_sums(M);
                const int64_t all_panels = of_a + panels_of(op->weight);  // each thread's share of them: A, the base
                const int64_t first = all_panels * thread / threads, last = all_panels * (thread + 1) / threads;
                const int64_t begin = first > of_a ? first - of_a : 0, end = last > of_a ? last - of_a : 0;
                if (of_a) {
                    shrink(*op, tokens, in, first, last, own);
                    const unsigned phase = barrier.arrive(threads);
                    linear(*op, in, M, begin, end, own);
                    barrier.await(phase);
                    widen(*op, tokens, begin, end);
                } else {
                    linear(*op, in, M, begin, end, own);
                }
                barrier.wait(threads);
            } else if (op->kind == ATTEND) {
                barrier.wait(threads);
                const int together = heads_together(*op, M, threads);
                const int64_t each = op->heads / together, end = M * each;
                auto seen_by = [&](int64_t i) { return seen(*op, tokens, i % each * together, i / each); };
                float *own = scores + thread * MOST_HEADS * room;
                group = 0;
                for (int64_t i = thread; i < end; i += threads) {
                    const Seen here = seen_by(i), next = seen_by(i + threads < end ? i + threads : i);
                    const int64_t m = i / each, head = i % each * together;
                    while (m >= tokens.groups[group].end) group++;
                    const void *cache = tokens.groups[group].cache;
                    if (op->cache_format == BF16)
                        attend<bfloat16>(together, *op, cache, m, head, here, next, own, room);
                    else attend<float>(together, *op, cache, m, head, here, next, own, room);
                }
                barrier.wait(threads);
            }
            // What is computed token by token stays with its thread until the next product: no barrier is needed.
        }
    }
}

}  // extern "C"
