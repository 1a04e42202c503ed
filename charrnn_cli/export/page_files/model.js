// The model in this page: its description as JSON, and its numbers as base64.

const NGRAM_PARTS = ["contexts", "first", "ids", "repeated", "counts"];

// Return the numbers of half precision (IEEE 754) as float32.
function fromHalves(halves) {
  const table = Float32Array.from({ length: 65536 }, (_, half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return half & 0x8000 ? -size : size;
  });
  return Float32Array.from(halves, (half) => table[half]);
}

function fromScaledRows(numbers, scales) {
  const width = numbers.length / scales.length;
  return Float32Array.from(numbers, (number, place) => number * scales[Math.floor(place / width)]);
}

function readTensor(bytes, { dtype, shape, start, scales }) {
  const count = shape.reduce((product, size) => product * size, 1);
  const view = (Type, from, size) => new Type(bytes.buffer, bytes.byteOffset + from, size);
  if (dtype === "I8")
    return fromScaledRows(view(Int8Array, start, count), view(Float32Array, scales, shape[0]));
  if (dtype === "F16") return fromHalves(view(Uint16Array, start, count));
  return view(ARRAYS[dtype], start, count);
}

// Return the network of a description, of base64 and of the bytes of product.wasm.
function readNetwork(model, base64, wasm) {
  const bytes = fromBase64(base64);
  const weights = {};
  const tables = Array.from({ length: model.config.ngram }, () => ({}));
  for (const [name, tensor] of Object.entries(model.tensors)) {
    const values = readTensor(bytes, tensor);
    const [first, order, part] = name.split(".");
    if (first === "ngrams" && NGRAM_PARTS.includes(part)) tables[order - 1][part] = values;
    else weights[name] = { shape: tensor.shape, values };
  }
  const size = model.config.vocabulary_size;
  const ngrams = tables.length ? new NgramReader(tables, size) : null;
  return new Network(model.config, weights, ngrams, wasm);
}
