/** Requests signed with an access key, by the browser's own cryptography (wire-protocol 2.7). */

/** @typedef {{accessKeyId: string, secret: string}} AccessKey */

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * Return the headers that sign a request. `path` begins with `/v1`: without the context, without the query string.
 * The date goes into X-Date, since no page may set the header Date.
 * @param {AccessKey} key
 * @param {string} method
 * @param {string} path
 * @param {Date} [now]
 * @returns {Promise<Record<string, string>>}
 */
export async function signedHeaders(key, method, path, now = new Date()) {
  const date = dateText(now);
  const signature = await sign(key.secret, `${method}\n${date}\n${path}`);
  return { Authorization: `ZStack ${key.accessKeyId}:${signature}`, "X-Date": date };
}

/**
 * Return the HMAC-SHA1 of a text, in base64.
 * @param {string} secret
 * @param {string} text
 */
export async function sign(secret, text) {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-1" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const digest = await crypto.subtle.sign("HMAC", key, encoder.encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/**
 * Return a date as `Fri, 06 Aug 2021 09:58:34 UTC`.
 * @param {Date} date
 */
export function dateText(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  return `${day} ${date.getUTCFullYear()} ${time} UTC`;
}
