/** Conditions of queries: `name operator value`, with ZStack's twelve operators (query-semantics 2). */

/**
 * @typedef {object} Operator
 * @property {string} token  as it stands in `q`
 * @property {string} label
 * @property {boolean} valued  whether a value follows it
 */

/** @typedef {{name: string, token: string, value: string}} Condition */

/** ZStack's order of search: the first token found anywhere in a condition is its operator. @type {Operator[]} */
export const OPERATORS = [
  { token: '!=', label: 'is not', valued: true },
  { token: '>=', label: 'at least', valued: true },
  { token: '<=', label: 'at most', valued: true },
  { token: '!?=', label: 'in none of', valued: true },
  { token: '!~=', label: 'not like', valued: true },
  { token: '~=', label: 'like', valued: true },
  { token: '?=', label: 'one of', valued: true },
  { token: '=', label: 'is', valued: true },
  { token: '>', label: 'greater than', valued: true },
  { token: '<', label: 'less than', valued: true },
  { token: 'is null', label: 'is null', valued: false },
  { token: 'not null', label: 'is not null', valued: false },
];

/** The order in which they are offered. */
export const OFFERED = ['=', '!=', '~=', '!~=', '?=', '!?=', '>', '>=', '<', '<=', 'is null', 'not null'].map(
  (token) => /** @type {Operator} */ (OPERATORS.find((one) => one.token === token)),
);

/**
 * Return the text of a condition.
 * @param {Condition} condition
 */
export function conditionText({ name, token, value }) {
  const operator = OPERATORS.find((one) => one.token === token);
  return operator?.valued === false ? `${name} ${token}` : `${name}${token}${value}`;
}

/**
 * Read a condition as ZStack does; null if it has no operator. Repeated operators count as one.
 * @param {string} text
 * @returns {Condition | null}
 */
export function parseCondition(text) {
  const operator = OPERATORS.find((one) => text.includes(one.token));
  if (operator === undefined) return null;
  const { token } = operator;
  let rest = text;
  while (operator.valued && rest.startsWith(token)) rest = rest.slice(token.length);
  const at = rest.indexOf(token);
  if (at < 0) return null;
  let value = rest.slice(at + token.length);
  while (operator.valued && value.startsWith(token)) value = value.slice(token.length);
  return { name: rest.slice(0, at).trim(), token, value: operator.valued ? value : '' };
}

/**
 * Return why a condition will not do what it says, or "" if it will. ZStack takes the first token that occurs anywhere,
 * so a value with an operator in it can move the split.
 * @param {Condition} condition
 */
export function complaintAbout(condition) {
  if (condition.name.trim() === '') return 'choose a field';
  const read = parseCondition(conditionText(condition));
  if (read !== null && read.token === condition.token && read.value === condition.value) return '';
  const seen = read === null ? 'no condition' : `${read.name || 'nothing'} ${read.token} ${read.value}`;
  return `ZStack would read this as ${seen}: it takes the first operator that it finds anywhere in the text`;
}
