// What is in a snapshot, as far as it takes to count and to compare: its sections, their records, and fields of those.

/**
 * @typedef {object} SnapshotRecord
 * @property {string} key  by which it is found in another snapshot
 * @property {string} name
 * @property {Map<string, string>} fields
 */

/**
 * @typedef {object} Difference
 * @property {string} section
 * @property {string} name
 * @property {'added' | 'removed' | 'changed'} kind
 * @property {{field: string, before: string, after: string}[]} fields
 */

/** Fields of which nothing is shown or compared: they are secret, and sealed in another way each time. */
const SECRET = /password|secret|private|token/i;
const SHORTEST_NAME = ['name', 'hostname', 'accessKeyId', 'tag', 'uuid'];

/**
 * Read what the node writes as a snapshot: YAML in blocks. Records of another style are told apart by their whole text.
 * @param {string} text
 * @returns {Map<string, SnapshotRecord[]>}
 */
export function readSnapshot(text) {
  /** @type {Map<string, string[][]>} */
  const sections = new Map();
  /** @type {string[][] | null} */
  let records = null;
  for (const line of text.split('\n')) {
    const section = /^(\w+):/.exec(line)?.[1];
    if (section !== undefined) {
      records = [];
      sections.set(section, records);
    } else if (records !== null && /^\s*- /.test(line) && !/^ {2}/.test(line)) records.push([`  ${line.slice(2)}`]);
    else if (records !== null && line.trim() !== '' && !line.startsWith('#')) (records.at(-1) ?? newRecord(records)).push(line);
  }
  return new Map([...sections].map(([name, lines]) => [name, lines.map(asRecord)]));
}

/** @param {string[][]} records */
function newRecord(records) {
  /** @type {string[]} */
  const record = [];
  records.push(record);
  return record;
}

/** @param {string[]} lines @returns {SnapshotRecord} */
function asRecord(lines) {
  /** @type {Map<string, string>} */
  const fields = new Map();
  let field = '';
  for (const line of lines) {
    const found = /^ {2}([\w.]+):(.*)$/.exec(line);
    if (found !== null) {
      field = found[1] ?? '';
      fields.set(field, (found[2] ?? '').trim());
    } else fields.set(field, `${fields.get(field) ?? ''} ${line.trim()}`.trim());
  }
  const named = SHORTEST_NAME.map((name) => fields.get(name)).find(Boolean);
  return { key: fields.get('uuid') ?? named ?? lines.join('\n'), name: named ?? 'an entry', fields };
}

/** Return how many records of each kind there are, as `1 zone`. @param {string} text */
export function counts(text) {
  const found = [...readSnapshot(text)].filter(([name]) => name !== 'globalConfig');
  return found.map(([name, records]) => `${records.length} ${records.length === 1 ? words(name).replace(/s$/, '') : words(name)}`);
}

/** Return `backup storages` for `backupStorages`. @param {string} section */
export function words(section) {
  return section.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** Return what is different in `after`. @param {string} before @param {string} after @returns {Difference[]} */
export function compareSnapshots(before, after) {
  const [old, now] = [readSnapshot(before), readSnapshot(after)];
  const sections = [...new Set([...old.keys(), ...now.keys()])];
  return sections.flatMap((section) => compareSection(section, old.get(section) ?? [], now.get(section) ?? []));
}

/** @param {string} section @param {SnapshotRecord[]} before @param {SnapshotRecord[]} after @returns {Difference[]} */
function compareSection(section, before, after) {
  const [old, now] = [before, after].map((records) => new Map(records.map((one) => [one.key, one])));
  /** @type {Difference[]} */
  const found = [];
  for (const [key, record] of now ?? []) {
    const earlier = old?.get(key);
    const fields = earlier === undefined ? [] : changedFields(earlier, record);
    if (earlier === undefined) found.push({ section, name: record.name, kind: 'added', fields });
    else if (fields.length > 0) found.push({ section, name: record.name, kind: 'changed', fields });
  }
  for (const [key, record] of old ?? []) {
    if (!now?.has(key)) found.push({ section, name: record.name, kind: 'removed', fields: [] });
  }
  return found;
}

/** @param {SnapshotRecord} before @param {SnapshotRecord} after */
function changedFields(before, after) {
  const names = [...new Set([...before.fields.keys(), ...after.fields.keys()])];
  return names
    .filter((name) => !SECRET.test(name) && before.fields.get(name) !== after.fields.get(name))
    .map((field) => ({ field, before: shown(before, field), after: shown(after, field) }));
}

/** Return a value, if nothing in it may be secret. @param {SnapshotRecord} record @param {string} field */
function shown(record, field) {
  const value = record.fields.get(field) ?? 'unset';
  return SECRET.test(value) || /\bsealed:/.test(value) ? 'not shown: it holds a secret' : value.replace(/^'(.*)'$/, '$1');
}
