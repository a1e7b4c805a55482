package imagestorelab

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
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

// HostFacts are what a host is at the moment. Sizes are in bytes, and -1 while the disk does not answer.
type HostFacts struct {
	Name      string
	Listening bool
	Size      int64
	Used      int64
	// Faults are the kinds of faults that it has.
	Faults []string
}

// Facts returns what the host is at the moment: its disk, its faults.
func (host *Host) Facts() HostFacts {
	host.lab.t.Helper()
	var answer struct {
		Name       string
		Listening  bool
		Size, Used *int64
		Faults     []struct{ Kind string }
	}
	host.lab.get(host.path(""), &answer)
	facts := HostFacts{Name: answer.Name, Listening: answer.Listening, Size: -1, Used: -1}
	if answer.Size != nil && answer.Used != nil {
		facts.Size, facts.Used = *answer.Size, *answer.Used
	}
	for _, fault := range answer.Faults {
		facts.Faults = append(facts.Faults, fault.Kind)
	}
	return facts
}

// Break applies a fault, such as "blackhole". Its parameters are those of docs/faults.md, and `for` how long.
func (host *Host) Break(kind string, parameters Params) *Fault {
	host.lab.t.Helper()
	var answer struct{ ID string }
	host.lab.call(http.MethodPost, host.path("/faults"), withKind(kind, parameters), &answer)
	path := host.path("/faults/" + url.PathEscape(answer.ID))
	return &Fault{ID: answer.ID, path: path, all: host.path(""), lab: host.lab}
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

// Resize changes the disk until the lab is reset: total such as "2 TiB", used such as "1 TiB" or "55%". What is empty
// stays. It is no fault: Heal does not undo it, as it does for the fault "resize".
func (host *Host) Resize(total, used string) {
	host.lab.t.Helper()
	change := Params{}
	if total != "" {
		change["size"] = total
	}
	if used != "" {
		change["used"] = used
	}
	host.lab.call(http.MethodPatch, host.path(""), change, nil)
}

// Fault is a fault of a host.
type Fault struct {
	// ID is what the lab calls it, as a matcher of requests names it.
	ID   string
	path string
	// all is the path that lists it as long as it is active.
	all string
	lab *Lab
}

// Heal heals this fault, unless that has happened; others stay.
func (fault *Fault) Heal() {
	fault.lab.t.Helper()
	_, err := fault.lab.send(http.MethodDelete, fault.path, nil)
	if refused := (*refusal)(nil); err != nil && !(errors.As(err, &refused) && refused.status == http.StatusNotFound) {
		fault.lab.t.Fatalf("imagestorelab: DELETE %s: %v", fault.path, err)
	}
}

// Active returns whether it has not been healed.
func (fault *Fault) Active() bool {
	fault.lab.t.Helper()
	var answer struct{ Faults []struct{ ID string } }
	fault.lab.get(fault.all, &answer)
	return slices.ContainsFunc(answer.Faults, func(one struct{ ID string }) bool { return one.ID == fault.ID })
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
	const all = "/lab/v1/node/faults"
	return &NodeFault{Fault{ID: answer.ID, path: all + "/" + url.PathEscape(answer.ID), all: all, lab: lab}}
}

// Hits returns how many requests the fault has met, also after it was healed.
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
