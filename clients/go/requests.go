package imagestorelab

import (
	"fmt"
	"maps"
	"net/http"
)

// Request is a request that a client made, as the journal of the node has it. Secrets are masked.
type Request struct {
	Number  int
	Method  string
	Path    string
	API     string
	Status  int
	Error   string
	Headers map[string]string
	Body    string
	Faults  []string
}

// Requests returns those that match, the oldest first: Params{"api": "AddImageStore*", "status": "2xx"}. What a
// matcher says is in docs/requests.md; nil matches all.
func (lab *Lab) Requests(matcher Params) []Request {
	lab.t.Helper()
	var answer struct{ Requests []Request }
	lab.call(http.MethodPost, "/lab/v1/requests/find", orAll(matcher), &answer)
	return answer.Requests
}

// Times says how often a request is expected.
type Times struct {
	least, most int
	text        string
}

// Exactly expects that many requests.
func Exactly(count int) Times { return Times{count, count, fmt.Sprintf("exactly %d", count)} }

// AtLeast expects that many requests or more.
func AtLeast(count int) Times { return Times{count, -1, fmt.Sprintf("at least %d", count)} }

// Never expects none.
func Never() Times { return Times{0, 0, "none"} }

// AssertRequested fails the test unless as many requests match as expected, and shows those that come closest. It goes
// on after a failure.
func (lab *Lab) AssertRequested(matcher Params, expected Times) {
	lab.t.Helper()
	var found struct{ Count, Undecided, Dropped int }
	lab.call(http.MethodPost, "/lab/v1/requests/count", orAll(matcher), &found)
	enough, tooMany := found.Count >= expected.least, expected.most >= 0 && found.Count > expected.most
	unknown := found.Undecided + found.Dropped
	switch {
	case !enough || tooMany:
		var closest struct{ Text string }
		lab.call(http.MethodPost, "/lab/v1/requests/near-misses", Params{"expected": orAll(matcher)}, &closest)
		lab.t.Errorf("imagestorelab: %s expected, %d came\n%s", expected.text, found.Count, closest.Text)
	case expected.most >= 0 && unknown > 0:
		lab.t.Errorf("imagestorelab: cannot know whether %s came: the journal no longer has %d requests in full",
			expected.text, unknown)
	}
}

func orAll(matcher Params) Params {
	body := Params{}
	maps.Copy(body, matcher)
	return body
}
