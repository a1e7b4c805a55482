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
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
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
	transport http.RoundTripper
	carrier   *carrier
}

// Start returns a lab whose backup storages are connected, and stops it at the end of the test. Call it outside of a
// bubble of testing/synctest, and [Lab.In] inside.
//
// If IMAGESTORE_LAB_URL is set, that lab is used: it is reset first, keeps running, and no option changes it.
func Start(t testing.TB, options ...Option) *Lab {
	t.Helper()
	if running := os.Getenv(URLVariable); running != "" {
		return Connect(t, running)
	}
	address, err := launch(t, settingsOf(options))
	if err != nil {
		t.Fatalf("imagestorelab: %v", err)
	}
	return at(t, address)
}

// Connect resets the lab that runs at an address, such as that of a container, and returns it. It keeps running after
// the test. IMAGESTORE_LAB_TOKEN is its token, if it has one.
func Connect(t testing.TB, address string) *Lab {
	t.Helper()
	lab := at(t, address)
	lab.token = os.Getenv(TokenVariable)
	lab.Reset()
	return lab
}

func at(t testing.TB, address string) *Lab {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Lab{URL: strings.TrimRight(address, "/"), t: t, transport: transport}
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

// WaitForStatus returns once the backup storage of that name has the status, such as "Connected". It fails the test if
// that takes longer than within, in the lab's time.
//
// A clock that runs is waited for. One that stands still is stepped by five seconds; in a bubble, the test sleeps
// instead.
func (lab *Lab) WaitForStatus(storage, status string, within time.Duration) {
	lab.t.Helper()
	begin := lab.Clock().state()
	for {
		current, found := lab.statusOf(storage)
		if current == status {
			return
		}
		now := lab.Clock().state()
		left := within - time.Duration((now.Elapsed-begin.Elapsed)*float64(time.Second))
		if left < time.Millisecond {
			if !found {
				current = "not there"
			}
			lab.t.Fatalf("imagestorelab: %s is %s, not %s, after %s", storage, current, status, within)
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

// statusOf reads the timeline, which no fault of the node meets and the journal of requests does not list.
func (lab *Lab) statusOf(storage string) (string, bool) {
	lab.t.Helper()
	var answer struct {
		Lanes []struct {
			Name     string
			Exists   bool
			Statuses []struct{ Status string }
		}
	}
	lab.get("/lab/v1/timeline?limit=200&name="+url.QueryEscape(storage), &answer)
	for _, lane := range answer.Lanes {
		if lane.Name == storage && lane.Exists && len(lane.Statuses) > 0 {
			return lane.Statuses[len(lane.Statuses)-1].Status, true
		}
	}
	return "", false
}

// Heal heals all faults of all hosts and of the node.
func (lab *Lab) Heal() {
	lab.t.Helper()
	lab.call(http.MethodPost, "/lab/v1/heal", nil, nil)
}

// Reset makes the lab what it was after its start, and returns once each storage has been tried. Sessions end.
func (lab *Lab) Reset() {
	lab.t.Helper()
	lab.call(http.MethodPost, "/lab/v1/reset?wait=true", nil, nil)
}

// Snapshot returns all records of the node, as the text of a bootstrap file.
func (lab *Lab) Snapshot() string {
	lab.t.Helper()
	return string(lab.exchange(http.MethodGet, "/lab/v1/snapshot", nil))
}

// Load replaces all records by those of a snapshot.
func (lab *Lab) Load(snapshot string) {
	lab.t.Helper()
	lab.exchange(http.MethodPut, "/lab/v1/snapshot", []byte(snapshot))
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

func (lab *Lab) send(method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, lab.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if lab.token != "" {
		request.Header.Set("X-Lab-Token", lab.token)
	}
	response, err := lab.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	return text, nil
}
