// The network, one character at a time: the same steps as charrnn_cli/model/engine.py.

const LANES = 16; // floats that one turn of product.wat multiplies; rows are padded to this
const GATES = { lstm: 4, gru: 3, rnn: 1 };

function padded(size) {
  return Math.ceil(size / LANES) * LANES;
}

// Plain JavaScript for product.wat, where WebAssembly or its vectors are missing.
function plainProduct(floats) {
  return (target, matrix, vector, rows, bytes) => {
    const width = bytes / 4;
    for (let row = 0; row < rows; row++) {
      const from = matrix / 4 + row * width;
      let sum = 0;
      for (let column = 0; column < width; column++)
        sum += floats[from + column] * floats[vector / 4 + column];
      floats[target / 4 + row] += sum;
    }
  };
}

// A block of floats, and the product of a matrix and a vector in it.
class Arena {
  constructor(size, wasm) {
    this.used = 0;
    try {
      const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * size) / 65536) });
      const module = new WebAssembly.Module(wasm);
      this.run = new WebAssembly.Instance(module, { page: { memory } }).exports.product;
      this.floats = new Float32Array(memory.buffer);
    } catch {
      this.floats = new Float32Array(size);
      this.run = plainProduct(this.floats);
    }
  }

  vector(size) {
    const start = this.used;
    this.used += padded(size);
    return this.floats.subarray(start, this.used);
  }

  matrix({ shape: [rows, columns], values }) {
    const width = padded(columns);
    const whole = this.vector(rows * width);
    for (let row = 0; row < rows; row++)
      whole.set(values.subarray(row * columns, (row + 1) * columns), row * width);
    return { at: whole.byteOffset, rows, bytes: 4 * width, whole, width };
  }

  // Add the product to the target.
  addProduct(target, matrix, vector) {
    this.run(target.byteOffset, matrix.at, vector.byteOffset, matrix.rows, matrix.bytes);
  }
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

function tanh(x) {
  return 1 - 2 / (1 + Math.exp(2 * x)); // twice as fast as Math.tanh, and as exact as float32 holds
}

const CELLS = {
  lstm({ hidden, cell, fromInput, fromHidden, size }) {
    for (let unit = 0; unit < size; unit++) {
      const gate = (number) => fromInput[number * size + unit] + fromHidden[number * size + unit];
      const kept = sigmoid(gate(1)) * cell[unit];
      cell[unit] = kept + sigmoid(gate(0)) * tanh(gate(2));
      hidden[unit] = sigmoid(gate(3)) * tanh(cell[unit]);
    }
  },
  gru({ hidden, fromInput, fromHidden, size }) {
    for (let unit = 0; unit < size; unit++) {
      const gate = (number) => fromInput[number * size + unit] + fromHidden[number * size + unit];
      const reset = sigmoid(gate(0));
      const update = sigmoid(gate(1));
      const next = tanh(fromInput[2 * size + unit] + reset * fromHidden[2 * size + unit]);
      hidden[unit] = next + update * (hidden[unit] - next);
    }
  },
  rnn({ hidden, fromInput, fromHidden, size }) {
    for (let unit = 0; unit < size; unit++) hidden[unit] = tanh(fromInput[unit] + fromHidden[unit]);
  },
};

// `weights` has shapes and values by name; `ngrams` is a reader or null.
class Network {
  constructor(config, weights, ngrams, wasm) {
    const { cell, layers, size, embed, vocabulary_size: vocabulary } = config;
    const gates = GATES[cell] * size;
    let floats = 4 * padded(vocabulary) + padded(embed) + layers * (4 * padded(gates) + 2 * size);
    for (const { shape } of Object.values(weights))
      floats += shape[0] * (shape.length > 1 ? padded(shape[1]) : 1) + LANES;
    if (!embed) floats += vocabulary * padded(gates);
    floats += 2 * LANES * layers;
    this.arena = new Arena(floats, wasm);
    const matrix = (name) => this.arena.matrix(weights[name]);
    const bias = (name) => {
      const vector = this.arena.vector(weights[name].values.length);
      vector.set(weights[name].values);
      return vector;
    };
    this.ngrams = ngrams;
    this.step = CELLS[cell];
    this.layers = Array.from({ length: layers }, (_, number) => ({
      size,
      isTable: !number && !embed,
      input: number || embed ? matrix(`layers.${number}.weight_ih_l0`) : null,
      state: matrix(`layers.${number}.weight_hh_l0`),
      inputBias: bias(`layers.${number}.bias_ih_l0`),
      hiddenBias: bias(`layers.${number}.bias_hh_l0`),
      hidden: this.arena.vector(size),
      cell: this.arena.vector(size),
      fromInput: this.arena.vector(gates),
      fromHidden: this.arena.vector(gates),
    }));
    if (embed) {
      this.embedding = matrix("embedding.weight");
      this.embedded = this.arena.vector(embed);
      this.ngramInput = ngrams && matrix("ngram_input.weight");
    } else {
      this.table = transposed(weights["layers.0.weight_ih_l0"]);
    }
    this.ngramOutput = ngrams && matrix("ngram_output.weight");
    this.ngramInputs = this.arena.vector(vocabulary);
    this.output = matrix("output.weight");
    this.outputBias = bias("output.bias");
    this.padded = this.arena.vector(vocabulary);
    this.logits = this.padded.subarray(0, vocabulary);
    this.start = this.save();
  }

  // Read a character, and compute the logits of the next one.
  read(id) {
    const { arena, embedded } = this;
    if (this.ngrams) this.ngrams.read(id, this.ngramInputs);
    if (embedded) {
      const { whole, width } = this.embedding;
      embedded.set(whole.subarray(id * width, (id + 1) * width));
      if (this.ngrams) arena.addProduct(embedded, this.ngramInput, this.ngramInputs);
    }
    let below = embedded;
    for (const layer of this.layers) {
      layer.fromInput.set(layer.inputBias);
      layer.fromHidden.set(layer.hiddenBias);
      if (layer.isTable) {
        const gates = layer.fromInput;
        const { values, width } = this.table;
        for (let gate = 0; gate < width; gate++) gates[gate] += values[id * width + gate];
      } else {
        arena.addProduct(layer.fromInput, layer.input, below);
      }
      arena.addProduct(layer.fromHidden, layer.state, layer.hidden);
      this.step(layer);
      below = layer.hidden;
    }
    this.padded.set(this.outputBias);
    arena.addProduct(this.padded, this.output, below);
    if (this.ngrams) arena.addProduct(this.padded, this.ngramOutput, this.ngramInputs);
  }

  // Return a copy of the state, which `restore` continues from.
  save() {
    return {
      vectors: this.layers.map(({ hidden, cell }) => [hidden.slice(), cell.slice()]),
      found: this.ngrams && this.ngrams.found,
    };
  }

  restore({ vectors, found }) {
    vectors.forEach(([hidden, cell], number) => {
      this.layers[number].hidden.set(hidden);
      this.layers[number].cell.set(cell);
    });
    if (this.ngrams) this.ngrams.found = found;
  }

  restart() {
    this.restore(this.start);
    if (this.ngrams) this.ngrams.found = this.ngrams.start;
  }
}

// The columns of a matrix one after the other: a one-hot input selects one.
function transposed({ shape: [rows, columns], values }) {
  const table = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      table[column * rows + row] = values[row * columns + column];
  return { values: table, width: rows };
}
