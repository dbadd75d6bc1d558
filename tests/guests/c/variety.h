// What one processor, compiler or run may do otherwise than the next, without a library: bits of NaN, results of relaxed SIMD,
// the order of a hash table whose seed comes from chance. Each is handed to `say`.
#include <stdint.h>
#include <wasm_simd128.h>

void say(const char *name, uint64_t word);

#pragma clang attribute push(__attribute__((target("simd128,relaxed-simd"))), apply_to = function)

static uint64_t word_of(double value) {
  union {
    double value;
    uint64_t word;
  } both = {value};
  return both.word;
}

static void say_vector(const char *name, v128_t vector) {
  say(name, wasm_u64x2_extract_lane(vector, 0));
  say(name, wasm_u64x2_extract_lane(vector, 1));
}

static void nan_bits(void) {
  volatile double zero = 0, infinite = 1 / zero;
  say("0/0", word_of(zero / zero));
  say("inf-inf", word_of(infinite - infinite));
  say("-(0/0)", word_of(-(zero / zero)));
  volatile float narrow = (float)(zero / zero);
  say("float", word_of(narrow * 2));
  volatile uint64_t signalling = 0x7ff4000012345678;
  union {
    uint64_t word;
    double value;
  } payload = {signalling};
  say("payload", word_of(payload.value * 2 + zero / zero));
}

static void relaxed(void) {
  volatile float third = 1.0f / 3, zero = 0;
  v128_t halves = wasm_f32x4_make(third, 0x1p24f, zero / zero, -third);
  v128_t others = wasm_f32x4_make(3, 1 + 0x1p-23f, 1 / zero, 0x1p-20f);
  v128_t third_one = wasm_f32x4_make(-1, -0x1p24f, zero, zero / zero);
  v128_t wide = wasm_f64x2_make(third, 1 / (double)zero);
  v128_t bytes = wasm_u8x16_make(0, 16, 31, 127, 128, 255, 200, 15, 3, 129, 64, 17, 5, 255, 80, 1);
  say_vector("madd", wasm_f32x4_relaxed_madd(halves, others, third_one));
  say_vector("nmadd", wasm_f32x4_relaxed_nmadd(halves, others, third_one));
  say_vector("madd64", wasm_f64x2_relaxed_madd(wide, wide, wide));
  say_vector("min", wasm_f32x4_relaxed_min(halves, third_one));
  say_vector("max", wasm_f32x4_relaxed_max(halves, others));
  say_vector("trunc", wasm_i32x4_relaxed_trunc_f32x4(others));
  say_vector("trunc unsigned", wasm_u32x4_relaxed_trunc_f32x4(halves));
  say_vector("trunc zero", wasm_i32x4_relaxed_trunc_f64x2_zero(wide));
  say_vector("swizzle", wasm_i8x16_relaxed_swizzle(halves, bytes));
  say_vector("laneselect", wasm_i8x16_relaxed_laneselect(halves, others, bytes));
  say_vector("q15mulr", wasm_i16x8_relaxed_q15mulr(wasm_i16x8_splat(-32768), bytes | wasm_i16x8_splat(-32768)));
  say_vector("dot", wasm_i16x8_relaxed_dot_i8x16_i7x16(bytes, bytes));
  say_vector("dot add", wasm_i32x4_relaxed_dot_i8x16_i7x16_add(bytes, bytes, halves));
}

// Puts the numbers from 0 into a table by a hash with this seed, and says them in the order of the table.
static void hash_order(uint64_t seed) {
  uint8_t table[32];
  for (int i = 0; i < 32; i++)
    table[i] = 255;
  for (uint8_t number = 0; number < 20; number++) {
    uint64_t hash = (number ^ seed) * 0x9e3779b97f4a7c15;
    unsigned place = (unsigned)(hash >> 59);
    while (table[place] != 255)
      place = (place + 1) % 32;
    table[place] = number;
  }
  for (int i = 0; i < 32; i++)
    if (table[i] != 255)
      say("hash", table[i]);
}

#pragma clang attribute pop
