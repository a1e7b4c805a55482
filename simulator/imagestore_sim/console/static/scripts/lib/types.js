// The shapes that the scripts share, for the type checker. This file holds no code.

/**
 * @typedef {object} BackupStorage  an inventory of ZStack's API
 * @property {string} uuid
 * @property {string} name
 * @property {string} [description]
 * @property {string} type
 * @property {string} [hostname]
 * @property {number} [sshPort]
 * @property {string} [username]
 * @property {string} url
 * @property {number} totalCapacity
 * @property {number} availableCapacity
 * @property {string} state
 * @property {string} status
 * @property {string} createDate
 * @property {string} lastOpDate
 * @property {string[]} attachedZoneUuids
 */

/**
 * @typedef {object} AppliedFault  a fault that is on a host
 * @property {string} id
 * @property {string} kind
 * @property {Record<string, unknown>} parameters
 * @property {number | null} secondsLeft
 */

/**
 * @typedef {object} Host  a simulated host; sizes in bytes
 * @property {string} name
 * @property {number} port
 * @property {boolean} listening
 * @property {string} address
 * @property {number | null} size
 * @property {number | null} used
 * @property {number | null} available
 * @property {boolean | null} readOnly
 * @property {string | null} username
 * @property {boolean | null} agentRunning
 * @property {AppliedFault[]} faults
 */

/**
 * @typedef {object} LabEvent  a message of the stream of events
 * @property {number} id
 * @property {number} time  seconds since the epoch
 * @property {string} path
 * @property {string} resourceUuid
 * @property {string | null} correlation
 * @property {Record<string, any>} content
 */

/**
 * @typedef {object} About  what the node is and allows
 * @property {string} version
 * @property {string} zstack
 * @property {boolean} strict
 * @property {number} seed
 * @property {boolean} ready
 * @property {boolean} mayChange
 * @property {boolean} tokenNeeded
 * @property {boolean} hasHosts
 * @property {boolean} sharesStore  whether other nodes may share its store
 * @property {boolean} clockAdjustable
 */

/**
 * @typedef {object} ManagementNode  a member of the cluster; times are seconds since the epoch, by the store's clock
 * @property {string} uuid
 * @property {string} hostName
 * @property {number} joinDate
 * @property {number} heartBeat
 * @property {number | null} port
 * @property {'JOINING' | 'RUNNING'} state
 * @property {number} silentFor  seconds
 * @property {number} storages
 */

/**
 * @typedef {object} NodeChange  a node that joined or left
 * @property {number} id  of the event
 * @property {number} time
 * @property {'NodeJoin' | 'NodeLeft'} lifeCycle
 * @property {string} uuid
 * @property {string} hostName
 * @property {number | null} silentFor  seconds for which its heart had stood still
 */

/**
 * @typedef {object} Nodes  the nodes that share the store
 * @property {string} answeredBy
 * @property {boolean} shared
 * @property {'faithful' | 'quick' | null} mode
 * @property {number | null} beatsEvery  seconds
 * @property {number | null} deadAfter  seconds
 * @property {number} epoch
 * @property {number} time
 * @property {ManagementNode[]} nodes
 * @property {number} unowned
 * @property {NodeChange[]} changes  the latest first
 */

/**
 * @typedef {object} Clock
 * @property {number} time
 * @property {boolean} paused
 * @property {number | null} speed
 */

/**
 * @typedef {object} Call  a request that the page has made, or is to make
 * @property {string} method
 * @property {string} path  with its query string, from the root of the node
 * @property {'zstack' | 'lab' | 'node'} api  which decides what a curl needs to be allowed
 * @property {unknown} [body]  an object is JSON, a string YAML
 */

/**
 * @typedef {object} Route  a state of the page, as its URL has it
 * @property {string} path  below the first slash, such as `storages/UUID`
 * @property {string[]} parts  the path in its parts, decoded
 * @property {URLSearchParams} query
 */

/**
 * @typedef {object} MountedView
 * @property {(route: Route) => void} [update]  called when the URL changes and the view stays
 * @property {() => void} unmount
 */

/**
 * @typedef {object} ViewContext
 * @property {Route} route
 * @property {() => void} close  closes the drawer; in a view of the main area it does nothing
 */

/**
 * @typedef {object} ViewModule
 * @property {(parent: HTMLElement, context: ViewContext) => MountedView} mount
 */

/**
 * @typedef {object} View  an entry of the list in `console/views.js`
 * @property {string} path  the first part of its URLs
 * @property {string} title
 * @property {string} sign  one character that is shown before the title
 * @property {() => Promise<ViewModule>} load
 * @property {(about: About) => boolean} [when]  whether the node has it; absent: always
 */

export {};
