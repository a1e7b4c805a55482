package imagestorelab

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// Clock is the clock of the lab.
type Clock struct{ lab *Lab }

type clockState struct {
	Time    float64
	Elapsed float64
	Paused  bool
	Settled bool
}

// Clock returns the clock of the lab.
func (lab *Lab) Clock() Clock { return Clock{lab} }

// Now returns the time of the lab.
func (clock Clock) Now() time.Time {
	clock.lab.t.Helper()
	return time.UnixMicro(int64(clock.state().Time * 1e6)).UTC()
}

// Elapsed returns how much of the lab's time has passed since it began.
func (clock Clock) Elapsed() time.Duration {
	clock.lab.t.Helper()
	return time.Duration(clock.state().Elapsed * float64(time.Second)).Round(time.Microsecond)
}

// Paused returns whether the clock stands still.
func (clock Clock) Paused() bool {
	clock.lab.t.Helper()
	return clock.state().Paused
}

// Pause lets the clock stand still.
func (clock Clock) Pause() {
	clock.lab.t.Helper()
	clock.change(Params{"paused": true})
}

// Resume lets the clock run.
func (clock Clock) Resume() {
	clock.lab.t.Helper()
	clock.change(Params{"paused": false})
}

// Speed lets a clock that began as a real one run at that multiple of the machine's speed.
func (clock Clock) Speed(factor float64) {
	clock.lab.t.Helper()
	clock.change(Params{"speed": factor})
}

// Step lets time pass at once, with all that falls due in it: at most 31 days. It returns whether nothing was under
// way any more at its end.
func (clock Clock) Step(duration time.Duration) bool {
	clock.lab.t.Helper()
	var state clockState
	clock.lab.call(http.MethodPost, "/lab/v1/clock/step", Params{"seconds": duration.Seconds()}, &state)
	return state.Settled
}

// Set lets time pass until it is later: at most 31 days. It returns what Step does.
func (clock Clock) Set(later time.Time) bool {
	clock.lab.t.Helper()
	return clock.change(Params{"time": later.Format(time.RFC3339Nano)}).Settled
}

func (clock Clock) change(body Params) clockState {
	clock.lab.t.Helper()
	var state clockState
	clock.lab.call(http.MethodPut, "/lab/v1/clock", body, &state)
	return state
}

func (clock Clock) state() clockState {
	clock.lab.t.Helper()
	var state clockState
	clock.lab.get("/lab/v1/clock", &state)
	return state
}

// TimeOption chooses how a lab in a bubble counts time.
type TimeOption func(*carrier)

// Absolute carries the time of day of the bubble, which begins at 2000-01-01T00:00:00Z, instead of the time that has
// passed in it. The lab's clock has to begin there too: WithClock("2000-01-01T00:00:00Z").
func Absolute() TimeOption { return func(carrier *carrier) { carrier.absolute = true } }

// In returns the lab as the test t sees it inside a bubble of testing/synctest: each request through its
// [Lab.Transport] carries the bubble's time, and the lab catches up with it before it answers. So hours of sleeping
// and polling take no time. A clock that runs stands still as long as t runs.
func (lab *Lab) In(t testing.TB, options ...TimeOption) *Lab {
	t.Helper()
	// While a goroutine of the bubble waits for bytes of an idle connection, the bubble's time stands still.
	transport := &http.Transport{DisableKeepAlives: true}
	plain := &Lab{URL: lab.URL, t: t, token: lab.token, paused: lab.paused, process: lab.process, transport: transport}
	before := plain.Clock().state()
	if !before.Paused {
		plain.Clock().Pause()
		t.Cleanup(plain.Clock().Resume)
	}
	carrier := &carrier{next: transport, token: lab.token, base: plain.Clock().state().Elapsed, began: time.Now()}
	for _, option := range options {
		option(carrier)
	}
	inside := *plain
	inside.transport, inside.carrier = carrier, carrier
	return &inside
}

// Proxy carries the time of the bubble for a client that makes its own transport but takes the function that finds a
// proxy, as ZStack's SDK does. It finds none, and lets no connection stay open.
func (lab *Lab) Proxy(request *http.Request) (*url.URL, error) {
	if lab.carrier != nil {
		lab.carrier.mark(request)
		request.Close = true
	}
	return nil, nil
}

// carrier puts the time of a bubble on each request.
type carrier struct {
	next     http.RoundTripper
	token    string
	base     float64
	began    time.Time
	absolute bool
}

// RoundTrip sends a copy of the request that carries the time.
func (carrier *carrier) RoundTrip(request *http.Request) (*http.Response, error) {
	carrying := request.Clone(request.Context())
	carrier.mark(carrying)
	return carrier.next.RoundTrip(carrying)
}

func (carrier *carrier) mark(request *http.Request) {
	request.Header.Set("X-Lab-Time", carrier.now())
	if carrier.token != "" {
		request.Header.Set("X-Lab-Token", carrier.token)
	}
}

func (carrier *carrier) now() string {
	if carrier.absolute {
		return time.Now().Format(time.RFC3339Nano)
	}
	return strconv.FormatFloat(carrier.base+time.Since(carrier.began).Seconds(), 'f', -1, 64)
}
