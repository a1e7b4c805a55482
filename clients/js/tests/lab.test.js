import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import process from 'node:process';
import { after, beforeEach, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Lab, LabError } from '../src/index.js';

const TOKEN = 'a-token';
const lab = await Lab.start({ hosts: 2, seed: 7, clock: 'paused', token: TOKEN, args: ['--ping-interval', '10'] });
after(() => lab.stop());
beforeEach(() => lab.reset());

const isDown = async (/** @type {string} */ url) => fetch(`${url}/healthz`).then(() => false, () => true);

test('hosts are stopped, started, and have another disk', async () => {
  const names = (await lab.hosts()).map(({ name }) => name);
  assert.deepEqual(names, ['imagestore-1', 'imagestore-2']);
  const host = lab.host('imagestore-2');
  await host.stop();
  assert.equal((await host.facts()).listening, false);
  await lab.waitForStatus('imagestore-2', 'Disconnected', '2m');
  await host.start();
  await lab.waitForStatus('imagestore-2', 'Connected', '2m');
  const { size, used } = await host.resize('1 TiB', '50%');
  assert.deepEqual([size, used], [2 ** 40, 2 ** 39]);
});

test('faults of a host end one by one, and together', async () => {
  const host = lab.host('imagestore-1');
  const slow = await host.break('latency', { delay: '1ms' });
  await host.break('slow_login');
  await slow.heal();
  assert.deepEqual((await host.facts()).faults.map(({ kind }) => kind), ['slow_login']);
  await lab.heal();
  assert.deepEqual((await host.facts()).faults, []);
  await host.break('slow_login');
  await host.heal();
  assert.deepEqual((await host.facts()).faults, []);
});

test('a fault of the node counts its hits, and heals', async () => {
  const fault = await lab.breakNode('status', { code: 502 }, { path: '*/login' });
  await assert.rejects(lab.logIn(), { status: 502 });
  assert.equal(await fault.hits(), 1);
  await fault.heal();
  assert.match(await lab.logIn(), /^[0-9a-f]{32}$/);
});

test('records are put back, and everything is reset', async () => {
  const records = await lab.snapshot();
  assert.match(records, /imagestore-2/);
  await lab.load('zones: []');
  await assert.rejects(lab.waitForStatus('imagestore-1', 'Connected', '2s'), /imagestore-1 is not there/);
  await lab.load(records);
  await lab.waitForStatus('imagestore-1', 'Connected');
  assert.equal((await lab.requests()).length, 0);
});

test('an assertion names the request that comes closest', async () => {
  await lab.logIn();
  await lab.assertRequested({ path: '*/login' }, { times: 1 });
  await lab.assertRequested({ method: 'DELETE' }, { never: true });
  await assert.rejects(lab.assertRequested({ method: 'POST', path: '*/login' }), {
    code: 'ERR_ASSERTION',
    message: /received 0[^]*method: expected POST, got PUT/,
  });
  await assert.rejects(lab.assertRequested({ path: '*/login' }, { never: true }), /expected none, received 1\n  #1 PUT/);
  await assert.rejects(lab.assertRequested({ path: '*/login' }, { atLeast: 2 }), /at least 2, received 1/);
});

test('the clock is stepped, set, resumed and paused', async () => {
  const { elapsed, time } = await lab.clock.now();
  assert.equal((await lab.clock.step('10m')).elapsed, elapsed + 600);
  assert.equal((await lab.clock.set(new Date((time + 3_600) * 1_000))).elapsed, elapsed + 3_600);
  assert.equal((await lab.clock.resume()).paused, false);
  assert.equal((await lab.clock.pause()).paused, true);
});

test('a test whose Date is mocked takes the lab along, and tells nobody else', async () => {
  mock.timers.enable({ apis: ['Date'], now: 0 });
  const sent = mock.method(globalThis, 'fetch', globalThis.fetch);
  try {
    const { elapsed } = await lab.clock.now();
    const time = await lab.carryTime();
    mock.timers.tick(90_000);
    const answer = await time.fetch(`${lab.url}/zstack/v1/management-nodes/ready`, { method: 'PUT' });
    assert.ok(Math.abs(Number(answer.headers.get('x-lab-time')) - elapsed - 90) < 0.001);
    assert.equal(answer.headers.get('x-lab-settled'), 'true');
    assert.deepEqual(time.headers(), { 'X-Lab-Time': (elapsed + 90).toFixed(6), 'X-Lab-Token': TOKEN });
    await time.fetch('data:,elsewhere');
    assert.deepEqual([.../** @type {Request} */ (sent.mock.calls.at(-1)?.arguments[0]).headers], []);
  } finally {
    mock.restoreAll();
    mock.timers.reset();
  }
});

test('what is refused says why', async () => {
  await assert.rejects(lab.host('imagestore-9').stop(), (error) => error instanceof LabError && error.status === 404);
  await assert.rejects(lab.host('imagestore-1').break('no_such'), /no_such/);
  await assert.rejects(lab.waitForStatus('imagestore-1', 'Connected', '5 minutes'), /is no duration/);
});

test('a running lab is used, reset, and left', async () => {
  await lab.logIn();
  process.env.IMAGESTORE_LAB_URL = lab.url;
  try {
    await assert.rejects(Lab.start({ hosts: 9, token: TOKEN }), /has 2 hosts, and the test wants 9/);
    const other = await Lab.start({ token: TOKEN });
    assert.equal((await other.requests()).length, 0);
    await other.stop();
    assert.equal(await isDown(lab.url), false);
  } finally {
    delete process.env.IMAGESTORE_LAB_URL;
  }
});

test('a lab in a container', { skip: !process.env.LAB_IMAGE && 'LAB_IMAGE names no image' }, async () => {
  const options = { image: process.env.LAB_IMAGE, hosts: 1, clock: 'paused', token: TOKEN };
  const contained = await Lab.start(options);
  await contained.host('imagestore-1').stop();
  await contained.waitForStatus('imagestore-1', 'Disconnected', '2m');
  await contained.stop();
  assert.equal(await isDown(contained.url), true);
});

test('a command that is not there, or does not start, says so', async () => {
  await assert.rejects(Lab.start({ zstack: '0.1' }), /ended with status 2[^]*0\.1/);
  const command = process.env.IMAGESTORE_SIM_COMMAND;
  process.env.IMAGESTORE_SIM_COMMAND = '/nowhere/imagestore-sim';
  try {
    await assert.rejects(Lab.start(), /is not there: install it/);
  } finally {
    if (command === undefined) delete process.env.IMAGESTORE_SIM_COMMAND;
    else process.env.IMAGESTORE_SIM_COMMAND = command;
  }
});

for (const how of ['killed', 'ended']) {
  test(`a test process that has ${how} leaves no lab behind`, async () => {
    const program = fileURLToPath(new URL('forgetful.js', import.meta.url));
    const run = promisify(execFile)(process.execPath, [program, how]);
    const { stdout } = await run.catch((killed) => killed);
    assert.match(stdout, /^http:/);
    for (let tries = 0; tries < 1_200 && !(await isDown(stdout.trim())); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await isDown(stdout.trim()), true);
  });
}
