// Drives one Verilated array: loads its memories, starts a run, reads the results. Called through ctypes.
#include <cstdint>
#include <cstring>

#include "Vtop.h"
#include "verilated.h"

namespace {

// Ports are 8 to 64 bits, or an array of 32-bit words, the lowest first; on a little-endian machine all of them start
// with the low bits.
template <typename Port> void put(Port& port, const uint32_t* words) { std::memcpy(&port, words, sizeof(Port)); }
template <typename Port> void get(const Port& port, uint32_t* words) { std::memcpy(words, &port, sizeof(Port)); }

struct Array {
  VerilatedContext context;
  Vtop top{&context, "array"};

  void tick() {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
  }
};

}  // namespace

extern "C" {

struct Image {  // of a memory: words of `pieces` 32-bit pieces
  const uint32_t* words;
  int64_t count;
  int64_t pieces;
};

struct Settings {
  int32_t steps, weight_planes, activation_planes, row_tiles, column_tiles;
  int32_t weight_base, activation_base, control_base, result_base;
  int32_t shift, negate, accumulate, halve;
  int32_t requantise, group, group_step;  // ignored by an array without requantisers
};

void* array_new() {
  Array* array = new Array;
  array->top.rst = 1;
  for (int cycle = 0; cycle < 4; ++cycle) array->tick();
  array->top.rst = 0;
  return array;
}

void array_delete(void* handle) { delete static_cast<Array*>(handle); }

// Loads what is given (a count of 0: the memory stays as it is), weights and activations from their bases on, control
// words to the addresses that they come with. Returns the cycles that took.
int64_t array_load(void* handle, const Image* weights, const Image* activations, const Image* control,
                   int64_t weight_base, int64_t activation_base) {
  Array& array = *static_cast<Array*>(handle);
  Vtop& top = array.top;
  int64_t cycle = 0;
  for (; cycle < weights->count || cycle < activations->count || cycle < control->count; ++cycle) {
    top.load_weights = cycle < weights->count;
    if (top.load_weights) {
      top.weight_address = weight_base + cycle;
      put(top.weight_data, weights->words + cycle * weights->pieces);
    }
    top.load_activations = cycle < activations->count;
    if (top.load_activations) {
      top.activation_address = activation_base + cycle;
      put(top.activation_data, activations->words + cycle * activations->pieces);
    }
    top.load_control = cycle < control->count;
    if (top.load_control) {
      top.control_address = control->words[cycle * control->pieces];
      put(top.control_data, control->words + cycle * control->pieces + 1);
    }
    array.tick();
  }
  top.load_weights = top.load_activations = top.load_control = 0;
  return cycle;
}

#ifdef REQUANT
// Loads parameters of requantisers: each entry is a mask of columns, a group, and parameters. Returns the cycles.
int64_t array_requant(void* handle, const Image* masks, const Image* groups, const Image* parameters) {
  Array& array = *static_cast<Array*>(handle);
  Vtop& top = array.top;
  for (int64_t entry = 0; entry < parameters->count; ++entry) {
    put(top.load_requant, masks->words + entry * masks->pieces);
    top.load_group = groups->words[entry];
    put(top.load_parameters, parameters->words + entry * parameters->pieces);
    array.tick();
  }
  std::memset(&top.load_requant, 0, sizeof(top.load_requant));
  return parameters->count;
}
#endif

// One run. Reads `results` words of `pieces` (0: none), while the run goes on unless it accumulates. Returns the cycles
// in which the array was busy, or -1 if it still was after `limit`, and puts what is on `error` then into its place.
// Nothing is read after an error.
int64_t array_run(void* handle, const Settings* settings, uint32_t* words, int64_t results, int64_t pieces,
                  int64_t limit, int32_t* error) {
  Array& array = *static_cast<Array*>(handle);
  Vtop& top = array.top;
  top.steps = settings->steps;
  top.weight_planes = settings->weight_planes;
  top.activation_planes = settings->activation_planes;
  top.row_tiles = settings->row_tiles;
  top.column_tiles = settings->column_tiles;
  top.weight_base = settings->weight_base;
  top.activation_base = settings->activation_base;
  top.control_base = settings->control_base;
  top.result_base = settings->result_base;
  top.shift = settings->shift;
  top.negate = settings->negate;
  top.accumulate = settings->accumulate;
  top.halve = settings->halve;
#ifdef REQUANT
  top.requantise = settings->requantise;
  top.group = settings->group;
  top.group_step = settings->group_step;
#endif
  top.hold = 0;
  top.start = 1;
  array.tick();
  top.start = 0;
  int64_t cycles = 0, read = 0;
  while (top.busy) {
    if (++cycles > limit) return -1;
    bool ready = !settings->accumulate && read < results && read < static_cast<int64_t>(top.written);
    if (ready) top.result_address = settings->result_base + read;
    array.tick();
    if (ready) get(top.result_data, words + pieces * read++);
  }
  *error = top.error;
  while (!top.error && read < results) {
    top.result_address = settings->result_base + read;
    array.tick();
    get(top.result_data, words + pieces * read++);
  }
  return cycles;
}

}  // extern "C"
