// Convolutions of 3 x 3 over some pixels of a row, their sums in registers.
#pragma once
#include <cstring>
#include "vectors.h"

namespace {

#ifdef __AVX512F__
enum { TILE3 = 8, TILE2 = 12, TILE1 = 24 };  // pixels at a time: 24 sums in 32 registers
#else
enum { TILE3 = 2, TILE2 = 3, TILE1 = 6 };
#endif

// sums[pixel][vector] += 3x3 convolution of `in` channels; weights (9, in, VECTORS * 16).
template <int PIXELS, int VECTORS, int STEP>
inline void convolve(v16 (&sums)[PIXELS][STEP], const float *const rows[3], int x, int in,
                     const float *weights, int first = 0, int end = 9) {
    weights += (size_t)first * in * VECTORS * 16;
    for (int tap = first; tap < end; tap++) {
        const float *from = rows[tap / 3] + (size_t)(x + tap % 3) * in;
        for (int c = 0; c < in; c++, weights += VECTORS * 16) {
            v16 k[VECTORS];
            for (int v = 0; v < VECTORS; v++) k[v] = load(weights + 16 * v);
#pragma GCC unroll 32
            for (int i = 0; i < PIXELS; i++) {
                v16 value = all(from[i * in + c]);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++) sums[i][v] += value * k[v];
            }
        }
    }
}

#ifdef __AVX512BF16__
template <int PIXELS, int VECTORS, int STEP>
inline void convolve(v16 (&sums)[PIXELS][STEP], const uint16_t *const rows[3], int x, int in,
                     const float *weights, int first = 0, int end = 9) {  // pairs of bf16
    weights += (size_t)first * in / 2 * VECTORS * 16;
    for (int tap = first; tap < end; tap++) {
        const uint16_t *from = rows[tap / 3] + (size_t)(x + tap % 3) * in;
        for (int c = 0; c < in; c += 2, weights += VECTORS * 16) {
            __m512bh k[VECTORS];
            for (int v = 0; v < VECTORS; v++) k[v] = (__m512bh)_mm512_loadu_si512(weights + 16 * v);
#pragma GCC unroll 32
            for (int i = 0; i < PIXELS; i++) {
                int32_t pair;
                std::memcpy(&pair, from + i * in + c, 4);
                __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++)
                    sums[i][v] = (v16)_mm512_dpbf16_ps((__m512)sums[i][v], value, k[v]);
            }
        }
    }
}
#endif

// 4 pixels of 4 channels each in one vector: VECTORS groups of 4 outputs; weights (9, IN, VECTORS*16).
template <int IN, int VECTORS>
inline void convolve4(v16 (&sums)[VECTORS], const float *const rows[3], int x, const float *weights) {
    for (int tap = 0; tap < 9; tap++) {
        v16 from = load(rows[tap / 3] + (size_t)(x + tap % 3) * 4);
        v16 value[4] = {spread<0>(from), spread<1>(from), spread<2>(from), spread<3>(from)};
#pragma GCC unroll 4
        for (int c = 0; c < IN; c++, weights += VECTORS * 16)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) sums[v] += value[c] * load(weights + 16 * v);
    }
}

}  // namespace
