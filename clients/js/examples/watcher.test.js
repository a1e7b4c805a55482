import assert from 'node:assert/strict';
import { after, beforeEach, mock, test } from 'node:test';
import { Lab } from 'imagestore-lab';
import { Watcher } from './watcher.js';

const lab = await Lab.start({ hosts: 1, seed: 1, clock: 'paused', pingInterval: 300 });
after(() => lab.stop());
beforeEach(() => lab.reset());

test('an outage is seen, and its end', async () => {
  const client = new Watcher(lab.url, await lab.logIn());
  const fault = await lab.host('imagestore-1').break('blackhole');
  await lab.waitForStatus('imagestore-1', 'Disconnected', '10m');
  assert.equal(await client.status('imagestore-1'), 'Disconnected');
  await fault.heal();
  await lab.waitForStatus('imagestore-1', 'Connected', '10m');
  assert.equal(await client.status('imagestore-1'), 'Connected');
});

test('a lost answer adds no second storage', async () => {
  const client = new Watcher(lab.url, await lab.logIn());
  const fault = await lab.breakNode('answer_lost', { point: 'after', how: 'reset' }, { api: 'AddImageStore*', first: 1 });
  await client.add('gold');
  assert.equal(await fault.hits(), 1);
  await lab.waitForStatus('gold', 'Connected');
  await lab.assertRequested({ method: 'POST', body: { params: { name: 'gold' } } }, { times: 1 });
});

test('eight hours of polling see an outage of one', async () => {
  const session = await lab.logIn();
  mock.timers.enable({ apis: ['Date', 'setInterval'], now: new Date('2024-01-01T00:00:00Z') });
  try {
    const time = await lab.carryTime();
    const client = new Watcher(lab.url, session, time.fetch);
    client.watch('imagestore-1');
    await time.pass('3h', (ms) => mock.timers.tick(ms), '15m');
    await lab.host('imagestore-1').break('blackhole', { for: '1h' });
    await time.pass('5h', (ms) => mock.timers.tick(ms), '15m');
    client.stop();
    assert.equal(client.polls, 32);
    assert.deepEqual(client.seen, ['up', 'down', 'up']);
  } finally {
    mock.timers.reset();
  }
});
