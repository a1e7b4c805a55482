import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
  await host.resize('1 TiB');
  const { size, used } = await host.resize(undefined, '50%');
  assert.deepEqual([size, used], [2 ** 40, 2 ** 39]);
  await host.break('resize', { size: '4 TiB' });
  const grown = await host.facts();
  assert.deepEqual([grown.size, grown.faults.length], [2 ** 42, 1]);
  await host.heal();
  assert.equal((await host.facts()).size, 2 ** 40);
});

test('a status is waited for in the time of the lab', async () => {
  const { uuid } = await (await fetch(`${lab.url}/lab/v1/storages/imagestore-1`, { headers: { 'X-Lab-Token': TOKEN } })).json();
  await lab.waitForStatus(uuid, 'Connected', 0);
  const { elapsed } = await lab.clock.now();
  for (const [storage, status, message] of /** @type {[string, any, string][]} */ ([
    ['imagestore-1', 'Gone', "'Gone' is no status: expected Connecting, Connected, Disconnected"],
    ['imagestore', 'Connected', 'imagestore is not there, and was not Connected within 2 s'],
    ['imagestore-1', 'Disconnected', 'imagestore-1 is Connected, and was not Disconnected within 2 s'],
  ])) {
    await assert.rejects(lab.waitForStatus(storage, status, '2s'), { name: 'LabError', message });
  }
  assert.equal((await lab.clock.now()).elapsed, elapsed + 4);
});

test('a status is waited for in the time of a lab that runs faster', async () => {
  const other = await Lab.start({ hosts: 1 });
  await other.clock.speed(60);
  await other.host('imagestore-1').break('refuse');
  await other.waitForStatus('imagestore-1', 'Disconnected');
  const begin = performance.now();
  await assert.rejects(other.waitForStatus('imagestore-1', 'Connected', '2m'), /within 120 s$/);
  assert.ok(performance.now() - begin < 60_000);
  await other.stop();
  await assert.rejects(other.heal(), /: the lab was stopped$/);
});

test('faults of a host end one by one, and together', async () => {
  const host = lab.host('imagestore-1');
  const slow = await host.break('latency', { delay: '1ms' });
  await host.break('slow_login');
  assert.deepEqual([slow.id, await slow.active()], ['latency-1', true]);
  await slow.heal();
  await slow.heal();
  assert.equal(await slow.active(), false);
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
  assert.deepEqual([await fault.hits(), await fault.active()], [1, true]);
  await fault.heal();
  await fault.heal();
  assert.equal(await fault.active(), false);
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

/**
 * Run `work` with these variables of the environment.
 * @param {Record<string, string>} variables
 * @param {() => Promise<void>} work
 */
async function withVariables(variables, work) {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    await work();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

/** @param {string} script of the shell @returns {Promise<string>} the path of a program */
async function program(script) {
  const path = join(await mkdtemp(join(tmpdir(), 'a folder, große-')), 'a program');
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test('a command that is not there, or does not start, says so', async () => {
  await assert.rejects(Lab.start({ zstack: '0.1' }), /lab: the lab ended with status 2 before it was ready\n[^]*0\.1/);
  await withVariables({ IMAGESTORE_SIM_COMMAND: '/nowhere/imagestore-sim' }, async () => {
    await assert.rejects(Lab.start(), /nowhere\/imagestore-sim is not there: install it/);
  });
  const silent = 'before it was ready, and wrote nothing to its standard error$';
  const scripts = { 'exit 3': 'status 3', 'kill -9 $$': 'status 137 \\(signal 9\\)', 'echo ready': 'status 0' };
  for (const [script, how] of Object.entries(scripts)) {
    await withVariables({ IMAGESTORE_SIM_COMMAND: await program(script) }, async () => {
      await assert.rejects(Lab.start(), new RegExp(`the lab ended with ${how} ${silent}`));
    });
  }
});

test('a lab that dies is told with its status and its last words', async () => {
  const named = process.env.IMAGESTORE_SIM_COMMAND ?? 'imagestore-sim';
  const command = await program(`echo $$ >"$(dirname "$0")/pid"\nexec '${named}' "$@" --log-level info`);
  await withVariables({ IMAGESTORE_SIM_COMMAND: command }, async () => {
    const dying = await Lab.start({ hosts: 1 });
    const pid = Number(await readFile(join(dirname(command), 'pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    const calls = [
      () => dying.host('imagestore-1').stop(),
      () => dying.logIn(),
      () => dying.waitForStatus('imagestore-1', 'Disconnected'),
    ];
    for (const call of calls) await assert.rejects(call, /: the lab has ended with status 137 \(signal 9\)\n[^]*INFO/);
    await dying.stop();
  });
});

test('an option that there is not is named, with the one that was meant', async () => {
  for (const [options, message] of /** @type {[any, string | RegExp][]} */ ([
    [{ host: 1 }, 'host: there is no such option; did you mean hosts?'],
    [{ ping_interval: 1 }, 'ping_interval: there is no such option; did you mean pingInterval?'],
    [{ strict: true }, /^strict: there is no such option; there are hosts, seed, .*, args$/],
  ])) {
    await assert.rejects(Lab.start(options), { name: 'LabError', message });
    await assert.rejects(Lab.connect(lab.url, options), { name: 'LabError', message });
  }
  const how = /** @type {any} */ ({ time: 2 });
  const message = 'time: there is no such option; did you mean times?';
  await assert.rejects(lab.assertRequested({ api: 'LogInByAccount' }, how), { name: 'LabError', message });
});

test('a lab takes its options from the test alone, and no proxy', async () => {
  const proxy = 'http://127.0.0.1:9';
  const variables = {
    IMAGESTORE_SIM_HOSTS: '9',
    IMAGESTORE_SIM_CLOCK: 'paused',
    IMAGESTORE_SIM_LAB_TOKEN: 'secret',
    IMAGESTORE_SIM_DATABASE: '/nowhere/kept.db',
    IMAGESTORE_SIM_HOST: '::1',
    IMAGESTORE_LAB_TOKEN: 'of another',
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NODE_USE_ENV_PROXY: '1',
    TMPDIR: '/nowhere',
  };
  await withVariables(variables, async () => {
    const other = await Lab.start();
    assert.deepEqual([(await other.hosts()).length, (await other.clock.now()).paused], [3, false]);
    await other.logIn();
    await other.stop();
  });
});

test('many labs run at once', async () => {
  const labs = await Promise.all(Array.from({ length: 8 }, () => Lab.start({ hosts: 1, clock: 'paused' })));
  await Promise.all(labs.map((one) => one.host('imagestore-1').break('refuse')));
  await Promise.all(labs.map((one) => one.waitForStatus('imagestore-1', 'Disconnected')));
  await Promise.all(labs.map((one) => one.stop()));
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
