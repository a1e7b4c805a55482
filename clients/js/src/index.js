export { CarriedTime } from './carried-time.js';
export { Clock } from './clock.js';
export { LabError } from './errors.js';
export { HostFault, NodeFault } from './faults.js';
export { Host } from './host.js';
export { Lab } from './lab.js';
/** @typedef {import('./lab.js').LabOptions} LabOptions */
/** @typedef {import('./requests.js').Matcher} Matcher */
/** @typedef {import('./requests.js').RecordedRequest} RecordedRequest */
/** @typedef {import('./requests.js').Times} Times */
/** @typedef {import('./units.js').Duration} Duration */
/** @typedef {import('./units.js').Size} Size */
