// SPDX-License-Identifier: MIT
//
// Elements of an array of the BPF programs, by way of memory that is mapped for a moment. A system call on a map keeps programs at
// tracepoints of perf from running on its CPU, for as long as its task is preempted meanwhile; and to map all of an array would
// count as the tool's memory.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace waitprobe {

// Elements [first, first + cnt). REQUIRES: the map is an array that can be mapped (BPF_F_MMAPABLE).
template <class Element>
class MappedElements {
 public:
  MappedElements(const bpf_map* map, std::uint32_t first, std::uint32_t cnt, int protection) {
    constexpr std::size_t page = 4096;
    const std::size_t from = first * stride, page_from = from / page * page;
    bytes_ = (from - page_from + cnt * stride + page - 1) / page * page;
    void* const memory = mmap(nullptr, bytes_, protection, MAP_SHARED, bpf_map__fd(map), static_cast<off_t>(page_from));
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<char*>(memory);
    elements_ = memory_ + (from - page_from);
  }
  ~MappedElements() {
    if (ok()) munmap(memory_, bytes_);
  }
  MappedElements(const MappedElements&) = delete;
  MappedElements& operator=(const MappedElements&) = delete;

  bool ok() const { return memory_ != nullptr; }
  // Programs may write there meanwhile.
  void read(std::uint32_t index, Element& to) const { std::memcpy(&to, elements_ + index * stride, sizeof to); }
  void clear(std::uint32_t index) { std::memset(elements_ + index * stride, 0, sizeof(Element)); }

 private:
  static constexpr std::size_t stride = (sizeof(Element) + 7) / 8 * 8;  // as the kernel rounds it

  char* memory_ = nullptr;
  char* elements_ = nullptr;
  std::size_t bytes_ = 0;
};

// Calls visit(first, cnt) for indices that follow each other. REQUIRES: `indices` are in order.
template <class Visit>
void each_run(const std::vector<std::uint32_t>& indices, const Visit& visit) {
  constexpr std::uint32_t at_once = 128;
  for (std::size_t i = 0; i < indices.size();) {
    std::uint32_t cnt = 1;
    while (cnt < at_once && i + cnt < indices.size() && indices[i + cnt] == indices[i] + cnt) cnt++;
    visit(indices[i], cnt);
    i += cnt;
  }
}

// Calls visit(index, element) with a copy of each. Where there is no memory to map them, by system calls. REQUIRES: `indices` are
// in order.
template <class Element, class Visit>
void read_each(const bpf_map* map, const std::vector<std::uint32_t>& indices, const Visit& visit) {
  Element element;
  each_run(indices, [&](std::uint32_t first, std::uint32_t cnt) {
    const MappedElements<Element> elements(map, first, cnt, PROT_READ);
    for (std::uint32_t k = 0; k < cnt; k++) {
      const std::uint32_t index = first + k;
      if (elements.ok()) {
        elements.read(k, element);
      } else if (bpf_map_lookup_elem(bpf_map__fd(map), &index, &element) != 0) {
        continue;
      }
      visit(index, element);
    }
  });
}

template <class Element>
Element element_at(const bpf_map* map, std::uint32_t index) {
  Element element = {};
  read_each<Element>(map, {index}, [&](std::uint32_t, const Element& found) { element = found; });
  return element;
}

// REQUIRES: `indices` are in order, and no program writes there.
template <class Element>
void clear_each(const bpf_map* map, const std::vector<std::uint32_t>& indices) {
  each_run(indices, [&](std::uint32_t first, std::uint32_t cnt) {
    MappedElements<Element> elements(map, first, cnt, PROT_READ | PROT_WRITE);
    const Element none = {};
    for (std::uint32_t k = 0; k < cnt; k++) {
      const std::uint32_t index = first + k;
      if (elements.ok()) {
        elements.clear(k);
      } else {
        bpf_map_update_elem(bpf_map__fd(map), &index, &none, BPF_ANY);
      }
    }
  });
}

}  // namespace waitprobe
