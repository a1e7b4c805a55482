// The fields that conditions on storages may name, from the node's own description of its API.

import { Problem, send } from '../lib/http.js';

/** @typedef {{name: string, kind: string}} Field */

const DOCUMENT = '/openapi.json?unfolded';
const QUERY = '/zstack/v1/backup-storage';

/** @type {Promise<Field[]> | null} */
let asked = null;

/** Return the fields; none if the node does not describe them. @returns {Promise<Field[]>} */
export function fieldsOfStorages() {
  asked ??= read();
  return asked;
}

/** @returns {Promise<Field[]>} */
async function read() {
  try {
    const { paths } = await send({ method: 'GET', path: DOCUMENT, api: 'node' });
    return paths[QUERY]?.get?.['x-zstack']?.query?.fields ?? [];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    asked = null;
    return [];
  }
}
