// Runs the lab's command as a child, and stops it as soon as standard input ends: when the test process has ended,
// however it ended.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';

const PATIENCE = 5_000; // milliseconds from SIGTERM to SIGKILL
const [command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });

const stop = () => {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), PATIENCE).unref();
};

child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 126;
  process.stdin.destroy();
});
// As a shell says it: 128 and the number of the signal.
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)]));
process.on('SIGTERM', stop).on('SIGINT', stop);
process.stdout.on('error', () => {}); // the test process has ended; so does standard input
process.stdin.on('end', stop).on('error', stop).resume();
