/** A management node with simulated ImageStore hosts. */
export class Lab {
    /**
     * Start `imagestore-sim lab` or a container of an image on a free port, or with IMAGESTORE_LAB_URL reset the lab at
     * that URL, and return it once every storage is connected. Throw LabError.
     * @param {LabOptions} [options]
     * @returns {Promise<Lab>}
     */
    static start(options?: LabOptions): Promise<Lab>;
    /**
     * Reset the lab at a URL, and return it. `stop` leaves it running. Throw LabError.
     * @param {string} url
     * @param {LabOptions} [options] `hosts` has to be what the lab has; of the others `token` and a paused clock count
     * @returns {Promise<Lab>}
     */
    static connect(url: string, options?: LabOptions): Promise<Lab>;
    /**
     * Use `Lab.start` or `Lab.connect`.
     * @param {Connection} connection
     * @param {LabCommand | null} command
     * @param {boolean} paused whether a reset leaves its clock paused
     */
    constructor(connection: Connection, command: LabCommand | null, paused: boolean);
    /** The base of all paths. */
    url: string;
    /** The account to log in with: the password as a person types it, and as a client sends it. */
    credentials: {
        accountName: string;
        password: string;
        sha512: string;
    };
    clock: Clock;
    /** Stop the lab, if it was started here. @returns {Promise<void>} */
    stop(): Promise<void>;
    /**
     * Log in as clients do, and return the uuid of the session. Throw LabError.
     * @returns {Promise<string>}
     */
    logIn(): Promise<string>;
    /** @returns {Promise<Host[]>} */
    hosts(): Promise<Host[]>;
    /**
     * @param {string} name such as imagestore-1
     * @returns {Host}
     */
    host(name: string): Host;
    /**
     * Let the management node fail its clients, such as `breakNode('answer_lost', {}, {api: 'Add*', first: 1})`.
     * @param {string} kind
     * @param {Record<string, unknown>} [parameters] also `count` and `for`
     * @param {Record<string, unknown>} [when] the requests that meet it; all of them if left out
     * @returns {Promise<NodeFault>}
     */
    breakNode(kind: string, parameters?: Record<string, unknown>, when?: Record<string, unknown>): Promise<NodeFault>;
    /** End all faults, of hosts and of the management node. @returns {Promise<void>} */
    heal(): Promise<void>;
    /**
     * Return once the storage of that name or uuid has that status. A clock that runs is waited for; one that stands
     * still is stepped by 5 s at a time. One that does not exist is waited for, too. Throw LabError after `duration`.
     * @param {string} storage
     * @param {'Connected' | 'Connecting' | 'Disconnected'} status
     * @param {Duration} [duration] of the lab's time
     * @returns {Promise<void>}
     */
    waitForStatus(storage: string, status: "Connected" | "Connecting" | "Disconnected", duration?: Duration): Promise<void>;
    /** @returns {Promise<string>} all records, as a bootstrap file (YAML) */
    snapshot(): Promise<string>;
    /**
     * Replace all records by those of a snapshot or a bootstrap file.
     * @param {string} text
     * @returns {Promise<void>}
     */
    load(text: string): Promise<void>;
    /** Make everything what it was at the start. Sessions end; time does not go back. @returns {Promise<void>} */
    reset(): Promise<void>;
    /**
     * @param {Matcher} [matcher]
     * @returns {Promise<RecordedRequest[]>} the requests to ZStack's API that match, the oldest first
     */
    requests(matcher?: Matcher): Promise<RecordedRequest[]>;
    /**
     * Throw an AssertionError, which names the requests that come closest, unless requests came as often as expected.
     * @param {Matcher} matcher
     * @param {Times} [times] at least once by default
     * @returns {Promise<void>}
     */
    assertRequested(matcher: Matcher, times?: Times): Promise<void>;
    /**
     * Pause the lab's clock, and let it follow the time of the test from now on. Call it once fake timers are in place.
     * @param {() => number} [now] milliseconds of the test's time; by default those of `Date`
     * @returns {Promise<CarriedTime>}
     */
    carryTime(now?: () => number): Promise<CarriedTime>;
    /** @returns {Promise<void>} */
    [Symbol.asyncDispose](): Promise<void>;
    #private;
}
export type Matcher = import("./requests.js").Matcher;
export type RecordedRequest = import("./requests.js").RecordedRequest;
export type Times = import("./requests.js").Times;
export type Duration = import("./units.js").Duration;
export type LabOptions = {
    /**
     * simulated hosts, imagestore-1 and so on; 3
     */
    hosts?: number | undefined;
    /**
     * all that is random follows from it
     */
    seed?: number | undefined;
    /**
     * `paused`, or an ISO time: stands still there until the test moves it
     */
    clock?: string | undefined;
    /**
     * seconds between pings; 1 in real time, else 60. 300 makes many hours faster
     */
    pingInterval?: number | undefined;
    /**
     * the version of ZStack to answer as: `'4.8'`
     */
    zstack?: string | undefined;
    /**
     * that the lab asks for on /lab/v1; for one that runs already IMAGESTORE_LAB_TOKEN
     */
    token?: string | undefined;
    /**
     * run a container of it, by the command line of Docker
     */
    image?: string | undefined;
    /**
     * further options of `imagestore-sim lab`
     */
    args?: string[] | undefined;
};
import { Clock } from './clock.js';
import { Host } from './host.js';
import { NodeFault } from './faults.js';
import { CarriedTime } from './carried-time.js';
import { Connection } from './connection.js';
import { LabCommand } from './command.js';
