// The plane sweep of R-MVSNet in one pass: warp, variance, three GRUs, running soft-max.
//
// Channels lie last, so that a convolution broadcasts one input and multiplies it with a vector of
// output channels that stay in registers. Vectors are 16 floats wide in the language of the compiler,
// which cuts them to what the machine has. Work is dealt out by rows; statistics of the norms are
// added row by row in a fixed order, so that the answer does not depend on the number of threads.
//
// Each cell takes three passes, because its norms need the whole plane before the next step:
//   gates      preactivations of reset, update and (the part of x of) the candidate
//   candidate  adds the convolution of reset * state, whose rows are made on the way
//   state      update gate, tanh, the new state
#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));

#ifdef __AVX512F__
enum { TILE3 = 8, TILE2 = 12, TILE1 = 24 };  // pixels at a time: 24 sums in 32 registers
#else
enum { TILE3 = 2, TILE2 = 3, TILE1 = 6 };
#endif
enum { FEATURES = 32, FIRST = 16, SLACK = 32 };

struct Problem {
    int32_t views, height, width, planes, threads, bf16;
    const float *features;      // (views, height, width, 32)
    const double *turn, *shift; // (views - 1, 9), (views - 1, 3)
    const double *depths;       // (planes)
    const float *gate[3], *gate_bias[3], *reset[3], *reset_bias[3], *update[3], *update_bias[3];
    const float *output[3], *output_bias[3], *norm[3], *norm_bias[3];
    const float *prob, *prob_bias;
    int32_t *index;             // (height, width)
    float *probability, *around; // (height, width), (3, height, width)
};

namespace {

const float EPSILON = 1e-5f, NEAREST = 1e-6f;

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

inline double total(v16 v, int from, int to) {
    double s = 0;
    for (int i = from; i < to; i++) s += v[i];
    return s;
}

// All threads wait for the last one: a short spin, then sleep (another process may want the core).
struct Together {
    const int count;
    std::atomic<int> arrived{0}, round{0};
    std::mutex mutex;
    std::condition_variable woken;
    explicit Together(int n) : count(n) {}
    void wait() {
        if (count == 1) return;
        const int mine = round.load();
        if (arrived.fetch_add(1) + 1 == count) {
            arrived.store(0);
            std::lock_guard<std::mutex> lock(mutex);
            round.fetch_add(1);
            woken.notify_all();
            return;
        }
        for (int i = 0; i < 4000; i++) if (round.load(std::memory_order_acquire) != mine) return;
        std::unique_lock<std::mutex> lock(mutex);
        woken.wait(lock, [&] { return round.load() != mine; });
    }
};

// ---- the cost: negated variance over the views, one row --------------------------------------

struct Taps { std::vector<int32_t> at; std::vector<float> share; };  // 4 of each for a pixel

void taps_of_row(const Problem &p, int source, double depth, int y, Taps &taps) {
    const double *t = p.turn + 9 * source, *s = p.shift + 3 * source;
    const int w = p.width, h = p.height;
    float a[3], c[3];
    for (int i = 0; i < 3; i++) {
        a[i] = (float)(depth * t[3 * i]);
        c[i] = (float)(depth * (t[3 * i + 1] * y + t[3 * i + 2]) + s[i]);
    }
    for (int x = 0; x < w; x++) {
        float z = a[2] * x + c[2], front = z > NEAREST ? 1.0f : 0.0f, safe = front ? z : 1.0f;
        float u = (a[0] * x + c[0]) / safe, v = (a[1] * x + c[1]) / safe;
        u = std::min(std::max(u, -2.0f), (float)w + 1);
        v = std::min(std::max(v, -2.0f), (float)h + 1);
        float left = std::floor(u), top = std::floor(v), fx = u - left, fy = v - top;
        int i = (int)left, j = (int)top;
        float x0 = i >= 0 && i < w ? 1 - fx : 0, x1 = i >= -1 && i < w - 1 ? fx : 0;
        float y0 = j >= 0 && j < h ? (1 - fy) * front : 0, y1 = j >= -1 && j < h - 1 ? fy * front : 0;
        int i0 = std::min(std::max(i, 0), w - 1), i1 = std::min(std::max(i + 1, 0), w - 1);
        int j0 = std::min(std::max(j, 0), h - 1), j1 = std::min(std::max(j + 1, 0), h - 1);
        float *share = &taps.share[4 * x];
        int32_t *at = &taps.at[4 * x];
        share[0] = x0 * y0; share[1] = x1 * y0; share[2] = x0 * y1; share[3] = x1 * y1;
        at[0] = j0 * w + i0; at[1] = j0 * w + i1; at[2] = j1 * w + i0; at[3] = j1 * w + i1;
    }
}

inline void store_row(float *out, int channel, v16 v) { store(out + channel, v); }
#ifdef __AVX512BF16__
inline void store_row(uint16_t *out, int channel, v16 v) {
    __m256bh half = _mm512_cvtneps_pbh((__m512)v);
    std::memcpy(out + channel, &half, 32);
}
#endif

// Row y of the cost into `out`, whose first pixel is column -1; zeros outside the map.
template <class T>
void cost_row(const Problem &p, double depth, int y, std::vector<Taps> &taps, T *out) {
    const int w = p.width;
    if (y < 0 || y >= p.height) { std::memset(out, 0, sizeof(T) * FEATURES * (w + 2)); return; }
    const int sources = p.views - 1;
    const size_t map = (size_t)p.height * w * FEATURES;
    const float share_of_one = 1.0f / p.views;
    for (int s = 0; s < sources; s++) taps_of_row(p, s, depth, y, taps[s]);
    const float *reference = p.features + (size_t)y * w * FEATURES;
    for (int x = 0; x < w; x++) {
        v16 f0 = load(reference + x * FEATURES), f1 = load(reference + x * FEATURES + 16);
        v16 sum0 = f0, sum1 = f1, square0 = f0 * f0, square1 = f1 * f1;
        for (int s = 0; s < sources; s++) {
            const float *base = p.features + map * (s + 1);
            const int32_t *at = &taps[s].at[4 * x];
            const float *share = &taps[s].share[4 * x];
            v16 g0{}, g1{};
            for (int k = 0; k < 4; k++) {
                const float *q = base + (size_t)at[k] * FEATURES;
                g0 += share[k] * load(q);
                g1 += share[k] * load(q + 16);
            }
            sum0 += g0; sum1 += g1; square0 += g0 * g0; square1 += g1 * g1;
        }
        v16 mean0 = sum0 * share_of_one, mean1 = sum1 * share_of_one;
        store_row(out, (x + 1) * FEATURES, mean0 * mean0 - square0 * share_of_one);
        store_row(out, (x + 1) * FEATURES + 16, mean1 * mean1 - square1 * share_of_one);
    }
}

// ---- convolutions ----------------------------------------------------------------------------

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

// ---- the sweep -------------------------------------------------------------------------------

struct Sweep {
    const Problem &p;
    const int h, w;
    std::vector<float> gate_x1, gate_h1, out_h1, gate_x2, gate_h2, out_h2, gate_x3, gate_h3, out_h3, prob;
    Map h1, h2, h3;
    std::vector<uint16_t> half1;  // h1 in bf16, same layout
    Buffer gates1, out1, reset2, update2, out2, reset3, update3, out3, score, best, sum, before, after, last;
    std::vector<Sums> resets, updates, outs;
    size_t wide;  // pixels of a row of the buffers

    explicit Sweep(const Problem &problem)
        : p(problem), h(problem.height), w(problem.width), resets(h), updates(h), outs(h) {
        wide = w + SLACK;
        pack_weights();
        h1.make(h, w, 16); h2.make(h, w, 4); h3.make(h, w, 4);
        gates1.make(wide * h * 32); out1.make(wide * h * 16);
        for (Buffer *b : {&reset2, &update2, &out2, &reset3, &update3, &out3}) b->make(wide * h * 4);
        for (Buffer *b : {&score, &best, &sum, &before, &after, &last}) b->make(wide * h);
        for (Buffer *b : {&best, &before, &after, &last})
            std::fill(b->data, b->data + b->size, -INFINITY);
        if (p.bf16) half1.assign(h1.size, 0);
    }

    void pack_weights() {
        // First cell: lanes of reset, update, candidate in three vectors.
        gate_x1 = weights_of({3, 1}, 32);
        pack(gate_x1, {3, 1}, p.gate[0], 48, 0, 32, 0, 32, 0);
        pack(gate_x1, {3, 1}, p.output[0], 48, 0, 32, 0, 16, 32);
        gate_h1 = weights_of({2, 1}, 16);
        pack(gate_h1, {2, 1}, p.gate[0], 48, 32, 16, 0, 32, 0);
        out_h1 = weights_of({1, 1}, 16);
        pack(out_h1, {1, 1}, p.output[0], 48, 32, 16, 0, 16, 0);
        // Second cell: 4 lanes each of reset, update, candidate.
        gate_x2 = weights_of({1, 1}, 16);
        pack(gate_x2, {1, 1}, p.gate[1], 20, 0, 16, 0, 8, 0);
        pack(gate_x2, {1, 1}, p.output[1], 20, 0, 16, 0, 4, 8);
        gate_h2 = weights_of({1, 1}, 4);
        pack(gate_h2, {1, 1}, p.gate[1], 20, 16, 4, 0, 8, 0);
        out_h2 = weights_of({1, 4}, 4);
        pack(out_h2, {1, 4}, p.output[1], 20, 16, 4, 0, 4, 0);
        // Third cell: reset and update share the 4 lanes of a pixel, the candidate has 2.
        gate_x3 = weights_of({2, 4}, 4);
        pack(gate_x3, {2, 4}, p.gate[2], 6, 0, 4, 0, 4, 0);
        pack(gate_x3, {2, 4}, p.output[2], 6, 0, 4, 0, 2, 4);
        gate_h3 = weights_of({1, 4}, 2);
        pack(gate_h3, {1, 4}, p.gate[2], 6, 4, 2, 0, 4, 0);
        out_h3 = weights_of({1, 4}, 2);
        pack(out_h3, {1, 4}, p.output[2], 6, 4, 2, 0, 2, 0);
        prob = weights_of({1, 4}, 2);
        pack(prob, {1, 4}, p.prob, 2, 0, 2, 0, 1, 0);
        if (p.bf16) {
            gate_x1 = pairs_of(gate_x1, 32, 48);
            gate_h1 = pairs_of(gate_h1, 16, 32);
            out_h1 = pairs_of(out_h1, 16, 16);
        }
    }

    template <class T> const T *state1(int y);

    // ---- first cell
    template <class T>
    void first_gates(double depth, int from, int to, std::vector<Taps> &taps, std::vector<T> (&ring)[3]) {
        const v16 bias[3] = {load(p.gate_bias[0]), load(p.gate_bias[0] + 16), load(p.output_bias[0])};
        cost_row(p, depth, from - 1, taps, ring[(from + 2) % 3].data());
        cost_row(p, depth, from, taps, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            cost_row(p, depth, y + 1, taps, ring[(y + 1) % 3].data());
            const T *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            const T *states[3] = {state1<T>(y - 1), state1<T>(y), state1<T>(y + 1)};
            // One row of the kernel at a time: its weights then stay in the first cache.
            for (int k = 0; k < 3; k++)
                for (int x = 0; x < w; x += TILE3) {
                    float *g = gates1.data + (wide * y + x) * 32, *o = out1.data + (wide * y + x) * 16;
                    v16 sums[TILE3][3];
                    for (int i = 0; i < TILE3; i++) {
                        sums[i][0] = k ? load(g + 32 * i) : bias[0];
                        sums[i][1] = k ? load(g + 32 * i + 16) : bias[1];
                        sums[i][2] = k ? load(o + 16 * i) : bias[2];
                    }
                    convolve<TILE3, 3, 3>(sums, rows, x, 32, gate_x1.data(), 3 * k, 3 * k + 3);
                    for (int i = 0; i < TILE3; i++) {
                        store(g + 32 * i, sums[i][0]);
                        store(g + 32 * i + 16, sums[i][1]);
                        store(o + 16 * i, sums[i][2]);
                    }
                }
            v16 s[4] = {};
            for (int x = 0; x < w; x += TILE2) {
                float *g = gates1.data + (wide * y + x) * 32;
                v16 sums[TILE2][2];
                for (int i = 0; i < TILE2; i++) {
                    sums[i][0] = load(g + 32 * i);
                    sums[i][1] = load(g + 32 * i + 16);
                }
                convolve<TILE2, 2, 2>(sums, states, x, 16, gate_h1.data());
                for (int i = 0; i < TILE2 && x + i < w; i++) {
                    store(g + 32 * i, sums[i][0]); store(g + 32 * i + 16, sums[i][1]);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                    s[2] += sums[i][1]; s[3] += sums[i][1] * sums[i][1];
                }
            }
            resets[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
            updates[y] = {total(s[2], 0, 16), total(s[3], 0, 16)};
        }
    }

    template <class T> void reset_row1(int y, const Affine &a, T *out) {
        if (y < 0 || y >= h) { std::memset(out, 0, sizeof(T) * 16 * (w + 2)); return; }
        const float *state = h1.row(y) + 16;
        for (int x = 0; x < w; x++) {
            v16 r = sigmoid(load(gates1.data + (wide * y + x) * 32) * a.scale + a.bias);
            store_row(out, 16 * (x + 1), r * load(state + 16 * x));
        }
    }

    template <class T> void first_candidate(int from, int to, std::vector<T> (&ring)[3]) {
        const Affine a = affine(resets.data(), h, 16.0 * h * w, p.reset[0], p.reset_bias[0], 16);
        reset_row1(from - 1, a, ring[(from + 2) % 3].data());
        reset_row1(from, a, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            reset_row1(y + 1, a, ring[(y + 1) % 3].data());
            const T *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            v16 s[2] = {};
            for (int x = 0; x < w; x += TILE1) {
                float *out = out1.data + (wide * y + x) * 16;
                v16 sums[TILE1][1];
                for (int i = 0; i < TILE1; i++) sums[i][0] = load(out + 16 * i);
                convolve<TILE1, 1, 1>(sums, rows, x, 16, out_h1.data());
                for (int i = 0; i < TILE1 && x + i < w; i++) {
                    store(out + 16 * i, sums[i][0]);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                }
            }
            outs[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
        }
    }

    void first_state(int from, int to) {
        const Affine u = affine(updates.data(), h, 16.0 * h * w, p.update[0], p.update_bias[0], 16);
        const Affine o = affine(outs.data(), h, 16.0 * h * w, p.norm[0], p.norm_bias[0], 16);
        for (int y = from; y < to; y++) {
            float *state = h1.row(y) + 16;
            for (int x = 0; x < w; x++, state += 16) {
                v16 update = sigmoid(load(gates1.data + (wide * y + x) * 32 + 16) * u.scale + u.bias);
                v16 t = tangent(load(out1.data + (wide * y + x) * 16) * o.scale + o.bias);
                v16 next = update * (load(state) - t) + t;
                store(state, next);
                if (p.bf16) keep_half(state, next);
            }
        }
    }
    void keep_half(float *state, v16 next) {
#ifdef __AVX512BF16__
        store_row(half1.data(), (int)(state - h1.data), next);
#else
        (void)state; (void)next;
#endif
    }

    // ---- second cell: lanes 0-3 reset, 4-7 update, 8-11 candidate
    void second_gates(int from, int to) {
        v16 bias = lanes_of(p.gate_bias[1], 8) + lanes_of(p.output_bias[1], 4, 8);
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h1.row(y - 1), h1.row(y), h1.row(y + 1)};
            const float *states[3] = {h2.row(y - 1), h2.row(y), h2.row(y + 1)};
            v16 s[2] = {};
            for (int x = 0; x < w; x += TILE1) {
                v16 sums[TILE1][1];
                for (int i = 0; i < TILE1; i++) sums[i][0] = bias;
                convolve<TILE1, 1, 1>(sums, rows, x, 16, gate_x2.data());
                convolve<TILE1, 1, 1>(sums, states, x, 4, gate_h2.data());
                for (int i = 0; i < TILE1 && x + i < w; i++) {
                    const size_t at = (wide * y + x + i) * 4;
                    std::memcpy(reset2.data + at, &sums[i][0], 16);
                    std::memcpy(update2.data + at, (float *)&sums[i][0] + 4, 16);
                    std::memcpy(out2.data + at, (float *)&sums[i][0] + 8, 16);
                    s[0] += sums[i][0]; s[1] += sums[i][0] * sums[i][0];
                }
            }
            resets[y] = {total(s[0], 0, 4), total(s[1], 0, 4)};
            updates[y] = {total(s[0], 4, 8), total(s[1], 4, 8)};
        }
    }

    // reset * state of a row of 4 channels; beyond the row the states are zeros, and so is this.
    void reset_row4(int y, const float *gate, Map &states, const Affine &a, float *out) {
        if (y < 0 || y >= h) { std::memset(out, 0, sizeof(float) * 4 * (w + 2)); return; }
        const v16 scale = repeated(a.scale), bias = repeated(a.bias);
        const float *state = states.row(y) + 4;
        for (int x = 0; x < w; x += 4) {
            v16 r = sigmoid(load(gate + (wide * y + x) * 4) * scale + bias);
            store(out + 4 * (x + 1), r * load(state + 4 * x));
        }
    }

    // Rows of 4 channels, 4 pixels in a vector; the sums count `used` lanes of each pixel.
    template <int IN>
    void candidate4(int y, const float *const rows[3], const float *weights, float *out, int used) {
        v16 s[2] = {};
        i16 counted{};
        for (int x = 0; x < w; x += 4, out += 16) {
            v16 sums[1] = {load(out)};
            convolve4<IN, 1>(sums, rows, x, weights);
            for (int i = 0; i < 16; i++) counted[i] = i % 4 < used && x + i / 4 < w ? -1 : 0;
            store(out, sums[0]);
            v16 valid = pick(counted, sums[0], v16{});
            s[0] += valid; s[1] += valid * valid;
        }
        outs[y] = {total(s[0], 0, 16), total(s[1], 0, 16)};
    }

    template <int IN>
    void small_candidate(int from, int to, std::vector<float> (&ring)[3], int cell, const float *gate,
                         Map &states, const float *weights, float *out) {
        const Affine a = affine(resets.data(), h, (double)IN * h * w, p.reset[cell], p.reset_bias[cell], IN);
        reset_row4(from - 1, gate, states, a, ring[(from + 2) % 3].data());
        reset_row4(from, gate, states, a, ring[from % 3].data());
        for (int y = from; y < to; y++) {
            reset_row4(y + 1, gate, states, a, ring[(y + 1) % 3].data());
            const float *rows[3] = {ring[(y + 2) % 3].data(), ring[y % 3].data(), ring[(y + 1) % 3].data()};
            candidate4<IN>(y, rows, weights, out + wide * y * 4, IN);
        }
    }

    void small_state(int from, int to, int cell, const float *gate, Map &states, const float *out, int used) {
        const double n = (double)used * h * w;
        const Affine u = affine(updates.data(), h, n, p.update[cell], p.update_bias[cell], used);
        const Affine o = affine(outs.data(), h, n, p.norm[cell], p.norm_bias[cell], used);
        for (int y = from; y < to; y++)
            state4(states.row(y) + 4, gate + wide * y * 4, out + wide * y * 4, u, o, used);
    }

    // The new state of a row of 4 channels from its update and candidate preactivations.
    void state4(float *state, const float *gate, const float *out, const Affine &u, const Affine &o, int used) {
        const v16 us = repeated(u.scale), ub = repeated(u.bias), os = repeated(o.scale), ob = repeated(o.bias);
        for (int x = 0; x < w; x += 4) {
            v16 update = sigmoid(load(gate + 4 * x) * us + ub);
            v16 t = tangent(load(out + 4 * x) * os + ob);
            v16 next = update * (load(state + 4 * x) - t) + t;
            for (int i = 0; i < 16; i++)
                if (i % 4 < used && x + i / 4 < w) state[4 * x + i] = next[i];
        }
    }
    static v16 repeated(v16 v) {
        return __builtin_shuffle(v, i16{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
    }

    // ---- third cell: lanes of a pixel are reset 0-1, update 2-3; states have 2 channels of 4
    void third_gates(int from, int to) {
        const v16 bias = four_times(p.gate_bias[2], 4), out_bias = four_times(p.output_bias[2], 2);
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h2.row(y - 1), h2.row(y), h2.row(y + 1)};
            const float *states[3] = {h3.row(y - 1), h3.row(y), h3.row(y + 1)};
            v16 s[2] = {};
            for (int x = 0; x < w; x += 4) {
                v16 both[2] = {bias, out_bias};
                convolve4<4, 2>(both, rows, x, gate_x3.data());
                v16 gate[1] = {both[0]};
                convolve4<2, 1>(gate, states, x, gate_h3.data());
                const size_t at = (wide * y + x) * 4;
                store(reset3.data + at, gate[0]);
                store(update3.data + at, __builtin_shuffle(gate[0], i16{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13}));
                store(out3.data + at, both[1]);
                i16 counted{};
                for (int i = 0; i < 16; i++) counted[i] = x + i / 4 < w ? -1 : 0;
                v16 valid = pick(counted, gate[0], v16{});
                s[0] += valid; s[1] += valid * valid;
            }
            Sums r, u;
            for (int i = 0; i < 16; i++) {
                Sums &to_add = i % 4 < 2 ? r : u;
                to_add.sum += s[0][i]; to_add.square += s[1][i];
            }
            resets[y] = r; updates[y] = u;
        }
    }

    // ---- score and running soft-max
    void scores(int plane, int from, int to) {
        for (int y = from; y < to; y++) {
            const float *rows[3] = {h3.row(y - 1), h3.row(y), h3.row(y + 1)};
            float *s = score.data + wide * y;
            for (int x = 0; x < w; x += 4) {
                v16 sums[1] = {all(p.prob_bias[0])};
                convolve4<2, 1>(sums, rows, x, prob.data());
                for (int i = 0; i < 4; i++) s[x + i] = sums[0][4 * i];
            }
            running(plane, y);
        }
    }

    void running(int plane, int y) {
        const size_t at = wide * y;
        int32_t *index = p.index + (size_t)y * w;
        for (int x = 0; x < w; x += 16) {
            v16 s = load(score.data + at + x), b = load(best.data + at + x), m = most(s, b);
            v16 t = load(sum.data + at + x);
            t = t * exponential(b - m) + exponential(s - m);
            store(sum.data + at + x, t);
            for (int i = 0; i < 16 && x + i < w; i++) {
                if (index[x + i] == plane - 1) after.data[at + x + i] = s[i];
                if (s[i] > b[i]) {
                    index[x + i] = plane;
                    before.data[at + x + i] = last.data[at + x + i];
                    after.data[at + x + i] = -INFINITY;
                }
            }
            store(best.data + at + x, m);
            store(last.data + at + x, s);
        }
    }

    template <class T> void run() {
        std::fill(p.index, p.index + (size_t)h * w, -2);
        Together together(p.threads);
        std::vector<std::thread> others;
        for (int id = 1; id < p.threads; id++)
            others.emplace_back([this, id, &together] { rows_of<T>(id, together); });
        rows_of<T>(0, together);
        for (std::thread &thread : others) thread.join();
    }

    template <class T> void rows_of(int id, Together &together) {
        const int from = (int)((int64_t)h * id / p.threads), to = (int)((int64_t)h * (id + 1) / p.threads);
        std::vector<Taps> taps(p.views - 1);
        for (Taps &t : taps) { t.at.resize(4 * w); t.share.resize(4 * w); }
        std::vector<T> cost[3], reset[3];
        std::vector<float> small[3];
        for (int i = 0; i < 3; i++) {
            cost[i].assign((size_t)(w + 2 + SLACK) * FEATURES, 0);
            reset[i].assign((size_t)(w + 2 + SLACK) * 16, 0);
            small[i].assign((size_t)(w + 2 + SLACK) * 4, 0);
        }
        for (int d = 0; d < p.planes; d++) {
            first_gates(p.depths[d], from, to, taps, cost);
            together.wait();
            first_candidate(from, to, reset);
            together.wait();
            first_state(from, to);
            together.wait();
            second_gates(from, to);
            together.wait();
            small_candidate<4>(from, to, small, 1, reset2.data, h2, out_h2.data(), out2.data);
            together.wait();
            small_state(from, to, 1, update2.data, h2, out2.data, 4);
            together.wait();
            third_gates(from, to);
            together.wait();
            small_candidate<2>(from, to, small, 2, reset3.data, h3, out_h3.data(), out3.data);
            together.wait();
            small_state(from, to, 2, update3.data, h3, out3.data, 2);
            together.wait();
            scores(d, from, to);
        }
        for (int y = from; y < to; y++) answer(y);
    }

    void answer(int y) {
        for (int x = 0; x < w; x++) {
            const size_t at = wide * y + x, out = (size_t)y * w + x, plane = (size_t)h * w;
            p.probability[out] = 1.0f / sum.data[at];
            p.around[out] = before.data[at];
            p.around[plane + out] = best.data[at];
            p.around[2 * plane + out] = after.data[at];
        }
    }
};

template <> const float *Sweep::state1<float>(int y) { return h1.row(y); }
#ifdef __AVX512BF16__
template <> const uint16_t *Sweep::state1<uint16_t>(int y) { return half1.data() + (h1.row(y) - h1.data); }
#endif

}  // namespace

extern "C" {

// 0: done; 1: out of memory; 2: this build has no bf16.
int triscope_sweep(const Problem *problem) {
    try {
        if (problem->bf16) {
#ifdef __AVX512BF16__
            Sweep(*problem).run<uint16_t>();
            return 0;
#else
            return 2;
#endif
        }
        Sweep(*problem).run<float>();
        return 0;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

int triscope_has_bf16() {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;
#endif
}

}
