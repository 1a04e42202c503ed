// The random numbers of (seed, row) in [0, 1): those of `charrnn sample`, from PCG64 (O'Neill 2014)
// seeded as numpy does with SeedSequence.

const MASK_32 = 0xffffffffn;
const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const SAMPLE = 0; // the purpose of these numbers, as in seeds.py
const POOL_WORDS = 4;

// A hash of 32-bit words; its constant moves on with every word.
function wordHash(start, factor) {
  let constant = start;
  return (word) => {
    const mixed = word ^ constant;
    constant = Math.imul(constant, factor);
    const product = Math.imul(mixed, constant);
    return (product ^ (product >>> 16)) >>> 0;
  };
}

function mixWords(first, second) {
  const mixed = (Math.imul(0xca01f9dd, first) - Math.imul(0x4973f715, second)) | 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

// Return `count` numbers of 64 bits for entropy in words of 32 bits.
function expandEntropy(words, count) {
  const pool = [];
  const hash = wordHash(0x43b0d7e5, 0x931e8875);
  for (let place = 0; place < POOL_WORDS; place++) pool.push(hash(words[place] ?? 0));
  for (let from = 0; from < POOL_WORDS; from++)
    for (let to = 0; to < POOL_WORDS; to++)
      if (from !== to) pool[to] = mixWords(pool[to], hash(pool[from]));
  for (const word of words.slice(POOL_WORDS))
    for (let to = 0; to < POOL_WORDS; to++) pool[to] = mixWords(pool[to], hash(word));
  const finish = wordHash(0x8b51f9dd, 0x58f38ded);
  const halves = [];
  for (let place = 0; place < 2 * count; place++)
    halves.push(BigInt(finish(pool[place % POOL_WORDS])));
  return Array.from({ length: count }, (_, at) => halves[2 * at] | (halves[2 * at + 1] << 32n));
}

class Uniforms {
  // `seed` is a BigInt below 2**64, `row` a number below 2**53.
  constructor(seed, row) {
    const words = [SAMPLE];
    for (const number of [seed, BigInt(row)])
      words.push(Number(number & MASK_32), Number(number >> 32n));
    const [high, low, highIncrement, lowIncrement] = expandEntropy(words, 4);
    this.increment = ((((highIncrement << 64n) | lowIncrement) << 1n) | 1n) & MASK_128;
    this.state = (this.increment + ((high << 64n) | low)) & MASK_128;
    this.advance();
  }

  advance() {
    this.state = (this.state * MULTIPLIER + this.increment) & MASK_128;
  }

  next() {
    this.advance();
    const folded = (this.state >> 64n) ^ (this.state & MASK_64);
    const turn = this.state >> 122n;
    const raw = ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
    return Number(raw >> 11n) * 2 ** -53;
  }

  copy() {
    return Object.assign(Object.create(Uniforms.prototype), this);
  }
}
