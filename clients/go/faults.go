package imagestorelab

import (
	"maps"
	"net/http"
	"net/url"
)

// Host is a simulated ImageStore host.
type Host struct {
	// Name is the host name that backup storages are added with.
	Name string
	lab  *Lab
}

// Hosts returns all simulated hosts.
func (lab *Lab) Hosts() []*Host {
	lab.t.Helper()
	var answer struct{ Hosts []struct{ Name string } }
	lab.get("/lab/v1/hosts", &answer)
	hosts := make([]*Host, len(answer.Hosts))
	for index, host := range answer.Hosts {
		hosts[index] = lab.Host(host.Name)
	}
	return hosts
}

// Host returns the host of that name. Its methods fail the test if there is none.
func (lab *Lab) Host(name string) *Host { return &Host{Name: name, lab: lab} }

func (host *Host) path(rest string) string {
	return "/lab/v1/hosts/" + url.PathEscape(host.Name) + rest
}

// Break applies a fault, such as "blackhole". Its parameters are those of docs/faults.md, and `for` how long.
func (host *Host) Break(kind string, parameters Params) *Fault {
	host.lab.t.Helper()
	var answer struct{ ID string }
	host.lab.call(http.MethodPost, host.path("/faults"), withKind(kind, parameters), &answer)
	return &Fault{ID: answer.ID, path: host.path("/faults/" + url.PathEscape(answer.ID)), lab: host.lab}
}

// Heal heals all faults of the host.
func (host *Host) Heal() {
	host.lab.t.Helper()
	host.lab.call(http.MethodPost, host.path("/heal"), Params{}, nil)
}

// Stop shuts the host down: nothing answers at its address.
func (host *Host) Stop() {
	host.lab.t.Helper()
	host.lab.call(http.MethodPost, host.path("/stop"), nil, nil)
}

// Start makes a host listen that was stopped.
func (host *Host) Start() {
	host.lab.t.Helper()
	host.lab.call(http.MethodPost, host.path("/start"), nil, nil)
}

// Resize changes the disk: total such as "2 TiB", used such as "1 TiB" or "55%".
func (host *Host) Resize(total, used string) {
	host.lab.t.Helper()
	host.lab.call(http.MethodPatch, host.path(""), Params{"size": total, "used": used}, nil)
}

// Fault is a fault of a host.
type Fault struct {
	ID   string
	path string
	lab  *Lab
}

// Heal heals this fault.
func (fault *Fault) Heal() {
	fault.lab.t.Helper()
	fault.lab.call(http.MethodDelete, fault.path, nil, nil)
}

// NodeFault is a fault of the management node: it loses answers, is slow, ends sessions.
type NodeFault struct{ Fault }

// BreakNode sets a fault of the node, such as "answer_lost", for the requests that when chooses, all if it is nil:
// Params{"api": "AddImageStore*", "first": 1}. See docs/node-faults.md.
func (lab *Lab) BreakNode(kind string, parameters, when Params) *NodeFault {
	lab.t.Helper()
	body := withKind(kind, parameters)
	if when != nil {
		body["when"] = when
	}
	var answer struct{ ID string }
	lab.call(http.MethodPost, "/lab/v1/node/faults", body, &answer)
	path := "/lab/v1/node/faults/" + url.PathEscape(answer.ID)
	return &NodeFault{Fault{ID: answer.ID, path: path, lab: lab}}
}

// Hits returns how many requests the fault has met.
func (fault *NodeFault) Hits() int {
	fault.lab.t.Helper()
	var answer struct{ Hits int }
	fault.lab.get(fault.path, &answer)
	return answer.Hits
}

func withKind(kind string, parameters Params) Params {
	body := Params{"kind": kind}
	maps.Copy(body, parameters)
	return body
}
