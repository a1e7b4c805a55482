/** A client as you may have one: it adds an image store, and notes when one goes down and comes back. */
export class Watcher {
  /**
   * @param {string} url
   * @param {string} session
   * @param {typeof fetch} [send]
   */
  constructor(url, session, send = fetch) {
    this.api = `${url}/zstack/v1/backup-storage`;
    this.headers = { Authorization: `OAuth ${session}` };
    this.send = send;
    this.polls = 0;
    /** @type {string[]} */
    this.seen = [];
  }

  /** @param {string} name @returns {Promise<string>} */
  async status(name) {
    const answer = await this.send(`${this.api}/image-store?q=name=${name}`, { headers: this.headers });
    const { inventories } = await answer.json();
    return inventories[0]?.status ?? 'absent';
  }

  /** Add it, and look whether it is there if the answer is lost. @param {string} name */
  async add(name) {
    const params = { name, hostname: name, username: 'root', password: 'password', url: '/Cloud_bs' };
    const body = JSON.stringify({ params });
    try {
      const answer = await this.send(`${this.api}/image-store`, { method: 'POST', headers: this.headers, body });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    } catch (error) {
      if ((await this.status(name)) === 'absent') throw error;
    }
  }

  /** Ask every fifteen minutes until `stop`, and note what is new. @param {string} name */
  watch(name) {
    const poll = async () => {
      this.polls += 1;
      const now = (await this.status(name)) === 'Connected' ? 'up' : 'down';
      if (now !== this.seen.at(-1)) this.seen.push(now);
    };
    this.timer = setInterval(poll, 15 * 60_000);
  }

  stop() {
    clearInterval(this.timer);
  }
}
