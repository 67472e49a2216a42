// SPDX-License-Identifier: MIT
//
// Macros inside functions that hold annotated locks, and results of every kind, under the flags of projects that take warnings
// seriously.
#include <waitprobe/wait_counter.h>

#include <memory>
#include <mutex>
#include <vector>

#if defined(__clang__)
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif

class LOCK_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() LOCK_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() LOCK_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  void hand_over() LOCK_ATTRIBUTE(requires_capability(this)) {}

 private:
  std::mutex mutex_;
};

class Queue {
 public:
  std::size_t size() LOCK_ATTRIBUTE(requires_capability(mutex_)) { return WITH_WAIT_COUNTER(queue.size, items_.size()); }
  int& front() LOCK_ATTRIBUTE(requires_capability(mutex_)) { return WITH_WAIT_COUNTER(queue.front, items_.front()); }
  void wait() LOCK_ATTRIBUTE(requires_capability(mutex_)) { WITH_WAIT_COUNTER(queue.wait, mutex_.hand_over()); }
  void push(int item) {
    {
      STATIC_SCOPED_WAIT_COUNTER(queue.lock);
      mutex_.lock();
    }
    items_.push_back(item);
    WITH_WAIT_COUNTER(queue.wait, mutex_.hand_over());
    if (item == WITH_WAIT_COUNTER(queue.front, items_.front())) front() = item + static_cast<int>(size());
    wait();
    mutex_.unlock();
  }
  std::unique_ptr<int> moved() { return WITH_WAIT_COUNTER(queue.moved, std::make_unique<int>(1)); }

 private:
  Mutex mutex_;
  std::vector<int> items_ LOCK_ATTRIBUTE(guarded_by(mutex_));
};

void use_queue();
void use_queue() {
  Queue queue;
  queue.push(*queue.moved());
}
