import assert from 'node:assert/strict';
import process from 'node:process';
import { after, test } from 'node:test';
import { Lab } from 'imagestore-lab';
import { GenericContainer, Wait } from 'testcontainers';

// docker build -f docker/mn/Dockerfile -t imagestore-sim .
const image = process.env.LAB_IMAGE ?? 'imagestore-sim';
const container = await new GenericContainer(image)
  .withCommand(['lab', '--hosts', '2', '--clock', 'paused'])
  .withExposedPorts(8080)
  .withWaitStrategy(Wait.forLogMessage(/^ready /))
  .start();
const lab = await Lab.connect(`http://${container.getHost()}:${container.getMappedPort(8080)}`, { clock: 'paused' });
after(async () => {
  await lab.stop();
  await container.stop();
});

test('a lab in a container is broken and healed like any other', async () => {
  await lab.host('imagestore-2').stop();
  await lab.waitForStatus('imagestore-2', 'Disconnected', '2m');
  await lab.host('imagestore-2').start();
  await lab.waitForStatus('imagestore-2', 'Connected', '2m');
  assert.match(await lab.logIn(), /^[0-9a-f]{32}$/);
});
