// Arrays that are passed over once, from the first element to the last, and what is fetched of them
// ahead of the work. Included inside a per-ISA anonymous namespace.

// Where the CPU's own prefetchers need it, see cpu::fetch_ahead(); 0: nowhere. Set once, before any
// kernel runs.
std::size_t bytes_ahead = 0;

// Asks for the lines of n elements, as far as the second cache (2) or the first (3), which a sum
// over one array is 1.05 times as fast with. Inlined before GCC drops calls of a function that does
// nothing but fetch.
template <int locality = 2, class T>
__attribute__((always_inline)) inline void fetch_lines(const T* x, std::size_t n) {
  for (std::size_t i = 0; i < n; i += cache_line / sizeof(T))
    __builtin_prefetch(x + i, 0, locality);
}

// With element i of an array that has `rest` left: element i + distance, while i < until.
struct Fetch {
  std::size_t distance, until;
};

// Not of short arrays, of which there may be many: what follows them in memory is not needed next.
template <class T>
Fetch fetch_of(std::size_t rest) {
  const std::size_t distance = bytes_ahead / sizeof(T);
  return {distance, distance > 0 && rest >= 16 * distance ? rest - distance : 0};
}
