// Answer requests with the engines of exported pages: a JSON array of them on standard input.
//
// A request names a page, and has either the `ids` to read, or the settings with which to write so
// many `places`; `plain` is without WebAssembly.

"use strict";
const { readFileSync } = require("node:fs");

function answer(request) {
  const page = readFileSync(request.page, "utf-8");
  const part = (id) => page.match(new RegExp(`<script[^>]*id="${id}">(.*?)</script>`, "s"))[1];
  const wasm = Uint8Array.from(Buffer.from(part("product"), "base64"));
  const names = ["request", "model", "weights", "wasm", "WebAssembly"];
  const given = [request, part("model"), part("weights"), wasm];
  const program = new Function(...names, `${part("engine")}; return (${run})();`);
  return program(...given, request.plain ? undefined : WebAssembly);
}

function run() {
  const description = JSON.parse(model);
  const network = readNetwork(description, weights, wasm);
  if (request.ids)
    return request.ids.map((id) => {
      network.read(id);
      return Array.from(network.logits);
    });
  const settings = { topP: 1, minP: 0, ...request.settings, seed: BigInt(request.settings.seed) };
  const choices = new Map(request.choices ?? []);
  const writer = new Writer(description, network, settings, choices);
  while (!writer.prepare());
  const started = performance.now();
  const cells = Array.from({ length: request.places }, () => writer.next());
  const seconds = (performance.now() - started) / 1000;
  return { cells, seconds, text: cells.map(({ text }) => text).join("") };
}

const requests = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(requests.map(answer)));
