// ZStack's API takes the SHA-512 of a password, in hex.

import { Problem } from './http.js';

/** Throw Problem where the browser offers no cryptography. */
export function requireCryptography() {
  if (globalThis.crypto?.subtle !== undefined) return;
  throw new Problem(0, 'browsers sign and hash only on localhost or over https; log in as admin, or open the page there');
}

/** Return the SHA-512 of a text in hex. Throw Problem where the browser offers none. @param {string} text */
export async function sha512(text) {
  requireCryptography();
  const digest = await crypto.subtle.digest('SHA-512', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((one) => one.toString(16).padStart(2, '0')).join('');
}
