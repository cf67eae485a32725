"use strict";
// BERT, GPT-2 and T5, part by part as in lesson 01's drawing, to be read beside the equations. A text of n tokens is n
// vectors of `width` numbers, one behind the other in a Float32Array; its shape is written as (n, width).
{
  const live = (globalThis.live ??= {});
  const { linear } = live; // x (n, in) -> x · Wᵀ + b, (n, out); see kernel.js

  // --- The parts ----------------------------------------------------------------------------------------------------

  /** Each id's row of the table (vocabulary, width) -> (n, width) */
  function embed(ids, { data, shape: [, width] }) {
    const x = new Float32Array(ids.length * width);
    ids.forEach((id, i) => x.set(data.subarray(id * width, (id + 1) * width), i * width));
    return x;
  }

  /** The residual connection: x + y, both (n, width) */
  const add = (x, y) => x.map((value, i) => value + y[i]);

  /** (n, width), each vector normalized for itself: (x - mean) / deviation · weight + bias (Ba et al., 2016) */
  function layerNorm(x, weight, bias, epsilon) {
    const width = weight.data.length, y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      let mean = 0, variance = 0;
      for (let i = 0; i < width; i++) mean += x[start + i] / width;
      for (let i = 0; i < width; i++) variance += (x[start + i] - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + epsilon);
      for (let i = 0; i < width; i++) y[start + i] = (x[start + i] - mean) * scale * weight.data[i] + bias.data[i];
    }
    return y;
  }

  /** T5's: the same without mean and bias, x / root of the mean square · weight (Zhang and Sennrich, 2019) */
  function rmsNorm(x, weight, epsilon) {
    const width = weight.data.length, y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      let square = 0;
      for (let i = 0; i < width; i++) square += x[start + i] ** 2 / width;
      const scale = 1 / Math.sqrt(square + epsilon);
      for (let i = 0; i < width; i++) y[start + i] = x[start + i] * scale * weight.data[i];
    }
    return y;
  }

  /** In place: numbers [start, end) become shares of 1 */
  function softmax(x, start, end) {
    let largest = -Infinity, sum = 0;
    for (let i = start; i < end; i++) largest = Math.max(largest, x[i]);
    for (let i = start; i < end; i++) sum += x[i] = Math.exp(x[i] - largest);
    for (let i = start; i < end; i++) x[i] /= sum;
    return x;
  }

  /**
   * Attention: softmax(q · kᵀ · scale + bias) · v, in each head for itself.
   *
   * q (n, heads · size), k and v (m, heads · size) -> output (n, heads · size), weights (heads, n, m).
   * causal: query i stands at position m - n + i and sees no key behind it; its weights there stay 0.
   * bias: (head, position of the query, of the key) -> a number; T5's.
   */
  function attention(q, k, v, width, heads, { scale, causal = false, bias = null }) {
    const n = q.length / width, m = k.length / width, size = width / heads;
    const output = new Float32Array(n * width), weights = new Float32Array(heads * n * m);
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < n; i++) {
        const from = i * width + head * size, row = (head * n + i) * m, seen = causal ? m - n + i + 1 : m;
        for (let j = 0; j < seen; j++) {
          const to = j * width + head * size;
          let score = 0;
          for (let d = 0; d < size; d++) score += q[from + d] * k[to + d];
          weights[row + j] = score * scale + (bias ? bias(head, m - n + i, j) : 0);
        }
        softmax(weights, row, row + seen);
        for (let j = 0; j < seen; j++) {
          const weight = weights[row + j], to = j * width + head * size;
          for (let d = 0; d < size; d++) output[from + d] += weight * v[to + d];
        }
      }
    }
    return { output, weights };
  }

  const tanhGelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
  /** The error function; Abramowitz and Stegun, 7.1.26, off by at most 1.5e-7 */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }
  const ACTIVATIONS = {
    relu: (x) => Math.max(0, x),
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), // x · P(a normal number is below x)
    gelu_new: tanhGelu, // an approximation of it
    gelu_pytorch_tanh: tanhGelu,
  };

  /** The two linear layers with a nonlinearity between: (n, width) -> (n, inner) -> (n, width) */
  function feedForward(x, [w1, b1], [w2, b2], activation) {
    return linear(linear(x, w1, b1).map(ACTIVATIONS[activation]), w2, b2);
  }

  /** A config.json and its tensors, by their names in PyTorch without the first, which says the family */
  class Network {
    constructor(config, tensors) {
      this.config = config;
      this.get = (name) => tensors[name] ?? tensors[`bert.${name}`] ?? tensors[`transformer.${name}`];
    }

    pair(name) {
      return [this.get(`${name}.weight`), this.get(`${name}.bias`)];
    }

    norm(x, name) {
      return layerNorm(x, ...this.pair(name), this.config.layer_norm_eps ?? this.config.layer_norm_epsilon);
    }
  }

  // --- BERT: the encoder. Every position sees every other; each part is followed by add & norm ----------------------

  class Bert extends Network {
    /** ids -> vectors of the last layer (n, width); attentions, for each layer (heads, n, n) */
    read(ids) {
      const { hidden_size: width, num_attention_heads: heads, num_hidden_layers, hidden_act } = this.config;
      const scale = 1 / Math.sqrt(width / heads);
      const words = embed(ids, this.get("embeddings.word_embeddings.weight"));
      const places = embed([...ids.keys()], this.get("embeddings.position_embeddings.weight"));
      const types = embed(ids.map(() => 0), this.get("embeddings.token_type_embeddings.weight"));
      let x = this.norm(add(add(words, places), types), "embeddings.LayerNorm");
      const attentions = [];
      for (let layer = 0; layer < num_hidden_layers; layer++) {
        const at = `encoder.layer.${layer}`;
        const [q, k, v] = ["query", "key", "value"].map((what) => {
          return linear(x, ...this.pair(`${at}.attention.self.${what}`));
        });
        const { output, weights } = attention(q, k, v, width, heads, { scale });
        attentions.push(weights);
        x = this.norm(add(x, linear(output, ...this.pair(`${at}.attention.output.dense`))),
          `${at}.attention.output.LayerNorm`);
        const y = feedForward(x, this.pair(`${at}.intermediate.dense`), this.pair(`${at}.output.dense`), hidden_act);
        x = this.norm(add(x, y), `${at}.output.LayerNorm`);
      }
      return { vectors: x, attentions };
    }

    /** vectors (n, width) -> logits (n, vocabulary): the head, whose last matrix is the table of the embeddings */
    guess(vectors) {
      const activation = ACTIVATIONS[this.config.hidden_act], table = this.get("embeddings.word_embeddings.weight");
      const x = linear(vectors, ...this.pair("cls.predictions.transform.dense")).map(activation);
      return linear(this.norm(x, "cls.predictions.transform.LayerNorm"), table, this.get("cls.predictions.bias"));
    }
  }

  // --- GPT-2: the decoder. A position sees itself and its left; each part is preceded by a norm ---------------------

  class GPT2 extends Network {
    /**
     * ids -> vectors of the last layer (n, width); attentions; cache. With the cache of what stands before, only the
     * new tokens are computed: keys and values of the others do not change, since they cannot see what follows.
     */
    read(ids, cache = { length: 0, layers: [] }) {
      const { n_embd: width, n_head: heads, n_layer, activation_function } = this.config;
      const scale = 1 / Math.sqrt(width / heads);
      const places = embed(ids.map((_, i) => cache.length + i), this.get("wpe.weight"));
      let x = add(embed(ids, this.get("wte.weight")), places);
      const attentions = [], layers = [];
      for (let layer = 0; layer < n_layer; layer++) {
        const at = `h.${layer}`;
        const qkv = linear(this.norm(x, `${at}.ln_1`), ...this.pair(`${at}.attn.c_attn`)); // (n, 3 · width)
        const [q, k, v] = [0, 1, 2].map((part) => columns(qkv, 3 * width, part * width, width));
        layers.push(extended(cache.layers[layer], k, v));
        const { output, weights } = attention(q, ...layers[layer], width, heads, { scale, causal: true });
        attentions.push(weights);
        x = add(x, linear(output, ...this.pair(`${at}.attn.c_proj`)));
        const [w1, w2] = [this.pair(`${at}.mlp.c_fc`), this.pair(`${at}.mlp.c_proj`)];
        x = add(x, feedForward(this.norm(x, `${at}.ln_2`), w1, w2, activation_function));
      }
      return { vectors: this.norm(x, "ln_f"), attentions, cache: { length: cache.length + ids.length, layers } };
    }

    /** vectors (n, width) -> logits of each next token (n, vocabulary) */
    guess(vectors) {
      return linear(vectors, this.get("lm_head.weight") ?? this.get("wte.weight"));
    }
  }

  /** Columns [start, start + count) of x (n, width) -> (n, count) */
  function columns(x, width, start, count) {
    const n = x.length / width, y = new Float32Array(n * count);
    for (let i = 0; i < n; i++) y.set(x.subarray(i * width + start, i * width + start + count), i * count);
    return y;
  }

  /** Keys and values so far, and the new ones behind them */
  function extended(before, k, v) {
    if (!before) return [k, v];
    return [k, v].map((fresh, which) => {
      const all = new Float32Array(before[which].length + fresh.length);
      all.set(before[which]);
      all.set(fresh, before[which].length);
      return all;
    });
  }

  // --- T5: both. No vectors for positions: a number for each distance is added to the scores ------------------------

  class T5 extends Network {
    norm(x, name) {
      return rmsNorm(x, this.get(`${name}.weight`), this.config.layer_norm_epsilon);
    }

    /** ids -> vectors of the encoder's last layer (n, width) */
    read(ids) {
      const bias = this.distances("encoder", false);
      let x = embed(ids, this.get("shared.weight"));
      for (let layer = 0; layer < this.config.num_layers; layer++) {
        const at = `encoder.block.${layer}.layer`, y = this.norm(x, `${at}.0.layer_norm`);
        const [q, k, v] = this.project(y, `${at}.0.SelfAttention`, "qkv");
        x = add(x, this.attend(q, k, v, `${at}.0.SelfAttention`, { bias }).output);
        x = this.think(x, `${at}.1`);
      }
      return { vectors: this.norm(x, "encoder.final_layer_norm") };
    }

    /** ids written so far, vectors of what the encoder read (m, width) -> as GPT2.read, and where it looks across */
    write(ids, read, cache = { layers: [], across: [] }) {
      const bias = this.distances("decoder", true);
      let x = embed(ids, this.get("shared.weight"));
      const layers = [], across = [], attentions = [];
      for (let layer = 0; layer < this.config.num_decoder_layers; layer++) {
        const [self, cross, last] = [0, 1, 2].map((part) => `decoder.block.${layer}.layer.${part}`);
        const [q, k, v] = this.project(this.norm(x, `${self}.layer_norm`), `${self}.SelfAttention`, "qkv");
        layers.push(extended(cache.layers[layer], k, v));
        x = add(x, this.attend(q, ...layers[layer], `${self}.SelfAttention`, { bias, causal: true }).output);
        across.push(cache.across[layer] ?? this.project(read, `${cross}.EncDecAttention`, "kv"));
        const [asked] = this.project(this.norm(x, `${cross}.layer_norm`), `${cross}.EncDecAttention`, "q");
        const { output, weights } = this.attend(asked, ...across[layer], `${cross}.EncDecAttention`, {});
        attentions.push(weights);
        x = this.think(add(x, output), last);
      }
      return { vectors: this.norm(x, "decoder.final_layer_norm"), attentions, cache: { layers, across } };
    }

    project(x, at, which) {
      return [...which].map((what) => linear(x, this.get(`${at}.${what}.weight`)));
    }

    attend(q, k, v, at, how) {
      const { d_kv, num_heads } = this.config; // scores are not divided by √size: T5's start made up for it
      const { output, weights } = attention(q, k, v, d_kv * num_heads, num_heads, { scale: 1, ...how });
      return { output: linear(output, this.get(`${at}.o.weight`)), weights };
    }

    think(x, at) {
      const [w1, w2] = ["wi", "wo"].map((what) => [this.get(`${at}.DenseReluDense.${what}.weight`)]);
      return add(x, feedForward(this.norm(x, `${at}.layer_norm`), w1, w2, this.config.dense_act_fn));
    }

    /** (head, query's position, key's) -> the learned number of their distance; far distances share one */
    distances(side, causal) {
      const { relative_attention_num_buckets: buckets, relative_attention_max_distance: most } = this.config;
      const { data, shape } = this.get(`${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`);
      const half = causal ? buckets : buckets / 2, exact = half / 2; // half for the right, half for the left
      const rows = new Map();
      const rowOf = (step) => {
        const far = causal ? Math.max(0, -step) : Math.abs(step), right = !causal && step > 0 ? half : 0;
        if (far < exact) return right + far;
        const wide = Math.log(Math.fround(far / exact)) / Math.log(most / exact);
        return right + Math.min(half - 1, exact + Math.floor(Math.fround(wide * (half - exact))));
      };
      return (head, i, j) => {
        if (!rows.has(j - i)) rows.set(j - i, rowOf(j - i));
        return data[rows.get(j - i) * shape[1] + head];
      };
    }

    /** vectors (n, width) -> logits of each next token (n, vocabulary) */
    guess(vectors) {
      const { scale_decoder_outputs, tie_word_embeddings, d_model } = this.config;
      const scale = scale_decoder_outputs ?? tie_word_embeddings ? d_model ** -0.5 : 1;
      return linear(vectors.map((value) => value * scale), this.get("lm_head.weight") ?? this.get("shared.weight"));
    }
  }

  // --- What is done with logits -------------------------------------------------------------------------------------

  /** The likeliest first: [{id, share, kept}], kept by top-p. Temperature 0 gives the likeliest all. */
  function candidates(logits, temperature, topP) {
    const ids = Uint32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    const scaled = (id, rank) => (temperature ? logits[id] / temperature : rank ? -Infinity : 0);
    const shares = softmax(Float64Array.from(ids, scaled), 0, ids.length);
    let before = 0;
    return Array.from(ids, (id, rank) => {
      const kept = rank === 0 || before < topP;
      before += shares[rank];
      return { id, share: shares[rank], kept };
    });
  }

  const likeliest = (logits) => logits.reduce((best, value, id) => (value > logits[best] ? id : best), 0);

  /** One of the kept candidates, by its share; `chance` is a number from 0 to 1. */
  function draw(ranked, chance) {
    const kept = ranked.filter((candidate) => candidate.kept);
    let rest = chance * kept.reduce((sum, { share }) => sum + share, 0);
    return kept.find(({ share }) => (rest -= share) < 0) ?? kept[kept.length - 1];
  }

  /** Numbers from 0 to 1 that a seed decides (mulberry32, a common small generator; PyTorch's is another) */
  function seeded(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  const FAMILIES = { bert: Bert, gpt2: GPT2, t5: T5 };
  /** The network of a config.json and its tensors by name. */
  live.network = (config, tensors) => new FAMILIES[config.model_type](config, tensors);
  Object.assign(live, { candidates, draw, likeliest, seeded });
}
