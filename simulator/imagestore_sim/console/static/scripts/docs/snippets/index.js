/** The languages in which a call can be copied. */

import { curl } from './curl.js';
import { go } from './go.js';
import { java } from './java.js';
import { python } from './python.js';
import { zstackCli } from './zstack_cli.js';

/** @type {import("./common.js").Snippet[]} */
export const SNIPPETS = [
  { name: 'curl', language: 'shell', write: curl },
  { name: 'Go', language: 'go', write: go },
  { name: 'Java', language: 'java', write: java },
  { name: 'Python', language: 'python', write: python },
  { name: 'zstack-cli', language: 'shell', write: zstackCli },
];
