import { Lab } from 'imagestore-lab';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { Watcher } from '../watcher.js';

/** @type {Lab} */
let lab;

beforeAll(async () => {
  lab = await Lab.start({ hosts: 1, seed: 1, clock: 'paused', pingInterval: 300 });
}, 30_000);
afterAll(() => lab.stop());
beforeEach(() => lab.reset());
afterEach(() => {
  vi.useRealTimers();
});

test('an outage is seen, and its end', async () => {
  const client = new Watcher(lab.url, await lab.logIn());
  const fault = await lab.host('imagestore-1').break('blackhole');
  await lab.waitForStatus('imagestore-1', 'Disconnected', '10m');
  expect(await client.status('imagestore-1')).toBe('Disconnected');
  await fault.heal();
  await lab.waitForStatus('imagestore-1', 'Connected', '10m');
  expect(await client.status('imagestore-1')).toBe('Connected');
});

test('a lost answer adds no second storage', async () => {
  const client = new Watcher(lab.url, await lab.logIn());
  const fault = await lab.breakNode('answer_lost', { point: 'after', how: 'reset' }, { api: 'AddImageStore*', first: 1 });
  await client.add('gold');
  expect(await fault.hits()).toBe(1);
  await lab.waitForStatus('gold', 'Connected');
  await lab.assertRequested({ method: 'POST', body: { params: { name: 'gold' } } }, { times: 1 });
});

test('eight hours of polling see an outage of one', async () => {
  vi.useFakeTimers();
  const time = await lab.carryTime();
  const client = new Watcher(lab.url, await lab.logIn(), time.fetch);
  client.watch('imagestore-1');
  await time.pass('3h', (ms) => vi.advanceTimersByTimeAsync(ms), '15m');
  await lab.host('imagestore-1').break('blackhole', { for: '1h' });
  await time.pass('5h', (ms) => vi.advanceTimersByTimeAsync(ms), '15m');
  client.stop();
  expect(client.polls).toBe(32);
  expect(client.seen).toEqual(['up', 'down', 'up']);
});
