// Products of bfloat16 by AMX, whose registers hold 16 rows of 64 bytes.
//
// The weights of a panel and 32 inputs fill one as they are packed, and so do 32 inputs of 16 tokens. An instruction
// multiplies the two and adds to the sums of 16 tokens and 16 outputs. Each token's sums are taken in one order, however
// many tokens there are: 32 inputs a step, even and odd ones apart.

#pragma once

#if defined(__AMX_BF16__)

#include "finishing.h"

namespace {

constexpr int64_t MATRIX_ROWS = 16, MATRIX_INPUTS = 32;  // of one register, in bfloat16
constexpr int64_t MATRIX = MATRIX_ROWS * PANEL;          // sums in one register
constexpr int FEW_PANELS = 4;                            // at once, of up to 16 tokens

// The registers of this thread while it computes so many tokens. Sums are in 0 to 3; what they are for is said below.
class MatrixRegisters {
  public:
    explicit MatrixRegisters(int64_t tokens) {
        struct alignas(64) {  // as LDTILECFG reads it
            uint8_t palette = 1, start = 0, unused[14] = {};
            uint16_t bytes_of_row[16] = {};
            uint8_t rows[16] = {};
        } shape;
        for (int i = 0; i < 8; i++) {
            const bool holds_weights = i >= 5 && i != 7;
            shape.bytes_of_row[i] = 64;
            shape.rows[i] = holds_weights || tokens > MATRIX_ROWS ? MATRIX_ROWS : tokens;
        }
        asm volatile("ldtilecfg %0" ::"m"(shape));
    }
    ~MatrixRegisters() { _tile_release(); }
    MatrixRegisters(const MatrixRegisters &) = delete;
    MatrixRegisters &operator=(const MatrixRegisters &) = delete;
};

// Up to 16 tokens against NB panels, all inputs; sums into `to`, a register after the other. 4: tokens; 5, 6: weights.
template <int NB>
inline void few_by_amx(const bfloat16 *a, const bfloat16 *w, int64_t k, float *to) {
    const int64_t stride = k * sizeof(bfloat16), panel = k * PANEL;
    _tile_zero(0);
    if constexpr (NB > 1) _tile_zero(1);
    if constexpr (NB > 2) _tile_zero(2);
    if constexpr (NB > 3) _tile_zero(3);
    for (int64_t i = 0; i < k; i += MATRIX_INPUTS) {
        const bfloat16 *from = w + i * PANEL;
        _tile_loadd(4, a + i, stride);
        _tile_loadd(5, from, 64);
        _tile_dpbf16ps(0, 4, 5);
        if constexpr (NB > 1) {
            _tile_loadd(6, from + panel, 64);
            _tile_dpbf16ps(1, 4, 6);
        }
        if constexpr (NB > 2) {
            _tile_loadd(5, from + 2 * panel, 64);
            _tile_dpbf16ps(2, 4, 5);
        }
        if constexpr (NB > 3) {
            _tile_loadd(6, from + 3 * panel, 64);
            _tile_dpbf16ps(3, 4, 6);
        }
    }
    _tile_stored(0, to, 64);
    if constexpr (NB > 1) _tile_stored(1, to + MATRIX, 64);
    if constexpr (NB > 2) _tile_stored(2, to + 2 * MATRIX, 64);
    if constexpr (NB > 3) _tile_stored(3, to + 3 * MATRIX, 64);
}

// 32 tokens against two panels, likewise. 4, 7: tokens; 5, 6: weights.
inline void many_by_amx(const bfloat16 *a, const bfloat16 *w, int64_t k, float *to) {
    const int64_t stride = k * sizeof(bfloat16);
    const bfloat16 *second = a + MATRIX_ROWS * k, *beside = w + k * PANEL;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < k; i += MATRIX_INPUTS) {
        _tile_loadd(5, w + i * PANEL, 64);
        _tile_loadd(4, a + i, stride);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, beside + i * PANEL, 64);
        _tile_dpbf16ps(1, 4, 6);
        _tile_loadd(7, second + i, stride);
        _tile_dpbf16ps(2, 7, 5);
        _tile_dpbf16ps(3, 7, 6);
    }
    _tile_stored(0, to, 64);
    _tile_stored(1, to + MATRIX, 64);
    _tile_stored(2, to + 2 * MATRIX, 64);
    _tile_stored(3, to + 3 * MATRIX, 64);
}

// `rows` tokens from the m-th on, of which the sums for NB panels lie a register after the other.
template <int NB>
inline void finish_amx(const Operation &op, const Prepared &x, int64_t m, int64_t rows, int64_t panel, const float *sums) {
    for (int64_t i = 0; i < rows; i++) {
        Tile<1, NB> acc;
        for (int n = 0; n < NB; n++) acc[0][n] = load(sums + n * MATRIX + i * PANEL);
        finish<1, NB>(op, x, m + i, panel, acc);
    }
}

// Tokens against the panels from `panel` to `end`, NB at a time. What is read beyond the last token is not used.
template <int NB>
void panels_by_amx(const Operation &op, const Prepared &x, int64_t rows, int64_t panel, int64_t end) {
    alignas(64) float sums[FEW_PANELS * MATRIX];
    for (; panel + NB <= end; panel += NB) {
        const bfloat16 *w = static_cast<const bfloat16 *>(op.weight.packed) + panel * x.k * PANEL;
        for (int64_t m = 0; m < rows;) {
            const int64_t left = rows - m;
            if (NB == 2 && left > MATRIX_ROWS) {
                many_by_amx(x.half + m * x.k, w, x.k, sums);
                finish_amx<NB>(op, x, m, MATRIX_ROWS, panel, sums);
                m += MATRIX_ROWS;
                const int64_t more = left < 2 * MATRIX_ROWS ? left - MATRIX_ROWS : MATRIX_ROWS;
                finish_amx<NB>(op, x, m, more, panel, sums + NB * MATRIX);
                m += more;
            } else {
                const int64_t some = left < MATRIX_ROWS ? left : MATRIX_ROWS;
                few_by_amx<NB>(x.half + m * x.k, w, x.k, sums);
                finish_amx<NB>(op, x, m, some, panel, sums);
                m += some;
            }
        }
    }
    if constexpr (NB > 1) panels_by_amx<NB / 2>(op, x, rows, panel, end);
}

void linear_by_amx(const Operation &op, const Prepared &x, int64_t rows, int64_t panel, int64_t end) {
    if (rows > MATRIX_ROWS) panels_by_amx<2>(op, x, rows, panel, end);
    else panels_by_amx<FEW_PANELS>(op, x, rows, panel, end);
}

}  // namespace

#endif
