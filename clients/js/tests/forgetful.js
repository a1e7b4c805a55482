// Starts a lab, prints its URL, and neither stops it nor ends in an orderly way where it is told not to.
import process from 'node:process';
import { Lab } from '../src/index.js';

console.log((await Lab.start({ hosts: 1 })).url);
if (process.argv[2] === 'killed') process.kill(process.pid, 'SIGKILL');
