"use strict";
// Weights, and the one product that takes the time: each of n vectors times a matrix. In WebAssembly with SIMD, four
// numbers at once; in plain JavaScript where a browser lacks it. model.js does not see which.
{
  const live = (globalThis.live ??= {});
  const CHUNK = 64; // vectors at a time, so that what is copied in and out stays small
  const STEP = 16; // numbers of a row that the inner loop takes at once

  // --- The kernel, assembled here: the instructions below are those of the WebAssembly specification ----------------

  const leb = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)]);
  const signed = (n) => (n < 64 ? [n] : [(n & 127) | 128, ...signed(n >>> 7)]);
  const section = (id, ...items) => {
    const body = [...leb(items.length), ...items.flat()];
    return [id, ...leb(body.length), ...body];
  };
  const name = (text) => [text.length, ...new TextEncoder().encode(text)];
  const I32 = 0x7f, V128 = 0x7b;
  const get = (i) => [0x20, ...leb(i)], set = (i) => [0x21, ...leb(i)];
  const constant = (n) => [0x41, ...signed(n)];
  const plus = 0x6a, below = 0x49, end = 0x0b;
  const again = [0x0d, 0]; // br_if to the head of the loop
  const loop = [0x03, 0x40];
  const load = (offset) => [0xfd, 0, 4, ...leb(offset)];
  const lane = (i) => [0xfd, 0x1f, i];
  const add = [0xfd, 0xe4, 1], multiply = [0xfd, 0xe6, 1], addNumbers = 0x92;
  const store = (offset) => [0x38, 2, ...leb(offset)], zero = [0xfd, 0x0c, ...Array(16).fill(0)];

  /**
   * A function (x, w, y, width, wEnd, stride): the products of `rows` vectors at x with each row of a matrix from w to
   * wEnd, `columns` rows of the matrix at a time. All in bytes: width of a row, stride from one output to the next.
   */
  function product(rows, columns) {
    const [x, w, y, width, wEnd, stride] = [0, 1, 2, 3, 4, 5];
    const each = (n, make) => Array.from({ length: n }, (_, i) => make(i)).flat();
    const xs = (r) => 6 + r, ws = (c) => 6 + rows + c, out = 6 + rows + columns, stop = out + 1;
    const one = stop + 1; // the piece of x at hand
    const sum = (r, c) => one + 1 + r * columns + c;
    const code = [
      loop, // over the rows of the matrix
      each(rows, (r) => [r ? [get(xs(r - 1)), get(width), plus] : get(x), set(xs(r))].flat(2)),
      each(columns, (c) => [c ? [get(ws(c - 1)), get(width), plus] : get(w), set(ws(c))].flat(2)),
      get(x), get(width), plus, set(stop),
      each(rows * columns, (i) => [...zero, ...set(sum(0, 0) + i)]),
      loop, // over the numbers of a row, sixteen a turn
      each(STEP / 4, (i) =>
        each(rows, (r) => [
          ...get(xs(r)), ...load(16 * i), ...set(one),
          ...each(columns, (c) => {
            return [get(one), get(ws(c)), load(16 * i), multiply, get(sum(r, c)), add, set(sum(r, c))].flat();
          }),
        ]),
      ),
      each(rows + columns, (i) => [get(xs(0) + i), constant(4 * STEP), plus, set(xs(0) + i)].flat()),
      get(xs(0)), get(stop), below, again, end,
      get(y), set(out),
      each(rows, (r) => [
        ...each(columns, (c) => [
          ...get(out),
          ...each(4, (i) => [...get(sum(r, c)), ...lane(i), ...(i ? [addNumbers] : [])]),
          ...store(4 * c),
        ]),
        ...[get(out), get(stride), plus, set(out)].flat(),
      ]),
      get(w), each(columns, () => [...get(width), plus]), set(w),
      get(y), constant(4 * columns), plus, set(y),
      get(w), get(wEnd), below, again, end, end,
    ].flat(3);
    const locals = [2, ...leb(rows + columns + 2), I32, ...leb(1 + rows * columns), V128];
    return [...leb(locals.length + code.length), ...locals, ...code];
  }

  const MODULE = () =>
    new Uint8Array([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // \0asm, version 1
      ...section(1, [0x60, 6, ...Array(6).fill(I32), 0]), // one type: six integers, no result
      ...section(2, [...name("live"), ...name("memory"), 2, 0, 1]),
      ...section(3, [0], [0]),
      ...section(7, [...name("four"), 0, 0], [...name("one"), 0, 1]),
      ...section(10, product(4, 2), product(1, 4)),
    ]);

  let compiled = null;
  try {
    compiled = new WebAssembly.Module(MODULE());
  } catch {} // no WebAssembly, or one without SIMD
  live.withSIMD = compiled !== null; // tests switch it off

  // --- Weights ------------------------------------------------------------------------------------------------------

  // All float16 numbers, as numbers: 1 bit of sign, 5 of exponent, 10 of fraction
  let halves = null;
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  /** Name -> tensor {shape, data} of a model, from shapes by name and a text whose characters are float16 numbers. */
  live.unpack = (shapes, text) => {
    halves ??= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
    const size = (shape) => shape.reduce((a, b) => a * b);
    const widest = Math.max(...Object.values(shapes).flat()); // of what goes into a product, or comes out
    const all = Object.values(shapes).reduce((sum, shape) => sum + size(shape), 2 * CHUNK * widest);
    const simd = live.withSIMD ? kernel(4 * all) : null;
    const numbers = new Float32Array(simd ? simd.memory.buffer : all);
    const tensors = {};
    let at = 2 * CHUNK * widest, from = 0;
    for (const [name, shape] of Object.entries(shapes)) {
      const data = numbers.subarray(at, (at += size(shape)));
      for (let i = 0; i < data.length; i++) data[i] = halves[text.charCodeAt(from++)];
      tensors[name] = { shape, data, simd };
    }
    return tensors;
  };

  /** The two functions, and a memory of their own for a model's weights and what goes in and out */
  function kernel(bytes) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    return { memory, ...new WebAssembly.Instance(compiled, { live: { memory } }).exports };
  }

  // --- n vectors times a matrix -------------------------------------------------------------------------------------

  /** x (n, in), weight (out, in), bias (out) or null -> x · weightᵀ + bias, (n, out) */
  live.linear = (x, weight, bias = null) => {
    const [out, width] = weight.shape, n = x.length / width;
    const y = new Float32Array(n * out);
    const fits = weight.simd && width % STEP === 0 && out % 4 === 0;
    (fits ? withSIMD : plain)(x, weight, y, n, width, out);
    if (bias) for (let i = 0; i < y.length; i++) y[i] += bias.data[i % out];
    return y;
  };

  function withSIMD(x, { data, simd }, y, n, width, out) {
    const numbers = new Float32Array(simd.memory.buffer);
    const w = data.byteOffset, wEnd = w + 4 * width * out;
    for (let first = 0; first < n; first += CHUNK) {
      const rows = Math.min(CHUNK, n - first), at = 4 * rows * width; // outputs stand behind the inputs
      numbers.set(x.subarray(first * width, (first + rows) * width));
      // A block of the matrix stays in the processor's cache while all vectors meet it.
      const block = rows < 4 ? wEnd - w : 4 * width * 32;
      for (let b = w; b < wEnd; b += block) {
        const bEnd = Math.min(b + block, wEnd), column = at + (b - w) / width;
        for (let row = 0; row < rows; ) {
          const four = row + 4 <= rows;
          const product = four ? simd.four : simd.one;
          product(4 * row * width, b, column + 4 * row * out, 4 * width, bEnd, 4 * out);
          row += four ? 4 : 1;
        }
      }
      y.set(numbers.subarray(at / 4, at / 4 + rows * out), first * out);
    }
  }

  // Four sums at a time: each number of x is read once for four rows of the matrix.
  function plain(x, { data }, y, n, width, out) {
    for (let row = 0; row < n; row++) {
      const from = row * width, to = row * out;
      let column = 0;
      for (; column + 4 <= out; column += 4) {
        const w0 = column * width, w1 = w0 + width, w2 = w1 + width, w3 = w2 + width;
        let a = 0, b = 0, c = 0, d = 0;
        for (let i = 0; i < width; i++) {
          const value = x[from + i];
          a += value * data[w0 + i];
          b += value * data[w1 + i];
          c += value * data[w2 + i];
          d += value * data[w3 + i];
        }
        y.set([a, b, c, d], to + column);
      }
      for (; column < out; column++) {
        for (let i = 0; i < width; i++) y[to + column] += x[from + i] * data[column * width + i];
      }
    }
  }
}
