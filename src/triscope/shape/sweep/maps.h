// Buffers and maps, and the sums over a map that a norm needs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include "vectors.h"

namespace {

const float EPSILON = 1e-5f;
enum { SLACK = 32 };  // pixels that may be read beyond the end of a row

struct Buffer {  // aligned, zeroed
    float *data = nullptr;
    size_t size = 0;
    void make(size_t n) {
        size = n;
        data = (float *)std::aligned_alloc(64, (n * 4 + 127) / 64 * 64);
        if (!data) throw std::bad_alloc();
        std::memset(data, 0, (n * 4 + 127) / 64 * 64);
    }
    ~Buffer() { std::free(data); }
};

// A map with a border of one zero pixel and room to read beyond the end of a row.
struct Map : Buffer {
    int channels = 0;
    size_t stride = 0;
    void make(int h, int w, int c) {
        channels = c;
        stride = (size_t)(w + 2 + SLACK) * c;
        Buffer::make(stride * (h + 2) + 64);
    }
    float *row(int y) { return data + (y + 1) * stride; }  // its first pixel is column -1
};

struct Sums { double sum = 0, square = 0; };

struct Affine { v16 scale, bias; };

// Scale and bias of a norm over n values with these sums; lanes repeat every `channels`.
Affine affine(const Sums *rows, int h, double n, const float *gamma, const float *beta, int channels) {
    double sum = 0, square = 0;
    for (int y = 0; y < h; y++) { sum += rows[y].sum; square += rows[y].square; }
    double mean = sum / n, variance = std::max(0.0, square / n - mean * mean);
    double rate = 1.0 / std::sqrt(variance + EPSILON);
    Affine a{};
    for (int i = 0; i < 16; i++) {
        double g = i < channels ? gamma[i] : 0, b = i < channels ? beta[i] : 0;
        a.scale[i] = (float)(g * rate);
        a.bias[i] = (float)(b - mean * g * rate);
    }
    return a;
}

}  // namespace
