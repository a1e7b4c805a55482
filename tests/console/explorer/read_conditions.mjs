// Print how the explorer reads the conditions of the standard input, a JSON list: [name, operator, value], or null.

import { readFileSync } from 'node:fs';

import { script } from './scripts.mjs';

const { parseCondition } = await script('docs/conditions.js');
const texts = JSON.parse(readFileSync(0, 'utf8'));
const read = texts.map(parseCondition).map((one) => one && [one.name, one.token, one.value]);
process.stdout.write(JSON.stringify(read));
