// Weights in the order in which the convolutions read them.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>
#include "vectors.h"

namespace {

// Where output o of a layer lies in the 16 lanes of which vector; repeated for 4 pixels or not.
struct Lanes { int vectors, repeat; };

// (out, in, 3, 3) -> (9, used, vectors, 16); output o goes to lane `lane` + o, of inputs from `first`.
void pack(std::vector<float> &to, Lanes lanes, const float *from, int in, int first, int used,
          int output, int outputs, int lane) {
    const int width = lanes.vectors * 16;
    for (int tap = 0; tap < 9; tap++)
        for (int c = 0; c < used; c++)
            for (int o = 0; o < outputs; o++)
                for (int r = 0; r < lanes.repeat; r++) {
                    int at = lane + o;
                    if (lanes.repeat > 1) at = at / 4 * 16 + at % 4 + 4 * r;
                    to[((size_t)tap * used + c) * width + at] =
                        from[((size_t)(output + o) * in + first + c) * 9 + tap];
                }
}

std::vector<float> weights_of(Lanes lanes, int used) {
    return std::vector<float>((size_t)9 * used * lanes.vectors * 16, 0.0f);
}

std::vector<float> pairs_of(const std::vector<float> &plain, int in, int width) {
    std::vector<float> packed(plain.size() / 2);
    for (int tap = 0; tap < 9; tap++)
        for (int c = 0; c < in; c += 2)
            for (int o = 0; o < width; o++) {
                uint32_t word = 0;
                for (int k = 0; k < 2; k++) {
                    uint32_t bits;
                    std::memcpy(&bits, &plain[((size_t)tap * in + c + k) * width + o], 4);
                    bits += 0x7fff + ((bits >> 16) & 1);  // to the nearest, ties to even
                    word |= (bits >> 16) << (16 * k);
                }
                std::memcpy(&packed[((size_t)tap * in / 2 + c / 2) * width + o], &word, 4);
            }
    return packed;
}

v16 lanes_of(const float *values, int n, int lane = 0) {
    v16 v{};
    for (int i = 0; i < n; i++) v[lane + i] = values[i];
    return v;
}
v16 four_times(const float *values, int n) {
    v16 v{};
    for (int i = 0; i < n; i++) for (int r = 0; r < 4; r++) v[4 * r + i] = values[i];
    return v;
}

}  // namespace
