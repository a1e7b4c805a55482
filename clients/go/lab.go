// Package imagestorelab runs a lab of imagestore-sim in Go tests: a ZStack management node with simulated ImageStore
// hosts, which break, lose answers and let hours pass when a test says so.
//
//	lab := imagestorelab.Start(t)
//	lab.Host("imagestore-1").Break("blackhole", imagestorelab.Params{"for": "1m"})
//	lab.WaitForStatus("imagestore-1", "Disconnected", time.Minute)
//
// Every method ends the test with a message that says what failed, so none returns an error.
package imagestorelab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// URLVariable names the environment variable with the address of a lab that runs already, such as a service container.
const URLVariable = "IMAGESTORE_LAB_URL"

// TokenVariable names the environment variable with the token of that lab, if it has one.
const TokenVariable = "IMAGESTORE_LAB_TOKEN"

// Params are the parameters of a fault, or the members of a matcher.
type Params map[string]any

// Lab is a running lab. It belongs to one test, and its methods end that test if they fail.
type Lab struct {
	// URL is the address of the node, without a slash at its end.
	URL string

	t         testing.TB
	token     string
	paused    bool
	process   *process
	transport http.RoundTripper
	carrier   *carrier
}

const (
	realClock = "real"
	// A step over a month of many hosts takes a while.
	longestAnswer = 2 * time.Minute
)

// Start returns a lab whose backup storages are connected, and stops it at the end of the test. Call it outside of a
// bubble of testing/synctest, and [Lab.In] inside.
//
// If IMAGESTORE_LAB_URL is set, that lab is used, as [Connect] does.
func Start(t testing.TB, options ...Option) *Lab {
	t.Helper()
	if running := os.Getenv(URLVariable); running != "" {
		return Connect(t, running, options...)
	}
	chosen := settingsOf(options)
	process, err := launch(t, chosen)
	if err != nil {
		t.Fatalf("imagestorelab: %v", err)
	}
	lab := at(t, process.address)
	lab.token, lab.paused, lab.process = chosen.token, chosen.clock != realClock, process
	return lab
}

// Connect resets the lab that runs at an address, such as that of a container, and returns it. It keeps running after
// the test. Of the options [WithToken] counts, which is IMAGESTORE_LAB_TOKEN by default, and a clock that is not real:
// it is paused. The lab must have the hosts of [WithHosts].
func Connect(t testing.TB, address string, options ...Option) *Lab {
	t.Helper()
	chosen := settingsOf(options)
	lab := at(t, address)
	lab.token, lab.paused = chosen.token, chosen.clock != realClock
	if lab.token == "" {
		lab.token = os.Getenv(TokenVariable)
	}
	lab.Reset()
	if hosts := len(lab.Hosts()); chosen.hosts >= 0 && chosen.hosts != hosts {
		t.Fatalf("imagestorelab: the lab at %s has %d hosts, and the test wants %d", lab.URL, hosts, chosen.hosts)
	}
	return lab
}

func at(t testing.TB, address string) *Lab {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Lab{URL: strings.TrimRight(address, "/"), t: t, transport: transport}
}

// For returns the lab for another test, such as a subtest: its methods end that test if they fail.
func (lab *Lab) For(t testing.TB) *Lab {
	other := *lab
	other.t = t
	return &other
}

// Transport returns the way to the lab for an http.Client. That of a lab from [Lab.In] carries the time of the bubble.
func (lab *Lab) Transport() http.RoundTripper { return lab.transport }

// Credentials are what a client logs in with.
type Credentials struct {
	AccountName string
	Password    string
}

// SHA512 returns the password as ZStack's API wants it: the hash in hexadecimal digits.
func (credentials Credentials) SHA512() string {
	sum := sha512.Sum512([]byte(credentials.Password))
	return hex.EncodeToString(sum[:])
}

// Credentials returns those of the account admin.
func (lab *Lab) Credentials() Credentials {
	return Credentials{AccountName: "admin", Password: "password"}
}

// LogIn begins a session as admin, and returns its uuid: the header is `Authorization: OAuth UUID`.
func (lab *Lab) LogIn() string {
	lab.t.Helper()
	credentials := lab.Credentials()
	var answer struct{ Inventory struct{ UUID string } }
	body := Params{"logInByAccount": Params{
		"accountName": credentials.AccountName, "password": credentials.SHA512(),
	}}
	lab.call(http.MethodPut, "/zstack/v1/accounts/login", body, &answer)
	return answer.Inventory.UUID
}

// WaitForStatus returns once the backup storage of that name or uuid has the status: "Connected", "Connecting" or
// "Disconnected". It fails the test if that takes longer than within, in the lab's time; one that does not exist is
// waited for, too.
//
// A clock that runs is waited for. One that stands still is stepped by five seconds; in a bubble, the test sleeps
// instead.
func (lab *Lab) WaitForStatus(storage, status string, within time.Duration) {
	lab.t.Helper()
	if !slices.Contains(statuses, status) {
		lab.t.Fatalf("imagestorelab: '%s' is no status: expected %s", status, strings.Join(statuses, ", "))
	}
	begin := lab.Clock().state()
	for {
		current := lab.statusOf(storage)
		if current == status {
			return
		}
		now := lab.Clock().state()
		left := within - time.Duration((now.Elapsed-begin.Elapsed)*float64(time.Second))
		if left < time.Millisecond {
			lab.t.Fatalf("imagestorelab: %s is %s, and was not %s within %g s", storage, current, status, within.Seconds())
		}
		lab.letTimePass(now, min(left, 5*time.Second))
	}
}

func (lab *Lab) letTimePass(now clockState, most time.Duration) {
	lab.t.Helper()
	switch {
	case lab.carrier != nil:
		time.Sleep(most)
	case now.Paused:
		lab.Clock().Step(most)
	default:
		time.Sleep(20 * time.Millisecond)
	}
}

var statuses = []string{"Connecting", "Connected", "Disconnected"}

// statusOf asks the lab's API, which no fault of the node meets and the journal of requests does not list.
func (lab *Lab) statusOf(storage string) string {
	lab.t.Helper()
	path := "/lab/v1/storages/" + url.PathEscape(storage)
	text, err := lab.send(http.MethodGet, path, nil)
	if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusNotFound &&
		strings.HasPrefix(refused.reason, "there is no backup storage ") {
		return "not there"
	}
	var answer struct{ Status string }
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		lab.t.Fatalf("imagestorelab: GET %s: %v", path, err)
	}
	return answer.Status
}

// Heal heals all faults of all hosts and of the node.
func (lab *Lab) Heal() {
	lab.t.Helper()
	lab.call(http.MethodPost, "/lab/v1/heal", nil, nil)
}

// Reset makes the lab what it was after its start, and returns once each storage has been tried. Sessions end; time
// does not go back.
func (lab *Lab) Reset() {
	lab.t.Helper()
	lab.call(http.MethodPost, "/lab/v1/reset?wait=true", nil, nil)
	if lab.paused {
		lab.Clock().Pause()
	}
}

// Snapshot returns all records of the node, as the text of a bootstrap file.
func (lab *Lab) Snapshot() string {
	lab.t.Helper()
	return string(lab.exchange(http.MethodGet, "/lab/v1/snapshot", nil))
}

// Load replaces all records by those of a snapshot, and returns once each storage has been tried.
func (lab *Lab) Load(snapshot string) {
	lab.t.Helper()
	lab.exchange(http.MethodPut, "/lab/v1/snapshot?wait=true", []byte(snapshot))
}

func (lab *Lab) get(path string, answer any) {
	lab.t.Helper()
	lab.call(http.MethodGet, path, nil, answer)
}

// call sends body as JSON, if there is one, and reads the answer into answer, if there is one.
func (lab *Lab) call(method, path string, body, answer any) {
	lab.t.Helper()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			lab.t.Fatalf("imagestorelab: %s %s: %v", method, path, err)
		}
	}
	text := lab.exchange(method, path, sent)
	if answer == nil {
		return
	}
	if err := json.Unmarshal(text, answer); err != nil {
		lab.t.Fatalf("imagestorelab: %s %s: %v in %q", method, path, err, text)
	}
}

func (lab *Lab) exchange(method, path string, body []byte) []byte {
	lab.t.Helper()
	text, err := lab.send(method, path, body)
	if err != nil {
		lab.t.Fatalf("imagestorelab: %s %s: %v", method, path, err)
	}
	return text
}

// send returns the body of an answer. Its error says how the lab has ended, if it has.
func (lab *Lab) send(method, path string, body []byte) ([]byte, error) {
	response, text, err := lab.roundTrip(method, path, body)
	if err != nil {
		if lab.process != nil {
			if ending := lab.process.ending(); ending != "" {
				return nil, errors.New(ending)
			}
		}
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, &refusal{response.StatusCode, reasonIn(text)}
	}
	return text, nil
}

func (lab *Lab) roundTrip(method, path string, body []byte) (*http.Response, []byte, error) {
	context, cancel := context.WithTimeout(context.Background(), longestAnswer)
	defer cancel()
	request, err := http.NewRequestWithContext(context, method, lab.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if lab.token != "" {
		request.Header.Set("X-Lab-Token", lab.token)
	}
	response, err := lab.transport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}

// refusal is an answer with a status that says that the lab did not do what it was asked to.
type refusal struct {
	status int
	reason string
}

func (refused *refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", refused.status, http.StatusText(refused.status), refused.reason)
}

// reasonIn returns the sentence of a refusal: that of the lab, the code and details of ZStack's error, or all of it.
func reasonIn(text []byte) string {
	var lab struct{ Error string }
	if json.Unmarshal(text, &lab) == nil && lab.Error != "" {
		return lab.Error
	}
	var zstack struct {
		Error struct{ Code, Description, Details string }
	}
	if json.Unmarshal(text, &zstack) == nil && zstack.Error.Code != "" {
		return zstack.Error.Code + ": " + cmp.Or(zstack.Error.Details, zstack.Error.Description)
	}
	return cmp.Or(strings.TrimSpace(string(text)), "no reason is given")
}
