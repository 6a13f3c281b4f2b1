// Lays codes out as words of an array's memories, and reads results back. Called through ctypes.
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

// Bits of a port word that are neighbours in one code: `length` of them from bit `shift` of the code of `lane` on, at
// bit `place`. A lane of -1 is a constant 1.
struct Field {
  int32_t place, lane, shift, length;
};

// Of sources [port]: 0 and 1 are constants, 2 + lane * bits + b is bit b of the code of that lane.
std::vector<Field> fields_of(const int64_t* sources, int64_t port, int32_t bits) {
  std::vector<Field> found;
  for (int32_t place = 0; place < port; ++place) {
    if (sources[place] == 0) continue;
    if (sources[place] == 1) {
      found.push_back({place, -1, 0, 1});
      continue;
    }
    int32_t lane = static_cast<int32_t>((sources[place] - 2) / bits), shift = (sources[place] - 2) % bits;
    if (!found.empty()) {
      Field& last = found.back();
      if (last.lane == lane && last.place + last.length == place && last.shift + last.length == shift) {
        ++last.length;
        continue;
      }
    }
    found.push_back({place, lane, shift, 1});
  }
  return found;
}

// Sets bits of a word that are 0. A value has at most 32 bits.
void put(uint32_t* word, int64_t place, uint64_t value) {
  value <<= place & 31;
  word[place >> 5] |= static_cast<uint32_t>(value);
  if (value >> 32) word[(place >> 5) + 1] |= static_cast<uint32_t>(value >> 32);
}

}  // namespace

extern "C" {

struct Operand {
  int64_t count, k;                        // codes [count, k]
  int64_t tiles, places, steps, lanes;     // places of a tile are side by side in a word; products a step
  int64_t planes, port;                    // words of a step, bits of a place
  int64_t bits, low, high;                 // of a code; smallest and largest value
  int64_t pieces;                          // 32-bit pieces of a word
};

// Words [tiles * steps * planes, pieces], which must be 0, from codes int64 [count, k] in rows. `table` has the bits of
// a code by its value less the lowest, -1 where it is none. `full` and `last`, int64 [planes, port], say what each bit
// is in a step, and in the last. Returns -1, or the place of a code that is no value.
int64_t lay_out(const Operand* operand, const int64_t* codes, const int16_t* table, const int64_t* full,
                const int64_t* last, uint32_t* words) {
  const Operand& o = *operand;
  std::vector<std::vector<Field>> whole, rest;
  for (int64_t plane = 0; plane < o.planes; ++plane) {
    whole.push_back(fields_of(full + plane * o.port, o.port, o.bits));
    rest.push_back(fields_of(last + plane * o.port, o.port, o.bits));
  }
  std::vector<uint32_t> step_codes(o.lanes);
  for (int64_t row = 0; row < o.tiles * o.places; ++row) {
    int64_t tile = row / o.places, base = row % o.places * o.port;
    for (int64_t step = 0; step < o.steps; ++step) {
      for (int64_t lane = 0; lane < o.lanes; ++lane) {
        int64_t column = step * o.lanes + lane;
        if (row >= o.count || column >= o.k) {
          step_codes[lane] = 0;
          continue;
        }
        int64_t value = codes[row * o.k + column];
        int16_t code = value < o.low || value > o.high ? -1 : table[value - o.low];
        if (code < 0) return row * o.k + column;
        step_codes[lane] = code;
      }
      for (int64_t plane = 0; plane < o.planes; ++plane) {
        uint32_t* word = words + ((tile * o.steps + step) * o.planes + plane) * o.pieces;
        for (const Field& field : (step == o.steps - 1 ? rest : whole)[plane]) {
          uint32_t value = field.lane < 0 ? 1 : step_codes[field.lane] >> field.shift & ((1u << field.length) - 1);
          put(word, base + field.place, value);
        }
      }
    }
  }
  return -1;
}

struct Results {
  int64_t m, n;                                        // of the product
  int64_t row_tiles, column_tiles, rows, columns;      // of an array
  int64_t drains, drain_rows, width;                   // of an array; bits of a result, at most 48
  int64_t pieces;                                      // 32-bit pieces of a word
};

// Values int64 [m, n] of signed results in words [column_tiles * row_tiles * drain_rows, pieces].
void read_results(const Results* results, const uint32_t* words, int64_t* values) {
  const Results& r = *results;
  std::vector<int64_t> words_before(r.n), bits_before(r.n);
  for (int64_t column = 0; column < r.n; ++column) {
    words_before[column] = column / r.columns * r.row_tiles * r.drain_rows * r.pieces;
    bits_before[column] = column % r.columns * r.width;
  }
  int64_t unused = 64 - r.width;
  for (int64_t row = 0; row < r.m; ++row) {
    int64_t from_last = r.rows - 1 - row % r.rows;  // the last row of a tile drains first
    int64_t drain = from_last / r.drain_rows;
    const uint32_t* first = words + (row / r.rows * r.drain_rows + from_last % r.drain_rows) * r.pieces;
    for (int64_t column = 0; column < r.n; ++column) {
      const uint32_t* word = first + words_before[column];
      int64_t place = drain * r.columns * r.width + bits_before[column], shift = place & 31;
      uint64_t bits = word[place >> 5] >> shift;
      for (int64_t got = 32 - shift; got < r.width; got += 32) {
        place += 32;
        bits |= static_cast<uint64_t>(word[place >> 5]) << got;
      }
      values[row * r.n + column] = static_cast<int64_t>(bits << unused) >> unused;
    }
  }
}

}  // extern "C"
