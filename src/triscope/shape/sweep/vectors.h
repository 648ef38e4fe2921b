// Vectors of 16 floats, and the functions of one value that the cells need.
#pragma once
#include <cstdint>
#include <cstring>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));

inline v16 load(const float *p) { v16 v; std::memcpy(&v, p, 64); return v; }
inline void store(float *p, v16 v) { std::memcpy(p, &v, 64); }
inline v16 all(float x) { return v16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
inline v16 pick(i16 mask, v16 yes, v16 no) { return (v16)((mask & (i16)yes) | (~mask & (i16)no)); }
inline v16 least(v16 a, v16 b) { return pick(a < b, a, b); }
inline v16 most(v16 a, v16 b) { return pick(a > b, a, b); }

// e^x to about 1 unit in the last place between -87 and 88.
inline v16 exponential(v16 x) {
    x = least(most(x, all(-87.0f)), all(88.0f));
    const v16 magic = all(12582912.0f);
    v16 whole = (x * 1.44269504f + magic);
    i16 bits = (i16)whole;
    v16 n = whole - magic;
    v16 r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    v16 p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (v16)((i16)p + (bits << 23));
}
inline v16 sigmoid(v16 x) { return 1.0f / (1.0f + exponential(-x)); }
inline v16 tangent(v16 x) { return 1.0f - 2.0f / (exponential(x + x) + 1.0f); }

template <int C> inline v16 spread(v16 v) {  // channel C of each of 4 pixels, to its 4 lanes
    return __builtin_shuffle(v, i16{C, C, C, C, 4 + C, 4 + C, 4 + C, 4 + C,
                                    8 + C, 8 + C, 8 + C, 8 + C, 12 + C, 12 + C, 12 + C, 12 + C});
}

inline double total(v16 v, int from, int to) {
    double s = 0;
    for (int i = from; i < to; i++) s += v[i];
    return s;
}

inline void store_row(float *out, int channel, v16 v) { store(out + channel, v); }
#ifdef __AVX512BF16__
inline void store_row(uint16_t *out, int channel, v16 v) {
    __m256bh half = _mm512_cvtneps_pbh((__m512)v);
    std::memcpy(out + channel, &half, 32);
}
#endif

}  // namespace
