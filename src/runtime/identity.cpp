// SPDX-License-Identifier: MIT
#include "src/runtime/identity.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "src/runtime/clock.h"
#include "src/runtime/probes.h"

namespace waitprobe::detail {
namespace {

// Stands behind the arena, in its page, which every fork wipes.
std::uint64_t* known_mark(const wp_arena* page) noexcept {
  return reinterpret_cast<std::uint64_t*>(const_cast<wp_arena*>(page) + 1);
}

bool is_known(const wp_arena* page) noexcept { return __atomic_load_n(known_mark(page), __ATOMIC_ACQUIRE) != 0; }

// Written before there is a second thread.
constinit std::uint64_t secret[2] = {0, 0};
constinit const wp_arena* known_page = nullptr;

// SipHash-2-4 of two words: a keyed function that cannot be turned round.
class Sip {
 public:
  Sip(std::uint64_t k0, std::uint64_t k1) noexcept
      : v_{k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL, k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL} {}

  std::uint64_t of(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t words[] = {a, b, std::uint64_t{16} << 56};
    for (const std::uint64_t word : words) {
      v_[3] ^= word;
      rounds(2);
      v_[0] ^= word;
    }
    v_[2] ^= 0xff;
    rounds(4);
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  void rounds(int n) noexcept {
    for (; n != 0; n--) {
      mix(0, 1, 13, 32);
      mix(2, 3, 16, 0);
      mix(0, 3, 21, 0);
      mix(2, 1, 17, 32);
    }
  }
  void mix(int a, int b, int turn_b, int turn_a) noexcept {
    v_[a] += v_[b];
    v_[b] = std::rotl(v_[b], turn_b) ^ v_[a];
    v_[a] = std::rotl(v_[a], turn_a);
  }

  std::uint64_t v_[4];
};

void renew_secret(const std::uint64_t from[2], std::uint64_t by) noexcept {
  const std::uint64_t fresh[2] = {Sip(from[0], from[1]).of(by, 1), Sip(from[0], from[1]).of(by, 2)};
  secret[0] = fresh[0];
  secret[1] = fresh[1];
}

#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)  // whose own mutexes are gone before the last waits of a thread
// The C library notes the owner of a recursive mutex. 0 where somebody has put functions of their own before it.
std::uint32_t number_in_thread_block() noexcept {
  pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
  if (pthread_mutex_lock(&mutex) != 0) return 0;
  const auto number = static_cast<std::uint32_t>(mutex.__data.__owner);
  pthread_mutex_unlock(&mutex);
  return number;
}
#else
std::uint32_t number_in_thread_block() noexcept { return 0; }
#endif

// The child cannot tell the secret of its parent from its own, nor of its brothers, whose numbers are others. No system call:
// a program may fork in its sandbox.
void know_child() noexcept {
  const std::uint64_t of_parent[2] = {secret[0], secret[1]};
  renew_secret(of_parent, number_in_thread_block());
  __atomic_store_n(known_mark(known_page), 1, __ATOMIC_RELEASE);
}

}  // namespace

void know_process(const wp_arena* page) noexcept {
  // 16 bytes that the kernel gives to each program that is started. Instances of the library stand at different addresses.
  const auto* bytes = reinterpret_cast<const char*>(getauxval(AT_RANDOM));
  if (bytes == nullptr) return;
  std::uint64_t seed[2];
  std::memcpy(seed, bytes, sizeof seed);
  renew_secret(seed, reinterpret_cast<std::uint64_t>(&waitprobe_root));
  __atomic_store_n(known_mark(page), 1, __ATOMIC_RELEASE);
  known_page = page;
  pthread_atfork(nullptr, nullptr, know_child);  // where it fails, children are not known
}

std::uint64_t random_bits(const wp_arena* page) noexcept {
  if (is_known(page)) return Sip(secret[0], secret[1]).of(monotonic_ns(), thread_number(page));
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof random)) return random;
  return monotonic_ns() * 0x9e3779b97f4a7c15ULL ^ static_cast<std::uint64_t>(getpid());
}

std::uint32_t thread_number(const wp_arena* page) noexcept {
  const std::uint32_t known = is_known(page) ? number_in_thread_block() : 0;
  return known != 0 ? known : static_cast<std::uint32_t>(syscall(SYS_gettid));
}

}  // namespace waitprobe::detail
