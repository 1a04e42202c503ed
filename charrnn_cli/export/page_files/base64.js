// Numbers of a page: arrays in base64.

const ARRAYS = { I8: Int8Array, U8: Uint8Array, U16: Uint16Array, U32: Uint32Array, F32: Float32Array };

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place++) bytes[place] = binary.charCodeAt(place);
  return bytes;
}
