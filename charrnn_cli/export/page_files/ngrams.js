// Counted n-grams with modified Kneser-Ney smoothing, from the tables that ngram_tables.py
// documents; ngrams.py has the formulas.

const FLOOR = 1e-30; // of probabilities

function bitAt(packed, place) {
  return (packed[place >> 3] >> (7 - (place & 7))) & 1;
}

// Number the bits that are set from 0; others get -1.
function numbered(packed, count) {
  const numbers = new Int32Array(count).fill(-1);
  let next = 0;
  for (let place = 0; place < count; place++) if (bitAt(packed, place)) numbers[place] = next++;
  return numbers;
}

// Return the discounts of the counts 0, 1, 2, and 3 or more.
function estimateDiscounts(counts) {
  const seen = [0, 0, 0, 0, 0, 0];
  for (const count of counts) seen[Math.min(count, 5)]++;
  const share = seen[1] / Math.max(1, seen[1] + 2 * seen[2]);
  return [0, 1, 2, 3].map((count) => {
    if (!count) return 0;
    const now = seen[count];
    const estimate = now ? count - ((count + 1) * share * seen[count + 1]) / now : 0;
    return estimate > 0 && estimate <= count ? estimate : count / 2;
  });
}

class NgramOrder {
  constructor(tables) {
    this.ids = tables.ids;
    const size = this.ids.length;
    this.counts = new Uint32Array(size).fill(1);
    const starts = [];
    let repeated = 0;
    for (let pair = 0; pair < size; pair++) {
      if (bitAt(tables.first, pair)) starts.push(pair);
      if (bitAt(tables.repeated, pair)) this.counts[pair] = tables.counts[repeated++];
    }
    starts.push(size);
    this.starts = Int32Array.from(starts);
    this.discounts = estimateDiscounts(this.counts);
    this.longer = null; // index of each pair among the contexts of the next order, or -1
  }

  // Return the index of a context with a character after it, in the next order; or -1.
  after(context, id) {
    let low = this.starts[context];
    const stop = this.starts[context + 1];
    for (let high = stop; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.ids[middle] < id) low = middle + 1;
      else high = middle;
    }
    return this.longer !== null && low < stop && this.ids[low] === id ? this.longer[low] : -1;
  }

  // Replace the probabilities of the order below by those of this order.
  smooth(context, probabilities) {
    const { ids, counts, discounts } = this;
    const start = this.starts[context];
    const stop = this.starts[context + 1];
    let total = 0;
    let reserved = 0;
    for (let pair = start; pair < stop; pair++) {
      total += counts[pair];
      reserved += discounts[Math.min(counts[pair], 3)];
    }
    const factor = reserved / total;
    for (let id = 0; id < probabilities.length; id++) probabilities[id] *= factor;
    for (let pair = start; pair < stop; pair++)
      probabilities[ids[pair]] += (counts[pair] - discounts[Math.min(counts[pair], 3)]) / total;
  }
}

class NgramReader {
  // `tables` has the tensors of each order by name; `size` is that of the vocabulary.
  constructor(tables, size) {
    this.orders = tables.map((each) => new NgramOrder(each));
    this.singles = tables.length > 1 ? numbered(tables[1].contexts, size) : null;
    for (let order = 2; order < tables.length; order++) {
      const below = this.orders[order - 1];
      below.longer = numbered(tables[order].contexts, below.ids.length);
    }
    this.start = this.orders[0].ids.length ? [0] : [];
    this.found = this.start; // indexes of the contexts that were seen, the shortest first
    this.probabilities = new Float64Array(size);
  }

  // Read a character, and write log q minus its mean for every character into `inputs`.
  read(id, inputs) {
    const found = [...this.start];
    if (found.length && this.singles !== null && this.singles[id] >= 0) {
      found.push(this.singles[id]);
      for (let order = 1; order < this.found.length; order++) {
        const longer = this.orders[order].after(this.found[order], id);
        if (longer < 0) break; // nor was a longer context seen
        found.push(longer);
      }
    }
    this.found = found;
    const q = this.probabilities.fill(1 / this.probabilities.length);
    found.forEach((context, order) => this.orders[order].smooth(context, q));
    let sum = 0;
    for (let each = 0; each < q.length; each++) {
      inputs[each] = Math.log(Math.fround(Math.max(q[each], FLOOR)));
      sum += inputs[each];
    }
    for (let each = 0; each < q.length; each++) inputs[each] -= sum / q.length;
  }
}
