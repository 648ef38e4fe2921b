// A place where threads wait for each other.
#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace {

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

}  // namespace
